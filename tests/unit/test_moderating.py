"""Promises of PROTOCOL.md §6 about the moderator's own device, against dishonest instances."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from api.cli.reading import opened_lines, printable, table
from api.client import Client, CouldNotCheck, Profile
from api.crypto.bearers import new_bearer, new_code, parse_invitation
from api.crypto.envelopes import entry_id, public_key
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.joining import check_join
from api.crypto.keyfiles import lock, unlock
from api.crypto.oprf import KeyEvaluator, derive_key
from api.crypto.ristretto import element
from api.crypto.sealing import SealedParts, open_account, seal_account
from api.crypto.stretching import Cost, stretch
from api.moderating import Desk, Mismatch, ModeratorKeys
from api.trust import root_fingerprint, signers
from schemas.base import Category, Kind, Severity, decode_base64, encode_base64
from schemas.documents import (
    Argon2id,
    Collective,
    Envelope,
    Identity,
    Moderator,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Root,
    Signature,
)
from schemas.documents import Status as Standing
from schemas.moderation import QueueItem, QueuePage, RejectReason
from schemas.reports import (
    Account,
    Consent,
    Flag,
    Police,
    ReportRequest,
    SealedAccount,
    SealedPlaintext,
    Status,
    TokenIdentifier,
    Warn,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = NOW.date()
NETWORK, ORIGIN, COLLECTIVE = "test-network", "alpha.example", "rose"
COST = Cost(m_kib=8, t=1)
KEY = KeyEvaluator(derive_key(bytes(32), b"test"), secrets.token_bytes)
ROOT_SEED = bytes([1]) * 32
PASSPHRASE = "six words are a good one"
NUMBER, OTHER_NUMBER = (parse_identifier("phone", f"+44 7700 900{n}", None) for n in ("113", "114"))
MAIL = parse_identifier("email", "someone@example.org", None)
FIRST, SECOND, THIRD, STRANGER = (ModeratorKeys.generate(secrets.token_bytes) for _ in range(4))
CONSENT = Consent(warn=Warn.NETWORK, police=Police.NEVER, research=False)


def token(identifier: Identifier) -> bytes:
    return KEY.token(stretch(identifier, NETWORK, COST))


def moderator(name: str, keys: ModeratorKeys, status: Standing = Standing.ACTIVE) -> Moderator:
    return Moderator(id=name, sign=keys.public_sign, box=keys.public_box, status=status)


def identity(*colleagues: Moderator, **changes: Any) -> Identity:
    rose = (moderator("m-1", FIRST), moderator("m-2", SECOND), *colleagues)
    fields: dict[str, Any] = {
        "version": 1,
        "origin": ORIGIN,
        "log": f"{ORIGIN}:1",
        "issued": "2026-11-23T00:00:00Z",
        "expires": "2027-11-23T00:00:00Z",
        "root": Root(keys=(public_key(ROOT_SEED),), threshold=1),
        "log_key": bytes([2]) * 32,
        "http_keys": (),
        "network": NETWORK,
        "epoch": 1,
        "public_key": KEY.public_key,
        "argon2id": Argon2id(m_kib=COST.m_kib, t=COST.t),
        "collectives": (
            Collective(id=COLLECTIVE, moderators=rose, status=Standing.ACTIVE),
            Collective(id="iris", moderators=(moderator("m-9", STRANGER),), status=Standing.ACTIVE),
        ),
        "feed": f"https://{ORIGIN}/feed/v1/",
    }
    return Identity(**fields | changes)


IDENTITY = identity()


def answered(body: Any, status: int = 200, kind: str = "application/json") -> httpx2.Response:
    # As a stream: that is how the client reads it, to stop where it becomes too large.
    stream = httpx2.ByteStream(json.dumps(body).encode())
    return httpx2.Response(status, headers={"Content-Type": kind}, stream=stream)


@dataclass
class Instance:
    """Stands for a server that says whatever a test lets it say, and remembers what it was sent."""

    identity: Identity = IDENTITY
    pages: list[QueuePage] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    code: str = new_code(secrets.token_bytes)
    asked: list[httpx2.URL] = field(default_factory=list)
    sent: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/v1/identity":
            root = ModeratorKeys(sign=ROOT_SEED, box=bytes(32))
            envelope = Envelope.around(self.identity, [root.signature(self.identity)])
            return answered(envelope.model_dump(mode="json"))
        if path == "/v1/evaluations":
            return self._evaluate(json.loads(request.content))
        if request.method == "GET":
            self.asked.append(request.url)
            page = self.pages[len(self.asked) - 1]
            return answered(page.model_dump(mode="json", exclude_none=True))
        self.sent.append((path, json.loads(request.content) if request.content else None))
        decision = path.rpartition("/")[2]
        if decision in self.refusals:
            return answered({"code": self.refusals[decision]}, 409, "application/problem+json")
        if decision == "invitations":
            return answered({"invitations": [{"id": "0" * 32, "code": self.code}]})
        answer: dict[str, Any] = {"status": "in_review"}
        if decision in {"approve", "dispute", "retract"}:
            answer |= {"approvals": 1, "needed": 2}
        return answered(answer)

    def _evaluate(self, query: dict[str, Any]) -> httpx2.Response:
        elements = [element(decode_base64(text)) for text in query["elements"]]
        parts = [
            {
                "share": part.share,
                "elements": [encode_base64(one) for one in part.elements],
                "proof": encode_base64(part.proof),
            }
            for part in KEY.evaluate(elements)
        ]
        return answered({"epoch": self.identity.epoch, "parts": parts})

    @property
    def envelope(self) -> Envelope:
        """The only envelope that was sent."""
        ((_, body),) = self.sent
        return Envelope.model_validate(body["envelope"])


@pytest.fixture
def instance() -> Instance:
    return Instance()


@pytest.fixture
def desk_of(instance: Instance) -> Iterator[Callable[[ModeratorKeys], Desk]]:
    profile = Profile(
        address=f"https://{ORIGIN}",
        token=new_bearer("d", secrets.token_bytes),
        root=root_fingerprint(IDENTITY.root),
        collective=COLLECTIVE,
    )
    clients = []

    def make(keys: ModeratorKeys) -> Desk:
        client = Client(profile, clock=lambda: NOW, transport=httpx2.MockTransport(instance))
        clients.append(client)
        return Desk(client, keys, clock=lambda: NOW)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def desk(desk_of: Callable[[ModeratorKeys], Desk]) -> Desk:
    return desk_of(FIRST)


def request(*identifiers: Identifier, **changes: Any) -> ReportRequest:
    fields: dict[str, Any] = {
        "epoch": 1,
        "categories": [Category.THREATS, Category.OTHER],
        "severity": Severity.RISK,
        "month": "2026-10",
        "consent": CONSENT,
        "wait_days": 0,
        "request_id": "ab" * 16,
        "identifiers": [
            TokenIdentifier(kind=Kind(one.kind), token=token(one)) for one in identifiers
        ],
    }
    return ReportRequest(**fields | changes)


def item(
    *identifiers: Identifier,
    canonical: list[str] | None = None,
    readers: tuple[ModeratorKeys, ...] = (FIRST, SECOND),
    shown: dict[str, Any] | None = None,
    **changes: Any,
) -> QueueItem:
    """A report as it was sealed, of which the instance shows `shown` otherwise."""
    identifiers = identifiers or (NUMBER,)
    sealed_request = request(*identifiers, **changes)
    texts = canonical or [one.canonical for one in identifiers]
    plaintext = SealedPlaintext(
        request=sealed_request,
        canonical=[SecretStr(text) for text in texts],
        account=Account(text=SecretStr("Synthetic account."), flags=(Flag.WEAPON,)),
    )
    boxes = {one.kid: one.public_box for one in readers}
    parts = seal_account(plaintext.encode(), boxes, secrets.token_bytes)
    fields: dict[str, Any] = {
        **dict(sealed_request),
        "id": "12" * 16,
        "status": Status.IN_REVIEW,
        "sealed": SealedAccount.of(parts.nonce, parts.box, parts.keys),
        "same_reporter": [],
        "approvals": 0,
        "needed": 1,
        "overdue": False,
    }
    return QueueItem(**fields | (shown or {}))


def document(of: QueueItem, **changes: Any) -> ReportDocument:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "collective": COLLECTIVE,
        "rid": "cd" * 16,
        "issued": "2026-11-23",
        "expires": "2028-10-31",
        "categories": (Category.THREATS,),
        "severity": Severity.RISK,
        "month": "2026-10",
        "network": NETWORK,
        "epoch": 1,
        "identifiers": tuple(
            ReportedIdentifier(kind=one.kind, token=one.token) for one in of.identifiers
        ),
    }
    return ReportDocument(**fields | changes)


def signed(by: ModeratorKeys, what: ReportDocument | Retract) -> Envelope:
    return Envelope.around(what, [by.signature(what)])


def awaiting(by: ModeratorKeys = SECOND, **changes: Any) -> QueueItem:
    """A report that a colleague has signed."""
    reported = item()
    return reported.model_copy(update={"envelope": signed(by, document(reported, **changes))})


def retraction(of: QueueItem, **changes: Any) -> Retract:
    assert of.envelope is not None
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "collective": COLLECTIVE,
        "rid": "ef" * 16,
        "target": entry_id(of.envelope.payload_type, of.envelope.payload),
        "reason": RetractReason.ERROR,
        "issued": "2026-11-23",
    }
    return Retract(**fields | changes)


def published(by: ModeratorKeys = SECOND, **changes: Any) -> QueueItem:
    return awaiting(by, **changes).model_copy(update={"status": Status.PUBLISHED})


# Her keys


def test_a_key_file_gives_back_the_keys_and_shows_none() -> None:
    data = FIRST.lock(PASSPHRASE, secrets.token_bytes)
    assert ModeratorKeys.unlock(data, PASSPHRASE) == FIRST
    assert encode_base64(FIRST.sign).encode() not in data
    assert repr(FIRST) == "ModeratorKeys(…)"


def test_the_contents_of_a_key_file_are_as_others_read_them() -> None:
    contents = json.loads(unlock(FIRST.lock(PASSPHRASE, secrets.token_bytes), PASSPHRASE))
    assert contents == {
        "v": 1, "sign": encode_base64(FIRST.sign), "box": encode_base64(FIRST.box)
    }  # fmt: skip


def test_a_wrong_passphrase_opens_nothing() -> None:
    with pytest.raises(InvalidInput, match="wrong-passphrase"):
        ModeratorKeys.unlock(FIRST.lock(PASSPHRASE, secrets.token_bytes), "another passphrase")


@pytest.mark.parametrize(
    "contents", [b"{}", b"secret", b'{"v":2,"sign":"","box":""}', b'{"v":1,"sign":"","box":""}']
)
def test_a_file_of_something_else_holds_no_keys(contents: bytes) -> None:
    data = lock(contents, PASSPHRASE, secrets.token_bytes, m_kib=8, t=1)
    with pytest.raises(InvalidInput, match="malformed") as caught:
        ModeratorKeys.unlock(data, PASSPHRASE)
    assert caught.value.__suppress_context__


def test_new_keys_prove_themselves_for_one_code() -> None:
    code = new_code(secrets.token_bytes)
    keys = FIRST.prove(code)
    check_join(keys.sign, keys.box, code, keys.proof)
    assert (keys.sign, keys.box) == (FIRST.public_sign, FIRST.public_box)
    with pytest.raises(InvalidInput):
        check_join(keys.sign, keys.box, new_code(secrets.token_bytes), keys.proof)


# Reading


def test_an_honest_report_is_read(desk: Desk) -> None:
    opened = desk.open(item(NUMBER, MAIL))
    assert opened.identifiers == (NUMBER, MAIL)
    assert opened.account.text.get_secret_value() == "Synthetic account."
    assert NUMBER.canonical not in repr(opened)


def mismatched(desk: Desk, instance: Instance, shown: QueueItem, reason: str) -> None:
    with pytest.raises(Mismatch, match=reason):
        desk.open(shown)
    assert instance.sent == []


def test_a_story_about_one_number_is_not_filed_under_another(
    desk: Desk, instance: Instance
) -> None:
    swapped = [TokenIdentifier(kind=Kind.PHONE, token=token(OTHER_NUMBER))]
    mismatched(desk, instance, item(shown={"identifiers": swapped}), "identifiers")


def test_a_box_about_one_number_with_the_token_of_another_is_refused(
    desk: Desk, instance: Instance
) -> None:
    """Such a box was sealed by a client, or a server that takes plain reports, that lies."""
    lying = item(OTHER_NUMBER, canonical=[NUMBER.canonical])
    mismatched(desk, instance, lying, "another identifier")


def test_identifiers_in_another_order_are_refused(desk: Desk, instance: Instance) -> None:
    honest = item(NUMBER, MAIL)
    reordered = {"identifiers": honest.identifiers[::-1]}
    mismatched(desk, instance, honest.model_copy(update=reordered), "identifiers")


def test_a_token_of_another_kind_is_refused(desk: Desk, instance: Instance) -> None:
    relabelled = [TokenIdentifier(kind=Kind.EMAIL, token=token(NUMBER))]
    mismatched(desk, instance, item(shown={"identifiers": relabelled}), "identifiers")


@pytest.mark.parametrize("text", ["07700 900113", "+44 7700 900113", "x", "", "a@b"])
def test_identifiers_that_are_not_canonical_are_refused(
    text: str, desk: Desk, instance: Instance
) -> None:
    mismatched(desk, instance, item(canonical=[text]), "identifier")


def test_more_identifiers_than_tokens_are_refused(desk: Desk, instance: Instance) -> None:
    both = [NUMBER.canonical, OTHER_NUMBER.canonical]
    mismatched(desk, instance, item(canonical=both), "identifiers")


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({"consent": CONSENT.model_copy(update={"police": Police.CONTACT_ME})}, "consent"),
        ({"consent": CONSENT.model_copy(update={"research": True})}, "consent"),
        ({"categories": [Category.ROBBERY]}, "categories"),
        ({"categories": [Category.OTHER, Category.THREATS]}, "categories"),
        ({"severity": Severity.DANGER}, "severity"),
        ({"month": "2026-11"}, "month"),
        ({"wait_days": 30}, "waiting time"),
        ({"request_id": "00" * 16}, "request"),
        ({"epoch": 2}, "epoch"),
    ],
)
def test_nothing_is_changed_on_the_way(
    shown: dict[str, Any], reason: str, desk: Desk, instance: Instance
) -> None:
    mismatched(desk, instance, item(shown=shown), reason)


@pytest.mark.parametrize("warn", [Warn.LOCAL, Warn.STATISTICS, Warn.NONE])
def test_consent_is_not_widened_on_the_way(warn: Warn, desk: Desk, instance: Instance) -> None:
    narrow = CONSENT.model_copy(update={"warn": warn})
    mismatched(desk, instance, item(consent=narrow, shown={"consent": CONSENT}), "consent")


def test_a_report_that_is_not_sealed_to_her_is_refused(desk: Desk, instance: Instance) -> None:
    mismatched(desk, instance, item(readers=(SECOND,)), "not sealed to you")


def test_a_box_key_of_somebody_else_is_refused(desk: Desk, instance: Instance) -> None:
    honest = item()
    theirs = {one.kid: one.sealed for one in honest.sealed.keys}
    theirs[FIRST.kid] = theirs[SECOND.kid]
    sealed = SealedAccount.of(honest.sealed.nonce, honest.sealed.box, theirs)
    mismatched(desk, instance, honest.model_copy(update={"sealed": sealed}), "cannot be opened")


def test_the_box_of_another_report_is_refused(desk: Desk, instance: Instance) -> None:
    other = item(OTHER_NUMBER, request_id="00" * 16)
    mismatched(desk, instance, item(shown={"sealed": other.sealed}), "another")


def test_an_altered_box_is_refused(desk: Desk, instance: Instance) -> None:
    honest = item().sealed
    altered = honest.model_copy(update={"box": bytes([honest.box[0] ^ 1]) + honest.box[1:]})
    mismatched(desk, instance, item(shown={"sealed": altered}), "cannot be")


def test_after_a_rotation_the_identifiers_alone_decide(desk: Desk, instance: Instance) -> None:
    instance.identity = identity(epoch=2)
    old = [TokenIdentifier(kind=Kind.PHONE, token=KEY.public_key)]
    assert desk.open(item(identifiers=old, shown={
        "epoch": 2, "identifiers": request(NUMBER).identifiers
    })).identifiers == (NUMBER,)  # fmt: skip
    lying = {"epoch": 2, "identifiers": request(OTHER_NUMBER).identifiers}
    mismatched(desk, instance, item(shown=lying), "another identifier")


def test_only_keys_that_the_operator_signed_decide(
    desk_of: Callable[[ModeratorKeys], Desk], instance: Instance
) -> None:
    with pytest.raises(CouldNotCheck, match="operator"):
        desk_of(THIRD).open(item(readers=(THIRD,)))
    assert instance.sent == []


# Colleagues


def test_a_colleague_who_joined_later_is_let_in_by_name_only(
    desk: Desk, instance: Instance
) -> None:
    instance.identity = identity(moderator("m-3", THIRD))
    reported = item()
    desk.open(reported)
    assert instance.sent == []  # reading gives nobody else anything
    (colleague,) = desk.excluded(reported)
    assert desk.reseal(reported, colleague)
    ((path, body),) = instance.sent
    assert path == f"/v1/moderation/reports/{reported.id}/reseal"
    assert body["kid"] == THIRD.kid
    resealed = decode_base64(body["sealed"])
    parts = SealedParts(reported.sealed.nonce, reported.sealed.box, {THIRD.kid: resealed})
    assert b"Synthetic account." in open_account(parts, THIRD.kid, THIRD.box)


@pytest.mark.parametrize("status", [Standing.ENDED, Standing.REVOKED])
def test_a_colleague_who_has_ended_is_given_nothing(
    status: Standing, desk: Desk, instance: Instance
) -> None:
    instance.identity = identity(moderator("m-3", THIRD, status))
    assert desk.excluded(item()) == ()


def test_a_colleague_who_can_read_it_already_stops_nothing(desk: Desk, instance: Instance) -> None:
    instance.identity = identity(moderator("m-3", THIRD))
    instance.refusals["reseal"] = "conflict"
    (colleague,) = desk.excluded(item())
    assert not desk.reseal(item(), colleague)


# Approving


def test_what_was_read_is_what_is_signed(desk: Desk, instance: Instance) -> None:
    reported = item(NUMBER, MAIL)
    desk.approve(desk.open(reported))
    assert signers(instance.envelope, IDENTITY, COLLECTIVE) == {"m-1"}
    report = ReportDocument.decode(instance.envelope.payload)
    assert report == document(reported, rid=report.rid)


def test_what_she_chooses_is_signed(desk: Desk, instance: Instance) -> None:
    desk.approve(
        desk.open(item()), [Category.STALKING, Category.ROBBERY], Severity.DANGER, "2026-09"
    )
    report = ReportDocument.decode(instance.envelope.payload)
    assert report.categories == (Category.ROBBERY, Category.STALKING)
    assert (report.severity, report.month) == (Severity.DANGER, "2026-09")
    assert report.expires == "2031-09-30"


def replacing(former: Envelope | None, replaces: bytes | None = None) -> QueueItem:
    """A report that was released from a dispute."""
    if former is not None and replaces is None:
        replaces = entry_id(former.payload_type, former.payload)
    return item(shown={"replaces": replaces, "former": former})


def test_a_disputed_report_names_the_entry_it_replaces(desk: Desk, instance: Instance) -> None:
    released = replacing(signed(SECOND, document(item())))
    desk.approve(desk.open(released))
    assert ReportDocument.decode(instance.envelope.payload).replaces == released.replaces


@pytest.mark.parametrize(
    "released",
    [
        replacing(None, bytes(32)),
        replacing(signed(SECOND, document(item())), bytes(32)),
        replacing(signed(SECOND, document(item(OTHER_NUMBER)))),
        replacing(signed(SECOND, document(item(), collective="iris"))),
        replacing(signed(STRANGER, document(item()))),
    ],
    ids=["nothing", "another entry", "another identifier", "another collective", "a stranger's"],
)
def test_a_signature_never_takes_another_warning_away(
    released: QueueItem, desk: Desk, instance: Instance
) -> None:
    opened = desk.open(released)
    with pytest.raises(Mismatch):
        desk.approve(opened)
    assert instance.sent == []


def test_other_is_not_published(desk: Desk, instance: Instance) -> None:
    opened = desk.open(item(categories=[Category.OTHER]))
    with pytest.raises(CouldNotCheck, match="choose a category"):
        desk.approve(opened)
    assert instance.sent == []


@pytest.mark.parametrize("warn", [Warn.STATISTICS, Warn.NONE])
def test_where_no_warning_is_wanted_nothing_is_signed(
    warn: Warn, desk: Desk, instance: Instance
) -> None:
    desk.approve(desk.open(item(consent=CONSENT.model_copy(update={"warn": warn}))))
    assert [body for _, body in instance.sent] == [{}]


def test_two_sign_the_same(desk: Desk, instance: Instance) -> None:
    shown = awaiting(severity=Severity.NUISANCE, expires="2027-10-31")
    opened = desk.open(shown)
    first = desk.signed(opened)
    assert first is not None
    assert first.severity is Severity.NUISANCE
    desk.approve(opened)
    assert shown.envelope is not None
    assert instance.envelope.payload == shown.envelope.payload
    assert signers(instance.envelope, IDENTITY, COLLECTIVE) == {"m-1", "m-2"}


def refused_first(desk: Desk, instance: Instance, shown: QueueItem, reason: str) -> None:
    opened = desk.open(shown)
    for decide in (desk.signed, desk.approve):
        with pytest.raises(Mismatch, match=reason):
            decide(opened)
    assert instance.sent == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identifiers": document(item(OTHER_NUMBER)).identifiers}, "another identifier"),
        ({"identifiers": document(item(NUMBER, MAIL)).identifiers}, "another identifier"),
        ({"collective": "iris"}, "another collective"),
        ({"replaces": bytes(32)}, "replaces another"),
        ({"origin": "beta.example"}, "foreign-origin"),
        ({"network": "test-other"}, "wrong-network"),
        ({"epoch": 2}, "wrong-epoch"),
        ({"expires": "2028-11-30"}, "expiry-too-long"),
    ],
)
def test_a_first_approval_of_something_else_is_not_signed(
    changes: dict[str, Any], reason: str, desk: Desk, instance: Instance
) -> None:
    refused_first(desk, instance, awaiting(**changes), reason)


def test_a_first_approval_must_replace_what_is_disputed(desk: Desk, instance: Instance) -> None:
    former = signed(SECOND, document(item(), rid="aa" * 16))
    replaces = entry_id(former.payload_type, former.payload)
    shown = awaiting().model_copy(update={"replaces": replaces, "former": former})
    refused_first(desk, instance, shown, "replaces another")


@pytest.mark.parametrize("by", [THIRD, STRANGER])
def test_a_first_approval_that_no_colleague_signed_is_not_signed(
    by: ModeratorKeys, desk: Desk, instance: Instance
) -> None:
    refused_first(desk, instance, awaiting(by), "No signature")


def test_a_forged_first_signature_is_not_joined(desk: Desk, instance: Instance) -> None:
    shown = awaiting()
    assert shown.envelope is not None
    forged = Signature(keyid=SECOND.kid, sig=bytes(64))
    envelope = shown.envelope.model_copy(update={"signatures": (forged,)})
    refused_first(desk, instance, shown.model_copy(update={"envelope": envelope}), "No signature")


def test_a_retraction_is_not_signed_as_an_approval(desk: Desk, instance: Instance) -> None:
    envelope = signed(SECOND, retraction(awaiting()))
    refused_first(desk, instance, item(shown={"envelope": envelope}), "malformed")


@pytest.mark.parametrize(
    "choice",
    [{"categories": [Category.ROBBERY]}, {"severity": Severity.DANGER}, {"month": "2026-09"}],
)
def test_a_second_moderator_changes_nothing(
    choice: dict[str, Any], desk: Desk, instance: Instance
) -> None:
    opened = desk.open(awaiting())
    with pytest.raises(CouldNotCheck, match="something else"):
        desk.approve(opened, **choice)
    assert instance.sent == []


def test_nobody_signs_twice(desk: Desk, instance: Instance) -> None:
    opened = desk.open(awaiting(FIRST).model_copy(update={"needed": 2}))
    with pytest.raises(CouldNotCheck, match="already"):
        desk.approve(opened)
    assert instance.sent == []


def test_a_report_read_before_a_rotation_is_not_signed_after_it(
    desk_of: Callable[[ModeratorKeys], Desk], instance: Instance
) -> None:
    opened = desk_of(FIRST).open(item())
    instance.identity = identity(epoch=2)
    instance.pages = [QueuePage(items=[item(shown={"epoch": 2})])]  # another account
    with pytest.raises(CouldNotCheck, match="open the report again"):
        desk_of(FIRST).approve(opened)
    assert instance.sent == []


def test_what_was_read_before_a_rotation_is_compared_anew_and_signed(
    desk_of: Callable[[ModeratorKeys], Desk], instance: Instance
) -> None:
    desk = desk_of(FIRST)
    opened = desk.open(item())
    instance.identity = identity(version=2, epoch=2, previous=sha256(IDENTITY.encode()).digest())
    instance.pages = [QueuePage(items=[opened.item.model_copy(update={"epoch": 2})])]
    desk.client.forget()
    desk.approve(opened)
    assert ReportDocument.decode(instance.envelope.payload).epoch == 2


def test_a_report_of_the_former_epoch_is_not_opened(desk: Desk, instance: Instance) -> None:
    instance.identity = identity(epoch=2)
    with pytest.raises(CouldNotCheck, match="open the report again") as caught:
        desk.open(item())
    assert not isinstance(caught.value, Mismatch)


def test_what_is_shown_of_the_next_epoch_makes_the_desk_ask_who_it_is(
    desk: Desk, instance: Instance
) -> None:
    desk.open(item())
    instance.identity = identity(version=2, epoch=2, previous=sha256(IDENTITY.encode()).digest())
    old = published()
    desk.retract(old.model_copy(update={"epoch": 2}), RetractReason.ERROR)
    assert Retract.decode(instance.envelope.payload).reason is RetractReason.ERROR


# Taking back


def test_the_published_entry_is_retracted(desk: Desk, instance: Instance) -> None:
    shown = published()
    desk.retract(shown, RetractReason.OBJECTION)
    retract = Retract.decode(instance.envelope.payload)
    assert retract == retraction(shown, rid=retract.rid, reason=RetractReason.OBJECTION)
    assert signers(instance.envelope, IDENTITY, COLLECTIVE) == {"m-1"}


def test_a_dispute_is_signed_as_one(desk: Desk, instance: Instance) -> None:
    desk.dispute(published())
    assert Retract.decode(instance.envelope.payload).reason is RetractReason.DISPUTED


def test_two_retract_the_same(desk: Desk, instance: Instance) -> None:
    shown = published()
    first = signed(SECOND, retraction(shown))
    desk.retract(shown.model_copy(update={"retraction": first}), RetractReason.ERROR)
    assert instance.envelope.payload == first.payload
    assert signers(instance.envelope, IDENTITY, COLLECTIVE) == {"m-1", "m-2"}


def not_retracted(desk: Desk, instance: Instance, shown: QueueItem, reason: str) -> None:
    with pytest.raises(Mismatch, match=reason):
        desk.retract(shown, RetractReason.ERROR)
    assert instance.sent == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"target": bytes(32)}, "another report"),
        ({"reason": RetractReason.LEGAL}, "another reason"),
        ({"collective": "iris"}, "another collective"),
        ({"origin": "beta.example"}, "foreign-origin"),
        ({"issued": "2026-12-24"}, "future-dated"),
    ],
)
def test_a_first_retraction_of_something_else_is_not_signed(
    changes: dict[str, Any], reason: str, desk: Desk, instance: Instance
) -> None:
    shown = published()
    first = signed(SECOND, retraction(shown, **changes))
    not_retracted(desk, instance, shown.model_copy(update={"retraction": first}), reason)


def test_a_first_retraction_that_no_colleague_signed_is_not_signed(
    desk: Desk, instance: Instance
) -> None:
    shown = published()
    first = signed(STRANGER, retraction(shown))
    not_retracted(desk, instance, shown.model_copy(update={"retraction": first}), "No signature")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identifiers": document(item(OTHER_NUMBER)).identifiers}, "another identifier"),
        ({"identifiers": document(item(MAIL)).identifiers, "epoch": 2}, "another identifier"),
        ({"collective": "iris"}, "another collective"),
        ({"origin": "beta.example"}, "another collective"),
    ],
)
def test_another_entry_than_the_reports_is_not_retracted(
    changes: dict[str, Any], reason: str, desk: Desk, instance: Instance
) -> None:
    not_retracted(desk, instance, published(**changes), reason)


def test_an_entry_of_no_known_moderator_is_not_retracted(desk: Desk, instance: Instance) -> None:
    not_retracted(desk, instance, published(STRANGER), "not signed by your collective")


def test_a_report_without_an_entry_is_not_retracted(desk: Desk, instance: Instance) -> None:
    not_retracted(desk, instance, item(shown={"status": Status.PUBLISHED}), "no signed report")


def test_what_an_earlier_moderator_signed_in_an_earlier_epoch_can_be_retracted(
    desk: Desk, instance: Instance
) -> None:
    instance.identity = identity(moderator("m-3", THIRD, Standing.REVOKED), epoch=2)
    shown = published(THIRD, identifiers=document(item(OTHER_NUMBER)).identifiers)
    desk.retract(shown.model_copy(update={"epoch": 2}), RetractReason.ERROR)
    assert len(instance.sent) == 1


# The queue


def test_the_queue_is_read_to_its_end(desk: Desk, instance: Instance) -> None:
    instance.pages = [
        QueuePage(items=[item()], next="1.7"),
        QueuePage(items=[item(MAIL, shown={"id": "34" * 16})]),
    ]
    assert len(list(desk.queue(status=Status.PUBLISHED))) == 2
    assert [url.params.get("after") for url in instance.asked] == [None, "1.7"]
    assert [url.params["status"] for url in instance.asked] == ["published"] * 2


@pytest.mark.parametrize("items", [[], [item()]], ids=["no reports", "the same again"])
def test_a_queue_without_an_end_is_not_read_for_ever(
    items: list[QueueItem], desk: Desk, instance: Instance
) -> None:
    instance.pages = [QueuePage(items=items, next="1.7")] * 9
    with pytest.raises(Mismatch):
        list(desk.queue())


def test_a_report_is_found_by_its_identifier(desk: Desk, instance: Instance) -> None:
    instance.pages = [QueuePage(items=[item()])]
    assert [one.id for one in desk.find(NUMBER)] == [item().id]
    assert instance.asked[0].params["token"] == encode_base64(token(NUMBER))
    assert "7700" not in str(instance.asked[0])


def test_a_report_about_somebody_else_is_not_found(desk: Desk, instance: Instance) -> None:
    instance.pages = [QueuePage(items=[item(OTHER_NUMBER)])]
    with pytest.raises(Mismatch, match="another identifier"):
        list(desk.find(NUMBER))


def test_decisions_without_a_signature_are_sent(desk: Desk, instance: Instance) -> None:
    desk.reject("12" * 16, RejectReason.TOO_LITTLE)
    desk.merge("12" * 16, "34" * 16)
    desk.release("12" * 16)
    bodies = [body for _, body in instance.sent]
    assert bodies == [{"reason": "too-little"}, {"into": "34" * 16}, None]


def test_an_invitation_is_put_together_from_what_she_trusts(desk: Desk, instance: Instance) -> None:
    ((member, line),) = desk.invite()
    invitation = parse_invitation(line)
    assert member == "0" * 32
    assert (invitation.address, invitation.code) == (f"https://{ORIGIN}", instance.code)
    assert invitation.root == root_fingerprint(IDENTITY.root)


def test_a_code_that_would_lead_elsewhere_is_not_handed_on(desk: Desk, instance: Instance) -> None:
    instance.code = f"{new_code(secrets.token_bytes)}.{'0' * 64}\n"
    with pytest.raises(CouldNotCheck):
        desk.invite()


# The screen


def test_danger_comes_first_and_no_account_is_in_the_list() -> None:
    lines = table([item(), item(severity=Severity.DANGER, shown={"overdue": True})])
    assert "DANGER" in lines[1]
    assert "OVERDUE" in lines[1]
    assert "RISK" in lines[2]
    assert "Synthetic" not in "".join(lines)


def test_an_account_cannot_repaint_the_screen(desk: Desk) -> None:
    opened = desk.open(item())
    account = Account(text=SecretStr("a\x1b[2J\x9bb\r\u202ec\nd\u200de\x1b]0;x"))
    shown = "\n".join(opened_lines(replace(opened, account=account)))
    assert not set(shown) & set("\x1b\x9b\r\u202e")
    assert "d\u200de" in shown
    assert printable("Zoë 👩") == "Zoë 👩"
