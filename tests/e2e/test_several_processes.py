"""Promises about several processes over one database: they are as one, and one may die."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from operator import gt
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from api.cli import main
from api.client import Client, CouldNotCheck, Profile
from api.services.timekeeping import LEASE
from api.trust import root_fingerprint
from tests.databases import Databases
from tests.e2e.conftest import (
    DEADLINE,
    HERE,
    LISTED,
    UNLISTED,
    Cast,
    Server,
    approve_last,
    eventually,
    found_world,
    new_member,
    people,
    serving,
    this_month,
)
from tests.e2e.test_metrics import figure
from tests.e2e.test_rotation import number, rotate
from tests.factories import World
from tests.services import free_port

PROCESSES = 3
WITHIN = 5
PER_HOUR = 200
PROGRAM = "from api.cli import main; main()"
ELSEWHERE = "Nothing can listen at PARASOL_HOST and PARASOL_PORT: another program may.\n"


def free_ports(many: int) -> int:
    """The first of as many free ports in a row."""
    while True:
        first = free_port()
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + many):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def children(process: int) -> list[int]:
    """The processes that `process` has begun to serve."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"spawn_main" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


def gone(processes: list[int]) -> bool:
    return not any(Path(f"/proc/{process}").exists() for process in processes)


def lease(world: World, change: str = "") -> tuple[int, int] | None:
    """Which process does the timed work, and until when; after a change to that."""
    engine = create_engine(world.settings.url)
    with engine.begin() as connection:
        if change:
            connection.execute(text(f"UPDATE lease SET {change} WHERE name = '{LEASE}'"))
        row = connection.execute(
            text(f"SELECT holder, until FROM lease WHERE name = '{LEASE}'")
        ).first()
    engine.dispose()
    return None if row is None else (int(row[0].partition("-")[0]), row[1])


@dataclass
class Crowd:
    """A server of several processes, each with a port of its own for a monitor."""

    world: World
    cast: Cast
    server: Server
    first: int
    http: httpx2.Client

    def workers(self) -> list[int]:
        return children(self.server.process.pid)

    def figures(self, name: str) -> list[float]:
        """What each process says."""
        found = []
        for port in range(self.first, self.first + PROCESSES):
            answer = self.http.get(f"http://127.0.0.1:{port}/metrics")
            found.append(figure(answer.text, f"parasol_{name}"))
        return found

    def all_ask(self, method: str, path: str, bearer: str, **rest: Any) -> list[httpx2.Response]:
        """Ask, over new connections at once, until every process was among those asked."""

        def answered() -> list[float]:
            series = f'requests_total{{method="{method}",route="{path}",status='
            return [
                sum(pair)
                for pair in zip(
                    *(self.figures(f'{series}"{status}xx"}}') for status in "245"), strict=True
                )
            ]

        def ask(_: int) -> httpx2.Response:
            headers = {"Authorization": f"Bearer {bearer}"}
            url = f"{self.server.address}{path}"
            return self.http.request(method, url, headers=headers, **rest)

        before, answers = answered(), list[httpx2.Response]()
        with ThreadPoolExecutor(12) as threads:
            for _ in range(20):
                answers += threads.map(ask, range(12))
                if all(map(gt, answered(), before)):
                    return answers
        raise AssertionError("not every process was asked")

    def all_serve(self, name: str, expected: Callable[[float], bool]) -> None:
        eventually(lambda: all(map(expected, self.figures(name))), WITHIN)


@pytest.fixture(scope="module")
def crowd(
    postgresql_databases: Databases, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crowd]:
    with ExitStack() as stack:
        world = found_world(tmp_path_factory.mktemp("world"), postgresql_databases.make())
        stack.callback(world.close)
        cast, first = people(world), free_ports(PROCESSES)
        server = stack.enter_context(
            serving(
                world,
                tmp_path_factory.mktemp("server"),
                WORKERS=str(PROCESSES),
                METRICS_PORT=str(first),
                VALKEY_URL=valkey_url,
                PER_HOUR=str(PER_HOUR),
            )
        )
        # Each question over a connection of its own, which any process may take.
        alone = httpx2.Limits(max_keepalive_connections=0)
        http = httpx2.Client(trust_env=False, timeout=DEADLINE, limits=alone)
        crowd = Crowd(world, cast, server, first, stack.enter_context(http))
        eventually(lambda: _answers(crowd), DEADLINE)
        yield crowd
        workers = crowd.workers()
        server.process.terminate()
        server.process.wait(DEADLINE)
        assert gone(workers)
        assert lease(world) is None  # it was given back


def _answers(crowd: Crowd) -> bool:
    try:
        return len(crowd.figures("served_epoch")) == PROCESSES == len(crowd.workers())
    except httpx2.TransportError:
        return False


def look_up(*numbers: int) -> dict[str, Any]:
    return {"identifiers": [{"kind": "phone", "value": f"+44 7700 900{n:03}"} for n in numbers]}


@pytest.mark.alone
def test_every_process_lists_what_was_approved_seconds_ago(crowd: Crowd) -> None:
    world, new = crowd.world, 321
    before = max(crowd.figures("served_generation"))
    entries = world.parts.health.overview().federation.entries
    world.file(world.member("rose"), new, month=this_month(world), epoch=world.identity.epoch)
    approve_last(world, crowd.cast.rose)
    crowd.all_serve("served_generation", lambda generation: generation > before)
    answers = crowd.all_ask("POST", "/v1/lookups", new_member(world), json=look_up(new))
    assert all(answer.json()["results"][0]["match"] for answer in answers)
    # Done once, though three could have done it.
    assert world.parts.health.overview().federation.entries == entries + 1


