"""The key files of an instance: outside the database, for its own user's eyes only."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self, TextIO

KEY_BYTES = 32
OTHERS = 0o077


class KeyFileError(Exception):
    """A key file is absent, malformed, or open to others; the text names the file and the mend."""


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """The secrets that the server works with, each 32 bytes; `root` keys are never among them.

    `epoch` is the network key k as a scalar, `log` and `http` are Ed25519 seeds, `receipt` keys
    the HMACs of receipts. The file `epoch.key` holds the current epoch's.
    """

    epoch: bytes
    log: bytes
    http: bytes
    receipt: bytes

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read every key from `folder`; raise KeyFileError where one cannot be trusted."""
        refuse_if_open(folder)
        return cls(**{field.name: read_key(folder / f"{field.name}.key") for field in fields(cls)})

    def save(self, folder: Path) -> None:
        """Write the new folder `folder`, with every key or not at all; raise KeyFileError."""
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        except OSError:
            raise KeyFileError(f"{folder} cannot be written") from None
        try:
            for name, key in keys_of(self).items():
                write_secret(beside / f"{name}.key", key + "\n")
            beside.rename(folder)  # which fails where there are keys already
            sync_folder(folder.parent)
        except OSError:
            raise KeyFileError(f"{folder} cannot be written, or is there already") from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    @contextmanager
    def saving(self, folder: Path) -> Iterator[None]:
        """Save the keys, and take them back where the block fails.

        What they are for is done inside, last: keys without an instance are worth nothing, but
        an instance without its keys could neither be used nor founded again.
        """
        self.save(folder)
        try:
            yield
        except BaseException:
            shutil.rmtree(folder)
            raise

    def __repr__(self) -> str:
        """Show nothing."""
        return "Keyring(…)"


def read_key(path: Path) -> bytes:
    """Return the 32 bytes that the key file `path` holds in hexadecimal; raise KeyFileError."""
    try:
        refuse_if_open(path)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError:
        raise KeyFileError(f"{path} cannot be read: restore it from the backup of keys") from None
    except ValueError:
        raise KeyFileError(f"{path} does not hold a key in hexadecimal") from None
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path} does not hold {KEY_BYTES} bytes")
    return key


def refuse_if_open(path: Path) -> None:
    """Raise KeyFileError where the group or others may read or write `path`."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        raise KeyFileError(f"{path} is not there, or cannot be read") from None
    if mode & OTHERS:
        raise KeyFileError(f"{path} is open to others: chmod go= {path}")


def write_secret(path: Path, text: str) -> None:
    """Write the new file `path`, mode 0600 from its first byte; never over another file.

    Raises OSError, and then leaves nothing behind.
    """
    with private_file(path) as file:
        file.write(text)


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """Open the new file `path` to be written as `write_secret` does."""
    # O_EXCL follows no link either, so nobody can choose another place for what is written.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            _check_private(descriptor)
            yield file
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _check_private(descriptor: int) -> None:
    # A memory stick's file system often knows no modes; what is read later must be private.
    if os.fstat(descriptor).st_mode & OTHERS:
        raise PermissionError("no file is private there")


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` outlast a power cut, where the system can promise that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rewrite_secret(path: Path, text: str) -> None:
    """Put `text` in the place of the file `path` at once: the old or the new, never a half."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    write_secret(beside, text)
    beside.replace(path)


def keys_of(ring: Keyring) -> Mapping[str, str]:
    """Return the keys in hexadecimal by name, for an encrypted backup."""
    return {field.name: getattr(ring, field.name).hex() for field in fields(ring)}
