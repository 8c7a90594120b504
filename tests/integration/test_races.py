import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.crypto.joining import prove_join
from api.errors import Refusal
from api.store.reports import Reports
from schemas.base import Severity
from schemas.callers import JoinAnswer, JoinKeys, JoinRequest, Role
from schemas.moderation import Approval, Merge, Rejection, RejectReason
from schemas.reports import ReceiptAnswer, ReceiptQuery, Status, Warn
from tests.factories import Clock, Moderator, World, refused, submission

RACERS = 8
ROUNDS = range(3)
"""A race that is lost only now and then is run more than once."""


def race(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all calls at once; return what each returned, or the code of its refusal."""
    line = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        line.wait(30)
        try:
            return call()
        except (Refusal, InvalidInput) as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def codes(outcomes: Sequence[Any]) -> list[str]:
    """The outcomes in order, with `done` for what was not refused."""
    return sorted(one if isinstance(one, str) else "done" for one in outcomes)


def test_who_waited_for_one_change_of_the_identity_keeps_the_next_one_waiting(
    world: World,
) -> None:
    store, text = world.parts.store, "{}"  # nobody reads it
    entered, leave = threading.Event(), threading.Event()

    def change(version: int) -> None:
        with store.begin() as tx:
            tx.collectives.hold_identity(alone=True)
            tx.collectives.add_identity(version, text)

    def hold() -> int | None:
        with store.begin() as tx:
            tx.collectives.hold_identity()
            entered.set()
            assert leave.wait(30)
            return tx.collectives.newest_version()

    with ThreadPoolExecutor(2) as pool:
        with store.begin() as tx:
            tx.collectives.hold_identity(alone=True)
            tx.collectives.add_identity(2, text)
            holding = pool.submit(hold)
            assert not entered.wait(0.3)
        assert entered.wait(30)
        changing = pool.submit(change, 3)
        with pytest.raises(FutureTimeout):
            changing.result(0.3)
        leave.set()
        assert holding.result(30) == 2
        changing.result(30)


ONE_WINS = ["conflict"] * (RACERS - 1) + ["done"]


def approval(world: World, report_id: str, moderator: Moderator) -> Callable[[], Any]:
    """An approval that is ready to be sent."""
    (item,) = (one for one in world.queue(moderator) if one.id == report_id)
    envelope = world.envelope(world.document(item, moderator.collective), moderator)
    caller = world.caller(moderator)
    return partial(world.parts.moderation.approve, item.id, Approval(envelope=envelope), caller)


def test_of_eight_approvals_at_once_one_holds(world: World) -> None:
    moderators = world.collective("rose", RACERS)
    member = world.member("rose")
    for number in ROUNDS:
        world.file(member, number, severity=Severity.RISK)
        report = world.rows("report")[-1]["id"]
        calls = [approval(world, report, moderator) for moderator in moderators]
        assert codes(race(calls)) == ONE_WINS
        changes = [row["after"] for row in world.rows("audit") if row["subject"] == report]
        assert changes == ["submitted", "in_review", "approved"]


def test_of_eight_rejections_at_once_one_holds(world: World) -> None:
    moderators = world.collective("rose", RACERS)
    member = world.member("rose")
    rejection = Rejection(reason=RejectReason.TOO_LITTLE)
    callers = [world.caller(moderator) for moderator in moderators]
    for number in ROUNDS:
        world.file(member, number)
        report = world.rows("report")[-1]["id"]
        calls = [
            partial(world.parts.moderation.reject, report, rejection, caller) for caller in callers
        ]
        assert codes(race(calls)) == ONE_WINS
        changes = [row["after"] for row in world.rows("audit") if row["subject"] == report]
        assert changes == ["submitted", "in_review", "rejected"]


def test_of_eight_second_signatures_at_once_one_holds(world: World) -> None:
    first, *others = world.collective("rose", RACERS + 1)
    member = world.member("rose")
    for number in ROUNDS:
        world.file(member, number)
        item = world.queue(first)[-1]
        document = world.document(item, "rose")
        calls = [
            partial(
                world.parts.moderation.approve,
                item.id,
                Approval(envelope=world.envelope(document, one)),
                world.caller(one),
            )
            for one in (first, *others)
        ]
        calls.pop(0)()
        assert codes(race(calls)) == ONE_WINS
        assert world.rows("report")[-1]["status"] == "approved"


def test_of_eight_first_signatures_under_different_payloads_one_is_kept(world: World) -> None:
    moderators = world.collective("rose", RACERS)
    world.file(world.member("rose"), 113)
    report = world.rows("report")[-1]["id"]
    calls = [approval(world, report, moderator) for moderator in moderators]
    assert codes(race(calls)) == ONE_WINS
    assert world.item(moderators[0]).approvals == 1


def test_a_withdrawal_wins_against_an_approval_at_the_same_time(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    for number in ROUNDS:
        receipt = world.file(member, number)
        approve = approval(world, world.rows("report")[-1]["id"], moderator)
        approved, withdrawn = race([approve, partial(world.withdraw, receipt)])
        assert withdrawn is Status.WITHDRAWN
        assert approved == "conflict" or approved.status is Status.APPROVED
        assert world.status(receipt) is Status.WITHDRAWN
        assert world.rows("report") == world.rows("identifier") == []


def test_a_withdrawal_wins_against_a_recording_at_the_same_time(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member, caller = world.member("rose"), world.caller(moderator)
    for number in ROUNDS:
        receipt = world.file(member, number, warn=Warn.STATISTICS)
        report = world.rows("report")[-1]["id"]
        calls: list[Callable[[], Any]] = [
            partial(world.parts.moderation.approve, report, Approval(), caller),
            partial(world.withdraw, receipt),
        ]
        assert race(calls)[1] is Status.WITHDRAWN
        assert world.rows("recorded") == []
    kept = f"{(world.clock.now + timedelta(days=90)):%Y-%m-%d}"
    assert {row["forget_after"] for row in world.rows("receipt")} == {kept}


def test_eight_withdrawals_at_once_are_all_answered_alike(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    for number in ROUNDS:
        receipt = world.file(member, number)
        calls = [partial(world.withdraw, receipt)] * RACERS
        assert race(calls) == [Status.WITHDRAWN] * RACERS
    assert [row["after"] for row in world.rows("audit")].count("withdrawn") == len(ROUNDS)


def test_one_submission_sent_eight_times_at_once_is_stored_once(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    for number in ROUNDS:
        report = submission(number)
        calls = [partial(world.parts.reports.submit, report, b"the body", member)] * RACERS
        receipts = race(calls)
        assert len(set(receipts)) == 1, receipts
        assert isinstance(receipts[0], ReceiptAnswer)
        assert len(world.rows("report")) == len(world.rows("receipt")) == number + 1
        assert len(world.rows("identifier")) == number + 1


def test_of_two_bodies_under_one_request_id_at_once_one_is_stored(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    for number in ROUNDS:
        request_id = secrets.token_hex(16)
        calls = [
            partial(
                world.parts.reports.submit,
                submission(number, request_id=request_id, month=month),
                month.encode(),
                member,
            )
            for month in ("2026-09", "2026-10")
        ]
        assert codes(race(calls)) == ["conflict", "done"]
        assert len(world.rows("report")) == len(world.rows("receipt")) == number + 1


def test_of_eight_who_redeem_one_code_at_once_one_is_given_a_token(world: World) -> None:
    world.collective("rose")
    for number in ROUNDS:
        code = world.parts.callers.invite("rose", Role.MEMBER, 1).invitations[0].code
        request = JoinRequest(code=SecretStr(code))
        outcomes = race([partial(world.parts.callers.redeem, request)] * RACERS)
        assert codes(outcomes) == ["done"] + ["not-found"] * (RACERS - 1)
        (token,) = (one.token for one in outcomes if isinstance(one, JoinAnswer))
        assert world.parts.callers.recognise(token).collective == "rose"
        members = [one for one in world.parts.callers.members("rose") if one[1] == "member"]
        assert len(members) == number + 1


def test_of_eight_who_join_with_one_key_at_once_one_is_enrolled(world: World) -> None:
    world.collective("rose")
    for number in ROUNDS:
        seed, box = secrets.token_bytes(32), secrets.token_bytes(32)
        invited = world.parts.callers.invite("rose", Role.MODERATOR, RACERS).invitations
        requests = [
            JoinRequest(
                code=SecretStr(one.code),
                keys=JoinKeys(
                    sign=public_key(seed), box=box, proof=prove_join(seed, one.code, box)
                ),
            )
            for one in invited
        ]
        calls = [partial(world.parts.callers.redeem, one) for one in requests]
        assert codes(race(calls)) == ONE_WINS
        assert [row["status"] for row in world.rows("moderator")].count("pending") == number + 1


def test_of_two_reports_merged_into_each_other_at_once_one_remains(world: World) -> None:
    moderators = world.collective("rose")
    callers = [world.caller(moderator) for moderator in moderators]
    members = [world.member("rose"), world.member("rose")]
    for number in ROUNDS:
        for member in members:
            world.file(member, number)
        one, two = (row["id"] for row in world.rows("report")[-2:])
        calls = [
            partial(world.parts.moderation.merge, one, Merge(into=two), callers[0]),
            partial(world.parts.moderation.merge, two, Merge(into=one), callers[1]),
        ]
        assert codes(race(calls)) == ["conflict", "done"]
        assert len(world.rows("report")) == number + 1


def test_of_two_reports_of_one_reporter_approved_at_once_one_is_live(world: World) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    for number in ROUNDS:
        for _ in moderators:
            world.file(member, number, severity=Severity.RISK)
        reports = [row["id"] for row in world.rows("report")[-2:]]
        calls = [
            approval(world, report, moderator)
            for report, moderator in zip(reports, moderators, strict=True)
        ]
        assert codes(race(calls)) == ["conflict", "done"]
        approved = [row["id"] for row in world.rows("report") if row["status"] == "approved"]
        assert len(set(approved) & set(reports)) == 1


def test_a_report_is_not_approved_while_its_twin_is_being_approved(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    for _ in range(2):
        world.file(member, 113)
    one, two = (row["id"] for row in world.rows("report"))
    approve = approval(world, two, moderator)
    with ThreadPoolExecutor(1) as pool:
        with world.parts.store.begin() as tx:
            first = tx.reports.find(one)
            assert first is not None
            assert tx.reports.set_live(first, live=True)
            assert tx.reports.change(first, (Status.IN_REVIEW,), status=Status.APPROVED)
            late = pool.submit(approve)
            time.sleep(0.3)  # long enough to have looked for a live twin, and found none yet
        with refused("conflict"):
            late.result(10)
    assert [row["status"] for row in world.rows("report")] == ["approved", "in_review"]


def test_all_who_open_the_queue_at_once_see_it(world: World) -> None:
    moderators = world.collective("rose", RACERS)
    member = world.member("rose")
    for number in ROUNDS:
        world.file(member, number, severity=Severity.RISK)
        world.file(member, number + 10)
        pages = race([partial(world.queue, one) for one in moderators])
        assert [len(page) for page in pages] == [2 * number + 2] * RACERS
    taken = [row["subject"] for row in world.rows("audit") if row["after"] == "in_review"]
    assert len(taken) == len(set(taken)) == 2 * len(ROUNDS)


def test_a_receipt_is_answered_while_a_moderator_decides(world: World) -> None:
    world.collective("rose")
    receipt = world.file(world.member("rose"), 113)
    report = world.rows("report")[0]["id"]
    query = ReceiptQuery(receipt=SecretStr(receipt))
    with world.parts.store.begin() as tx, ThreadPoolExecutor(1) as pool:
        assert tx.reports.find(report) is not None
        answer = pool.submit(world.parts.reports.status, query).result(timeout=5)
    assert answer.status is Status.SUBMITTED


def test_of_two_timekeepers_one_keeps_time_and_publishes_and_seals_once(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.round()
    with world.another() as other:
        for number in ROUNDS:
            for each in range(4):
                world.file(member, 10 * number + each)
            for item in world.queue(moderator):
                world.approve(item, moderator)
            world.clock.pass_(minutes=2)
            before = generation(world)
            keepers = (world.parts.timekeeper, other.timekeeper)
            done = [one for one in race([keeper.run_once for keeper in keepers]) if one is not None]
            assert [(one.published, one.sealed) for one in done] == [(4, 1)]
            assert generation(world) == before + 1
    assert_published_once(world, 4 * len(ROUNDS))


def test_a_timekeeper_whose_lease_is_taken_over_publishes_nothing_again(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.round()
    ahead = Clock(world.clock.now)
    with world.another(ahead) as other:
        for number in ROUNDS:
            for each in range(4):
                world.file(member, 10 * number + each)
            for item in world.queue(moderator):
                world.approve(item, moderator)
            # The second believes that the first one's lease is over, the first that it renews it.
            world.clock.pass_(hours=1)
            ahead.now = world.clock.now + timedelta(minutes=2)
            done = race([world.parts.timekeeper.run_once, other.timekeeper.run_once])
            assert sum(one.published for one in done if one is not None) == 4
            ahead.pass_(minutes=5)
            other.round()
            other.timekeeper.stop()
        world.round()
    assert_published_once(world, 4 * len(ROUNDS))
    assert world.look_up(0, member).match
    assert world.look_up(23, member).match


def generation(world: World) -> int:
    with world.parts.store.read() as tx:
        layout = tx.buckets.layout()
    assert layout is not None
    return layout.generation


def assert_published_once(world: World, number: int) -> None:
    published = [row["subject"] for row in world.rows("audit") if row["after"] == "published"]
    assert len(published) == len(set(published)) == number


def test_an_approval_and_a_rejection_at_once_end_in_one_of_them(world: World) -> None:
    first, second = world.collective("rose")
    member, caller = world.member("rose"), world.caller(second)
    rejection = Rejection(reason=RejectReason.OTHER)
    for number in ROUNDS:
        receipt = world.file(member, number, severity=Severity.RISK)
        report = world.rows("report")[-1]["id"]
        calls: list[Callable[[], Any]] = [
            approval(world, report, first),
            partial(world.parts.moderation.reject, report, rejection, caller),
        ]
        outcomes = race(calls)
        assert codes(outcomes) == ["conflict", "done"]
        won = next(one.status for one in outcomes if not isinstance(one, str))
        assert world.status(receipt) is won


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_report_that_ends_while_the_queue_is_read_is_shown_whole_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite lets nobody write meanwhile."""
    (moderator, _), member = world.collective("rose"), world.member("rose")
    receipts = [world.file(member, number) for number in (1, 2, 3)]
    assert len(world.queue(moderator)) == 3
    true, left = Reports.identifiers, [receipts[1]]

    def identifiers(*given: Any) -> Any:
        if left:
            world.withdraw(left.pop())
        return true(*given)

    monkeypatch.setattr(Reports, "identifiers", identifiers)
    shown = [item.identifiers[0].token for item in world.queue(moderator)]
    assert shown == [world.token(1), world.token(3)]
