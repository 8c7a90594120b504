"""Killed anywhere, or done by two at once: nothing comes twice, and nothing is missing."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from api.parts import Parts
from api.services.ingest import Ingest
from api.services.positions import Positions
from api.store.arrivals import Arrivals
from tests.factories import World
from tests.hostile import Peer, Sent, as_json, leaf_of, rows_of, stored

DEADLINE = 60


class PowerCut(BaseException):
    """The process ends here."""


def filled(peer: Peer, reports: int) -> None:
    """A log with something of everything."""
    some = [peer.report(113 + n % 5) for n in range(reports)]
    peer.append(*some)
    peer.append(
        peer.retract(some[0]), peer.risk(120, replaces=leaf_of(some[1]), by=("lily-a", "lily-b"))
    )
    peer.append(peer.erase(some[2], some[3]), peer.report(121), peer.report(121, by=("stranger",)))


def is_complete(peer: Peer) -> None:
    """Hold what is stored against the log: every entry once, in its place."""
    rows = rows_of(peer.world, "foreign_entry")
    assert [row["seq"] for row in rows] == list(range(len(peer.entries)))
    assert [row["leaf"] for row in rows] == peer.leaves()
    refused = [row["outcome"] for row in rows if row["outcome"].startswith("rejected")]
    assert refused == ["rejected:unknown-key"]
    reports = sum(row["outcome"] == "applied" for row in rows) - 3  # keys, retraction, erasure
    assert len(rows_of(peer.world, "foreign_report")) == reports
    assert (peer.line.entries, peer.line.counted) == (len(peer.entries), reports - 2)


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [
        (Arrivals, "add", 1),
        (Arrivals, "add", 2),
        (Arrivals, "change", 1),
        (Arrivals, "erase", 1),
        (Ingest, "apply", 1),
        (Positions, "note", 1),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_page_is_applied_with_the_move_or_not_at_all(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, calls: int, *, after: bool
) -> None:
    peer.world.parts.partners.set_quotas(peer.origin, 1000, 1000)
    peer.taken()
    filled(peer, 8)
    before, true = stored(peer.world), getattr(owner, name)
    left = [calls]

    def cut(self: Any, *given: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise PowerCut
        done = true(self, *given, **named)
        if left[0] == 0:
            raise PowerCut
        return done

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut)
        with pytest.raises(PowerCut):
            peer.sync()
    if owner is not Positions:
        assert stored(peer.world) == before
    assert peer.sync().code is None
    is_complete(peer)


def child(world: World, origin: str) -> int:
    """Follow a partner in a process of its own, as `parasol sync` does; return its id."""
    with warnings.catch_warnings():
        # Newer Pythons warn of threads; those here only wait, and the child uses nothing of ours.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        code = 1
        try:
            parts = Parts(world.settings, world.clock)
            code = 0 if parts.following.sync(origin).code is None else 2
        finally:
            os._exit(code)
    return process


def ended(process: int) -> int:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    raise AssertionError("it did not end")


def slow(peer: Peer, then: Callable[[int], None], size: int = 64) -> None:
    """Answer small pages, and do something when one is asked for."""
    count = [0]

    def answer(query: dict[str, str]) -> Sent:
        count[0] += 1
        then(count[0])
        return Sent(as_json(peer.page(int(query["from"]), size)))

    peer.answers["/entries"] = answer


def test_a_process_that_is_killed_goes_on_where_it_was(peer: Peer) -> None:
    world = peer.world
    world.parts.partners.set_quotas(peer.origin, 1000, 1000)
    peer.taken()
    filled(peer, 250)
    running: list[int] = []
    codes = []
    for pages, delay in ((1, 0.02), (2, 0.005), (1, 0.0), (1, 0.05)):

        def kill(count: int, pages: int = pages, delay: float = delay) -> None:
            # Somewhere in the middle of what it does with this page.
            if count == pages:
                threading.Timer(delay, os.kill, (running[0], signal.SIGKILL)).start()

        slow(peer, kill)
        running[:] = [child(world, peer.origin)]
        codes.append(ended(running[0]))
        here = peer.line.entries
        assert len(rows_of(world, "foreign_entry")) == here
    # One may have been done before it was killed.
    assert -signal.SIGKILL in codes
    assert set(codes) <= {-signal.SIGKILL, 0}
    peer.answers.clear()
    assert peer.sync().code is None
    is_complete(peer)


def test_two_processes_at_once_do_the_work_of_one(peer: Peer) -> None:
    world = peer.world
    world.parts.partners.set_quotas(peer.origin, 1000, 1000)
    filled(peer, 120)
    # Not one page before both have asked for it.
    both = threading.Barrier(2, timeout=DEADLINE)

    def wait(count: int) -> None:
        if count <= 2:
            both.wait()

    slow(peer, wait, size=40)
    processes = [child(world, peer.origin) for _ in range(2)]
    assert [ended(one) for one in processes] == [0, 0]
    peer.answers.clear()
    assert peer.sync().code is None
    is_complete(peer)
    assert len(rows_of(world, "partner_identity")) == 1


def test_a_page_that_came_before_somebody_else_moved_on_changes_nothing(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity is fetched in the middle of a page: meanwhile another process applies it."""
    peer.world.parts.partners.set_quotas(peer.origin, 1000, 1000)
    peer.taken()
    peer.issue()
    peer.append(peer.keys())
    filled(peer, 8)
    following = peer.world.parts.following
    true = following._refreshed  # noqa: SLF001
    inner: list[bool] = []

    def refreshed(position: Any) -> Any:
        if not inner:
            inner.append(True)
            assert following.sync(peer.origin).code is None
        return true(position)

    monkeypatch.setattr(following, "_refreshed", refreshed)
    assert peer.sync().code in (None, "identity-refresh")
    rows = rows_of(peer.world, "foreign_entry")
    assert [row["leaf"] for row in rows] == peer.leaves()
