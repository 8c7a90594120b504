import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from api.crypto.envelopes import entry_id, public_key, sign
from api.crypto.failures import InvalidInput
from api.crypto.sealing import SealedParts, open_account, open_box_key, seal_box_key
from api.errors import Conflict, Refusal
from schemas.base import Category, Kind, Severity
from schemas.callers import Caller
from schemas.canonical import Document
from schemas.documents import (
    Envelope,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Signature,
)
from schemas.documents import Status as Standing
from schemas.moderation import (
    Approval,
    Dispute,
    Merge,
    QueueItem,
    Rejection,
    RejectReason,
    Reseal,
    Retraction,
)
from schemas.reports import SealedAccount, Status, Warn
from tests.factories import NETWORK, ORIGIN, Moderator, World, refused

REJECTION = Rejection(reason=RejectReason.NOT_CREDIBLE)
KEY = bytes(range(80))
GENERATOR = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")


def entry(document: Document) -> bytes:
    return entry_id(document.payload_type, document.encode())


def retraction_of(target: bytes, reason: RetractReason, **changes: Any) -> Retract:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "collective": "rose",
        "rid": secrets.token_hex(16),
        "target": target,
        "reason": reason,
        "issued": "2026-11-23",
    }
    return Retract(**fields | changes)


# ---- From which status a decision leads where (§6) ----


@dataclass(frozen=True)
class Filed:
    """A report, its twin by somebody else, and the document that a moderator would sign."""

    id: str
    receipt: str
    twin: str
    document: ReportDocument


class Rose:
    """A collective with one moderator when the reports are filed, and one who joins later."""

    def __init__(self, world: World) -> None:
        self.world = world
        (self.early,) = world.collective("rose", 1)
        self.members = world.member("rose"), world.member("rose")
        self.late: Moderator | None = None

    def file(self, number: int, warn: Warn, *, twin: bool = True) -> Filed:
        """File a report that no moderator has seen yet; it expires a week after the start."""
        fields: dict[str, Any] = {"severity": Severity.RISK, "warn": warn}
        other = self.file_twin(number, warn) if twin else ""
        receipt = self.world.file(self.members[0], number, month="2024-11", **fields)
        mine = self.world.rows("report")[-1]["id"]
        document = ReportDocument(
            origin=ORIGIN,
            collective="rose",
            rid=secrets.token_hex(16),
            issued="2026-11-23",
            expires="2026-11-30",
            categories=(Category.ROBBERY,),
            severity=Severity.RISK,
            month="2024-11",
            network=NETWORK,
            epoch=1,
            identifiers=(ReportedIdentifier(kind=Kind.PHONE, token=self.world.token(number)),),
        )
        return Filed(mine, receipt, other, document)

    def file_twin(self, number: int, warn: Warn) -> str:
        """File a report by somebody else about the same number, which expires later."""
        fields: dict[str, Any] = {"severity": Severity.RISK, "warn": warn}
        self.world.file(self.members[1], number, month="2026-10", **fields)
        return str(self.world.rows("report")[-1]["id"])

    def welcome(self) -> None:
        self.late = self.world.join("rose")
        self.world.sign_identity()

    def act(self, action: str, filed: Filed) -> None:
        """Decide as the early moderator; withdraw as the reporter."""
        moderation, caller = self.world.parts.moderation, self.world.caller(self.early)
        target = entry(filed.document)
        match action:
            case "approve":
                envelope = self.world.envelope(filed.document, self.early)
                moderation.approve(filed.id, Approval(envelope=envelope), caller)
            case "record":
                moderation.approve(filed.id, Approval(), caller)
            case "reject":
                moderation.reject(filed.id, REJECTION, caller)
            case "merge":
                moderation.merge(filed.id, Merge(into=filed.twin), caller)
            case "retract":
                document = retraction_of(target, RetractReason.ERROR)
                envelope = self.world.envelope(document, self.early)
                moderation.retract(filed.id, Retraction(envelope=envelope), caller)
            case "dispute":
                document = retraction_of(target, RetractReason.DISPUTED)
                envelope = self.world.envelope(document, self.early)
                moderation.dispute(filed.id, Dispute(envelope=envelope), caller)
            case "release":
                moderation.release(filed.id, caller)
            case "reseal":
                assert self.late is not None
                moderation.reseal(filed.id, Reseal(kid=self.late.kid, sealed=KEY), caller)
            case _:
                assert action == "withdraw"
                self.world.withdraw(filed.receipt)

    def lead(self, reports: list[Filed], status: Status) -> None:
        """Bring reports to `status`, as nothing but decisions and time can."""
        listed = (Status.APPROVED, Status.PUBLISHED, Status.DISPUTED, Status.REMOVED)
        if status is not Status.SUBMITTED:
            self.world.queue(self.early)
        for one in reports if status in (*listed, Status.EXPIRED) else ():
            self.act("approve", one)
        if status in (Status.PUBLISHED, Status.DISPUTED, Status.REMOVED):
            self.world.clock.pass_(hours=48)
            self.world.round()
        if status is Status.EXPIRED:
            self.world.clock.pass_(days=8)
            self.world.round()
        for one in reports if status in LAST else ():
            self.act(LAST[status], one)