@pytest.mark.alone
def test_every_process_refuses_a_token_that_was_revoked_seconds_ago(crowd: Crowd) -> None:
    bearer = new_member(crowd.world)
    known = crowd.all_ask("GET", "/v1/identity", bearer)
    assert {answer.status_code for answer in known} == {200}
    member = crowd.world.parts.callers.recognise(bearer).member
    assert crowd.world.parts.callers.revoke("rose", member) == 1
    time.sleep(WITHIN)
    refused = crowd.all_ask("GET", "/v1/identity", bearer)
    assert {answer.status_code for answer in refused} == {401}


def test_all_processes_share_one_count(crowd: Crowd) -> None:
    bearer, ten = new_member(crowd.world), look_up(*range(500, 510))
    answers = crowd.all_ask("POST", "/v1/lookups", bearer, json=ten)
    while len(answers) < PER_HOUR / 10 + 5:
        answers += crowd.all_ask("POST", "/v1/lookups", bearer, json=ten)
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), set(codes)) == (PER_HOUR / 10, {200, 429})
    assert crowd.figures("valkey_up") == [1] * PROCESSES


def test_one_does_the_timed_work_and_when_it_is_killed_another(crowd: Crowd) -> None:
    world, before = crowd.world, crowd.workers()
    held = lease(world)
    assert held is not None
    holder, until = held
    assert holder in before
    assert time.time() < until < time.time() + 61
    os.kill(holder, signal.SIGKILL)
    eventually(lambda: len(crowd.workers()) == PROCESSES and holder not in crowd.workers(), 30)
    # Nobody takes a lease that has not ended; a minute later somebody does.
    assert lease(world) == held
    lease(world, f"until = {int(time.time()) - 1}")
    eventually(lambda: (lease(world) or held)[0] in crowd.workers(), 30)
    eventually(lambda: _answers(crowd), 30)  # the new one at the port of the former
    generation = max(crowd.figures("served_generation"))
    world.file(world.member("rose"), 322, month=this_month(world), epoch=world.identity.epoch)
    approve_last(world, crowd.cast.rose)
    eventually(lambda: min(crowd.figures("served_generation")) > generation)


@pytest.mark.alone
def test_all_go_over_to_a_new_network_key_and_nobody_is_told_anything_wrong(crowd: Crowd) -> None:
    epoch = max(crowd.figures("served_epoch"))
    root, over, wrong = root_fingerprint(crowd.world.identity.root), Event(), list[object]()
    checks = 0

    def check(bearer: str) -> None:
        nonlocal checks
        profile = Profile(crowd.server.address, bearer, root, collective="rose")
        while not over.is_set():
            with Client(profile) as client, suppress(CouldNotCheck):
                listed, unlisted = client.check([number(LISTED), number(UNLISTED)])
                checks += 1
                if listed is None or unlisted is not None:
                    wrong.append((listed, unlisted))
            time.sleep(0.2)

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(check, new_member(crowd.world)) for _ in range(3)]
        try:
            assert rotate(crowd.world).epoch == epoch + 1
            crowd.all_serve("served_epoch", lambda served: served == epoch + 1)
            so_far = checks
            eventually(lambda: checks > so_far + 2)
        finally:
            over.set()
        for one in asking:
            one.result()
    assert wrong == []


@dataclass
class Command:
    """A running `parasol serve`, of two processes."""

    world: World
    words: list[str]
    process: "subprocess.Popen[str]"

    def is_ready(self) -> bool:
        return lease(self.world) is not None and len(children(self.process.pid)) == 2


@contextmanager
def running(template: Path, folder: Path) -> Iterator[Command]:
    """`parasol serve` by two processes, as an operator would begin it."""
    world = found_world(folder, f"sqlite:///{shutil.copy(template, folder / 'db')}")
    world.parts.timekeeper.stop()
    world.close()
    place = f"--port {free_port()} --data {world.settings.data}"
    words = f"serve --workers 2 {place}".split()
    environment = {"PATH": os.environ.get("PATH", ""), "PARASOL_DATABASE_URL": world.settings.url}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=HERE, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    command = Command(world, words, process)
    try:
        eventually(command.is_ready, DEADLINE)
        yield command
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


@pytest.fixture
def command(sqlite_template: Path, tmp_path: Path) -> Iterator[Command]:
    with running(sqlite_template, tmp_path) as command:
        yield command


def test_a_process_that_cannot_start_ends_all_and_says_why(command: Command) -> None:
    workers = children(command.process.pid)
    # Before that: where it listens nobody else can.
    second = CliRunner(env={"PARASOL_DATABASE_URL": command.world.settings.url}).invoke(
        main, command.words
    )
    assert (second.exit_code, second.stderr) == (2, ELSEWHERE)
    assert children(command.process.pid) == workers
    (command.world.settings.keys / "receipt.key").unlink()
    os.kill(workers[0], signal.SIGKILL)
    _, told = command.process.communicate(timeout=DEADLINE)
    assert command.process.returncode == 2
    assert told.splitlines()[-1].endswith("receipt.key is not there, or cannot be read")
    assert "Traceback" not in told
    assert gone(workers)
