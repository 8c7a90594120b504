import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from api.crypto.receipts import receipt as receipt_of
from api.crypto.receipts import receipt_secret, reporter_tag
from api.crypto.sealing import SealedParts, open_account, seal_account
from api.errors import RateLimited, StaleEpoch
from schemas.base import Category, Kind, Severity
from schemas.callers import Caller
from schemas.documents import RetractReason
from schemas.documents import Status as Standing
from schemas.lookups import LookupQuery, PlainIdentifier
from schemas.moderation import Dispute, Rejection, RejectReason
from schemas.reports import (
    Account,
    Actor,
    Consent,
    Flag,
    Police,
    SealedAccount,
    SealedSubmission,
    Status,
    TokenIdentifier,
    Warn,
)
from tests.factories import Moderator, World, awaited, phone, refused, submission

MakeWorld = Callable[..., World]


def identifier(value: str, kind: Kind = Kind.PHONE, region: str | None = None) -> PlainIdentifier:
    return PlainIdentifier(kind=kind, value=SecretStr(value), region=region)


def sealed_submission(
    world: World, readers: list[Moderator], *numbers: int, **changes: Any
) -> SealedSubmission:
    """A report by a caller with cryptography. What is inside the box the instance can't know."""
    boxes = {one.kid: bytes(one.box.public_key) for one in readers}
    parts = seal_account(b"{}", boxes, secrets.token_bytes)
    fields: dict[str, Any] = {
        "epoch": 1,
        "identifiers": [
            TokenIdentifier(kind=Kind.PHONE, token=world.token(number)) for number in numbers
        ],
        "categories": [Category.ROBBERY],
        "severity": Severity.DANGER,
        "month": "2026-10",
        "consent": Consent(warn=Warn.NETWORK, police=Police.NEVER, research=False),
        "wait_days": 0,
        "request_id": secrets.token_hex(16),
        "sealed": SealedAccount.of(parts.nonce, parts.box, parts.keys),
    }
    return SealedSubmission(**fields | changes)


def submit(world: World, report: Any, caller: Caller, body: bytes = b"body") -> str:
    return world.parts.reports.submit(report, body, caller).receipt


# ---- Receipts ----


