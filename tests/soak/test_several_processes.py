"""Promises about several processes that take a minute to see."""

import os
import signal
import time
from pathlib import Path

from tests.e2e.conftest import eventually, found_world, serving
from tests.e2e.test_several_processes import children, gone, lease, running


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
