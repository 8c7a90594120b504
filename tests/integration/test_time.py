import os
import secrets
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.crypto.buckets import (
    Counts,
    Layout,
    bucket_index,
    bucket_word,
    find,
    open_bucket,
)
from api.services.sealing import Sealer
from schemas.base import Severity
from schemas.callers import Caller, Role
from schemas.documents import Status as Standing
from schemas.reports import Status
from schemas.tables import IdentifierRow, ReportRow
from tests.factories import NETWORK, START, Clock, Moderator, World, refused
from tests.pairs import listening

SALT = slice(28, 44)


def approved(world: World, *moderators: Moderator, **fields: Any) -> str:
    """File and approve a report about 113; return its receipt."""
    receipt = world.file(world.member(moderators[0].collective), 113, **fields)
    item = world.item(moderators[0])
    world.approve(item, *moderators[: item.needed])
    return receipt


def end(world: World, moderator: Moderator, status: Standing) -> None:
    identifier = world.caller(moderator).moderator
    assert identifier is not None
    world.identities.end_moderator(identifier, status)
    world.sign_identity()


def revoke(world: World, moderator: Moderator) -> None:
    end(world, moderator, Standing.REVOKED)


# ---- Publication ----


def test_danger_is_published_with_the_next_batch(world: World) -> None:
    receipt = approved(world, *world.collective("rose"))
    assert world.status(receipt) is Status.APPROVED
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


