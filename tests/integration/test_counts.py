from collections.abc import Callable
from datetime import UTC, datetime

from schemas.base import Severity
from schemas.callers import Caller
from schemas.documents import RetractReason
from schemas.moderation import Dispute
from schemas.reports import Status
from tests.factories import Moderator, World

Found = tuple[int, int, int, int, int, int]


def found(world: World, number: int, caller: Caller) -> Found:
    """Total, danger, risk, nuisance, collectives, recent."""
    result = world.look_up(number, caller)
    one = result.reports
    counts = one.total, one.danger, one.risk, one.nuisance, result.collectives, one.recent
    assert result.match == (counts != (0, 0, 0, 0, 0, 0))
    return counts


NOTHING: Found = (0, 0, 0, 0, 0, 0)


def approve_all(world: World, *moderators: Moderator) -> None:
    for item in world.queue(moderators[0]):
        world.approve(item, *moderators[: item.needed])


def wait(world: World) -> None:
    """Let the longest delay pass."""
    world.clock.pass_(hours=49)
    world.round()


def test_a_token_that_no_report_holds_is_no_match(world: World) -> None:
    world.collective("rose", 1)
    member = world.member("rose")
    world.round()
    assert found(world, 113, member) == NOTHING


def test_reports_are_counted_by_the_severity_that_was_signed(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    severities = [Severity.DANGER] * 3 + [Severity.RISK] * 2 + [Severity.NUISANCE]
    for severity in severities:
        member = world.member("rose")
        world.file(member, 113, severity=severity)
    approve_all(world, moderator)
    wait(world)
    assert found(world, 113, member) == (6, 3, 2, 1, 1, 6)


def test_collectives_are_counted_once_however_much_each_reports(world: World) -> None:
    for name, reports in (("rose", 2), ("lily", 1)):
        (moderator,) = world.collective(name, 1)
        for _ in range(reports):
            member = world.member(name)
            world.file(member, 113)
        approve_all(world, moderator)
    wait(world)
    assert found(world, 113, member) == (3, 3, 0, 0, 2, 3)


def test_only_published_reports_count(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    steps: list[Callable[[], object]] = [
        lambda: world.file(member, 113),
        lambda: world.queue(moderator),
        lambda: approve_all(world, moderator),
    ]
    for step in steps:
        world.round()
        step()
        world.parts.instance.serve()
        assert found(world, 113, member) == NOTHING
    world.round()
    assert found(world, 113, member) == (1, 1, 0, 0, 1, 1)


def test_both_numbers_of_a_report_match(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.publish(member, [moderator], 113, 114)
    assert found(world, 113, member) == found(world, 114, member) == (1, 1, 0, 0, 1, 1)
    assert found(world, 115, member) == NOTHING


def test_a_corrected_severity_and_month_are_what_counts(world: World) -> None:
    first, second = world.collective("rose")
    member = world.member("rose")
    world.file(member, 113)
    world.approve(world.item(first), first, second, severity=Severity.RISK, month="2025-11")
    wait(world)
    assert found(world, 113, member) == (1, 0, 1, 0, 1, 0)


def test_recent_is_this_month_and_the_eleven_before(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    for month in ("2026-11", "2025-12", "2025-11"):
        member = world.member("rose")
        world.file(member, 113, month=month)
    approve_all(world, moderator)
    world.round()
    assert found(world, 113, member) == (3, 3, 0, 0, 1, 2)


def test_what_was_recent_is_no_longer_when_the_month_turns(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.publish(member, [moderator], 113, month="2025-12")
    world.clock.now = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    world.round()
    assert found(world, 113, member) == (1, 1, 0, 0, 1, 1)
    world.clock.pass_(minutes=1)
    world.round()
    assert found(world, 113, member) == (1, 1, 0, 0, 1, 0)


def test_in_december_recent_is_this_year(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    world.clock.now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    for month in ("2026-01", "2025-12"):
        member = world.member("rose")
        world.file(member, 113, month=month)
    approve_all(world, moderator)
    world.round()
    assert found(world, 113, member) == (2, 2, 0, 0, 1, 1)


def test_a_report_counts_through_its_last_day_and_not_the_day_after(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.publish(member, [moderator], 113, severity=Severity.RISK, month="2024-11")
    world.clock.now = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    world.round()
    assert found(world, 113, member) == (1, 0, 1, 0, 1, 0)
    world.clock.pass_(minutes=1)
    world.round()
    assert found(world, 113, member) == NOTHING


def test_a_collective_may_let_a_report_expire_sooner(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.file(member, 113)
    world.approve(world.item(moderator), moderator, expires="2026-11-24")
    for expected in ((1, 1, 0, 0, 1, 1), (1, 1, 0, 0, 1, 1), NOTHING):
        world.round()
        assert found(world, 113, member) == expected
        world.clock.pass_(days=1)


def test_a_disputed_report_is_hidden_and_counts_when_it_is_published_anew(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.publish(member, [moderator], 113)
    (item,) = world.queue(moderator, Status.PUBLISHED)
    document = world.retract_document(item, RetractReason.DISPUTED)
    dispute = Dispute(envelope=world.envelope(document, moderator))
    world.parts.moderation.dispute(item.id, dispute, world.caller(moderator))
    world.round()
    assert found(world, 113, member) == NOTHING
    world.parts.moderation.release(item.id, world.caller(moderator))
    approve_all(world, moderator)
    world.round()
    assert found(world, 113, member) == (1, 1, 0, 0, 1, 1)


def test_a_withdrawn_report_no_longer_counts_and_others_still_do(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    receipt = world.publish(member, [moderator], 113)
    world.publish(world.member("rose"), [moderator], 113)
    assert found(world, 113, member) == (2, 2, 0, 0, 1, 2)
    world.withdraw(receipt)
    world.round()
    assert found(world, 113, member) == (1, 1, 0, 0, 1, 1)
