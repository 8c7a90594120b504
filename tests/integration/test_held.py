"""What counts of partners' reports, what is held of them, and what moderators decide."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.errors import Conflict, Forbidden
from schemas.base import Severity
from schemas.callers import Caller
from schemas.documents import Status
from schemas.feed import Policy
from schemas.held import Decision, HeldItem, HeldKind, HeldQuestion, Why
from schemas.reports import Warn
from tests.factories import Moderator, World, refused
from tests.foreign import Partner

ONE, NOTHING = (1, 1, 1), (0, 0, 0)


def counted(world: World, number: int = 113) -> tuple[int, int, int]:
    """Reports, collectives and recent ones that the sealed list has of a number."""
    world.round()
    result = world.look_up(number, world.member("rose"))
    return result.reports.total, result.collectives, result.reports.recent


def held(world: World, caller: Caller) -> list[HeldItem]:
    return world.parts.held.page(None, 100, caller).items


def decide(
    world: World, entry: str, caller: Caller, *, accept: bool, kind: HeldKind | None = None
) -> Decision:
    question = None if kind is None else HeldQuestion(kind=kind)
    entry_id = bytes.fromhex(entry)
    return world.parts.held.decide(entry_id, caller, accept=accept, question=question).decision


@pytest.fixture
def rose(world: World) -> list[Moderator]:
    return world.collective("rose")


@pytest.fixture
def caller(world: World, rose: list[Moderator]) -> Caller:
    return world.caller(rose[0])


def test_a_report_counts_under_auto_and_waits_under_hold(world: World, caller: Caller) -> None:
    auto, hold = Partner(world, policy=Policy.AUTO), Partner(world, "gamma.example")
    auto.report(113)
    entry = hold.report(114)
    assert (counted(world, 113), counted(world, 114)) == (ONE, NOTHING)
    (item,) = held(world, caller)
    assert (item.entry, item.kind, item.why) == (entry, HeldKind.REPORT, Why.POLICY)
    assert (item.origin, item.collective, item.known) == ("gamma.example", "lily", 0)
    assert [one.token for one in item.identifiers] == [world.token(114)]
    assert (item.severity, item.month, item.decision) == (Severity.DANGER, "2026-10", None)


@pytest.mark.parametrize("standing", ["retracted", "replaced", "suspended"])
def test_what_does_not_stand_neither_counts_nor_waits(
    world: World, caller: Caller, standing: str
) -> None:
    auto, hold = Partner(world, policy=Policy.AUTO), Partner(world, "gamma.example")
    for partner in (auto, hold):
        partner.report(standing=standing)
        partner.report(standing=standing, decision="accepted")
    assert counted(world) == NOTHING
    assert held(world, caller) == []


@pytest.mark.parametrize(
    ("partner", "collective", "expected"),
    [
        (Policy.AUTO, None, ONE),
        (Policy.AUTO, Policy.HOLD, NOTHING),
        (Policy.AUTO, Policy.BLOCK, NOTHING),
        (Policy.HOLD, None, NOTHING),
        (Policy.HOLD, Policy.AUTO, ONE),
        (Policy.BLOCK, None, NOTHING),
        (Policy.BLOCK, Policy.AUTO, NOTHING),
    ],
)
def test_the_policy_of_a_collective_goes_before_its_partner_s_but_for_a_block(
    world: World, caller: Caller, partner: Policy, collective: Policy | None, expected: Any
) -> None:
    following = Partner(world, policy=Policy.HOLD)
    following.report()
    following.report(114, collective="violet")
    following.set_policy(partner)
    if collective is not None:
        following.set_policy(collective, "lily")
    assert counted(world) == expected
    assert counted(world, 114) == (ONE if partner is Policy.AUTO else NOTHING)
    waiting = {item.collective for item in held(world, caller)}
    assert ("lily" in waiting) == (
        Policy.BLOCK not in (partner, collective) and expected == NOTHING
    )


@pytest.mark.parametrize("blocked", [None, "lily"])
def test_a_block_takes_away_what_was_accepted_and_gives_it_back(
    world: World, caller: Caller, blocked: str | None
) -> None:
    partner = Partner(world)
    decide(world, partner.report(), caller, accept=True)
    assert counted(world) == ONE
    partner.set_policy(Policy.BLOCK, blocked)
    assert counted(world) == NOTHING
    partner.set_policy(Policy.HOLD, blocked)
    assert counted(world) == ONE


def test_what_is_over_quota_waits_under_auto(world: World, caller: Caller) -> None:
    partner = Partner(world, policy=Policy.AUTO)
    entry = partner.report(over_quota=True)
    assert counted(world) == NOTHING
    assert [(one.entry, one.why) for one in held(world, caller)] == [(entry, Why.QUOTA)]
    decide(world, entry, caller, accept=True)
    assert (counted(world), held(world, caller)) == (ONE, [])


def test_a_partner_s_reports_are_added_to_our_own(world: World, rose: list[Moderator]) -> None:
    world.publish(world.member("rose"), rose, 113)
    partner, other = (
        Partner(world, policy=Policy.AUTO),
        Partner(world, "gamma.example", Policy.AUTO),
    )
    for collective in ("lily", "lily", "rose"):
        partner.report(113, 114, collective=collective, severity=Severity.RISK)
    other.report(113, collective="lily", month="2025-11")
    # The collective `rose` of a partner is another one than ours.
    assert counted(world) == (5, 4, 4)
    assert counted(world, 114) == (3, 2, 3)
    result = world.look_up(113, world.member("rose"))
    assert (result.reports.danger, result.reports.risk, result.reports.nuisance) == (2, 3, 0)


def test_a_partner_s_report_counts_through_its_last_day(world: World, caller: Caller) -> None:
    auto, hold = Partner(world, policy=Policy.AUTO), Partner(world, "gamma.example")
    today = f"{world.clock.now:%Y-%m-%d}"
    for partner in (auto, hold):
        partner.report(expires=today)
    assert (counted(world), len(held(world, caller))) == (ONE, 1)
    world.clock.pass_(days=1)
    with world.parts.store.read() as tx:
        assert tx.foreign.held(f"{world.clock.now:%Y-%m-%d}", None, 100) == []
    assert counted(world) == NOTHING


def test_what_has_expired_is_deleted_but_for_its_leaf_hash(world: World, caller: Caller) -> None:
    partner = Partner(world, policy=Policy.AUTO)
    today = f"{world.clock.now:%Y-%m-%d}"
    old, kept = partner.report(expires=today), partner.report(114)
    world.clock.pass_(days=1)
    world.round()
    (row,) = world.rows("foreign_report")
    assert row["seq"] == 1
    assert [one["token"] for one in world.rows("foreign_identifier")] != []
    entries = world.rows("foreign_entry")
    assert [(one["envelope"] is None, one["outcome"]) for one in entries] == [
        (True, "erased"), (False, "applied"),
    ]  # fmt: skip
    with refused("conflict"):
        decide(world, old, caller, accept=True)
    assert counted(world, 114) == ONE
    with refused("conflict"):
        decide(world, kept, caller, accept=True)


def test_an_accepted_report_counts_and_a_refused_one_does_not(world: World, caller: Caller) -> None:
    partner = Partner(world)
    yes, no = partner.report(113), partner.report(114)
    assert decide(world, yes, caller, accept=True) is Decision.ACCEPTED
    assert decide(world, no, caller, accept=False) is Decision.REFUSED
    assert (counted(world, 113), counted(world, 114), held(world, caller)) == (ONE, NOTHING, [])
    partner.set_policy(Policy.AUTO)
    assert counted(world, 114) == NOTHING


def test_a_second_decision_is_a_conflict(world: World, caller: Caller) -> None:
    partner = Partner(world)
    entry = partner.report()
    decide(world, entry, caller, accept=True)
    for accept in (True, False):
        with refused("conflict"):
            decide(world, entry, caller, accept=accept)
    assert counted(world) == ONE


def test_what_does_not_wait_is_a_conflict_and_what_is_unknown_not_found(
    world: World, caller: Caller
) -> None:
    partner = Partner(world, policy=Policy.AUTO)
    entry = partner.report()
    with refused("conflict"):
        decide(world, entry, caller, accept=False)
    with refused("not-found"):
        decide(world, "0" * 64, caller, accept=True)
    partner.set_policy(Policy.BLOCK)
    with refused("conflict"):
        decide(world, entry, caller, accept=True)


def test_moderators_of_every_collective_here_decide_and_nobody_else(world: World) -> None:
    (rose,), (thorn,) = world.collective("rose", 1), world.collective("thorn", 1)
    partner = Partner(world)
    first, second = partner.report(113), partner.report(114)
    decide(world, first, world.caller(rose), accept=True)
    decide(world, second, world.caller(thorn), accept=True)
    third = partner.report(115)
    ending, member = world.caller(thorn), world.member("rose")
    world.identities.end_moderator(ending.moderator or "", Status.ENDED)
    world.sign_identity()
    for one in (ending, member):
        with pytest.raises(Forbidden):
            held(world, one)
        with pytest.raises(Forbidden):
            decide(world, third, one, accept=True)
    assert counted(world, 115) == NOTHING


def test_a_held_erasure_goes_on_counting_until_it_is_accepted(world: World, caller: Caller) -> None:
    partner = Partner(world, policy=Policy.AUTO)
    entry = partner.report(erasing=True)
    assert counted(world) == ONE
    (item,) = held(world, caller)
    assert (item.kind, item.why) == (HeldKind.ERASURE, Why.QUOTA)
    decide(world, entry, caller, accept=True)
    assert (counted(world), held(world, caller)) == (NOTHING, [])
    assert world.rows("foreign_report") == world.rows("foreign_identifier") == []
    (row,) = world.rows("foreign_entry")
    assert (row["envelope"], row["outcome"]) == (None, "erased")
    with refused("conflict"):
        decide(world, entry, caller, accept=True)


def test_a_refused_erasure_changes_nothing(world: World, caller: Caller) -> None:
    partner = Partner(world)
    entry = partner.report(decision="accepted", erasing=True)
    decide(world, entry, caller, accept=False)
    assert (counted(world), held(world, caller)) == (ONE, [])
    (row,) = world.rows("foreign_report")
    assert (row["decision"], row["erasing"]) == ("accepted", 0)


def test_what_was_seen_as_a_report_is_not_erased(world: World, caller: Caller) -> None:
    partner = Partner(world)
    entry = partner.report(erasing=True)
    with refused("conflict"):
        decide(world, entry, caller, accept=True, kind=HeldKind.REPORT)
    decide(world, entry, caller, accept=False, kind=HeldKind.ERASURE)
    # A colleague who still sees the erasure must not refuse the report by it.
    with refused("conflict"):
        decide(world, entry, caller, accept=False, kind=HeldKind.ERASURE)
    (item,) = held(world, caller)
    assert item.kind is HeldKind.REPORT


def test_an_erasure_can_be_accepted_of_a_partner_that_is_blocked(
    world: World, caller: Caller
) -> None:
    partner = Partner(world, policy=Policy.BLOCK)
    partner.report()
    entry = partner.report(erasing=True)
    assert [item.entry for item in held(world, caller)] == [entry]


def test_danger_is_shown_first_and_the_pages_have_all_once(world: World, caller: Caller) -> None:
    severities = [Severity.RISK, Severity.DANGER, Severity.NUISANCE, Severity.DANGER]
    partners = [Partner(world), Partner(world, "gamma.example")]
    entries = [(one, partner.report(severity=one)) for partner in partners for one in severities]
    seen, after = [], None
    while True:
        page = world.parts.held.page(after, 3, caller)
        seen += [item.entry for item in page.items]
        after = page.next
        if after is None:
            break
    danger = [entry for severity, entry in entries if severity is Severity.DANGER]
    others = [entry for severity, entry in entries if severity is not Severity.DANGER]
    assert seen == danger + others
    last = "1.999999999.999999999.999999999999999999"
    assert world.parts.held.page(last, 100, caller).items == []


def test_known_are_the_other_reports_that_count(world: World, rose: list[Moderator]) -> None:
    caller = world.caller(rose[0])
    world.publish(world.member("rose"), rose, 113, 114)
    world.file(world.member("rose"), 113, warn=Warn.LOCAL)  # not published
    auto, hold = Partner(world, policy=Policy.AUTO), Partner(world, "gamma.example")
    auto.report(114, 115)
    auto.report(115, over_quota=True)
    auto.report(113, standing="retracted")
    both, none = hold.report(113, 114), hold.report(116)
    decide(world, hold.report(113), caller, accept=False)
    known = {item.entry: item.known for item in held(world, caller)}
    assert (known[both], known[none]) == (2, 0)
    decide(world, hold.report(116), caller, accept=True)
    assert {item.entry: item.known for item in held(world, caller)}[none] == 1


def test_who_decided_what_is_in_the_audit_trail(world: World, caller: Caller) -> None:
    partner = Partner(world, policy=Policy.AUTO)
    entries = [partner.report(over_quota=True), partner.report(erasing=True)]
    decide(world, entries[0], caller, accept=False)
    decide(world, entries[1], caller, accept=True)
    world.parts.held.settle(bytes.fromhex(entries[0]), None)
    with world.parts.store.read() as tx:
        trail = [row for entry in entries for row in tx.audit.of(entry[:40])]
    assert [(row.actor, row.collective, row.before, row.after, row.reason) for row in trail] == [
        (caller.moderator, "rose", "held", "refused", "quota"),
        ("operator", "", "refused", "held", "quota"),
        (caller.moderator, "rose", "erasing", "erased", "quota"),
    ]


def test_the_operator_undoes_what_moderators_decided(world: World, caller: Caller) -> None:
    partner = Partner(world)
    entry = partner.report()
    held_ = world.parts.held
    decide(world, entry, caller, accept=True)
    (item,) = held_.list_for_operator(None, 10, decided=True).items
    assert (item.entry, item.decision) == (entry, Decision.ACCEPTED)
    held_.settle(bytes.fromhex(entry), None)
    assert counted(world) == NOTHING
    assert [one.entry for one in held_.list_for_operator(None, 10).items] == [entry]
    held_.settle(bytes.fromhex(entry), Decision.ACCEPTED)
    assert counted(world) == ONE
    held_.settle(bytes.fromhex(entry), Decision.REFUSED)
    assert counted(world) == NOTHING
    with refused("conflict"):
        held_.settle(bytes.fromhex(entry), Decision.REFUSED)
    with refused("conflict"):
        held_.settle(bytes.fromhex(entry), Decision.ACCEPTED, HeldKind.ERASURE)
    with refused("not-found"):
        held_.settle(bytes(32), None)


def test_the_operator_decides_about_a_held_erasure(world: World) -> None:
    partner = Partner(world, policy=Policy.AUTO)
    world.collective("rose", 1)
    kept, gone = partner.report(113, erasing=True), partner.report(114, erasing=True)
    world.parts.held.settle(bytes.fromhex(kept), Decision.REFUSED, HeldKind.ERASURE)
    world.parts.held.settle(bytes.fromhex(gone), Decision.ACCEPTED, HeldKind.ERASURE)
    assert (counted(world, 113), counted(world, 114)) == (ONE, NOTHING)
    assert world.parts.held.list_for_operator(None, 10).items == []


def test_of_several_decisions_at_once_one_holds(world: World, rose: list[Moderator]) -> None:
    partner, callers = Partner(world), [world.caller(one) for one in rose]
    entries = [partner.report(number) for number in range(20)]
    at_once = threading.Barrier(8)
    answers: Counter[str] = Counter()

    def all_of_them(who: int) -> None:
        at_once.wait()
        for entry in entries:
            try:
                decide(world, entry, callers[who % 2], accept=who < 4)
                answers[entry] += 1
            except Conflict:
                answers["conflict"] += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(all_of_them, range(8)))
    assert [answers[entry] for entry in entries] == [1] * 20
    assert answers["conflict"] == 7 * 20
