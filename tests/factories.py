"""A small world to test in: an instance with collectives, moderators with keys, and members.

Everything is real: the services, the keys, the signatures. Only the clock is the test's own.
"""

import asyncio
import json
import secrets
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from nacl.public import PrivateKey
from pydantic import SecretStr

from api.crypto.envelopes import entry_id, key_id, public_key, sign
from api.crypto.failures import InvalidInput
from api.crypto.joining import prove_join
from api.errors import Refusal
from api.founding import found, joining
from api.keyring import Keyring, read_key
from api.parts import Parts
from api.services.drafts import Founding, signed
from api.services.queue import Question
from api.services.sharing import Shared
from api.services.stretching import canonical
from api.settings import Settings
from api.trust import latest_expiry
from schemas.base import Category, Severity
from schemas.callers import Caller, JoinKeys, JoinRequest, Role
from schemas.canonical import Document
from schemas.documents import (
    Argon2id,
    Envelope,
    Identity,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Signature,
)
from schemas.lookups import LookupQuery, LookupResult, PlainIdentifier
from schemas.moderation import Approval, ApprovalAnswer, QueueItem
from schemas.reports import Account, Consent, PlainSubmission, Police, ReceiptQuery, Status, Warn

NETWORK = "test-network"
ORIGIN = "alpha.example"
CHEAP = Argon2id(m_kib=64, t=1)
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

T = TypeVar("T")


@dataclass
class Clock:
    """A clock that goes only when it is told to."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass(frozen=True)
class Moderator:
    """A moderator's device: her keys never leave it."""

    seed: bytes
    box: PrivateKey
    bearer: str
    collective: str

    @property
    def kid(self) -> str:
        return key_id(public_key(self.seed))

    def signature(self, document: Document) -> Signature:
        payload = document.encode()
        return Signature(keyid=self.kid, sig=sign(self.seed, document.payload_type, payload))


def awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """What `coroutine` returns, in another thread: the browser's tests leave a loop in ours."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def phone(number: int) -> PlainIdentifier:
    """One of the numbers reserved for fiction, 07700 900000 to 900999."""
    return PlainIdentifier(kind="phone", value=SecretStr(f"+44 7700 900{number:03}"))


def submission(*numbers: int, **changes: Any) -> PlainSubmission:
    """A plain report about reserved numbers, by default a danger that may warn the network."""
    fields: dict[str, Any] = {
        "epoch": 1,
        "identifiers": [phone(number) for number in numbers or (113,)],
        "categories": [Category.ROBBERY],
        "severity": Severity.DANGER,
        "month": "2026-10",
        "consent": Consent(warn=Warn.NETWORK, police=Police.NEVER, research=False),
        "wait_days": 0,
        "request_id": secrets.token_hex(16),
        "account": Account(text=SecretStr("Synthetic account, for tests.")),
    }
    if "warn" in changes:
        warn = changes.pop("warn")
        fields["consent"] = Consent(warn=warn, police=Police.NEVER, research=False)
    return PlainSubmission(**fields | changes)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Expect the block to be refused with `code`."""
    with pytest.raises((Refusal, InvalidInput)) as caught:
        yield
    assert isinstance(caught.value, Refusal | InvalidInput)
    assert caught.value.code == code