LAST = {
    Status.REJECTED: "reject",
    Status.MERGED: "merge",
    Status.WITHDRAWN: "withdraw",
    Status.RECORDED: "record",
    Status.DISPUTED: "dispute",
    Status.REMOVED: "retract",
}
ACTIONS = ("approve", "reject", "merge", "retract", "dispute", "release", "reseal", "withdraw")
# fmt: off
LEADS: Mapping[Status, tuple[str, ...]] = {
    #                 approve     reject      merge       retract     dispute     release      reseal       withdraw  # noqa: E501
    Status.SUBMITTED: ("approved", "rejected", "merged",   "conflict", "conflict", "conflict",  "submitted", "withdrawn"),  # noqa: E501
    Status.IN_REVIEW: ("approved", "rejected", "merged",   "conflict", "conflict", "conflict",  "in_review", "withdrawn"),  # noqa: E501
    Status.APPROVED:  ("conflict", "conflict", "conflict", "removed",  "disputed", "conflict",  "approved",  "withdrawn"),  # noqa: E501
    Status.PUBLISHED: ("conflict", "conflict", "conflict", "removed",  "disputed", "conflict",  "published", "withdrawn"),  # noqa: E501
    Status.DISPUTED:  ("conflict", "conflict", "conflict", "removed",  "conflict", "in_review", "disputed",  "withdrawn"),  # noqa: E501
    Status.REJECTED:  ("conflict",) * 8,
    Status.MERGED:    ("conflict",) * 8,
    Status.REMOVED:   ("conflict",) * 8,
    Status.EXPIRED:   ("conflict",) * 8,
    Status.RECORDED:  ("conflict",) * 7 + ("withdrawn",),
    Status.WITHDRAWN: ("conflict",) * 7 + ("withdrawn",),
}
# fmt: on


@pytest.mark.parametrize("status", LEADS)
def test_a_decision_leads_where_it_may_and_changes_nothing_elsewhere(
    world: World, status: Status
) -> None:
    rose = Rose(world)
    warn = Warn.STATISTICS if status is Status.RECORDED else Warn.NETWORK
    reports = {
        action: rose.file(number, warn, twin="merge" in (action, LAST.get(status)))
        for number, action in enumerate(ACTIONS)
    }
    rose.lead(list(reports.values()), status)
    rose.welcome()
    led = []
    for action, filed in reports.items():
        assert world.status(filed.receipt) is status
        before = world.dump()
        try:
            rose.act(action, filed)
        except (Refusal, InvalidInput) as refusal:
            led.append(refusal.code)
            assert world.dump() == before, f"{action} was refused, and yet changed something"
        else:
            led.append(world.status(filed.receipt).value)
    assert dict(zip(ACTIONS, led, strict=True)) == dict(zip(ACTIONS, LEADS[status], strict=True))


# ---- How many must sign ----


def test_a_danger_report_that_two_moderators_signed_is_found(world: World) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    receipt = world.publish(member, moderators, 113)
    assert world.status(receipt) is Status.PUBLISHED
    found = world.look_up(113, member)
    assert (found.match, found.reports.danger, found.collectives) == (True, 1, 1)
    assert not world.look_up(999, member).match


def test_a_danger_report_that_one_of_two_signed_is_not_found(world: World) -> None:
    first, _ = world.collective("rose")
    member = world.member("rose")
    receipt = world.file(member, 113)
    answer = world.approve(world.item(first), first)
    assert (answer.status, answer.approvals, answer.needed) == (Status.IN_REVIEW, 1, 2)
    world.clock.pass_(hours=49)
    world.round()
    assert world.status(receipt) is Status.IN_REVIEW
    assert not world.look_up(113, member).match


def test_the_queue_says_how_many_signed_and_how_many_must(world: World) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113)
    world.approve(world.item(first), first)
    item = world.item(second)
    assert (item.approvals, item.needed) == (1, 2)
    assert item.envelope is not None


def test_one_signature_is_enough_for_danger_where_there_is_one_moderator(world: World) -> None:
    (alone,) = world.collective("rose", 1)
    world.file(world.member("rose"), 113)
    answer = world.approve(world.item(alone), alone)
    assert (answer.status, answer.needed) == (Status.APPROVED, 1)


def test_one_signature_is_enough_for_a_risk(world: World) -> None:
    first, _ = world.collective("rose")
    world.file(world.member("rose"), 113, severity=Severity.RISK)
    answer = world.approve(world.item(first), first)
    assert (answer.status, answer.needed) == (Status.APPROVED, 1)


@pytest.mark.parametrize(
    ("reported", "signed"), [(Severity.DANGER, Severity.RISK), (Severity.RISK, Severity.DANGER)]
)
def test_lowering_from_danger_and_raising_to_it_need_two(
    world: World, reported: Severity, signed: Severity
) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113, severity=reported)
    item = world.item(first)
    document = world.document(item, "rose", severity=signed)
    answers = [
        world.parts.moderation.approve(
            item.id,
            Approval(envelope=world.envelope(document, *signing)),
            world.caller(signing[-1]),
        )
        for signing in ((first,), (first, second))
    ]
    assert [answer.status for answer in answers] == [Status.IN_REVIEW, Status.APPROVED]
    assert world.rows("report")[0]["published_severity"] == signed


def test_a_second_signature_by_the_same_moderator_is_a_conflict(world: World) -> None:
    first, _ = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    document = world.document(item, "rose")
    approval = Approval(envelope=world.envelope(document, first))
    world.parts.moderation.approve(item.id, approval, world.caller(first))
    with refused("conflict"):
        world.parts.moderation.approve(item.id, approval, world.caller(first))


def test_a_second_signature_under_another_payload_is_a_conflict(world: World) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    world.approve(item, first)
    with refused("conflict"):
        world.approve(item, second)


def test_the_second_moderator_may_send_her_own_signature_alone(world: World) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    document = world.document(item, "rose")
    for moderator in (first, second):
        approval = Approval(envelope=world.envelope(document, moderator))
        answer = world.parts.moderation.approve(item.id, approval, world.caller(moderator))
    assert (answer.status, answer.approvals) == (Status.APPROVED, 2)


