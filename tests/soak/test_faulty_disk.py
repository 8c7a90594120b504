"""A disk that is full, or can make nothing last: refused is what cannot be kept, and no more."""

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.conftest import FIGURE, needed
from tests.crashing import Cluster, cluster, in_database, is_whole, until
from tests.faults import NOWHERE, Disk
from tests.killing import made, underway
from tests.pairs import copied
from tests.storm import Storm

ASKED = 40
PAUSE = 0.3
MENDS_ITSELF = 10


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        yield Path(name)


def comes_back(storm: Storm) -> bool:
    """Tell whether PostgreSQL, which a failing disk ends, mends itself."""
    end = time.monotonic() + MENDS_ITSELF
    while time.monotonic() < end:
        with suppress(OperationalError):
            in_database(storm.world, "SELECT 1")
            return True
        time.sleep(0.2)
    return False


def goes_on(storm: Storm, disk: Disk, fault: str, place: Cluster | None) -> None:
    """Let the disk fail for a while: look-ups go on, and all the rest when it is well again."""
    with storm.client() as http:
        persons = list(range(10))
        until(lambda: any(storm.look_up(http, persons) or ()), "somebody is listed")
        before = storm.heard["503"]
        with disk.that_is(fault):
            until(lambda: storm.heard["503"] > before + 5, "what cannot be kept is refused")
            kept = storm.heard["201"]
            for _ in range(ASKED):
                # Without PostgreSQL nobody's token is known for longer than seconds.
                assert storm.look_up(http, persons) is not None or place is not None
                time.sleep(0.1)
            if fault == "fsync":
                assert storm.heard["201"] <= kept + 1, "acknowledged, and perhaps lost"
    if place is not None and not comes_back(storm):
        place.kill()
        place.begin()  # as whatever looks after it would
    kept = storm.heard["201"]
    until(lambda: storm.heard["201"] > kept + 3, "what is reported is kept again")
    is_whole(storm.world)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_disk_that_fails_costs_refusals_and_nothing_that_was_acknowledged(
    kind: str, tmp_path: Path, folder: Path, sqlite_template: Path,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")  # noqa: T201  (shown where a test fails)
    with ExitStack() as stack:
        place, environment = None, {}
        if kind == "sqlite":
            disk = Disk(folder, str(tmp_path))
            environment = disk.environment
            url, other = (copied(sqlite_template, made(tmp_path / name)) for name in "ab")
        else:
            disk = Disk(folder, f"{tempfile.gettempdir()}/postgresql-")
            place = stack.enter_context(needed("PostgreSQL", cluster(disk.environment)))
            url, other = place.url, copied(sqlite_template, tmp_path)
        beside = {"output": NOWHERE, "environment": environment}
        storm, _ = stack.enter_context(underway(tmp_path, url, other, seed, PAUSE, **beside))
        with storm.at_work() as all_well:
            for fault in ("full", "fsync", "full"):
                goes_on(storm, disk, fault, place)
                all_well()
        storm.came_through()
    heard = ", ".join(f"{count} × {what}" for what, count in sorted(storm.heard.items()))
    record_property(FIGURE, f"{kind}, faulty disk: {len(storm.filed)} reports; {heard}")