@dataclass
class World:
    """An instance, founded in `folder`, over the database `url`."""

    folder: Path
    url: str
    clock: Clock = field(default_factory=Clock)
    options: dict[str, Any] = field(default_factory=dict)
    origin: str = ORIGIN
    address: str = "http://127.0.0.1:8000"
    joins: "World | None" = None
    """An instance that has given this one its network key."""
    cost: Argon2id = CHEAP

    def __post_init__(self) -> None:
        self.root = self.folder / "root.key"
        options = {"reports_per_day": 1000, "per_hour": 1000, "per_day": 5000} | self.options
        self.settings = Settings(
            data=self.folder / "instance", database_url=SecretStr(self.url), **options
        )
        shared = None if self.joins is None else self.joins.shared()
        founding = Founding(NETWORK, self.origin, self.address, self.cost)
        if shared is not None:
            founding = joining(shared, self.origin, self.address)
        found(self.settings, founding, self.root, self.clock, shared)
        self.parts = Parts(self.settings, self.clock)
        self.identities = self.parts.identities

    def close(self) -> None:
        self.parts.close()

    def shared(self) -> Shared:
        """What a new instance of this network is given."""
        ring, identity = Keyring.load(self.settings.keys), self.identity
        return Shared(
            identity=identity,
            key=ring.network_key(1, identity.epoch),
            deltas={epoch: ring.delta(epoch) for epoch in range(1, identity.epoch)},
            public_keys={identity.epoch: identity.public_key},
        )

    @property
    def identity(self) -> Identity:
        return self.identities.current()

    def collective(self, name: str, moderators: int = 2) -> list[Moderator]:
        """Add a collective with active moderators."""
        self.identities.add_collective(name)
        joined = [self.join(name) for _ in range(moderators)]
        self.sign_identity()
        return joined

    def join(self, collective: str) -> Moderator:
        """Let a new moderator join; she is pending until `sign_identity`."""
        code = self.parts.callers.invite(collective, Role.MODERATOR, 1).invitations[0].code
        seed, box = secrets.token_bytes(32), PrivateKey.generate()
        public = bytes(box.public_key)
        keys = JoinKeys(sign=public_key(seed), box=public, proof=prove_join(seed, code, public))
        answer = self.parts.callers.redeem(JoinRequest(code=SecretStr(code), keys=keys))
        return Moderator(seed, box, answer.token, collective)

    def sign_identity(self) -> Identity:
        """Issue the next identity, with the root key."""
        identity = self.identities.accept(signed(self.identities.draft(), [read_key(self.root)]))
        self.parts.callers.forget_all()
        return identity

    def member(self, collective: str) -> Caller:
        """A new member, recognised."""
        code = self.parts.callers.invite(collective, Role.MEMBER, 1).invitations[0].code
        answer = self.parts.callers.redeem(JoinRequest(code=SecretStr(code)))
        return self.parts.callers.recognise(answer.token)

    def caller(self, moderator: Moderator) -> Caller:
        return self.parts.callers.recognise(moderator.bearer)

    def file(self, member: Caller, *numbers: int, **changes: Any) -> str:
        """File a report; return its receipt."""
        report = submission(*numbers, **changes)
        body = report.request_id.encode()
        return self.parts.reports.submit(report, body, member).receipt

    def status(self, receipt: str) -> Status:
        return self.parts.reports.status(ReceiptQuery(receipt=SecretStr(receipt))).status

    def withdraw(self, receipt: str) -> Status:
        return self.parts.reports.withdraw(ReceiptQuery(receipt=SecretStr(receipt))).status

    def queue(self, moderator: Moderator, status: Status | None = None) -> list[QueueItem]:
        question = Question(status, None, None, 100)
        return self.parts.queue.page(question, self.caller(moderator)).items

    def item(self, moderator: Moderator) -> QueueItem:
        """The only open report of the moderator's collective."""
        (item,) = self.queue(moderator)
        return item

    def document(self, item: QueueItem, collective: str, **changes: Any) -> ReportDocument:
        """The report that a moderator signs for `item`."""
        severity = changes.get("severity", item.severity)
        month = changes.get("month", item.month)
        fields: dict[str, Any] = {
            "origin": self.origin,
            "collective": collective,
            "rid": secrets.token_hex(16),
            "issued": f"{self.clock.now:%Y-%m-%d}",
            "expires": f"{latest_expiry(month, severity)}",
            "categories": tuple(sorted(item.categories)),
            "severity": severity,
            "month": month,
            "network": NETWORK,
            "epoch": item.epoch,
            "identifiers": tuple(
                ReportedIdentifier(kind=one.kind, token=one.token) for one in item.identifiers
            ),
            "replaces": item.replaces,
        }
        return ReportDocument(**fields | changes)

    def envelope(self, document: Document, *moderators: Moderator) -> Envelope:
        return Envelope.around(document, [one.signature(document) for one in moderators])

    def approve(self, item: QueueItem, *moderators: Moderator, **changes: Any) -> ApprovalAnswer:
        """Let each moderator sign in her turn; return the last answer."""
        document = self.document(item, moderators[0].collective, **changes)
        for count, moderator in enumerate(moderators, start=1):
            envelope = self.envelope(document, *moderators[:count])
            answer = self.parts.moderation.approve(
                item.id, Approval(envelope=envelope), self.caller(moderator)
            )
        return answer

    def retract_document(self, item: QueueItem, reason: RetractReason) -> Retract:
        """The retraction of a listed report, as `queue(status=…)` shows it."""
        assert item.envelope is not None
        report = ReportDocument.decode(item.envelope.payload)
        return Retract(
            origin=self.origin,
            collective=report.collective,
            rid=secrets.token_hex(16),
            target=entry_id(item.envelope.payload_type, item.envelope.payload),
            reason=reason,
            issued=f"{self.clock.now:%Y-%m-%d}",
        )

    def publish(
        self, member: Caller, moderators: list[Moderator], *numbers: int, **changes: Any
    ) -> str:
        """File, approve and publish a report, days later if it is no danger; return its receipt."""
        receipt = self.file(member, *numbers, **changes)
        item = self.queue(moderators[0])[-1]
        needed = moderators[: item.needed]
        self.approve(item, *needed)
        self.clock.pass_(hours=49)
        self.round()
        return receipt

    def round(self) -> None:
        """What the running server does every few seconds."""
        self.parts.round()

    def look_up(self, number: int, caller: Caller) -> LookupResult:
        """A plain look-up of one reserved number."""
        query = LookupQuery(identifiers=[phone(number)])
        return awaited(self.parts.lookups.answer(query, caller)).results[0]

    def token(self, number: int) -> bytes:
        """The token of a reserved number."""
        identifiers = [canonical(phone(number))]
        with self.parts.store.read() as tx:
            held = self.parts.instance.held(tx)
        return self.parts.stretching.tokens(identifiers, held.identity, held.evaluator)[0]

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Every row that is not made anew by itself, by table; bytes as base64."""
        tables: dict[str, list[dict[str, Any]]] = {}
        with self.parts.store.read() as tx:
            for line in tx.backup.lines():
                record = json.loads(line)
                tables.setdefault(record["table"], []).append(record["row"])
        return tables

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of one table, oldest first where they are numbered."""
        return sorted(self.dump().get(table, []), key=lambda row: row.get("seq", 0))

    @contextmanager
    def another(self, clock: Clock | None = None) -> Iterator[Parts]:
        """A second process over the same database."""
        parts = Parts(self.settings, clock or self.clock)
        try:
            yield parts
        finally:
            parts.close()
