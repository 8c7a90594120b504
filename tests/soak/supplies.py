"""Whatever a valid request of each operation needs: made by the real services, when it is needed.

Every method named in `VALID` gives the parts of a request that is to be answered with 2xx, once.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nacl.public import PrivateKey
from pydantic import SecretStr

from api.client.reports import Report, sealed_report
from api.crypto.envelopes import entry_id, public_key
from api.crypto.joining import prove_join
from api.crypto.oprf import hash_to_group
from api.services.queue import Question
from api.services.stretching import canonical
from schemas.base import Category, Kind, Severity, encode_base64
from schemas.callers import Caller, Role
from schemas.documents import Envelope, Retract, RetractReason
from schemas.lookups import PlainIdentifier
from schemas.moderation import Approval, Dispute, QueueItem
from schemas.reports import Consent, Police, SealedSubmission, Warn
from tests.e2e.conftest import Stage, new_member, this_month
from tests.factories import submission
from tests.hostile import Peer, leaf_of

BATCH = 12
JSON = dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """What a request is made of; None: as it was generated."""

    path: JSON | None = None
    query: JSON | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    signed: bool = False
    """By the peer, as partners sign."""


def as_json(message: Any) -> JSON:
    members: JSON = message.model_dump(mode="json", exclude_none=True)
    return members


@dataclass
class Supplies:
    stage: Stage
    peer: Peer

    def __post_init__(self) -> None:
        self.world, self.cast = self.stage.world, self.stage.cast
        self.month = this_month(self.world)
        self.open: list[QueueItem] = []
        self.receipts: list[str] = []
        self.held: list[str] = []
        self.members = [self.world.member("rose") for _ in range(BATCH)]

    # Who asks.

    @property
    def member(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.cast.member}"}

    @property
    def moderator(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.cast.rose[0].bearer}"}

    @property
    def caller(self) -> Caller:
        return self.world.caller(self.cast.rose[0])

    # What there is.

    def item(self) -> QueueItem:
        """An open report, about the same number as the next one."""
        if not self.open:
            person = self.person()
            for member in self.members:
                report = {"identifiers": [person], "severity": Severity.RISK, "month": self.month}
                self.receipts.append(self.world.file(member, **report))
            self.open = self.about(self.token(person))
        return self.open.pop()

    def person(self) -> PlainIdentifier:
        """Somebody whom nobody has reported yet."""
        return PlainIdentifier(
            kind=Kind.EMAIL, value=SecretStr(f"{secrets.token_hex(8)}@example.org")
        )

    def token(self, person: PlainIdentifier) -> bytes:
        with self.world.parts.store.read() as tx:
            held = self.world.parts.instance.held(tx)
        stretching = self.world.parts.stretching
        return stretching.tokens([canonical(person)], held.identity, held.evaluator)[0]

    def about(self, token: bytes) -> list[QueueItem]:
        """What the queue shows of those who hold a token."""
        return self.world.parts.queue.page(Question(None, token, None, 100), self.caller).items

    def signed(self, item: QueueItem) -> Envelope:
        document = self.world.document(item, "rose")
        return self.world.envelope(document, self.cast.rose[0])

    def retraction(self, reason: RetractReason) -> tuple[str, Envelope]:
        """What takes away a report that is approved just now; and its id."""
        item = self.item()
        envelope = self.signed(item)
        self.world.parts.moderation.approve(item.id, Approval(envelope=envelope), self.caller)
        document = Retract(
            origin=self.world.origin, collective="rose", rid=secrets.token_hex(16),
            target=entry_id(envelope.payload_type, envelope.payload), reason=reason,
            issued=f"{self.world.clock.now:%Y-%m-%d}",
        )  # fmt: skip
        return item.id, self.world.envelope(document, self.cast.rose[0])

    def receipt(self) -> str:
        if not self.receipts:
            self.open = []
            self.item()
        return self.receipts.pop()

    def entry(self) -> str:
        """A partner's report that waits."""
        if not self.held:
            some = [self.peer.risk(n, month=self.month) for n in range(BATCH)]
            self.peer.taken(*some)
            self.held = [leaf_of(one).hex() for one in some]
        return self.held.pop()

    def sealed(self, readers: int = 2) -> SealedSubmission:
        """A report by a caller with cryptography, which so many moderators can read."""
        person = self.person()
        consent = Consent(warn=Warn.NETWORK, police=Police.NEVER, research=False)
        report = Report([canonical(person)], [Category.THEFT], Severity.RISK, self.month, consent)
        body = sealed_report(
            report, self.world.identity, "rose", [self.token(person)], secrets.token_bytes
        )
        whole = SealedSubmission.model_validate_json(body)
        mine = [one for one in whole.sealed.keys if one.kid == self.cast.rose[0].kid]
        sealed = whole.sealed.model_copy(
            update={"keys": mine if readers == 1 else whole.sealed.keys}
        )
        return whole.model_copy(update={"sealed": sealed})

    # Requests.

    def evaluations(self) -> Parts:
        elements = [
            encode_base64(hash_to_group(secrets.token_bytes(32)))
            for _ in range(1 + secrets.randbelow(10))
        ]
        return Parts(headers=self.member, body={"epoch": 1, "elements": elements})

    def bucket(self) -> Parts:
        bits = self.world.parts.lookups.network().buckets.bits
        return Parts({"epoch": 1, "bits": bits, "index": 0}, headers=self.member)

    def public(self) -> Parts:
        return Parts()

    def identity(self) -> Parts:
        newest = self.world.identity.version
        if secrets.randbelow(2):
            return Parts(query={"version": 1 + secrets.randbelow(newest)}, signed=True)
        return Parts(query={}, headers=self.member)

    def lookups(self) -> Parts:
        some = [
            {"kind": "phone", "value": f"07700 900{secrets.randbelow(1000):03}", "region": "GB"}
            for _ in range(1 + secrets.randbelow(3))
        ]
        return Parts(headers=self.member, body={"identifiers": some})

    def reports(self) -> Parts:
        if secrets.randbelow(2):
            return Parts(headers=self.member, body=as_json(self.sealed()))
        message = submission(month=self.month)
        body = as_json(message)
        body["identifiers"] = [{"kind": "phone", "value": "07700 900113", "region": "GB"}]
        body["account"] = {"text": "Synthetic account, for tests.", "flags": ["weapon"]}
        return Parts(headers=self.member, body=body)

    def receipts_body(self) -> Parts:
        return Parts(body={"receipt": self.receipt()})

    def tokens(self) -> Parts:
        role = Role.MODERATOR if secrets.randbelow(8) == 0 else Role.MEMBER
        # Of a collective of their own: more moderators would need more signatures elsewhere.
        code = self.world.parts.callers.invite("thorn", role, 1).invitations[0].code
        if role is Role.MEMBER:
            return Parts(body={"code": code})
        seed, box = secrets.token_bytes(32), bytes(PrivateKey.generate().public_key)
        keys = (public_key(seed), box, prove_join(seed, code, box))
        names = ("sign", "box", "proof")
        return Parts(
            body={
                "code": code,
                "keys": {name: encode_base64(key) for name, key in zip(names, keys, strict=True)},
            }
        )

    def leave(self) -> Parts:
        return Parts(headers={"Authorization": f"Bearer {new_member(self.world)}"})

    def feed(self) -> Parts:
        return Parts(signed=True)

    def feed_page(self) -> Parts:
        return Parts(query={"from": secrets.randbelow(3), "limit": 100}, signed=True)

    def witness(self) -> Parts:
        return Parts(query={"log": self.peer.log}, signed=True)

    def returned_identity(self) -> Parts:
        return Parts(query={"version": 1}, signed=True)

    def held_page(self) -> Parts:
        return Parts(query={"limit": 3}, headers=self.moderator)

    def held_entry(self) -> Parts:
        return Parts({"entry": self.entry()}, headers=self.moderator, body={"kind": "report"})

    def queue(self) -> Parts:
        query = {"limit": 5, "token": encode_base64(self.world.token(secrets.randbelow(1000)))}
        return Parts(query=query, headers=self.moderator)

    def approve(self) -> Parts:
        item = self.item()
        return self._on(item.id, {"envelope": as_json(self.signed(item))})

    def reject(self) -> Parts:
        return self._on(self.item().id, {"reason": "too-little"})

    def merge(self) -> Parts:
        if len(self.open) < 2:
            self.open = []
        return self._on(self.item().id, {"into": self.item().id})

    def retract(self) -> Parts:
        id_, envelope = self.retraction(RetractReason.ERROR)
        return self._on(id_, {"envelope": as_json(envelope)})

    def dispute(self) -> Parts:
        id_, envelope = self.retraction(RetractReason.DISPUTED)
        return self._on(id_, {"envelope": as_json(envelope)})

    def release(self) -> Parts:
        id_, envelope = self.retraction(RetractReason.DISPUTED)
        self.world.parts.moderation.dispute(id_, Dispute(envelope=envelope), self.caller)
        return self._on(id_)

    def reseal(self) -> Parts:
        message = self.sealed(readers=1)
        member = self.members[0]
        body = message.request_id.encode()
        self.world.parts.reports.submit(message, body, member)
        (item,) = self.about(message.identifiers[0].token)
        kid, sealed = self.cast.rose[1].kid, encode_base64(secrets.token_bytes(80))
        return self._on(item.id, {"kid": kid, "sealed": sealed})

    def invite(self) -> Parts:
        return Parts(headers=self.moderator, body={"count": 2})

    def end_member(self) -> Parts:
        code = self.world.parts.callers.invite("rose", Role.MEMBER, 1).invitations[0]
        return Parts({"member": code.id}, headers=self.moderator)

    def _on(self, report: str, body: Any = None) -> Parts:
        return Parts({"report_id": report}, headers=self.moderator, body=body)


