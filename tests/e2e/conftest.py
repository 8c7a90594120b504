"""Really running servers: a process, a port, a database, and callers who have joined."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from api.crypto.bearers import Invitation, format_invitation
from api.trust import root_fingerprint
from schemas.callers import Caller, JoinRequest, Role
from schemas.documents import Envelope
from schemas.reports import Status
from tests.databases import Databases
from tests.e2e.demo import Demo, running_demo
from tests.factories import Clock, Moderator, World
from tests.services import free_port

HERE = Path(__file__).resolve().parents[2]
PROGRAM = "from api.server import run; from api.settings import Settings; run(Settings())"
DEADLINE = 30
LISTED, TWICE, UNLISTED = 113, 114, 999
"""Numbers with one published warning, with two by different collectives, and with none."""

GENEROUS = {
    "PER_HOUR": "100000",
    "PER_DAY": "100000",
    "COLLECTIVE_PER_DAY": "1000000",
    "MODERATOR_PER_HOUR": "100000",
    "REPORTS_PER_DAY": "10000",
    "STRETCHING_THREADS": "2",
    "STRETCHING_QUEUE": "200",
}
SAFE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

_names = itertools.count()


@dataclass
class Server:
    """A running process and the world behind it."""

    world: World
    address: str
    process: "subprocess.Popen[bytes]"
    output: Path
    temporary: Path
    clients: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.http = self.clients.enter_context(
            httpx2.Client(base_url=self.address, trust_env=False, timeout=30)
        )

    def ask(self, method: str, path: str, bearer: str | None = None, **rest: Any) -> Any:
        """Send a request as the bearer; return the answer, whatever it is."""
        headers = dict(rest.pop("headers", {}))
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return self.http.request(method, path, headers=headers, **rest)

    def send(
        self, path: str, body: bytes | Iterator[bytes], bearer: str | None = None, **headers: str
    ) -> Any:
        """POST the bytes of a body as JSON."""
        headers = {"Content-Type": "application/json"} | headers
        return self.ask("POST", path, bearer, content=body, headers=headers)

    def invitation(self, collective: str, role: Role = Role.MEMBER) -> str:
        """The line that an operator would give by hand."""
        code = self.world.parts.callers.invite(collective, role, 1).invitations[0].code
        root = root_fingerprint(self.world.identity.root)
        return format_invitation(Invitation(address=self.address, code=code, root=root))

    def serves_newest(self, bearer: str) -> bool:
        """Whether the process has read by now what the root signed last: it looks every 2 s."""
        served = Envelope.model_validate(self.ask("GET", "/v1/identity", bearer).json())
        return served.payload == self.world.identity.encode()

    def log(self) -> bytes:
        """All that the process has written so far."""
        return self.output.read_bytes()


def bearer_of(caller: Caller) -> str:
    return caller.bearer.get_secret_value()


def new_member(world: World, collective: str = "rose") -> str:
    """A new member's bearer token."""
    code = world.parts.callers.invite(collective, Role.MEMBER, 1).invitations[0].code
    return world.parts.callers.redeem(JoinRequest(code=SecretStr(code))).token


def this_month(world: World) -> str:
    return f"{world.clock.now:%Y-%m}"


def approve_last(world: World, moderators: list[Moderator]) -> None:
    """Let the moderators approve the last report of their queue."""
    item = world.queue(moderators[0])[-1]
    assert world.approve(item, *moderators[: item.needed]).status is Status.APPROVED


@contextmanager
def serving(
    world: World, folder: Path, wait_for: str = "/readyz", **options: str
) -> Iterator[Server]:
    """Run a server over the world's database until the block ends, then stop it by its pid."""
    port = free_port()
    folder = folder / f"server{next(_names)}"
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    url = world.settings.url
    chosen = {"DATA": str(world.settings.data), "DATABASE_URL": url, "PORT": str(port)}
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "TMPDIR": str(temporary),
        "PYTHONWARNINGS": "error",
        "PYTHONDONTWRITEBYTECODE": "1",
        **{f"PARASOL_{name}": value for name, value in (GENEROUS | chosen | options).items()},
    }
    output = folder / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=HERE, env=environment, stdout=file, stderr=file
        )
    server = Server(world, f"http://127.0.0.1:{port}", process, output, temporary)
    with server.clients:
        try:
            _wait(server, wait_for)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(DEADLINE)
    assert code in {0, -signal.SIGTERM}, f"ended with {code}: {server.log()!r}"