def test_a_colleagues_signature_counts_only_when_she_sent_it(world: World) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    document = world.document(item, "rose")
    approval = Approval(envelope=world.envelope(document, first, second))
    with refused("too-few-signatures"):
        world.parts.moderation.approve(item.id, approval, world.caller(second))
    assert world.item(first).approvals == 0


def test_a_signature_that_was_released_is_not_brought_back_by_a_colleague(world: World) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    document = world.document(item, "rose")
    kept = Approval(envelope=world.envelope(document, first))
    world.parts.moderation.approve(item.id, kept, world.caller(first))
    world.parts.moderation.release(item.id, world.caller(first))
    both = Approval(envelope=world.envelope(document, first, second))
    with refused("too-few-signatures"):
        world.parts.moderation.approve(item.id, both, world.caller(second))


def test_a_retraction_counts_a_colleagues_signature_only_when_she_sent_it(world: World) -> None:
    world, item, (first, second), _ = published(world)
    with refused("too-few-signatures"):
        retract(world, item, first, second)
    assert world.rows("report")[0]["status"] == "published"


def test_a_pending_signature_of_a_revoked_moderator_no_longer_counts(world: World) -> None:
    first, second, third = world.collective("rose", 3)
    world.file(world.member("rose"), 113)
    item = world.item(first)
    document = world.document(item, "rose")
    for moderator, approvals in ((first, 1), (second, 1), (third, 2)):
        envelope = world.envelope(document, moderator)
        answer = world.parts.moderation.approve(
            item.id, Approval(envelope=envelope), world.caller(moderator)
        )
        assert answer.approvals == approvals
        if moderator is first:
            revoke(world, first)
    assert answer.status is Status.APPROVED


# ---- Who may decide ----


def every_decision(
    world: World, report_id: str, moderator: Moderator
) -> dict[str, Callable[[], Any]]:
    """All that a moderator may do with a report, as `caller` would."""
    caller = world.caller(moderator)
    return decisions(world, report_id, moderator, caller)


def decisions(
    world: World, report_id: str, signer: Moderator, caller: Caller
) -> dict[str, Callable[[], Any]]:
    moderation = world.parts.moderation
    envelope = world.envelope(retraction_of(bytes(32), RetractReason.ERROR), signer)
    reseal = Reseal(kid=signer.kid, sealed=KEY)
    return {
        "approve": lambda: moderation.approve(report_id, Approval(envelope=envelope), caller),
        "record": lambda: moderation.approve(report_id, Approval(), caller),
        "reject": lambda: moderation.reject(report_id, REJECTION, caller),
        "merge": lambda: moderation.merge(report_id, Merge(into=report_id), caller),
        "retract": lambda: moderation.retract(report_id, Retraction(envelope=envelope), caller),
        "dispute": lambda: moderation.dispute(report_id, Dispute(), caller),
        "release": lambda: moderation.release(report_id, caller),
        "reseal": lambda: moderation.reseal(report_id, reseal, caller),
    }


def code_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except (Refusal, InvalidInput) as refusal:
        return refusal.code
    return "done"


def revoke(world: World, moderator: Moderator) -> None:
    identifier = world.caller(moderator).moderator
    assert identifier is not None
    world.identities.end_moderator(identifier, Standing.REVOKED)
    world.sign_identity()


@pytest.mark.parametrize("ended", [False, True])
def test_to_a_moderator_of_another_collective_a_report_does_not_exist(
    world: World, *, ended: bool
) -> None:
    rose, lily = world.collective("rose"), world.collective("lily")
    world.file(world.member("rose"), 113)
    item = world.item(rose[0])
    if ended:
        world.parts.moderation.reject(item.id, REJECTION, world.caller(rose[0]))
    before = world.dump()
    calls = every_decision(world, item.id, lily[0])
    assert {name: code_of(call) for name, call in calls.items()} == dict.fromkeys(
        calls, "not-found"
    )
    assert world.queue(lily[0]) == []
    assert world.dump() == before


def test_nothing_can_be_merged_into_another_collectives_report(world: World) -> None:
    rose, lily = world.collective("rose"), world.collective("lily")
    world.file(world.member("rose"), 113)
    world.file(world.member("lily"), 113)
    mine, theirs = world.item(rose[0]), world.item(lily[0])
    with refused("not-found"):
        world.parts.moderation.merge(mine.id, Merge(into=theirs.id), world.caller(rose[0]))


def test_a_report_that_never_was_is_not_found(world: World) -> None:
    rose = world.collective("rose")
    calls = every_decision(world, "0" * 32, rose[0])
    assert {code_of(call) for call in calls.values()} == {"not-found"}


def test_a_member_decides_nothing(world: World) -> None:
    rose = world.collective("rose")
    member = world.member("rose")
    world.file(member, 113)
    calls = decisions(world, world.item(rose[0]).id, rose[0], member)
    assert {code_of(call) for call in calls.values()} == {"forbidden"}


def test_a_moderator_whom_no_identity_announces_yet_decides_nothing(world: World) -> None:
    rose = world.collective("rose")
    world.file(world.member("rose"), 113)
    calls = every_decision(world, world.item(rose[0]).id, world.join("rose"))
    assert {code_of(call) for call in calls.values()} == {"forbidden"}


def test_a_revoked_moderator_decides_nothing_though_still_remembered(world: World) -> None:
    rose = world.collective("rose", 3)
    world.file(world.member("rose"), 113)
    item, remembered = world.item(rose[0]), world.caller(rose[2])
    revoke(world, rose[2])
    calls = decisions(world, item.id, rose[2], remembered)
    assert {code_of(call) for call in calls.values()} == {"forbidden"}


# ---- What a signed report must be ----


