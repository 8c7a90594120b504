"""A disk that is full, or keeps nothing: what cannot be stored is refused, the rest goes on.

With everybody at work, and with PostgreSQL: tests/soak/test_faulty_disk.py.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from schemas.reports import Status
from tests.crashing import Command, is_whole, until
from tests.e2e.conftest import LISTED, Cast, approve_last, people, this_month
from tests.factories import Clock, World
from tests.faults import NOWHERE, Disk
from tests.pairs import copied
from tests.services import free_port

SECONDS = 3
"""Long enough for a round of the timed work, which fails too."""


@dataclass
class Reporter:
    """She asks again with the same report until it is acknowledged."""

    world: World
    cast: Cast
    http: httpx2.Client
    receipts: list[str] = field(default_factory=list)

    def new(self) -> dict[str, Any]:
        return {
            "epoch": 1,
            "identifiers": [{"kind": "email", "value": f"{secrets.token_hex(4)}@example.org"}],
            "categories": ["robbery"],
            "severity": "danger",
            "month": this_month(self.world),
            "consent": {"warn": "network", "police": "never", "research": False},
            "wait_days": 0,
            "request_id": secrets.token_hex(16),
            "account": {"text": "Synthetic account, for tests."},
        }

    def files(self, report: dict[str, Any]) -> bool:
        """File a report; tell whether it was acknowledged, or could not be kept."""
        answer = self.ask("/v1/reports", report)
        if answer.status_code == 503:
            assert answer.json()["code"] == "unavailable"
            return False
        assert answer.status_code == 201, answer.text
        self.receipts.append(answer.json()["receipt"])
        return True

    def finds(self) -> bool:
        """Look somebody up who is listed; whatever the disk does, that is answered."""
        asked = {"identifiers": [{"kind": "phone", "value": f"+44 7700 900{LISTED}"}]}
        answer = self.ask("/v1/lookups", asked)
        assert answer.status_code == 200, answer.text
        found: bool = answer.json()["results"][0]["match"]
        return found

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.cast.member}"}
        return self.http.post(path, headers=headers, json=body)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A disk on which the database is, and the data folder."""
    folder = tmp_path / "faults"
    folder.mkdir()
    return Disk(folder, str(tmp_path / "disk"))


@pytest.fixture
def reporter(disk: Disk, tmp_path: Path, sqlite_template: Path) -> Iterator[Reporter]:
    """Somebody who asks an instance on that disk, whose own log cannot be written at all."""
    (tmp_path / "disk").mkdir()
    address = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        world = World(
            tmp_path / "disk", copied(sqlite_template, tmp_path / "disk"),
            Clock(datetime.now(UTC)), address=address,
        )  # fmt: skip
        stack.callback(world.close)
        cast = people(world)
        command = Command(world, NOWHERE, environment=disk.environment)
        stack.callback(command.end)
        command.begin()
        until(command.is_ready, "the server")
        http = httpx2.Client(base_url=address, trust_env=False, timeout=30)
        yield Reporter(world, cast, stack.enter_context(http))
        assert command.process is not None
        assert command.process.poll() is None


def published(world: World) -> int:
    return sum(row["status"] == Status.PUBLISHED for row in world.rows("report"))


@pytest.mark.parametrize("fault", ["full", "fsync"])
def test_what_the_disk_does_not_keep_is_refused_and_look_ups_go_on(
    disk: Disk, reporter: Reporter, fault: str
) -> None:
    before, listed = len(reporter.world.rows("report")), published(reporter.world)
    assert reporter.finds()
    assert reporter.files(reporter.new())
    refused = list[dict[str, Any]]()
    with disk.that_is(fault):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end or not refused:
            report = reporter.new()
            # What fits into what the log of writes had already is kept on a full disk.
            if not reporter.files(report):
                refused.append(report)
            assert reporter.finds()
            assert reporter.http.get("/livez").status_code == 204
            time.sleep(0.1)
        if fault == "fsync":
            assert len(reporter.receipts) == 1
    for report in refused:
        until(partial(reporter.files, report), "there is room again")
    for receipt in reporter.receipts:
        answer = reporter.ask("/v1/receipts/status", {"receipt": receipt})
        assert (answer.status_code, answer.json()) == (200, {"status": "submitted"})
    # Each once, whether it was refused before or not.
    kept = len(reporter.world.rows("report")) - before
    assert kept == len(set(reporter.receipts)) == len(reporter.receipts)
    # Its rounds failed, and could not even say so: they go on.
    world = reporter.world
    approve_last(world, reporter.cast.rose)
    until(lambda: published(world) > listed, "it is published")
    is_whole(world)
