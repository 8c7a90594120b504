import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from api.crypto.envelopes import key_id, public_key
from api.crypto.failures import InvalidInput
from api.crypto.sealing import SealedParts, open_account, open_box_key, seal_box_key
from api.errors import Conflict, Refusal
from schemas.base import Category, Kind, Severity
from schemas.callers import Caller, Role
from schemas.documents import (
    Envelope,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Signature,
)
from schemas.documents import Status as Standing
from schemas.reports import (
    Approval,
    Dispute,
    Merge,
    QueueItem,
    Rejection,
    RejectReason,
    Reseal,
    Retraction,
    Status,
    Warn,
)
from tests.factories import NETWORK, ORIGIN, Moderator, World, refused

REJECTION = Rejection(reason=RejectReason.NOT_CREDIBLE)
NOBODY = "0" * 32


@dataclass(frozen=True)
class Filed:
    """A report, and the document that a moderator would sign for it."""

    number: int
    id: str
    receipt: str
    document: ReportDocument


@dataclass
class Rose:
    """A collective with an early moderator, and a late one to whom nothing is sealed yet."""

    world: World
    early: Moderator
    member: Caller
    other: Caller
    month: str = "2024-11"
    severity: Severity = Severity.RISK

    @classmethod
    def of(cls, world: World) -> "Rose":
        (early,) = world.collective("rose", 1)
        return cls(world, early, world.member("rose"), world.member("rose"))

    def file(self, number: int, **changes: Any) -> Filed:
        """File a report that no moderator has seen yet."""
        fields = {"severity": self.severity, "month": self.month} | changes
        receipt = self.world.file(self.member, number, **fields)
        row = self.world.rows("report")[-1]
        document = ReportDocument(
            origin=ORIGIN,
            collective="rose",
            rid=secrets.token_hex(16),
            issued="2026-11-23",
            expires="2026-11-30",
            categories=(Category.ROBBERY,),
            severity=self.severity,
            month=self.month,
            network=NETWORK,
            epoch=1,
            identifiers=(ReportedIdentifier(kind=Kind.PHONE, token=self.world.token(number)),),
        )
        return Filed(number, row["id"], receipt, document)

    @property
    def caller(self) -> Caller:
        return self.world.caller(self.early)

    def approve(self, filed: Filed) -> None:
        envelope = None
        if self.world.rows("report") and filed.document is not None:
            envelope = self.world.envelope(filed.document, self.early)
        self.world.parts.moderation.approve(filed.id, Approval(envelope=envelope), self.caller)

    def record(self, filed: Filed) -> None:
        self.world.parts.moderation.approve(filed.id, Approval(), self.caller)

    def reject(self, filed: Filed) -> None:
        self.world.parts.moderation.reject(filed.id, REJECTION, self.caller)

    def merge(self, filed: Filed) -> None:
        """Merge into a report by somebody else about the same number."""
        self.world.file(self.other, filed.number, severity=Severity.RISK, month="2026-10")
        into = self.world.rows("report")[-1]["id"]
        before = self.world.dump()
        try:
            self.world.parts.moderation.merge(filed.id, Merge(into=into), self.caller)
        finally:
            if any(row["id"] == filed.id for row in self.world.rows("report")):
                assert self.world.dump() == before

    def _retract(self, filed: Filed, reason: RetractReason) -> Envelope:
        document = Retract(
            origin=ORIGIN,
            collective="rose",
            rid=secrets.token_hex(16),
            target=entry(filed.document),
            reason=reason,
            issued="2026-11-23",
        )
        return self.world.envelope(document, self.early)

    def retract(self, filed: Filed) -> None:
        retraction = Retraction(envelope=self._retract(filed, RetractReason.ERROR))
        self.world.parts.moderation.retract(filed.id, retraction, self.caller)

    def dispute(self, filed: Filed) -> None:
        dispute = Dispute(envelope=self._retract(filed, RetractReason.DISPUTED))
        self.world.parts.moderation.dispute(filed.id, dispute, self.caller)

    def release(self, filed: Filed) -> None:
        self.world.parts.moderation.release(filed.id, self.caller)