def changed(**changes: Any) -> Callable[[ReportDocument], ReportDocument]:
    return lambda document: document.model_copy(update=changes)


def with_identifiers(
    change: Callable[[tuple[ReportedIdentifier, ...]], tuple[ReportedIdentifier, ...]],
) -> Callable[[ReportDocument], ReportDocument]:
    return lambda document: document.model_copy(
        update={"identifiers": change(document.identifiers)}
    )


def about(token: bytes, kind: Kind = Kind.PHONE) -> ReportedIdentifier:
    return ReportedIdentifier(kind=kind, token=token)


BAD_DOCUMENTS: Mapping[str, tuple[str, Callable[[ReportDocument], ReportDocument]]] = {
    "fewer identifiers": ("malformed", with_identifiers(lambda ids: ids[:1])),
    "another order": ("malformed", with_identifiers(lambda ids: ids[::-1])),
    "another kind": (
        "malformed",
        with_identifiers(lambda ids: (about(ids[0].token, Kind.EMAIL), ids[1])),
    ),
    "another token": (
        "malformed",
        # Not what was reported, but a valid point: the generator of the group.
        with_identifiers(lambda ids: (ids[0], about(GENERATOR))),
    ),
    "no point": ("malformed", with_identifiers(lambda ids: (ids[0], about(b"\xff" * 32)))),
    "category other": ("malformed", changed(categories=(Category.OTHER,))),
    "something to replace": ("malformed", changed(replaces=bytes(32))),
    "not yours": ("not-yours", changed(collective="lily")),
    "unknown collective": ("unknown-key", changed(collective="nobody")),
    "another network": ("wrong-network", changed(network="test-other")),
    "another epoch": ("wrong-epoch", changed(epoch=2)),
    "another origin": ("foreign-origin", changed(origin="beta.example")),
    "issued after tomorrow": ("future-dated", changed(issued="2026-11-25")),
    "month to come": ("future-dated", changed(month="2026-12")),
    "expires too late": ("expiry-too-long", changed(expires="2028-11-01")),
    "expired": ("expired", changed(expires="2026-11-22")),
}


@pytest.fixture
def risk(world: World) -> tuple[World, QueueItem, list[Moderator]]:
    """A risk report about two numbers, in review; one signature would be enough."""
    moderators = world.collective("rose")
    world.file(world.member("rose"), 113, 114, severity=Severity.RISK)
    return world, world.item(moderators[0]), moderators


Risk = tuple[World, QueueItem, list[Moderator]]


def send(risk: Risk, envelope: Envelope) -> str:
    world, item, moderators = risk
    before = world.dump()
    caller = world.caller(moderators[0])
    code = code_of(
        lambda: world.parts.moderation.approve(item.id, Approval(envelope=envelope), caller)
    )
    assert (world.dump() == before) == (code != "done")
    return code


def test_a_signed_report_that_is_not_the_reported_one_is_refused_with_its_code(risk: Risk) -> None:
    world, item, moderators = risk
    world.collective("lily")
    codes = {}
    for bad, (_, change) in BAD_DOCUMENTS.items():
        document = change(world.document(item, "rose"))
        codes[bad] = send(risk, world.envelope(document, moderators[0]))
    assert codes == {bad: code for bad, (code, _) in BAD_DOCUMENTS.items()}


def test_a_signed_report_issued_tomorrow_where_it_is_tomorrow_already_is_taken(risk: Risk) -> None:
    world, item, moderators = risk
    document = world.document(item, "rose", issued="2026-11-24")
    assert send(risk, world.envelope(document, moderators[0])) == "done"


def test_a_signed_report_that_counts_through_today_is_taken(risk: Risk) -> None:
    world, item, moderators = risk
    document = world.document(item, "rose", expires="2026-11-23")
    assert send(risk, world.envelope(document, moderators[0])) == "done"


def test_a_second_spelling_of_a_report_is_malformed(risk: Risk) -> None:
    world, item, (first, _) = risk
    kind = ReportDocument.payload_type
    payload = world.document(item, "rose").encode().replace(b",", b", ", 1)
    signature = Signature(keyid=first.kid, sig=sign(first.seed, kind, payload))
    envelope = Envelope(payload=payload, payloadType=kind, signatures=(signature,))
    assert send(risk, envelope) == "malformed"


def test_another_kind_of_document_is_malformed(risk: Risk) -> None:
    world, _, (first, _) = risk
    document = retraction_of(bytes(32), RetractReason.ERROR)
    assert send(risk, world.envelope(document, first)) == "malformed"


def test_an_unknown_kind_of_document_is_unsupported(risk: Risk) -> None:
    world, item, (first, _) = risk
    kind = "application/vnd.parasol.rumour.v1+json"
    envelope = world.envelope(world.document(item, "rose"), first)
    assert send(risk, envelope.model_copy(update={"payload_type": kind})) == "unsupported"


def test_a_strangers_signature_is_an_unknown_key(risk: Risk) -> None:
    world, item, (first, _) = risk
    stranger = Moderator(secrets.token_bytes(32), first.box, first.bearer, "rose")
    envelope = world.envelope(world.document(item, "rose"), first, stranger)
    assert send(risk, envelope) == "unknown-key"


def test_another_collectives_moderator_is_an_unknown_key(risk: Risk) -> None:
    world, item, (first, _) = risk
    lily = world.collective("lily")
    envelope = world.envelope(world.document(item, "rose"), first, lily[0])
    assert send(risk, envelope) == "unknown-key"


def test_a_revoked_moderator_is_an_unknown_key(world: World) -> None:
    moderators = world.collective("rose", 3)
    world.file(world.member("rose"), 113, severity=Severity.RISK)
    item = world.item(moderators[0])
    revoke(world, moderators[2])
    envelope = world.envelope(world.document(item, "rose"), moderators[0], moderators[2])
    assert send((world, item, moderators), envelope) == "unknown-key"


