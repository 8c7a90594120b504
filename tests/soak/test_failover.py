"""A running server whose database moves to another machine, with Patroni and etcd."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest

from tests.conftest import FIGURE, needed
from tests.e2e.conftest import bearer_of, found_world, serving, this_month
from tests.patroni import Cluster, cluster

REPORTERS, SOME = 4, 40
LONGEST = 60
"""Seconds within which reports are taken again."""


@dataclass
class Reporters:
    """Reporters who each file one report after another, and each again until it is kept."""

    address: str
    month: str
    kept: list[tuple[float, str]] = field(default_factory=list)
    """When a report was acknowledged, and its receipt."""
    refused: list[float] = field(default_factory=list)
    ending: Event = field(default_factory=Event)

    def file(self, bearer: str) -> None:
        headers = {"Authorization": f"Bearer {bearer}"}
        with httpx2.Client(base_url=self.address, trust_env=False, timeout=30) as http:
            while not self.ending.is_set():
                report, until = self.report(), time.monotonic() + 2 * LONGEST
                while (answer := http.post("/v1/reports", json=report, headers=headers)).is_error:
                    assert answer.json()["code"] == "unavailable"
                    assert time.monotonic() < until
                    self.refused.append(time.monotonic())
                    time.sleep(0.2)
                self.kept.append((time.monotonic(), answer.json()["receipt"]))

    def report(self) -> dict[str, Any]:
        return {
            "epoch": 1,
            "identifiers": [{"kind": "email", "value": "someone@example.org"}],
            "categories": ["threats"],
            "severity": "risk",
            "month": self.month,
            "consent": {"warn": "network", "police": "never", "research": False},
            "wait_days": 0,
            "request_id": secrets.token_hex(16),
            "account": {"text": "Synthetic account, for tests."},
        }

    def since(self, moment: float) -> list[float]:
        """When reports were acknowledged after `moment`."""
        return [at for at, _ in list(self.kept) if at > moment]

    @contextmanager
    def at_work(self, bearers: list[str]) -> Iterator[Callable[[Callable[[], object]], None]]:
        """Let them file while the block lasts; give what waits for something meanwhile."""
        with ThreadPoolExecutor(len(bearers)) as pool:
            working = [pool.submit(self.file, bearer) for bearer in bearers]

            def until(condition: Callable[[], object]) -> None:
                deadline = time.monotonic() + 2 * LONGEST
                while not condition():
                    assert time.monotonic() < deadline
                    assert not any(one.done() for one in working)
                    time.sleep(0.05)

            try:
                yield until
            finally:
                self.ending.set()
            for one in working:
                one.result()


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with needed("Patroni", cluster()) as started:
        yield started


@pytest.mark.timeout(600)
def test_no_acknowledged_report_is_lost_when_the_leader_dies(
    three: Cluster, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    three.asked("CREATE DATABASE parasol")
    world = found_world(tmp_path, three.url("parasol"))
    world.collective("rose")
    bearers = [bearer_of(world.member("rose")) for _ in range(REPORTERS)]
    world.parts.timekeeper.stop()
    replica = three.url("parasol", "standby")
    with serving(world, tmp_path, REPLICA_URL=replica) as server:
        reporters = Reporters(server.address, this_month(world))
        with reporters.at_work(bearers) as until:
            until(lambda: len(reporters.kept) >= SOME)
            former, died = three.leader(), time.monotonic()
            three.kill(former)
            until(lambda: reporters.refused and reporters.refused[-1] > died)
            until(lambda: len(reporters.since(reporters.refused[-1])) >= SOME)
        away = reporters.refused[-1] - died
        assert three.leader() != former
        assert away < LONGEST
        assert server.http.get("/readyz").status_code == 204
        for _, receipt in reporters.kept:
            answer = server.http.post("/v1/receipts/status", json={"receipt": receipt})
            assert (answer.status_code, answer.json()) == (200, {"status": "submitted"})
        assert len({receipt for _, receipt in reporters.kept}) == len(reporters.kept)
        ((stored,),) = three.asked("SELECT count(*) FROM report", "parasol")
        assert stored == len(reporters.kept)
        three.begin(former)
        until_whole(three)
    world.close()
    told = f"fail-over: reports taken again after {away:.0f} s; {stored} kept, none lost or doubled"
    record_property(FIGURE, told)


def until_whole(three: Cluster) -> None:
    """Wait until the machine that died follows the others."""
    deadline = time.monotonic() + 2 * LONGEST
    while not three.is_whole():
        assert time.monotonic() < deadline, three.members()
        time.sleep(0.5)
