"""A partner's reports, stored as its follower stores them."""

import secrets
from dataclasses import dataclass
from typing import Any

from api.crypto.buckets import bucket_word
from api.crypto.envelopes import entry_id
from api.store.arrivals import NewEntry, NewIdentifier, NewReport, NewWord
from api.trust import latest_expiry
from schemas.base import Category, Kind, Severity
from schemas.documents import Envelope, ReportDocument, ReportedIdentifier, Signature
from schemas.feed import Policy
from schemas.partner_tables import PartnerRow
from tests.factories import NETWORK, World


@dataclass
class Partner:
    """An instance that `world` follows, without any network."""

    world: World
    origin: str = "beta.example"
    policy: Policy = Policy.HOLD
    size: int = 0

    def __post_init__(self) -> None:
        row = PartnerRow(
            origin=self.origin, feed=f"https://{self.origin}", root=secrets.token_bytes(32),
            policy=self.policy, reports_a_day=50, erasures_a_day=20, state="following",
        )  # fmt: skip
        with self.world.parts.store.begin() as tx:
            self.id = tx.partners.add(row)

    def report(self, *numbers: int, **changes: Any) -> str:
        """Let a report about reserved numbers arrive; return its entry id as hex."""
        with self.world.parts.store.begin() as tx:
            entry, *rows = self._rows(numbers or (113,), changes)
            tx.arrivals.add(*rows)
        return str(entry.hex())

    def set_policy(self, policy: Policy, collective: str | None = None) -> None:
        """Change the policy of the partner, or of a collective of it, as the operator."""
        partners = self.world.parts.partners
        if collective is None:
            partners.set_policy(self.origin, policy)
        else:
            partners.set_collective_policy(self.origin, collective, policy)

    def _rows(self, numbers: tuple[int, ...], changes: dict[str, Any]) -> tuple[Any, ...]:
        world, document = self.world, self._document(numbers, changes)
        place: dict[str, Any] = {"partner": self.id, "log": 1, "seq": self.size}
        self.size += 1
        signature = Signature(keyid=f"{'A' * 43}=", sig=bytes(64))
        envelope = Envelope.around(document, [signature])
        entry = entry_id(document.payload_type, document.encode())
        report: dict[str, Any] = {
            "collective": document.collective,
            "severity": document.severity,
            "month": document.month,
            "expires": document.expires,
            "signers": "m-1",
            "needed": 1,
            "standing": "standing",
            "over_quota": False,
            "erasing": False,
            "decision": None,
        }
        report |= {name: value for name, value in changes.items() if name in report}
        words = [
            bucket_word(one.token, NETWORK, world.identity.epoch) for one in document.identifiers
        ]
        identifiers = [
            NewIdentifier(**place, position=n, kind=one.kind, token=one.token, word=word)
            for n, (one, word) in enumerate(zip(document.identifiers, words, strict=True))
        ]
        text = envelope.model_dump_json()
        stored = NewEntry(**place, leaf=entry, envelope=text, outcome="applied")
        changed = [NewWord(word) for word in words]
        return entry, [stored], [NewReport(**place, **report)], identifiers, changed

    def _document(self, numbers: tuple[int, ...], changes: dict[str, Any]) -> ReportDocument:
        severity = changes.get("severity", Severity.DANGER)
        month = changes.get("month", "2026-10")
        tokens = [self.world.token(number) for number in numbers]
        return ReportDocument(
            origin=self.origin,
            collective=changes.get("collective", "lily"),
            rid=secrets.token_hex(16),
            issued=f"{self.world.clock.now:%Y-%m-%d}",
            expires=changes.get("expires", f"{latest_expiry(month, severity)}"),
            categories=(Category.ROBBERY,),
            severity=severity,
            month=month,
            network=NETWORK,
            epoch=self.world.identity.epoch,
            identifiers=tuple(ReportedIdentifier(kind=Kind.PHONE, token=one) for one in tokens),
        )