VALID: Mapping[str, Callable[[Supplies], Parts]] = {
    "POST /v1/evaluations": Supplies.evaluations,
    "GET /v1/buckets/{epoch}/{bits}/{index}": Supplies.bucket,
    "GET /v1/network": Supplies.public,
    "GET /v1/identity": Supplies.identity,
    "POST /v1/lookups": Supplies.lookups,
    "POST /v1/reports": Supplies.reports,
    "POST /v1/receipts/status": Supplies.receipts_body,
    "POST /v1/receipts/withdraw": Supplies.receipts_body,
    "POST /v1/tokens": Supplies.tokens,
    "DELETE /v1/tokens/current": Supplies.leave,
    "GET /.well-known/parasol": Supplies.public,
    "GET /feed/v1/checkpoint": Supplies.feed,
    "GET /feed/v1/entries": Supplies.feed_page,
    "GET /feed/v1/witness": Supplies.witness,
    "GET /feed/v1/returns/identity": Supplies.returned_identity,
    "GET /feed/v1/returns": Supplies.feed_page,
    "GET /livez": Supplies.public,
    "GET /readyz": Supplies.public,
    "GET /v1/moderation/held": Supplies.held_page,
    "POST /v1/moderation/held/{entry}/accept": Supplies.held_entry,
    "POST /v1/moderation/held/{entry}/refuse": Supplies.held_entry,
    "GET /v1/moderation/reports": Supplies.queue,
    "POST /v1/moderation/reports/{report_id}/approve": Supplies.approve,
    "POST /v1/moderation/reports/{report_id}/reject": Supplies.reject,
    "POST /v1/moderation/reports/{report_id}/merge": Supplies.merge,
    "POST /v1/moderation/reports/{report_id}/retract": Supplies.retract,
    "POST /v1/moderation/reports/{report_id}/dispute": Supplies.dispute,
    "POST /v1/moderation/reports/{report_id}/release": Supplies.release,
    "POST /v1/moderation/reports/{report_id}/reseal": Supplies.reseal,
    "POST /v1/moderation/invitations": Supplies.invite,
    "DELETE /v1/moderation/members/{member}": Supplies.end_member,
}