def test_a_signature_over_something_else_is_bad(risk: Risk) -> None:
    world, item, (first, _) = risk
    document, other = world.document(item, "rose"), world.document(item, "rose")
    envelope = Envelope.around(document, [first.signature(other)])
    assert send(risk, envelope) == "bad-signature"


def test_a_bad_signature_beside_a_good_one_is_bad(risk: Risk) -> None:
    world, item, (first, second) = risk
    document, other = world.document(item, "rose"), world.document(item, "rose")
    envelope = Envelope.around(document, [first.signature(document), second.signature(other)])
    assert send(risk, envelope) == "bad-signature"


def test_one_signature_sent_twice_is_malformed(risk: Risk) -> None:
    world, item, (first, _) = risk
    assert send(risk, world.envelope(world.document(item, "rose"), first, first)) == "malformed"


def test_a_colleagues_signature_alone_is_too_few(risk: Risk) -> None:
    world, item, (_, second) = risk
    envelope = world.envelope(world.document(item, "rose"), second)
    assert send(risk, envelope) == "too-few-signatures"


def test_an_entry_that_is_signed_already_is_a_duplicate(world: World) -> None:
    moderators = world.collective("rose")
    for _ in range(2):
        world.file(world.member("rose"), 113, severity=Severity.RISK)
    one, two = world.queue(moderators[0])
    document = world.document(one, "rose")
    envelope = world.envelope(document, moderators[0])
    caller = world.caller(moderators[0])
    world.parts.moderation.approve(one.id, Approval(envelope=envelope), caller)
    assert send((world, two, moderators), envelope) == "duplicate"


def test_a_report_that_may_warn_is_not_approved_without_an_envelope(risk: Risk) -> None:
    world, item, (first, _) = risk
    with refused("invalid-request"):
        world.parts.moderation.approve(item.id, Approval(), world.caller(first))


def test_a_moderator_may_correct_categories_severity_and_month(risk: Risk) -> None:
    world, item, (first, _) = risk
    world.approve(
        item, first, categories=(Category.SCAM,), severity=Severity.NUISANCE, month="2026-09"
    )
    (row,) = world.rows("report")
    assert (row["published_severity"], row["published_month"]) == ("nuisance", "2026-09")
    assert row["expires"] == "2027-09-30"


# ---- Where the reporter wants no warning ----


@pytest.mark.parametrize("warn", [Warn.STATISTICS, Warn.NONE])
def test_a_recorded_report_leaves_no_token_tag_or_account(world: World, warn: Warn) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    receipt = world.file(member, 113, warn=warn)
    item = world.item(moderators[0])
    secret = [item.sealed.model_dump(mode="json")["box"], *world.rows("identifier")[0].values()]
    answer = world.parts.moderation.approve(item.id, Approval(), world.caller(moderators[0]))
    assert (answer.status, answer.approvals, answer.needed) == (Status.RECORDED, 1, 1)
    assert world.status(receipt) is Status.RECORDED
    assert world.rows("report") == world.rows("identifier") == []
    text = json.dumps(world.dump())
    assert not [one for one in secret if isinstance(one, str) and len(one) > 8 and one in text]
    assert all(row["body"] is None for row in world.rows("receipt"))
    world.round()
    assert not world.look_up(113, member).match


def test_a_report_for_statistics_leaves_its_categories_severity_and_month(world: World) -> None:
    moderators = world.collective("rose")
    world.file(world.member("rose"), 113, warn=Warn.STATISTICS)
    item = world.item(moderators[0])
    world.parts.moderation.approve(item.id, Approval(), world.caller(moderators[0]))
    (row,) = world.rows("recorded")
    assert row == {
        "id": item.id,
        "collective": "rose",
        "categories": "robbery",
        "severity": "danger",
        "month": "2026-10",
        "expires": "2031-10-31",
    }


def test_a_report_that_may_not_even_count_leaves_only_that_it_was(world: World) -> None:
    moderators = world.collective("rose")
    world.file(world.member("rose"), 113, warn=Warn.NONE)
    item = world.item(moderators[0])
    world.parts.moderation.approve(item.id, Approval(), world.caller(moderators[0]))
    (row,) = world.rows("recorded")
    assert {name for name, value in row.items() if value is not None} == {"id", "collective"}


def test_what_is_recorded_is_not_signed(world: World) -> None:
    moderators = world.collective("rose")
    world.file(world.member("rose"), 113, warn=Warn.STATISTICS)
    item = world.item(moderators[0])
    with refused("invalid-request"):
        world.approve(item, moderators[0])


def test_a_withdrawn_record_is_deleted(world: World) -> None:
    moderators = world.collective("rose")
    receipt = world.file(world.member("rose"), 113, warn=Warn.STATISTICS)
    item = world.item(moderators[0])
    world.parts.moderation.approve(item.id, Approval(), world.caller(moderators[0]))
    assert world.withdraw(receipt) is Status.WITHDRAWN
    assert world.rows("recorded") == []
    assert world.status(receipt) is Status.WITHDRAWN


def test_a_record_is_deleted_when_its_time_is_over(world: World) -> None:
    moderators = world.collective("rose")
    fields = {"severity": Severity.RISK, "month": "2024-11"}
    world.file(world.member("rose"), 113, warn=Warn.STATISTICS, **fields)
    item = world.item(moderators[0])
    world.parts.moderation.approve(item.id, Approval(), world.caller(moderators[0]))
    for days, kept in ((7, 1), (1, 0)):
        world.clock.pass_(days=days)
        world.round()
        assert len(world.rows("recorded")) == kept


