"""Promises about several processes that take a minute to see."""

import os
import signal
import time
from pathlib import Path

from api.store.schema import migrate
from tests.e2e.conftest import (
    LISTED,
    UNLISTED,
    eventually,
    found_world,
    people,
    problem_of,
    serving,
)
from tests.e2e.test_several_processes import children, gone, lease, look_up, running
from tests.services import replicated


def test_the_timed_work_passes_on_a_minute_after_its_process_was_killed(
    database_url: str, tmp_path: Path
) -> None:
    world = found_world(tmp_path, database_url)
    with serving(world, tmp_path, WORKERS="3") as server:
        eventually(lambda: lease(world) is not None, 30)
        held = lease(world)
        assert held is not None
        holder, until = held
        os.kill(holder, signal.SIGKILL)
        while time.time() < until - 1:
            assert lease(world) == held
            time.sleep(1)
        eventually(lambda: (lease(world) or held)[0] in children(server.process.pid), 10)
    world.close()


def test_no_process_outlives_its_supervisor(sqlite_template: Path, tmp_path: Path) -> None:
    with running(sqlite_template, tmp_path) as command:
        workers = children(command.process.pid)
        command.process.kill()
        eventually(lambda: gone(workers), 30)
        assert lease(command.world) is None


def test_without_a_database_look_ups_go_on_by_its_replica_and_processes_come_back(
    tmp_path: Path,
) -> None:
    with replicated() as pair:
        migrate(f"{pair.url}/postgres")
        world = found_world(tmp_path, f"{pair.url}/postgres")
        member = people(world).member
        with serving(world, tmp_path, WORKERS="2", REPLICA_URL=f"{pair.copy}/postgres") as server:
            eventually(lambda: len(children(server.process.pid)) == 2, 30)

            def found() -> list[bool]:
                body = look_up(LISTED, UNLISTED)
                answer = server.ask("POST", "/v1/lookups", member, json=body)
                return [one["match"] for one in answer.json()["results"]]

            eventually(lambda: found() == [True, False])
            with pair.stopped():
                until = time.monotonic() + 20
                while time.monotonic() < until:
                    assert found() == [True, False]
                    time.sleep(0.5)
                victim = children(server.process.pid)[0]
                os.kill(victim, signal.SIGKILL)
                eventually(lambda: b"waiting for the database" in server.log(), 30)
                assert server.process.poll() is None
                eventually(lambda: server.ask("GET", "/readyz").status_code == 503, 70)
                problem_of(server.ask("POST", "/v1/lookups", member, json=look_up(1)), 503,
                           "unavailable")  # fmt: skip
            eventually(lambda: server.ask("GET", "/readyz").status_code == 204, 30)
            eventually(lambda: len(children(server.process.pid)) == 2, 30)
            assert found() == [True, False]
        world.close()
