"""What is killed, and begun again: an instance's server, and a PostgreSQL of a test's own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from api.store.schema import migrate
from tests.e2e.conftest import GENEROUS, HERE
from tests.factories import World
from tests.services import Binaries, binaries, free_port

PARASOL = Path(sys.executable).with_name("parasol")
DEADLINE = 60
SURVIVES = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
"""PostgreSQL as it comes: what is committed outlasts a crash."""


HALF_DONE = {
    "published, not once in the log": """
        SELECT count(*) FROM report WHERE status = 'published'
        AND (SELECT count(*) FROM entry WHERE entry.report = report.id) <> 1""",
    "in the log, not published": """
        SELECT count(*) FROM entry WHERE report IS NOT NULL AND envelope IS NOT NULL
        AND report NOT IN (SELECT id FROM report WHERE status = 'published')""",
    "without what it is about": """
        SELECT count(*) FROM report WHERE seq NOT IN (SELECT report FROM identifier)""",
    "without its receipt": """
        SELECT count(*) FROM report WHERE (SELECT count(*) FROM receipt
        WHERE receipt.report = report.id) <> 1""",
    "of a partner, not once": """
        SELECT count(*) FROM partner WHERE size <> (SELECT count(*) FROM foreign_entry
        WHERE foreign_entry.partner = partner.id AND foreign_entry.log = partner.log)""",
}


class Cluster:
    """A PostgreSQL of a test's own, to be killed with all its processes, and begun again."""

    def __init__(self, place: Binaries, environment: dict[str, str] | None = None) -> None:
        place.call("initdb", "-U postgres -A trust -E UTF8 --no-sync --locale=C", "cluster")
        self._place, self._port, self._running = place, free_port(), ExitStack()
        if environment:
            place.rights["env"] = os.environ | environment
        self.begin()

    def begin(self) -> None:
        """Run it; what is left of a killed one may hold the memory for a moment."""
        until = time.monotonic() + DEADLINE
        while True:
            try:
                running = self._place.running("cluster", self._port, SURVIVES)
                self.url = f"{self._running.enter_context(running)}/postgres"
            except AssertionError:
                assert time.monotonic() < until, self.log()
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """Let the machine die: nothing of it does anything more."""
        file = self._place.data / "cluster/postmaster.pid"
        if file.exists():  # else it has ended by itself
            postmaster = int(file.read_text().split()[0])
            for process in (postmaster, *descendants(postmaster)):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self.end()

    def end(self) -> None:
        self._running.close()

    @property
    def write_ahead(self) -> Path:
        return self._place.data / "cluster/pg_wal"

    def log(self) -> str:
        return (self._place.root / "cluster.log").read_text()


@contextmanager
def cluster(environment: dict[str, str] | None = None) -> Iterator[Cluster]:
    """Run a PostgreSQL for the block; raise ModuleNotFoundError."""
    with binaries() as place:
        began = Cluster(place, environment)
        migrate(began.url)
        try:
            yield began
        finally:
            began.end()


def descendants(process: int) -> list[int]:
    """The processes that `process` has begun, as they are now."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((place / "stat").read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(place.name))
    return found


@dataclass
class Command:
    """`parasol serve` of a world, begun and killed as often as wanted, always at its address."""

    world: World
    output: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def port(self) -> int:
        return int(self.world.address.rpartition(":")[2])

    def run(self, *words: str) -> "subprocess.Popen[bytes]":
        """Begin a command of the operator's."""
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
            **{f"PARASOL_{name}": value for name, value in GENEROUS.items()},
            "PARASOL_DATA": str(self.world.settings.data),
            "PARASOL_DATABASE_URL": self.world.settings.url,
            "PARASOL_POLL_SECONDS": "1",
        } | self.environment
        with self.output.open("ab") as file:
            return subprocess.Popen(
                [PARASOL, *words], cwd=HERE, env=environment, stdout=file, stderr=file
            )

    def begin(self) -> None:
        self.process = self.run("serve", "--port", str(self.port))

    def kill(self) -> None:
        """Let it die, and let the minute pass in which its leases still hold."""
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        self.process.kill()
        self.process.wait(DEADLINE)
        in_database(self.world, "DELETE FROM lease")

    def end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        assert self.process.wait(DEADLINE) in (0, -signal.SIGTERM), self.said()

    def said(self) -> str:
        """What it has written, unless that went nowhere."""
        return self.output.read_text() if self.output.is_file() else ""

    def is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as http:
            http.sendall(b"GET /readyz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            return b" 204 " in http.recv(100)
        return False


def in_database(world: World, statement: str) -> None:
    """Do something to the database of a world, behind its back."""
    engine = create_engine(world.settings.url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def await_writing(world: World, place: Cluster | None, seconds: float = 2) -> None:
    """Wait until the database of a world writes something, but not for ever."""
    if place is None:
        database = Path(make_url(world.settings.url).database or "")
        folder, pattern = database.parent, f"{database.name}-wal"
    else:
        folder, pattern = place.write_ahead, "[0-9A-F]*"

    def written() -> int:
        return max((one.stat().st_mtime_ns for one in folder.glob(pattern)), default=0)

    before, end = written(), time.monotonic() + seconds
    while written() == before and time.monotonic() < end:
        time.sleep(0.0005)


def is_whole(world: World) -> None:
    """Hold what a world has stored against itself: its log, its rows, and its file."""
    world.parts.inspection.verify()
    engine = create_engine(world.settings.url)
    with engine.connect() as connection:
        for what, question in HALF_DONE.items():
            assert connection.execute(text(question)).scalar_one() == 0, what
        if engine.dialect.name == "sqlite":
            check = connection.execute(text("PRAGMA integrity_check"))
            assert check.scalars().all() == ["ok"]
    engine.dispose()


def until(condition: Callable[[], object], what: object = "", seconds: float = DEADLINE) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"this never came true: {what}"
        time.sleep(0.05)
