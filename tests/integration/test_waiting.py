"""A server and a migration that are begun before their database."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
import pytest

from api.cli.host import NO_DATABASE, WAITING
from api.store.schema import HEAD
from tests.databases import Databases
from tests.factories import World
from tests.operators import Operator
from tests.services import free_port

DEADLINE = 30
PARASOL = Path(sys.executable).with_name("parasol")


@dataclass(frozen=True)
class Command:
    """A command that is running."""

    process: "subprocess.Popen[bytes]"
    output: Path

    def eventually(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < until, self.output.read_text()
            time.sleep(0.05)

    def says(self, words: str) -> None:
        self.eventually(lambda: words in self.output.read_text())


@contextmanager
def begun(folder: Path, url: str, *words: str) -> Iterator[Command]:
    output = folder / "output"
    environment = os.environ | {"PARASOL_DATA": str(folder), "PARASOL_DATABASE_URL": url}
    with output.open("wb") as file:
        process = subprocess.Popen([PARASOL, *words], env=environment, stdout=file, stderr=file)
    try:
        yield Command(process, output)
    finally:
        process.terminate()
        process.wait(DEADLINE)


def tell(url: str, command: str) -> None:
    """Let a database do one command."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(command.encode())


def test_a_migration_waits_for_its_database(postgresql_server: str, tmp_path: Path) -> None:
    with begun(tmp_path, f"{postgresql_server}/later", "migrate", "--wait", "60") as migration:
        migration.says(WAITING)
        tell(f"{postgresql_server}/postgres", "CREATE DATABASE later")
        migration.says("The schema is up to date.")
        assert migration.process.wait(DEADLINE) == 0
    tell(f"{postgresql_server}/postgres", "DROP DATABASE later")


def test_a_server_waits_for_its_database_and_then_for_its_migration(
    postgresql_server: str, postgresql_databases: Databases, tmp_path: Path
) -> None:
    url, port = postgresql_databases.make(), free_port()
    world = World(tmp_path, url)
    world.close()
    name = url.rpartition("/")[2]
    tell(f"{postgresql_server}/postgres", f"ALTER DATABASE {name} RENAME TO away")
    tell(f"{postgresql_server}/away", "UPDATE alembic_version SET version_num = '0001'")
    words = ("serve", "--port", str(port), "--wait", "60")
    with begun(world.settings.data, url, *words) as server:
        server.says(WAITING)
        tell(f"{postgresql_server}/postgres", f"ALTER DATABASE away RENAME TO {name}")
        time.sleep(2.5)
        assert server.process.poll() is None
        tell(url, f"UPDATE alembic_version SET version_num = '{HEAD}'")
        server.eventually(lambda: is_ready(port))


def is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 204
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_waiting_ends(tmp_path: Path, command: str) -> None:
    operator = Operator(tmp_path, "postgresql+psycopg://parasol:sesame@127.0.0.1:1/parasol")
    began = time.monotonic()
    result = operator.run(f"{command} --wait 1")
    assert 1 <= time.monotonic() - began < DEADLINE
    assert (result.exit_code, result.stderr.splitlines()) == (2, [WAITING, NO_DATABASE])