def test_a_receipt_follows_from_the_bearer_and_the_request_id(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    report = submission(113)
    rk = receipt_secret(member.bearer.get_secret_value())
    key = world.parts.instance.receipt_key
    expected = receipt_of(key, rk, bytes.fromhex(report.request_id))
    assert submit(world, report, member) == expected
    assert expected.isdigit()
    assert len(expected) == 16


def test_the_same_request_again_gets_the_same_receipt_and_stores_nothing(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    report = submission(113)
    first = submit(world, report, member)
    before = world.dump()
    assert submit(world, report, member) == first
    assert world.dump() == before


def test_another_body_under_the_same_request_id_is_a_conflict(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    report = submission(113)
    submit(world, report, member)
    before = world.dump()
    with refused("conflict"):
        submit(world, report, member, b"another body")
    assert world.dump() == before


def test_the_same_request_id_of_another_caller_is_another_report(world: World) -> None:
    world.collective("rose")
    report = submission(113)
    receipts = {submit(world, report, world.member("rose")) for _ in range(2)}
    assert len(receipts) == len(world.rows("report")) == 2


def test_the_same_request_after_the_end_gets_the_same_receipt_and_stores_nothing(
    world: World,
) -> None:
    world.collective("rose")
    member = world.member("rose")
    report = submission(113)
    receipt = submit(world, report, member)
    world.withdraw(receipt)
    assert submit(world, report, member) == receipt
    assert world.status(receipt) is Status.WITHDRAWN
    assert world.rows("report") == []


def test_the_same_request_again_costs_no_quota(make_world: MakeWorld) -> None:
    world = make_world(reports_per_day=1, per_hour=1)
    world.collective("rose")
    member = world.member("rose")
    report = submission(113)
    assert len({submit(world, report, member) for _ in range(3)}) == 1


def test_only_an_hmac_of_the_receipt_is_stored(world: World) -> None:
    world.collective("rose")
    receipt = world.file(world.member("rose"), 113)
    (row,) = world.rows("receipt")
    assert receipt not in json.dumps(world.dump())
    assert row["digest"] != hashlib.sha256(receipt.encode()).digest()
    assert set(row) == {"digest", "report", "body", "status", "forget_after"}


STAGES = [
    Status.SUBMITTED,
    Status.IN_REVIEW,
    Status.APPROVED,
    Status.PUBLISHED,
    Status.DISPUTED,
]


def bring(world: World, moderator: Moderator, stage: Status) -> None:
    if stage is Status.SUBMITTED:
        return
    item = world.item(moderator)
    if stage is Status.IN_REVIEW:
        return
    world.approve(item, moderator)
    if stage is Status.APPROVED:
        return
    world.round()
    if stage is Status.DISPUTED:
        (item,) = world.queue(moderator, Status.PUBLISHED)
        document = world.retract_document(item, RetractReason.DISPUTED)
        dispute = Dispute(envelope=world.envelope(document, moderator))
        world.parts.moderation.dispute(item.id, dispute, world.caller(moderator))


@pytest.mark.parametrize("stage", STAGES)
def test_a_report_is_followed_and_withdrawn_at_every_stage(world: World, stage: Status) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    receipt = world.file(member, 113)
    bring(world, moderator, stage)
    assert world.status(receipt) is stage
    assert world.withdraw(receipt) is Status.WITHDRAWN
    assert world.status(receipt) is Status.WITHDRAWN
    assert world.rows("report") == world.rows("identifier") == []
    world.round()
    assert not world.look_up(113, member).match


def test_withdrawing_again_is_harmless(world: World) -> None:
    world.collective("rose")
    receipt = world.file(world.member("rose"), 113)
    assert [world.withdraw(receipt) for _ in range(2)] == [Status.WITHDRAWN] * 2


def test_a_report_that_was_rejected_is_not_withdrawn(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    receipt = world.file(world.member("rose"), 113)
    rejection = Rejection(reason=RejectReason.OUTSIDE_RULES)
    item = world.item(moderator)
    world.parts.moderation.reject(item.id, rejection, world.caller(moderator))
    with refused("conflict"):
        world.withdraw(receipt)
    assert world.status(receipt) is Status.REJECTED


def test_a_receipt_works_when_its_reporters_token_has_ended(world: World) -> None:
    world.collective("rose")
    member = world.member("rose")
    receipt = world.file(member, 113)
    world.parts.callers.leave(member)
    assert world.withdraw(receipt) is Status.WITHDRAWN


@pytest.mark.parametrize("wrong", ["0000000000000000", "12", "", "number", "0" * 17, "\uff10" * 16])
def test_a_wrong_receipt_is_not_found(world: World, wrong: str) -> None:
    world.collective("rose")
    world.file(world.member("rose"), 113)
    for ask in (world.status, world.withdraw):
        with refused("not-found"):
            ask(wrong)


def test_too_many_wrong_receipts_are_limited_and_keep_nobody_from_hers(world: World) -> None:
    world.collective("rose")
    receipt = world.file(world.member("rose"), 113)
    for number in range(120):
        with refused("not-found"):
            world.status(f"{number:016}")
    for ask in (world.status, world.withdraw):
        with pytest.raises(RateLimited) as caught:
            ask("9" * 16)
        assert 1 <= caught.value.retry_after <= 60
    assert world.status(receipt) is Status.SUBMITTED
    assert world.withdraw(receipt) is Status.WITHDRAWN


def test_right_receipts_are_never_too_many(world: World) -> None:
    world.collective("rose")
    receipt = world.file(world.member("rose"), 113)
    assert {world.status(receipt) for _ in range(130)} == {Status.SUBMITTED}


# ---- What is kept of a report ----


def test_consent_and_request_are_kept_as_sent(world: World) -> None:
    moderators = world.collective("rose")
    consent = Consent(warn=Warn.LOCAL, police=Police.CONTACT_ME, research=True)
    report = sealed_submission(
        world,
        moderators,
        113,
        114,
        categories=[Category.THREATS, Category.SCAM],
        severity=Severity.NUISANCE,
        month="2026-09",
        consent=consent,
        wait_days=30,
    )
    submit(world, report, world.member("rose"))
    item = world.item(moderators[0])
    assert item.model_dump(include=set(SealedSubmission.model_fields)) == report.model_dump()


def test_a_report_is_kept_with_its_reporters_tag_and_no_finer_time_than_the_hour(
    world: World,
) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    world.clock.pass_(minutes=34, seconds=56)
    submit(world, sealed_submission(world, moderators, 113), member)
    world.queue(moderators[0])
    with world.parts.store.begin() as tx:
        report = tx.reports.find(world_report(world))
        assert report is not None
        (row,) = tx.reports.identifiers(report)
    assert row.tag == reporter_tag(member.bearer.get_secret_value(), world.token(113))
    assert report.submitted_at % 3600 == 0
    assert member.member not in json.dumps(world.rows("report"))


def world_report(world: World) -> str:
    return str(world.rows("report")[0]["id"])


def test_a_plain_report_opens_with_every_moderators_box_key_and_holds_all_that_was_sent(
    world: World,
) -> None:
    moderators = world.collective("rose")
    account = Account(
        text=SecretStr("Zoë: synthetic “account”."),
        flags=(Flag.WEAPON, Flag.REPEAT),
        actor=Actor.POSING_AS_CLIENT,
        area=SecretStr("GB-LND"),
    )
    mail = identifier("  Ex.Ample+x@GoogleMail.com ", Kind.EMAIL)
    report = submission(identifiers=[phone(113), mail], account=account, wait_days=2)
    submit(world, report, world.member("rose"))
    item = world.item(moderators[0])
    sealed = item.sealed
    parts = SealedParts(sealed.nonce, sealed.box, {one.kid: one.sealed for one in sealed.keys})
    plaintexts = {open_account(parts, one.kid, bytes(one.box)) for one in moderators}
    (plaintext,) = plaintexts
    shown = item.model_dump(mode="json")
    assert json.loads(plaintext) == {
        "request": {
            "epoch": 1,
            "identifiers": shown["identifiers"],
            "categories": ["robbery"],
            "severity": "danger",
            "month": "2026-10",
            "consent": {"warn": "network", "police": "never", "research": False},
            "wait_days": 2,
            "request_id": report.request_id,
        },
        "canonical": ["+447700900113", "example@gmail.com"],
        "account": {
            "text": "Zoë: synthetic “account”.",
            "flags": ["weapon", "repeat"],
            "actor": "posing_as_client",
            "area": "GB-LND",
        },
    }
    assert item.identifiers[0] == TokenIdentifier(kind=Kind.PHONE, token=world.token(113))
    assert item.identifiers[1].kind is Kind.EMAIL
    assert (len(sealed.box) - 16) % 4096 == 0


def test_of_a_plain_report_nothing_stays_in_clear(world: World) -> None:
    world.collective("rose")
    account = Account(text=SecretStr("A telling phrase"), flags=(Flag.WEAPON,))
    submit(world, submission(113, account=account), world.member("rose"), b"A telling body")
    text = json.dumps(world.dump())
    assert not [one for one in ("telling", "weapon", "7700900113", "900113") if one in text]


def test_a_plain_report_is_sealed_to_active_moderators_only(world: World) -> None:
    first, second, third = world.collective("rose", 3)
    (lily,) = world.collective("lily", 1)
    pending = world.join("rose")
    ended = world.caller(third).moderator
    assert ended is not None
    world.identities.end_moderator(ended, Standing.ENDED)
    world.sign_identity()
    late = world.join("rose")
    world.file(world.member("rose"), 113)
    kids = {one.kid for one in world.item(first).sealed.keys}
    assert kids == {first.kid, second.kid, pending.kid}
    assert kids.isdisjoint({third.kid, lily.kid, late.kid})


def test_two_spellings_of_one_number_in_a_plain_report_are_one(make_world: MakeWorld) -> None:
    world = make_world(per_hour=1)
    (moderator,) = world.collective("rose", 1)
    spellings = [identifier("07700 900113", region="GB"), identifier("https://wa.me/447700900113")]
    submit(world, submission(identifiers=spellings), world.member("rose"))
    item = world.item(moderator)
    assert [one.token for one in item.identifiers] == [world.token(113)]


# ---- What is refused ----


def test_a_report_under_another_epoch_is_stale(world: World) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    for report in (submission(113, epoch=2), sealed_submission(world, moderators, 113, epoch=2)):
        with pytest.raises(StaleEpoch) as caught:
            submit(world, report, member)
        assert caught.value.members == {"epoch": 1}
    assert world.rows("report") == world.rows("receipt") == []


@pytest.mark.parametrize(
    ("severity", "month", "taken"),
    [
        (Severity.DANGER, "2026-12", False),
        (Severity.DANGER, "2026-11", True),
        (Severity.DANGER, "2021-11", True),
        (Severity.DANGER, "2021-10", False),
        (Severity.RISK, "2024-11", True),
        (Severity.RISK, "2024-10", False),
        (Severity.NUISANCE, "2025-11", True),
        (Severity.NUISANCE, "2025-10", False),
    ],
)
def test_a_month_that_is_to_come_or_that_could_not_count_is_refused(
    world: World, severity: Severity, month: str, *, taken: bool
) -> None:
    world.collective("rose")
    member = world.member("rose")
    report = submission(113, severity=severity, month=month)
    if taken:
        submit(world, report, member)
    else:
        with refused("invalid-request"):
            submit(world, report, member)
    assert len(world.rows("report")) == int(taken)


def test_what_is_no_number_is_refused_and_costs_nothing(make_world: MakeWorld) -> None:
    world = make_world(per_hour=1, reports_per_day=1)
    world.collective("rose")
    member = world.member("rose")
    with refused("invalid-identifier"):
        submit(world, submission(identifiers=[identifier("not a number")]), member)
    submit(world, submission(113), member)


@pytest.mark.parametrize("token", [bytes(32), b"\xff" * 32])
def test_a_token_that_is_no_point_is_refused(world: World, token: bytes) -> None:
    moderators = world.collective("rose")
    identifiers = [TokenIdentifier(kind=Kind.PHONE, token=token)]
    report = sealed_submission(world, moderators, identifiers=identifiers)
    with refused("invalid-element"):
        submit(world, report, world.member("rose"))


def test_a_report_sealed_to_a_stranger_too_is_refused(world: World) -> None:
    rose, lily = world.collective("rose"), world.collective("lily")
    with refused("conflict"):
        submit(world, sealed_submission(world, [*rose, lily[0]], 113), world.member("rose"))
    assert world.rows("report") == []


def test_a_report_that_nobody_here_could_read_is_refused(world: World) -> None:
    first, second = world.collective("rose")
    ended = world.caller(second).moderator
    assert ended is not None
    world.identities.end_moderator(ended, Standing.REVOKED)
    world.sign_identity()
    member = world.member("rose")
    with refused("conflict"):
        submit(world, sealed_submission(world, [second], 113), member)
    # Under an identity that is a moment old she may be among the readers.
    submit(world, sealed_submission(world, [first, second], 113), member)


def test_a_plain_report_to_a_collective_without_moderators_is_unavailable(world: World) -> None:
    world.collective("rose", 0)
    with refused("unavailable"):
        world.file(world.member("rose"), 113)
    assert world.rows("report") == world.rows("receipt") == []


def test_where_plain_look_ups_are_off_so_are_plain_reports(make_world: MakeWorld) -> None:
    world = make_world(plain_lookups=False)
    moderators = world.collective("rose")
    member = world.member("rose")
    with refused("plain-lookups-disabled"):
        world.file(member, 113)
    submit(world, sealed_submission(world, moderators, 113), member)


# ---- Quotas ----


def test_a_member_files_10_reports_a_day(make_world: MakeWorld) -> None:
    world = make_world(reports_per_day=10)
    moderators = world.collective("rose")
    member = world.member("rose")
    for number in range(10):
        submit(world, sealed_submission(world, moderators, number), member)
    for report in (submission(113), sealed_submission(world, moderators, 113)):
        with pytest.raises(RateLimited) as caught:
            submit(world, report, member)
        assert 1 <= caught.value.retry_after <= 86_400
    assert len(world.rows("report")) == 10
    submit(world, submission(113), world.member("rose"))


def test_identifiers_of_a_plain_report_count_as_look_ups(make_world: MakeWorld) -> None:
    world = make_world(per_hour=4)
    world.collective("rose")
    member = world.member("rose")
    world.round()
    world.file(member, 113, 114, 115)
    query = LookupQuery(identifiers=[phone(113), phone(114)])
    with refused("rate-limited"):
        awaited(world.parts.lookups.answer(query, member))
    world.look_up(113, member)


def test_tokens_of_a_sealed_report_cost_no_look_ups(make_world: MakeWorld) -> None:
    world = make_world(per_hour=1)
    moderators = world.collective("rose")
    member = world.member("rose")
    world.round()
    submit(world, sealed_submission(world, moderators, 113, 114), member)
    world.look_up(113, member)


def test_a_plain_report_over_the_look_up_quota_costs_no_report(make_world: MakeWorld) -> None:
    world = make_world(per_hour=2, reports_per_day=1)
    world.collective("rose")
    member = world.member("rose")
    with refused("rate-limited"):
        world.file(member, 113, 114, 115)
    world.file(member, 113, 114)


def test_a_plain_report_over_the_report_quota_costs_no_look_ups(make_world: MakeWorld) -> None:
    world = make_world(per_hour=2, reports_per_day=1)
    world.collective("rose")
    member = world.member("rose")
    world.round()
    world.file(member, 113)
    with refused("rate-limited"):
        world.file(member, 114)
    world.look_up(113, member)