@pytest.mark.parametrize("severity", [Severity.RISK, Severity.NUISANCE])
def test_what_is_no_danger_waits_between_1_and_48_hours(world: World, severity: Severity) -> None:
    receipt = approved(world, *world.collective("rose"), severity=severity)
    world.clock.pass_(minutes=59)
    world.round()
    assert world.status(receipt) is Status.APPROVED
    world.clock.pass_(hours=47, minutes=1)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_the_wait_is_of_random_length(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    for number in range(8):
        world.file(member, number, severity=Severity.RISK)
    for item in world.queue(moderator):
        world.approve(item, moderator)
    waits = {row["publish_at"] - int(START.timestamp()) for row in world.rows("report")}
    assert len(waits) > 4
    assert 3_600 <= min(waits) <= max(waits) <= 48 * 3_600


@pytest.mark.parametrize("severity", [Severity.DANGER, Severity.RISK])
def test_nothing_is_published_before_the_reporters_days_are_over(
    world: World, severity: Severity
) -> None:
    receipt = approved(world, *world.collective("rose"), severity=severity, wait_days=3)
    world.clock.pass_(days=3, seconds=-1)
    world.round()
    assert world.status(receipt) is Status.APPROVED
    world.clock.pass_(seconds=1)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_the_reporters_days_count_from_her_report(world: World) -> None:
    moderators = world.collective("rose")
    receipt = world.file(world.member("rose"), 113, wait_days=3)
    world.clock.pass_(days=4)
    world.approve(world.item(moderators[0]), *moderators)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_a_report_whose_signer_was_revoked_meanwhile_goes_back_to_review(world: World) -> None:
    first, second, third = world.collective("rose", 3)
    receipt = approved(world, first, second, wait_days=1)
    revoke(world, second)
    world.clock.pass_(days=1)
    world.round()
    assert world.status(receipt) is Status.IN_REVIEW
    item = world.item(third)
    assert (item.envelope, item.approvals, item.replaces) == (None, 0, None)
    assert world.approve(item, first, third).status is Status.APPROVED
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_a_danger_report_signed_by_one_goes_back_when_a_second_moderator_joined(
    world: World,
) -> None:
    (alone,) = world.collective("rose", 1)
    receipt = approved(world, alone, wait_days=1)
    world.join("rose")
    world.sign_identity()
    world.clock.pass_(days=1)
    world.round()
    assert world.status(receipt) is Status.IN_REVIEW


def test_a_report_that_went_back_lets_another_of_its_reporter_be_approved(world: World) -> None:
    first, second, third = world.collective("rose", 3)
    member = world.member("rose")
    for _ in range(2):
        world.file(member, 113)
    one, two = world.queue(first)
    world.approve(one, first, second)
    revoke(world, second)
    world.round()
    assert world.approve(two, first, third).status is Status.APPROVED


def test_what_was_published_stays_when_a_signer_ends(world: World) -> None:
    first, second, _ = world.collective("rose", 3)
    receipt = approved(world, first, second)
    world.round()
    end(world, second, Standing.ENDED)
    world.clock.pass_(days=1)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_what_a_revoked_key_was_needed_for_goes_back_to_review(world: World) -> None:
    first, second, third = world.collective("rose", 3)
    receipt = approved(world, first, second)
    world.round()
    (published,) = world.queue(first, Status.PUBLISHED)
    end(world, second, Standing.REVOKED)
    world.round()
    assert world.status(receipt) is Status.IN_REVIEW
    assert not world.look_up(113, world.caller(first)).match
    again = world.item(third)
    assert again.former == published.envelope
    world.approve(again, first, third)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_what_enough_others_signed_stays_when_a_key_is_revoked(world: World) -> None:
    first, second = world.collective("rose", 2)
    receipt = approved(world, first, second)
    world.round()
    # Of two active moderators one is left, and hers alone is enough from then on.
    end(world, second, Standing.REVOKED)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_nothing_of_a_revoked_collective_warns_any_more(world: World) -> None:
    first, second = world.collective("rose", 2)
    reader = world.collective("iris", 1)[0]
    receipt = approved(world, first, second)
    world.round()
    world.identities.end_collective("rose", Standing.REVOKED)
    world.sign_identity()
    world.round()
    assert world.status(receipt) is Status.IN_REVIEW
    assert not world.look_up(113, world.caller(reader)).match


# ---- Expiry ----


def expiring(world: World, status: Status) -> tuple[str, Caller]:
    """A report in `status` whose last day is 2026-11-30."""
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    receipt = world.file(member, 113, severity=Severity.RISK, month="2024-11")
    if status is not Status.SUBMITTED:
        world.approve(world.item(moderator), moderator)
        world.clock.pass_(hours=49)
        world.round()
    return receipt, member


@pytest.mark.parametrize("status", [Status.SUBMITTED, Status.PUBLISHED])
def test_an_expired_report_leaves_nothing_but_its_receipt(world: World, status: Status) -> None:
    receipt, member = expiring(world, status)
    identifier, report = world.rows("identifier")[0], world.rows("report")[0]
    world.clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    world.round()
    assert world.status(receipt) is Status.EXPIRED
    assert world.rows("report") == world.rows("identifier") == []
    (kept,) = world.rows("receipt")
    assert (kept["report"], kept["body"], kept["status"]) == (None, None, "expired")
    text = str(world.dump())
    secret = identifier["token"], identifier["tag"], report["sealed"], report["request_id"]
    assert not [one for one in secret if one in text]
    with world.parts.store.read() as tx:
        assert tx.buckets.changed() == []
    assert not world.look_up(113, member).match


def test_a_report_is_kept_through_its_last_day(world: World) -> None:
    receipt, _ = expiring(world, Status.PUBLISHED)
    world.clock.now = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


def test_what_expired_while_no_server_ran_is_not_published_for_a_moment(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    receipt = approved(world, moderator, severity=Severity.RISK, month="2024-11")
    entries = len(world.rows("entry"))
    world.clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    world.round()
    assert world.status(receipt) is Status.EXPIRED
    assert len(world.rows("entry")) == entries


def test_a_receipt_answers_90_days_after_the_end_and_then_no_more(world: World) -> None:
    receipt, _ = expiring(world, Status.PUBLISHED)
    world.clock.now = datetime(2026, 12, 1, 12, tzinfo=UTC)
    world.round()
    world.clock.pass_(days=90)
    world.round()
    assert world.status(receipt) is Status.EXPIRED
    world.clock.pass_(days=1)
    world.round()
    with refused("not-found"):
        world.status(receipt)
    assert world.rows("receipt") == []


def test_an_invitation_that_nobody_used_is_forgotten_after_7_days(world: World) -> None:
    world.collective("rose", 1)
    world.parts.callers.invite("rose", Role.MEMBER, 3)
    for passed, kept in ((timedelta(days=7, seconds=-1), 3), (timedelta(seconds=1), 0)):
        world.clock.now += passed
        world.round()
        assert len(world.rows("invitation")) == kept


# ---- Who waits too long ----


@pytest.mark.parametrize(
    ("severity", "hours"), [(Severity.DANGER, 24), (Severity.RISK, 168), (Severity.NUISANCE, 168)]
)
def test_a_report_that_waits_too_long_is_overdue(
    world: World, severity: Severity, hours: int
) -> None:
    (moderator,) = world.collective("rose", 1)
    world.file(world.member("rose"), 113, severity=severity)
    for passed, overdue in ((hours, False), (1, True)):
        world.clock.pass_(hours=passed)
        assert world.item(moderator).overdue is overdue
        assert ("Reports have waited" in str(world.parts.health.overview().warnings)) is overdue


def test_an_approved_report_is_not_overdue(world: World) -> None:
    first, second = world.collective("rose")
    approved(world, first, second, wait_days=30)
    world.clock.pass_(days=8)
    (item,) = world.queue(first, Status.APPROVED)
    assert not item.overdue


# ---- Sealing ----


def generation(world: World) -> int:
    with world.parts.store.read() as tx:
        layout = tx.buckets.layout()
    assert layout is not None
    return layout.generation


def served(world: World) -> list[bytes]:
    return [one.file for one in world.parts.instance.serving.fresh(world.clock.now).files]


def test_a_bucket_is_sealed_again_when_its_content_changed(world: World) -> None:
    moderators = world.collective("rose")
    world.round()
    before = served(world)
    approved(world, *moderators)
    world.round()
    assert served(world)[0][SALT] != before[0][SALT]


def test_a_bucket_is_not_sealed_again_when_nothing_changed(world: World) -> None:
    approved(world, *world.collective("rose"))
    world.round()
    before = generation(world), served(world)
    for _ in range(3):
        world.clock.pass_(hours=3)
        world.round()
    assert (generation(world), served(world)) == before


def test_a_bucket_is_not_sealed_again_by_reading_it(world: World) -> None:
    approved(world, *world.collective("rose"))
    world.round()
    before = generation(world), served(world)
    member = world.member("rose")
    for _ in range(3):
        world.look_up(113, member)
        world.parts.lookups.bucket(1, 0, 0)
    world.round()
    assert (generation(world), served(world)) == before


def test_a_report_that_is_only_submitted_or_approved_seals_nothing(world: World) -> None:
    moderators = world.collective("rose")
    world.round()
    before = generation(world)
    receipt = approved(world, *moderators, wait_days=1)
    world.round()
    world.withdraw(receipt)
    world.round()
    assert generation(world) == before


def test_every_bucket_is_sealed_again_within_24_hours(world: World) -> None:
    world.collective("rose")
    world.round()
    salts = {served(world)[0][SALT]}
    for _ in range(5):
        world.clock.pass_(hours=24)
        world.round()
        salts.add(served(world)[0][SALT])
        (sealed,) = struct.unpack_from(">I", served(world)[0], 24)
        assert sealed == int(world.clock.now.timestamp()) // 3600
    assert len(salts) == 6


def test_an_old_list_is_unavailable_and_not_no_match(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    world.round()
    world.clock.pass_(hours=48)
    assert not world.look_up(113, member).match
    world.clock.pass_(hours=1)
    with refused("unavailable"):
        world.look_up(113, member)


def test_before_the_first_sealing_the_list_is_unavailable(world: World) -> None:
    world.collective("rose")
    with refused("unavailable"):
        world.look_up(113, world.member("rose"))


# ---- Layouts ----


def publish_tokens(world: World, tokens: list[bytes]) -> None:
    """Put tokens on the list, each by a risk report that is published already."""
    with world.parts.store.begin() as tx:
        for start in range(0, len(tokens), 4):
            some = tokens[start : start + 4]
            identifiers = [
                IdentifierRow(
                    report=0,
                    position=position,
                    kind="phone",
                    token=token,
                    word=bucket_word(token, NETWORK, 1),
                    tag=secrets.token_bytes(16),
                    live=True,
                )
                for position, token in enumerate(some)
            ]
            report = ReportRow(
                id=secrets.token_hex(16),
                collective="rose",
                status="published",
                categories="theft",
                severity="risk",
                rank=1,
                month="2026-10",
                warn="network",
                police="never",
                research=False,
                wait_days=0,
                request_id=secrets.token_hex(16),
                sealed="{}",
                submitted_at=0,
                not_before=0,
                published_severity="risk",
                published_month="2026-10",
                expires="2028-10-31",
            )
            tx.reports.add(report, identifiers)
            tx.reports.unseal(report)


def some_tokens(number: int, half: int | None = None) -> list[bytes]:
    """Random tokens; with `half`, only those of the lower (0) or upper (1) half of the list."""
    tokens: list[bytes] = []
    while len(tokens) < number:
        token = secrets.token_bytes(32)
        if half is None or bucket_index(bucket_word(token, NETWORK, 1), 1) == half:
            tokens.append(token)
    return tokens


def assert_found(world: World, tokens: list[bytes]) -> Layout:
    """Find every token as a client would, and no other; return the layout."""
    return assert_listed(world, tokens, Counts(0, 1, 0, 1, 1))


def assert_listed(world: World, tokens: list[bytes], counts: Counts | None) -> Layout:
    """Find every token with `counts`, and no other; return the layout."""
    world.parts.instance.serve()
    shelf = world.parts.instance.serving.fresh(world.clock.now)
    identity = world.identity
    buckets = [
        open_bucket(
            one.file,
            network=NETWORK,
            epoch=1,
            bits=shelf.layout.bits,
            index=index,
            log_key=identity.log_key,
            now=int(world.clock.now.timestamp()),
            small=True,
        )
        for index, one in enumerate(shelf.files)
    ]

    def look_up(token: bytes) -> Counts | None:
        word = bucket_word(token, NETWORK, 1)
        return find(buckets[bucket_index(word, shelf.layout.bits)], token)

    assert [look_up(token) for token in tokens] == [counts] * len(tokens)
    assert [look_up(token) for token in some_tokens(50)] == [None] * 50
    return shelf.layout


def seal(world: World, sealer: Sealer) -> int:
    with world.parts.store.begin() as tx:
        return sealer.run(tx, world.clock.now)


def test_the_list_grows_by_256_slots(world: World) -> None:
    world.collective("rose")
    tokens = some_tokens(256)
    publish_tokens(world, tokens)
    world.round()
    assert assert_found(world, tokens) == Layout(0, 256)
    more = some_tokens(1)
    publish_tokens(world, more)
    world.round()
    assert assert_found(world, tokens + more) == Layout(0, 512)


def test_a_list_over_the_limit_is_cut_into_buckets_in_which_every_token_is_found(
    make_world: Any,
) -> None:
    world: World = make_world(bucket_limit=4096)
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.publish(member, [moderator], 113, severity=Severity.RISK)
    tokens = [world.token(113), *some_tokens(255)]
    publish_tokens(world, tokens[1:])
    world.round()
    assert assert_found(world, tokens).bits == 0
    more = some_tokens(44)
    publish_tokens(world, more)
    world.round()
    layout = assert_found(world, tokens + more)
    assert layout == Layout(2, 224)
    assert {len(file) for file in served(world)} == {layout.size}
    assert layout.size <= 4096
    assert world.look_up(113, member).reports.risk == 1


def test_only_the_bucket_that_changed_is_sealed_again(make_world: Any) -> None:
    world: World = make_world(bucket_limit=4096)
    world.collective("rose")
    tokens = some_tokens(300)
    publish_tokens(world, tokens)
    world.round()
    before = served(world)
    more = some_tokens(1, half=1)
    publish_tokens(world, more)
    world.round()
    changed = [old != new for old, new in zip(before, served(world), strict=True)]
    assert changed.count(True) == 1
    assert changed.index(True) == bucket_index(bucket_word(more[0], NETWORK, 1), 2)
    assert_found(world, tokens + more)


def test_a_bucket_that_would_overflow_makes_the_layout_larger(world: World) -> None:
    world.collective("rose")
    # Two buckets of 224 would do for 250 tokens, but these all belong into one.
    sealer = Sealer(world.parts.instance, 3_000, os.urandom)
    tokens = some_tokens(250, half=0)
    publish_tokens(world, tokens)
    seal(world, sealer)
    assert assert_found(world, tokens).bits > 1


def test_a_layout_that_overflow_made_larger_is_not_laid_out_again_and_again(world: World) -> None:
    world.collective("rose")
    sealer = Sealer(world.parts.instance, 3_000, os.urandom)
    publish_tokens(world, some_tokens(250, half=0))
    assert seal(world, sealer) > 0
    assert seal(world, sealer) == 0


def test_a_bucket_that_fills_up_later_makes_the_layout_larger(world: World) -> None:
    world.collective("rose")
    sealer = Sealer(world.parts.instance, 3_000, os.urandom)
    tokens = some_tokens(100)
    publish_tokens(world, tokens)
    seal(world, sealer)
    assert assert_found(world, tokens) == Layout(1, 224)
    more = some_tokens(150, half=0)
    publish_tokens(world, more)
    seal(world, sealer)
    assert_found(world, tokens + more)


def test_what_expired_is_not_sealed_again_though_it_is_still_stored(world: World) -> None:
    world.collective("rose")
    sealer = Sealer(world.parts.instance, 131_072, os.urandom)
    tokens = some_tokens(3)
    publish_tokens(world, tokens)
    world.clock.now = datetime(2028, 10, 31, 23, 59, tzinfo=UTC)
    seal(world, sealer)
    assert_listed(world, tokens, Counts(0, 1, 0, 1, 0))
    world.clock.pass_(minutes=1)
    assert seal(world, sealer) == 1
    assert_listed(world, tokens, None)


def test_the_layout_shrinks_with_the_list(make_world: Any) -> None:
    world: World = make_world(bucket_limit=4096)
    world.collective("rose")
    tokens = some_tokens(300)
    publish_tokens(world, tokens)
    world.round()
    assert assert_found(world, tokens).bits == 2
    world.clock.now = datetime(2028, 11, 1, tzinfo=UTC)
    world.round()
    assert assert_found(world, []) == Layout(0, 256)


# ---- One process keeps time ----


def test_a_second_process_does_nothing_until_the_lease_of_the_first_is_over(world: World) -> None:
    moderators = world.collective("rose")
    world.round()
    receipt = approved(world, *moderators)
    with world.another() as other:
        assert other.timekeeper.run_once() is None
        world.clock.pass_(seconds=59)
        assert other.timekeeper.run_once() is None
        assert world.status(receipt) is Status.APPROVED
        world.clock.pass_(seconds=1)
        done = other.timekeeper.run_once()
        assert done is not None
        assert (done.published, done.sealed) == (1, 1)
        assert world.parts.timekeeper.run_once() is None


def test_a_process_that_stops_gives_its_lease_back(world: World) -> None:
    world.collective("rose")
    world.round()
    with world.another() as other:
        world.parts.timekeeper.stop()
        assert other.timekeeper.run_once() is not None


def test_a_process_does_not_give_back_the_lease_of_another(world: World) -> None:
    world.round()
    with world.another() as other, world.another() as third:
        other.timekeeper.stop()
        assert third.timekeeper.run_once() is None


def test_every_process_serves_what_one_of_them_sealed(world: World) -> None:
    approved(world, *world.collective("rose"))
    with world.another(Clock(world.clock.now)) as other:
        world.round()
        other.round()
        now = world.clock.now
        theirs, ours = other.instance.serving, world.parts.instance.serving
        assert theirs.fresh(now).files == ours.fresh(now).files


def test_a_server_that_stopped_in_the_middle_of_a_round_holds_no_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.app.ROUND_SECONDS", 0.001)
    for _ in range(5):
        with listening(world):
            pass
        assert world.parts.timekeeper.run_once() is not None
        world.parts.timekeeper.stop()