# ---- Same reporter, same number ----


def test_a_second_report_by_one_reporter_about_one_number_names_the_live_one(world: World) -> None:
    first, _ = world.collective("rose")
    member = world.member("rose")
    world.file(member, 113, severity=Severity.RISK)
    world.file(member, 114, 113, severity=Severity.RISK)
    one, two = world.queue(first)
    assert (one.same_reporter, two.same_reporter) == ([two.id], [one.id])
    world.approve(one, first)
    with pytest.raises(Conflict) as caught:
        world.approve(two, first)
    assert caught.value.members == {"into": one.id}


@pytest.mark.parametrize("disputed", [False, True])
def test_a_report_is_merged_into_the_live_one_of_its_reporter(
    world: World, *, disputed: bool
) -> None:
    first, _ = world.collective("rose")
    member = world.member("rose")
    world.publish(member, [first], 113, severity=Severity.RISK)
    (live,) = world.queue(first, Status.PUBLISHED)
    if disputed:
        dispute(world, live, first)
    receipt = world.file(member, 113, severity=Severity.RISK)
    item = world.item(first)
    with refused("conflict"):
        world.approve(item, first)
    world.parts.moderation.merge(item.id, Merge(into=live.id), world.caller(first))
    assert world.status(receipt) is Status.MERGED
    assert [row["id"] for row in world.rows("report")] == [live.id]


def test_reports_by_two_reporters_about_one_number_are_both_approved(world: World) -> None:
    first, _ = world.collective("rose")
    for _ in range(2):
        world.file(world.member("rose"), 113, severity=Severity.RISK)
    items = world.queue(first)
    assert [item.same_reporter for item in items] == [[], []]
    assert {world.approve(item, first).status for item in items} == {Status.APPROVED}


def test_a_reporters_next_report_is_approved_when_the_live_one_has_ended(world: World) -> None:
    first, _ = world.collective("rose")
    member = world.member("rose")
    receipt = world.publish(member, [first], 113, severity=Severity.RISK)
    world.withdraw(receipt)
    world.file(member, 113, severity=Severity.RISK)
    assert world.approve(world.item(first), first).status is Status.APPROVED


def test_reports_without_a_number_in_common_are_not_merged(world: World) -> None:
    first, _ = world.collective("rose")
    for number in (113, 114):
        world.file(world.member("rose"), number)
    one, two = world.queue(first)
    with refused("conflict"):
        world.parts.moderation.merge(one.id, Merge(into=two.id), world.caller(first))


def test_a_report_is_not_merged_into_itself(world: World) -> None:
    first, _ = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    with refused("conflict"):
        world.parts.moderation.merge(item.id, Merge(into=item.id), world.caller(first))


# ---- Dispute, release, retraction ----


def dispute(world: World, item: QueueItem, *signing: Moderator, sent: bool = True) -> Status:
    """Let each moderator dispute in her turn; return the last answer."""
    document = world.retract_document(item, RetractReason.DISPUTED)
    for count, moderator in enumerate(signing, start=1):
        envelope = world.envelope(document, *signing[:count]) if sent else None
        answer = world.parts.moderation.dispute(
            item.id, Dispute(envelope=envelope), world.caller(moderator)
        )
    return answer.status


def retract(
    world: World, item: QueueItem, *signing: Moderator, document: Retract | None = None
) -> Status:
    document = document or world.retract_document(item, RetractReason.ERROR)
    retraction = Retraction(envelope=world.envelope(document, *signing))
    return world.parts.moderation.retract(item.id, retraction, world.caller(signing[-1])).status


Published = tuple[World, QueueItem, list[Moderator], Caller]


@pytest.fixture
def danger(world: World) -> Published:
    """A published danger report of a collective with two moderators."""
    return published(world)


def published(world: World, **fields: Any) -> Published:
    moderators = world.collective("rose")
    member = world.member("rose")
    world.publish(member, moderators, 113, **fields)
    (item,) = world.queue(moderators[0], Status.PUBLISHED)
    return world, item, moderators, member


def test_a_danger_report_is_hidden_when_two_dispute_it(danger: Published) -> None:
    world, item, (first, second), member = danger
    document = world.retract_document(item, RetractReason.DISPUTED)
    statuses = []
    for signing in ((first,), (first, second)):
        dispute = Dispute(envelope=world.envelope(document, *signing))
        caller = world.caller(signing[-1])
        statuses.append(world.parts.moderation.dispute(item.id, dispute, caller).status)
        world.round()
        assert world.look_up(113, member).match == (signing == (first,))
    assert statuses == [Status.PUBLISHED, Status.DISPUTED]


def test_a_danger_report_is_removed_when_two_retract_it(danger: Published) -> None:
    world, item, (first, second), member = danger
    document = world.retract_document(item, RetractReason.OBJECTION)
    assert retract(world, item, first, document=document) is Status.PUBLISHED
    assert retract(world, item, first, second, document=document) is Status.REMOVED
    world.round()
    assert not world.look_up(113, member).match
    assert world.rows("report") == world.rows("identifier") == []


def test_a_second_retracting_signature_by_the_same_moderator_is_a_conflict(
    danger: Published,
) -> None:
    world, item, (first, _), _ = danger
    document = world.retract_document(item, RetractReason.ERROR)
    retract(world, item, first, document=document)
    with refused("conflict"):
        retract(world, item, first, document=document)


def test_a_dispute_does_not_add_to_a_pending_retraction(danger: Published) -> None:
    world, item, (first, second), _ = danger
    retract(world, item, first)
    with refused("conflict"):
        dispute(world, item, second)


