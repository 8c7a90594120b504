"""What moderators see of their own collective's reports (PROTOCOL.md §6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.crypto.ristretto import element
from api.errors import Forbidden
from api.services.callers import moderating
from api.services.instance import Clock, Instance
from api.services.transitions import OPEN, replaced, take_up
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import active_moderators, signatures_needed, standing_signers
from schemas.base import Category, Kind, Severity
from schemas.callers import Caller
from schemas.documents import Envelope, Identity, ReportDocument
from schemas.moderation import QueueItem, QueuePage
from schemas.reports import Consent, Police, SealedAccount, Status, TokenIdentifier, Warn
from schemas.tables import ReportRow

LONGEST_WAIT = {
    Severity.DANGER: timedelta(hours=24),
    Severity.RISK: timedelta(days=7),
    Severity.NUISANCE: timedelta(days=7),
}


def is_overdue(severity: Severity, submitted_at: int, now: datetime) -> bool:
    """Tell whether a report of `severity`, filed at `submitted_at` (Unix s), waits too long."""
    return now.timestamp() - submitted_at > LONGEST_WAIT[severity].total_seconds()


@dataclass(frozen=True, slots=True)
class Question:
    """Which reports to show: by default the open ones, or all that hold a token."""

    status: Status | None
    token: bytes | None
    after: str | None
    limit: int

    @property
    def statuses(self) -> Sequence[Status] | None:
        """The statuses asked for; None for any."""
        if self.status is not None:
            return (self.status,)
        return OPEN if self.token is None else None


class Queue:
    """Pages of the queue. A report that is handed to a moderator is in review from then on."""

    def __init__(self, store: Store, instance: Instance, clock: Clock) -> None:
        """Read from `store` under the identity of `instance`."""
        self._store = store
        self._instance = instance
        self._clock = clock

    def page(self, question: Question, caller: Caller) -> QueuePage:
        """Return a page of the caller's collective: danger first, oldest first."""
        moderator = moderating(caller)
        if question.token is not None:
            element(question.token)
        after = None
        if question.after is not None:
            rank, _, seq = question.after.partition(".")
            after = (int(rank), int(seq))
        now = self._clock()
        with self._store.begin() as tx:
            tx.collectives.hold_identity()
            identity = self._instance.refresh(tx)
            if all(one.id != moderator for one in active_moderators(identity, caller.collective)):
                raise Forbidden
            rows = tx.reports.queue(
                caller.collective, question.statuses, question.token, after, question.limit + 1
            )
            shown = rows[: question.limit]
            asked = (self._item(tx, identity, row, moderator, now) for row in shown)
            items = [item for item in asked if item is not None]
            following = None
            if len(rows) > len(shown):
                following = f"{shown[-1].rank}.{shown[-1].seq}"
        return QueuePage(items=items, next=following)

    def _item(
        self, tx: Transaction, identity: Identity, report: ReportRow, moderator: str, now: datetime
    ) -> QueueItem | None:
        """Return what a moderator is shown of `report`; None where it has just ended."""
        identifiers = tx.reports.identifiers(report)
        if not identifiers:
            return None
        status = Status(report.status)
        if status is Status.SUBMITTED:
            take_up(tx, now, report, moderator)
            status = Status.IN_REVIEW
        envelope = _envelope(report.envelope)
        retraction = _envelope(report.retraction)
        pending = retraction or envelope
        severity = Severity(report.severity)
        # Of what is listed, the severity that it is listed with decides who may take it away.
        grave = Severity.DANGER in (report.published_severity or severity, _proposed(report))
        return QueueItem(
            id=report.id,
            status=status,
            epoch=identity.epoch,
            categories=[Category(one) for one in report.categories.split(",")],
            severity=severity,
            month=report.month,
            consent=Consent(
                warn=Warn(report.warn), police=Police(report.police), research=report.research
            ),
            wait_days=report.wait_days,
            request_id=report.request_id,
            identifiers=[
                TokenIdentifier(kind=Kind(one.kind), token=one.token) for one in identifiers
            ],
            sealed=SealedAccount.model_validate_json(report.sealed),
            same_reporter=[one.id for one in tx.reports.same_reporter(report)],
            approvals=(
                len(standing_signers(pending, identity, report.collective)) if pending else 0
            ),
            needed=signatures_needed(identity, report.collective, danger=grave),
            overdue=status in OPEN and is_overdue(severity, report.submitted_at, now),
            replaces=replaced(report),
            former=_envelope(report.former),
            envelope=envelope,
            retraction=retraction,
        )


def _proposed(report: ReportRow) -> Severity | None:
    """Return the severity that a first signature gives a report in review, if there is one."""
    envelope = _envelope(report.envelope)
    if envelope is None or report.status != Status.IN_REVIEW:
        return None
    return ReportDocument.decode(envelope.payload).severity


def _envelope(text: str | None) -> Envelope | None:
    return None if text is None else Envelope.model_validate_json(text)
