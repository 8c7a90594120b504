/* A disk that fails when it is told to, for what runs with this in LD_PRELOAD.

   While the file $FAULTS/fsync exists, nothing can be made to last (EIO); while $FAULTS/full does,
   no file can grow (ENOSPC). Only files below $FAULTY are on that disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define TRUE_ONE(kind, name) ((kind)dlsym(RTLD_NEXT, name))

static int told(const char *fault) {
    char path[4096];
    const char *folder = getenv("FAULTS");
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, fault);
    int before = errno, there = access(path, F_OK) == 0;
    errno = before;
    return there;
}

static int on_that_disk(int file) {
    char link[64], path[4096];
    const char *folder = getenv("FAULTY");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!folder || length < 0) return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int fails(const char *fault, int file, int error) {
    if (!told(fault) || !on_that_disk(file)) return 0;
    errno = error;
    return 1;
}

static int too_full(int file, off_t end) {
    struct stat now;
    if (!told("full") || fstat(file, &now) || end <= now.st_size) return 0;
    return fails("full", file, ENOSPC);
}

static off_t place(int file) {
    struct stat now;
    if (fcntl(file, F_GETFL) & O_APPEND) return fstat(file, &now) ? 0 : now.st_size;
    off_t here = lseek(file, 0, SEEK_CUR);
    return here < 0 ? 0 : here;
}

static off_t all(const struct iovec *parts, int count) {
    off_t sum = 0;
    for (int part = 0; part < count; part++) sum += parts[part].iov_len;
    return sum;
}

int fsync(int file) {
    if (fails("fsync", file, EIO)) return -1;
    return TRUE_ONE(int (*)(int), "fsync")(file);
}

int fdatasync(int file) {
    if (fails("fsync", file, EIO)) return -1;
    return TRUE_ONE(int (*)(int), "fdatasync")(file);
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (told("full") && too_full(file, place(file) + count)) return -1;
    return TRUE_ONE(ssize_t (*)(int, const void *, size_t), "write")(file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t where) {
    if (too_full(file, where + count)) return -1;
    return TRUE_ONE(ssize_t (*)(int, const void *, size_t, off_t), "pwrite")(
        file, bytes, count, where);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t where) {
    return pwrite(file, bytes, count, where);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t where) {
    if (too_full(file, where + all(parts, count))) return -1;
    return TRUE_ONE(ssize_t (*)(int, const struct iovec *, int, off_t), "pwritev")(
        file, parts, count, where);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t where) {
    return pwritev(file, parts, count, where);
}

int ftruncate(int file, off_t length) {
    if (too_full(file, length)) return -1;
    return TRUE_ONE(int (*)(int, off_t), "ftruncate")(file, length);
}

int ftruncate64(int file, off_t length) { return ftruncate(file, length); }

int posix_fallocate(int file, off_t where, off_t length) {
    if (too_full(file, where + length)) return ENOSPC;
    return TRUE_ONE(int (*)(int, off_t, off_t), "posix_fallocate")(file, where, length);
}

int posix_fallocate64(int file, off_t where, off_t length) {
    return posix_fallocate(file, where, length);
}