def test_a_pending_retraction_can_be_released(danger: Published) -> None:
    world, item, (first, second), _ = danger
    retract(world, item, first)
    answer = world.parts.moderation.release(item.id, world.caller(second))
    assert answer.status is Status.PUBLISHED
    assert world.rows("report")[0]["retraction"] is None
    assert dispute(world, item, first, second) is Status.DISPUTED


def test_a_danger_report_lowered_by_two_is_retracted_by_one(world: World) -> None:
    moderators = world.collective("rose")
    world.file(world.member("rose"), 113)
    world.approve(world.item(moderators[0]), *moderators, severity=Severity.RISK)
    (item,) = world.queue(moderators[0], Status.APPROVED)
    assert item.needed == 1
    assert retract(world, item, moderators[0]) is Status.REMOVED


def test_a_retraction_of_another_entry_is_not_yours(danger: Published) -> None:
    world, item, (first, _), _ = danger
    with refused("not-yours"):
        retract(world, item, first, document=retraction_of(bytes(32), RetractReason.ERROR))


def test_a_retraction_for_another_collective_is_not_yours(danger: Published) -> None:
    world, item, (first, _), _ = danger
    world.collective("lily")
    document = world.retract_document(item, RetractReason.ERROR)
    with refused("not-yours"):
        retract(world, item, first, document=document.model_copy(update={"collective": "lily"}))


def test_a_retraction_dated_after_tomorrow_is_refused(danger: Published) -> None:
    world, item, (first, _), _ = danger
    document = world.retract_document(item, RetractReason.ERROR)
    with refused("future-dated"):
        retract(world, item, first, document=document.model_copy(update={"issued": "2027-01-01"}))


def test_a_dispute_is_no_retraction(danger: Published) -> None:
    world, item, (first, _), _ = danger
    document = world.retract_document(item, RetractReason.DISPUTED)
    with refused("malformed"):
        retract(world, item, first, document=document)


def test_a_retraction_is_no_dispute(danger: Published) -> None:
    world, item, (first, _), _ = danger
    document = world.retract_document(item, RetractReason.ERROR)
    sent = Dispute(envelope=world.envelope(document, first))
    with refused("malformed"):
        world.parts.moderation.dispute(item.id, sent, world.caller(first))


def test_a_released_report_is_in_review_without_any_signature(danger: Published) -> None:
    world, item, (first, second), member = danger
    dispute(world, item, first, second)
    answer = world.parts.moderation.release(item.id, world.caller(second))
    assert answer.status is Status.IN_REVIEW
    again = world.item(first)
    assert (again.id, again.envelope, again.retraction) == (item.id, None, None)
    assert (again.approvals, again.needed) == (0, 2)
    world.round()
    assert not world.look_up(113, member).match


def test_a_released_report_must_name_the_entry_that_it_replaces(danger: Published) -> None:
    world, item, (first, second), _ = danger
    dispute(world, item, first, second)
    world.parts.moderation.release(item.id, world.caller(first))
    again = world.item(first)
    assert item.envelope is not None
    assert again.replaces == entry_id(item.envelope.payload_type, item.envelope.payload)
    with refused("malformed"):
        world.approve(again, first, replaces=None)


def test_a_released_report_that_is_signed_anew_counts_again(danger: Published) -> None:
    world, item, (first, second), member = danger
    dispute(world, item, first, second)
    world.parts.moderation.release(item.id, world.caller(first))
    assert world.approve(world.item(first), first, second).status is Status.APPROVED
    world.round()
    assert world.look_up(113, member).reports.danger == 1


def test_a_report_disputed_twice_replaces_the_entry_that_was_disputed_last(world: World) -> None:
    world, item, (first, _), _ = published(world, severity=Severity.RISK)
    entries = []
    for _ in range(2):
        dispute(world, item, first)
        world.parts.moderation.release(item.id, world.caller(first))
        again = world.item(first)
        entries.append(again.replaces)
        world.approve(again, first)
        world.clock.pass_(hours=49)
        world.round()
        (item,) = world.queue(first, Status.PUBLISHED)
    assert len(set(entries)) == 2
    assert None not in entries


def test_a_released_signature_leaves_the_report_open_for_another(world: World) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    world.approve(item, first)
    answer = world.parts.moderation.release(item.id, world.caller(second))
    assert answer.status is Status.IN_REVIEW
    assert world.item(first).approvals == 0
    assert world.approve(item, second, first).status is Status.APPROVED


def test_a_local_report_is_disputed_without_an_envelope(world: World) -> None:
    world, item, (first, _), member = published(world, severity=Severity.RISK, warn=Warn.LOCAL)
    assert world.look_up(113, member).reports.risk == 1
    assert dispute(world, item, first, sent=False) is Status.DISPUTED
    world.round()
    assert not world.look_up(113, member).match


def test_a_report_that_warns_the_network_is_not_disputed_without_an_envelope(world: World) -> None:
    world, item, (first, _), _ = published(world, severity=Severity.RISK)
    with refused("too-few-signatures"):
        dispute(world, item, first, sent=False)


def test_a_local_danger_report_is_not_disputed_by_one_of_two(world: World) -> None:
    world, item, (first, _), _ = published(world, warn=Warn.LOCAL)
    with refused("too-few-signatures"):
        dispute(world, item, first, sent=False)


# ---- Letting a colleague read ----


def reseal(world: World, item: QueueItem, moderator: Moderator, kid: str, key: bytes) -> None:
    sent = Reseal(kid=kid, sealed=key)
    world.parts.moderation.reseal(item.id, sent, world.caller(moderator))


def parts_of(sealed: SealedAccount) -> SealedParts:
    return SealedParts(sealed.nonce, sealed.box, {one.kid: one.sealed for one in sealed.keys})


