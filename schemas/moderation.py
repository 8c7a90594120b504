"""What moderators are shown and what they decide (PROTOCOL.md §6)."""

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from schemas.base import Base64, Category, Key32, KeyId, Message, Month, Ordinal, Rid, Severity
from schemas.documents import Envelope
from schemas.reports import Consent, SealedAccount, Status, TokenIdentifier


class RejectReason(StrEnum):
    """Why a report is not published; there is no free text, so it can name nobody."""

    OUTSIDE_RULES = "outside-rules"
    NOT_CREDIBLE = "not-credible"
    TOO_LITTLE = "too-little"
    UNREADABLE = "unreadable"
    OTHER = "other"


class QueueItem(Message):
    """A report as a moderator of its collective sees it."""

    id: Rid
    status: Status
    epoch: Ordinal
    categories: list[Category]
    severity: Severity
    month: Month
    consent: Consent
    wait_days: int
    request_id: Rid
    identifiers: list[TokenIdentifier]
    sealed: SealedAccount
    same_reporter: list[Rid]
    approvals: int
    needed: int
    overdue: bool
    """A danger report that has waited over 24 hours, any other over 7 days."""
    replaces: Key32 | None = None
    """After a dispute: the entry that the new signed report must name, which is `former`'s."""
    former: Envelope | None = None
    envelope: Envelope | None = None
    retraction: Envelope | None = None


class QueuePage(Message):
    """A page of reports; `next`, where there is more, is the `after` of the next page."""

    items: list[QueueItem]
    next: str | None = None


class Approval(Message):
    """Approves a report; without an envelope only where the reporter wants no warning."""

    envelope: Envelope | None = None


class ApprovalAnswer(Message):
    """What the decision led to, and how many of the needed moderators have made it."""

    status: Status
    approvals: int
    needed: int


class Rejection(Message):
    """Ends a report unpublished."""

    reason: RejectReason


class Merge(Message):
    """Ends a report as a part of another one."""

    into: Rid


class Retraction(Message):
    """Takes a published report away."""

    envelope: Envelope


class Dispute(Message):
    """Hides a published report while it is reviewed."""

    envelope: Envelope | None = None


class Reseal(Message):
    """The box key of a report for a colleague who joined later."""

    kid: KeyId
    sealed: Annotated[bytes, Base64(80, 80)]


QueueCursor = Annotated[str, StringConstraints(pattern=r"^[0-2]\.[0-9]{1,18}$")]
