"""What a partner's warnings are worth here: all of it at once, and all of it undone but purging."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.base import Severity
from schemas.feed import Policy
from schemas.held import Decision, HeldKind
from tests.factories import World
from tests.hostile import Peer, followed, leaf_of, rows_of, stored

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def listed(world: World) -> Callable[[int], int]:
    """Tell how many reports a member here finds of a number."""
    world.collective("rose")
    member = world.member("rose")

    def total(number: int = 113) -> int:
        world.round()
        return world.look_up(number, member).reports.total

    return total


def held(world: World) -> list[tuple[HeldKind, str]]:
    page = world.parts.held.list_for_operator(None, 100)
    return [(one.kind, one.entry) for one in page.items]


def test_a_warning_answers_here_and_is_gone_when_it_is_taken_back(
    peer: Peer, listed: Callable[[int], int]
) -> None:
    report = peer.report(113, 114)
    assert listed(113) == 0
    peer.taken(report)
    assert (listed(113), listed(114), listed(115)) == (1, 1, 0)
    peer.taken(peer.retract(report, reason="disputed"))
    assert (listed(113), listed(114)) == (0, 0)
    peer.taken(peer.report(114, replaces=leaf_of(report)))
    assert (listed(113), listed(114)) == (0, 1)


def test_a_policy_holds_at_once_and_is_undone_as_easily(
    peer: Peer, listed: Callable[[int], int]
) -> None:
    partners = peer.world.parts.partners
    iris = peer.risk(113, collective="iris", by=("iris-a",))
    peer.taken(peer.report(113), iris)
    assert (listed(113), peer.counted) == (2, 2)
    for policy in (Policy.BLOCK, Policy.HOLD):
        partners.set_policy(peer.origin, policy)
        assert (listed(113), peer.counted, peer.line.policy) == (0, 0, policy)
        partners.set_policy(peer.origin, Policy.AUTO)
        assert (listed(113), peer.counted) == (2, 2)
        partners.set_collective_policy(peer.origin, "iris", policy)
        assert (listed(113), peer.counted, peer.line.policies) == (1, 1, {"iris": policy})
        partners.set_collective_policy(peer.origin, "iris", None)
        assert (listed(113), peer.line.policies) == (2, {})


def test_a_partner_that_is_blocked_is_followed_but_does_not_count(
    peer: Peer, listed: Callable[[int], int]
) -> None:
    partners = peer.world.parts.partners
    partners.set_policy(peer.origin, Policy.BLOCK)
    report = peer.report(113)
    peer.taken(report)
    assert (listed(113), peer.line.reports, held(peer.world)) == (0, 1, [])
    partners.set_policy(peer.origin, Policy.AUTO)
    assert listed(113) == 1


def test_what_is_held_counts_when_somebody_here_accepts_it(
    peer: Peer, listed: Callable[[int], int]
) -> None:
    peer.world.parts.partners.set_policy(peer.origin, Policy.HOLD)
    report = peer.report(113)
    peer.taken(report)
    assert (listed(113), held(peer.world)) == (0, [(HeldKind.REPORT, leaf_of(report).hex())])
    settle = peer.world.parts.held.settle
    for decision, total in ((Decision.ACCEPTED, 1), (Decision.REFUSED, 0), (None, 0)):
        settle(leaf_of(report), decision)
        assert listed(113) == total
    # A retraction needs nobody here.
    settle(leaf_of(report), Decision.ACCEPTED)
    peer.taken(peer.retract(report))
    assert (listed(113), held(peer.world)) == (0, [])


def test_more_reports_than_usual_wait(peer: Peer, listed: Callable[[int], int]) -> None:
    partners = peer.world.parts.partners
    partners.set_quotas(peer.origin, 3, None)
    reports = [peer.report(113) for _ in range(4)]
    bad = peer.report(113, by=("stranger",))
    peer.taken(reports[0], bad, reports[0], reports[1])
    peer.taken(*reports[2:])
    # What was refused counts for nothing.
    assert (listed(113), peer.counted, peer.line.reports) == (3, 3, 4)
    assert held(peer.world) == [(HeldKind.REPORT, leaf_of(reports[3]).hex())]
    peer.world.parts.held.settle(leaf_of(reports[3]), Decision.ACCEPTED)
    assert listed(113) == 4
    peer.world.parts.held.settle(leaf_of(reports[3]), None)
    assert listed(113) == 3
    # A new day begins from nothing.
    peer.world.clock.pass_(days=1)
    peer.taken(*(peer.report(114) for _ in range(4)))
    assert (listed(114), len(held(peer.world))) == (3, 2)


@sqlite
def test_by_default_fifty_reports_and_twenty_erasures_a_day_are_usual(peer: Peer) -> None:
    assert (peer.line.reports_a_day, peer.line.erasures_a_day) == (50, 20)
    reports = [peer.risk(113) for _ in range(51)]
    peer.taken(*reports)
    assert (peer.counted, peer.line.reports) == (50, 51)
    peer.taken(peer.erase(*reports[:21]))
    assert (peer.counted, peer.line.reports) == (30, 31)


def test_more_erasures_than_usual_wait_and_what_they_would_erase_counts(
    peer: Peer, listed: Callable[[int], int]
) -> None:
    partners, settle = peer.world.parts.partners, peer.world.parts.held.settle
    partners.set_quotas(peer.origin, None, 1)
    one, two, three = reports = [peer.report(113) for _ in range(3)]
    peer.taken(*reports)
    assert peer.outcome_of(peer.erase(one), peer.erase(two, three)) == ["applied"] * 2
    assert listed(113) == 2
    assert set(held(peer.world)) == {(HeldKind.ERASURE, leaf_of(n).hex()) for n in (two, three)}
    # The same day once more is no way around it.
    peer.taken(peer.erase(two, three), peer.erase(two))
    assert listed(113) == 2
    settle(leaf_of(two), Decision.ACCEPTED, HeldKind.ERASURE)
    assert listed(113) == 1
    settle(leaf_of(three), Decision.REFUSED, HeldKind.ERASURE)
    assert (listed(113), held(peer.world)) == (1, [])
    assert peer.outcome_of(one, two) == ["rejected:duplicate"] * 2
    assert listed(113) == 1


@sqlite
def test_what_is_over_anyway_may_go_in_any_number(peer: Peer) -> None:
    peer.world.parts.partners.set_quotas(peer.origin, None, 0)
    reports = [peer.report(113, expires=peer.today), peer.report(114)]
    peer.taken(*reports)
    peer.world.clock.pass_(days=1)
    peer.taken(peer.erase(*reports, reason="expired"))
    # One of the two was not over: that it is said to be does not make it so.
    assert (peer.line.reports, peer.counted) == (1, 1)
    assert held(peer.world) == [(HeldKind.ERASURE, leaf_of(reports[1]).hex())]


def test_a_purge_leaves_nothing_but_that_something_was_said(
    peer: Peer, world: World, listed: Callable[[int], int]
) -> None:
    with followed(world, "gamma.example") as other:
        other.taken(other.report(113))
        reports = [peer.report(113), peer.report(114)]
        peer.taken(*reports, peer.retract(reports[1]), peer.report(115, by=("stranger",)))
        assert listed(113) == 2
        before = rows_of(world, "partner")
        assert world.parts.partners.purge(peer.origin) == 2
        assert (listed(113), peer.line.reports, other.counted) == (1, 0, 1)
        assert rows_of(world, "partner") == before
        assert peer.outcomes() == ["purged"] * 5
        assert not any(
            row["envelope"] for row in rows_of(world, "foreign_entry") if row["partner"] == 1
        )
        # It is followed on; and what it had said cannot be said again.
        assert peer.outcome_of(*reports, peer.report(113)) == [
            *["rejected:duplicate"] * 2, "applied"
        ]  # fmt: skip
        assert listed(113) == 2
        # What was purged can still be retracted, and erased.
        assert peer.outcome_of(peer.retract(reports[0]), peer.erase(*reports)) == ["applied"] * 2
        assert listed(113) == 2


def test_whoever_is_removed_leaves_nothing(peer: Peer, listed: Callable[[int], int]) -> None:
    world = peer.world
    world.parts.partners.set_collective_policy(peer.origin, "iris", Policy.HOLD)
    peer.taken(peer.report(113))
    peer.says("/checkpoint", peer.checkpoint(1))
    assert peer.sync().code == "rollback"
    assert listed(113) == 1
    world.parts.partners.remove(peer.origin)
    assert listed(113) == 0
    left = {name: rows for name, rows in stored(world).items() if rows and name != "unsealed"}
    assert (left, rows_of(world, "policy")) == ({}, [])


def test_the_place_of_a_warning_is_its_severity_and_month_here_as_there(
    peer: Peer, listed: Callable[[int], int]
) -> None:
    peer.taken(peer.report(113), peer.risk(113), peer.risk(113, severity=Severity.NUISANCE))
    assert listed(113) == 3
    reports: Any = peer.world.look_up(113, peer.world.member("rose")).reports
    assert (reports.danger, reports.risk, reports.nuisance) == (1, 1, 1)