def test_a_colleague_who_joined_later_reads_what_was_sealed_again_to_her(risk: Risk) -> None:
    world, item, (first, _) = risk
    late = world.join("rose")
    world.sign_identity()
    mine = next(one.sealed for one in item.sealed.keys if one.kid == first.kid)
    box_key = open_box_key(mine, bytes(first.box))
    reseal(world, item, first, late.kid, seal_box_key(box_key, bytes(late.box.public_key)))
    seen = parts_of(world.item(late).sealed)
    assert open_account(seen, late.kid, bytes(late.box)) == open_account(
        seen, first.kid, bytes(first.box)
    )


def test_a_sealed_key_is_never_replaced(risk: Risk) -> None:
    world, item, (first, second) = risk
    with refused("conflict"):
        reseal(world, item, first, second.kid, KEY)
    assert world.item(first).sealed == item.sealed


def test_nothing_is_sealed_to_a_stranger(risk: Risk) -> None:
    world, item, (first, second) = risk
    stranger = Moderator(secrets.token_bytes(32), second.box, second.bearer, "rose")
    with refused("unknown-key"):
        reseal(world, item, first, stranger.kid, KEY)


def test_nothing_is_sealed_to_another_collectives_moderator(risk: Risk) -> None:
    world, item, (first, _) = risk
    (lily,) = world.collective("lily", 1)
    with refused("unknown-key"):
        reseal(world, item, first, lily.kid, KEY)


def test_nothing_is_sealed_to_a_moderator_whom_no_identity_announces_yet(risk: Risk) -> None:
    world, item, (first, _) = risk
    with refused("unknown-key"):
        reseal(world, item, first, world.join("rose").kid, KEY)


# ---- The trail ----


def trail(world: World, report_id: str) -> list[tuple[str, str | None, str, str | None]]:
    return [
        (row["actor"].partition("-")[0], row["before"], row["after"], row["reason"])
        for row in world.rows("audit")
        if row["subject"] == report_id
    ]


def test_every_change_of_a_report_is_in_the_trail(danger: Published) -> None:
    world, item, (first, second), _ = danger
    late = world.join("rose")
    world.sign_identity()
    moderation = world.parts.moderation
    reseal(world, item, first, late.kid, KEY)
    retract(world, item, first)
    moderation.release(item.id, world.caller(first))
    dispute(world, item, first, second)
    moderation.release(item.id, world.caller(first))
    world.approve(world.item(first), first)
    moderation.release(item.id, world.caller(second))
    moderation.reject(item.id, REJECTION, world.caller(first))
    assert trail(world, item.id) == [
        ("reporter", None, "submitted", None),
        ("m", "submitted", "in_review", None),
        ("m", "in_review", "in_review", "signed"),
        ("m", "in_review", "approved", None),
        ("system", "approved", "published", None),
        ("m", "published", "published", "resealed"),
        ("m", "published", "published", "signed"),
        ("m", "published", "published", "released"),
        ("m", "published", "published", "signed"),
        ("m", "published", "disputed", None),
        ("m", "disputed", "in_review", None),
        ("m", "in_review", "in_review", "signed"),
        ("m", "in_review", "in_review", "released"),
        ("m", "in_review", "rejected", "not-credible"),
    ]


@pytest.mark.parametrize(
    ("action", "actor"),
    [("retract", "m"), ("merge", "m"), ("record", "m"), ("withdraw", "reporter")],
)
def test_every_end_of_a_report_is_in_the_trail(world: World, action: str, actor: str) -> None:
    rose = Rose(world)
    filed = rose.file(113, Warn.STATISTICS if action == "record" else Warn.NETWORK)
    rose.lead([filed], Status.PUBLISHED if action == "retract" else Status.IN_REVIEW)
    rose.act(action, filed)
    assert trail(world, filed.id)[-1] == (
        actor,
        "published" if action == "retract" else "in_review",
        world.status(filed.receipt),
        None,
    )


def test_the_trail_names_the_moderator_by_her_opaque_id_and_the_hour(world: World) -> None:
    first, _ = world.collective("rose")
    world.file(world.member("rose"), 113)
    world.clock.pass_(minutes=59)
    item = world.item(first)
    world.parts.moderation.reject(item.id, REJECTION, world.caller(first))
    row = world.rows("audit")[-1]
    assert row["actor"] == world.caller(first).moderator
    assert row["at"] % 3600 == 0


def test_the_database_holds_no_number_receipt_or_bearer_and_the_trail_no_token(
    world: World,
) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    receipts = [world.publish(member, moderators, 113), world.file(member, 114)]
    world.queue(moderators[0])
    world.withdraw(receipts[0])
    dump = world.dump()
    tokens = {row["token"] for row in dump["identifier"]} | {
        row["tag"] for row in dump["identifier"]
    }
    everything = json.dumps(dump)
    bearers = [member.bearer.get_secret_value(), *(one.bearer for one in moderators)]
    secret = ["7700900113", "7700 900113", "900114", *receipts, *bearers]
    assert not [one for one in secret if one in everything]
    text = json.dumps(dump["audit"])
    assert not [one for one in tokens if one in text]
    digests = {row["digest"] for table in ("bearer", "receipt") for row in dump[table]}
    assert not [one for one in digests if one in text]
    assert not [one for one in world.parts.callers.members("rose") if one[0] in text]
    assert public_key(moderators[0].seed).hex() not in text


def test_a_risk_that_a_first_signature_makes_a_danger_shows_that_two_are_needed(
    world: World,
) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113, severity=Severity.RISK)
    answer = world.approve(world.item(first), first, severity=Severity.DANGER)
    item = world.item(second)
    assert (answer.needed, item.needed, item.approvals) == (2, 2, 1)