def _wait(server: Server, path: str) -> None:
    until = time.monotonic() + DEADLINE
    while True:
        assert server.process.poll() is None, f"the server ended at once: {server.log()!r}"
        assert time.monotonic() < until, f"the server did not start: {server.log()!r}"
        try:
            if server.http.get(path).status_code == 204:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until the condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "this never came true"
        time.sleep(0.1)


@dataclass
class Cast:
    """Who is in the small world of these tests."""

    rose: list[Moderator]
    thorn: list[Moderator]
    member: str
    other: str


def found_world(folder: Path, url: str, now: datetime | None = None) -> World:
    """An instance by the real time, since its server goes by that."""
    return World(folder, url, clock=Clock(now or datetime.now(UTC)))


def people(world: World) -> Cast:
    """Two collectives of two moderators and a member each, and three published warnings."""
    rose, thorn = world.collective("rose"), world.collective("thorn")
    member, other = world.member("rose"), world.member("thorn")
    month = this_month(world)
    world.file(member, LISTED, TWICE, month=month)
    approve_last(world, rose)
    world.file(other, TWICE, month=month)
    approve_last(world, thorn)
    world.round()
    # The server shall not have to wait for this process's lease to end.
    world.parts.timekeeper.stop()
    return Cast(rose, thorn, bearer_of(member), bearer_of(other))


@dataclass(frozen=True)
class Stage:
    """An instance with its people, and a server of it."""

    world: World
    cast: Cast
    server: Server


@contextmanager
def staged(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as stack:
        world = found_world(tmp_path_factory.mktemp("world"), url)
        stack.callback(world.close)
        cast = people(world)
        server = stack.enter_context(serving(world, tmp_path_factory.mktemp("server")))
        yield Stage(world, cast, server)


@pytest.fixture(scope="session")
def sqlite_stage(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    copy = shutil.copy(sqlite_template, tmp_path_factory.mktemp("database") / "test.db")
    with staged(f"sqlite:///{copy}", tmp_path_factory) as stage:
        yield stage


@pytest.fixture(scope="session")
def postgresql_stage(
    postgresql_databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    with staged(postgresql_databases.make(), tmp_path_factory) as stage:
        yield stage


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shared_database(request: pytest.FixtureRequest) -> str:
    """Which database the shared instance is over."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def shared_stage(request: pytest.FixtureRequest, shared_database: str) -> Stage:
    """An instance for all tests of this folder, one over each database.

    It stays until the end, in whatever order tests ask for the two: making it takes seconds.
    """
    stage: Stage = request.getfixturevalue(f"{shared_database}_stage")
    return stage


@pytest.fixture(scope="session")
def shared_world(shared_stage: Stage) -> World:
    return shared_stage.world


@pytest.fixture(scope="session")
def cast(shared_stage: Stage) -> Cast:
    return shared_stage.cast


@pytest.fixture(scope="session")
def server(shared_stage: Stage) -> Server:
    """A server for all tests of this folder, on SQLite and on PostgreSQL."""
    return shared_stage.server


@pytest.fixture(scope="session")
def demo(tmp_path_factory: Any) -> Iterator[Demo]:
    """The demo, for all tests of this folder."""
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture
def own_world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """An instance of a test's own."""
    world = found_world(tmp_path, database_url)
    yield world
    world.close()


def problem_of(answer: Any, status: int, code: str, *members: str) -> dict[str, Any]:
    """Hold an answer to the form of every refusal; return its document."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {name: answer.headers.get(name) for name in SAFE_HEADERS} == SAFE_HEADERS
    assert "server" not in answer.headers
    document: dict[str, Any] = answer.json()
    assert set(document) == {"type", "title", "status", "code", *members}
    assert document["type"] == f"urn:parasol:problem:{code}"
    assert (document["status"], document["code"]) == (status, code)
    return document
