"""How a report goes from one status to the next, whoever takes it there (PROTOCOL.md §6)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from api.crypto.envelopes import entry_id
from api.errors import Conflict
from api.services.instance import to_the_hour
from api.store.transaction import Transaction
from api.trust import latest_expiry
from schemas.base import Severity
from schemas.documents import Envelope
from schemas.reports import Status
from schemas.tables import AuditRow, ReportRow

REMEMBERED = timedelta(days=90)
"""How long a receipt still answers when its report is gone."""

NOTHING: Mapping[str, object] = MappingProxyType({})
OPEN = (Status.SUBMITTED, Status.IN_REVIEW)
LIVE = (Status.APPROVED, Status.PUBLISHED, Status.DISPUTED)


def note(
    tx: Transaction, now: datetime, report: ReportRow, actor: str, after: Status,
    reason: str | None = None,
) -> None:  # fmt: skip
    """Add to the audit trail that `actor` takes `report` from its present status to `after`."""
    tx.audit.add(
        AuditRow(
            at=to_the_hour(now), collective=report.collective, subject=report.id, actor=actor,
            before=report.status, after=after, reason=reason,
        )
    )  # fmt: skip


def move(
    tx: Transaction, now: datetime, report: ReportRow, actor: str, after: Status,
    values: Mapping[str, object] = NOTHING, *, reason: str | None = None,
) -> None:  # fmt: skip
    """Take `report` from the status it was read in to `after`; raise Conflict if it has moved on.

    Where it is, or was, listed, the buckets learn of it in the same transaction.
    """
    note(tx, now, report, actor, after, reason)
    if Status.PUBLISHED in (report.status, after):
        tx.reports.unseal(report)
    if not tx.reports.change(report, (report.status,), status=after, **values):
        raise Conflict


def end(
    tx: Transaction, now: datetime, report: ReportRow, actor: str, final: Status,
    reason: str | None = None,
) -> None:  # fmt: skip
    """End `report`: delete its tokens, tags, sealed part and row, once, whoever else tries."""
    move(tx, now, report, actor, final, reason=reason)
    tx.reports.end(report)
    forget_after = f"{now.date() + REMEMBERED}"
    tx.receipts.close(report.id, final, forget_after, linked=final is Status.RECORDED)


def take_up(tx: Transaction, now: datetime, report: ReportRow, actor: str) -> None:
    """Begin to review a submitted report, unless a colleague just did."""
    if tx.reports.change(report, (Status.SUBMITTED,), status=Status.IN_REVIEW):
        tx.audit.add(
            AuditRow(
                at=to_the_hour(now),
                collective=report.collective,
                subject=report.id,
                actor=actor,
                before=Status.SUBMITTED,
                after=Status.IN_REVIEW,
            )
        )


def send_back(
    tx: Transaction, now: datetime, report: ReportRow, actor: str, former: str | None = None
) -> None:
    """Begin the review of a live report anew, without any of its signatures.

    `former` is the signed report that the next one must replace, if others may have seen it.
    """
    tx.reports.set_live(report, live=False)
    reset: dict[str, object] = {
        "entry": None,
        "publish_at": None,
        "published_severity": None,
        "published_month": None,
        "expires": f"{latest_expiry(report.month, Severity(report.severity))}",
    }
    if former is not None:
        reset["former"] = former
    for name in ("envelope", "retraction"):
        if getattr(report, name) is not None:
            reset[name] = None
    move(tx, now, report, actor, Status.IN_REVIEW, reset)


def replaced(report: ReportRow) -> bytes | None:
    """Return the id of the entry that the next signed report must replace, if there is one."""
    if report.former is None:
        return None
    former = Envelope.model_validate_json(report.former)
    return entry_id(former.payload_type, former.payload)
