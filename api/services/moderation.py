"""What moderators decide (PROTOCOL.md §6). Their keys are never here: they send signatures."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from api.crypto.envelopes import entry_id, key_id
from api.crypto.failures import InvalidInput
from api.errors import Conflict, Forbidden, InvalidRequest, NotFound
from api.services.callers import moderating
from api.services.instance import Clock, Instance, hour_from, to_the_hour
from api.services.log import Log
from api.services.transitions import LIVE, OPEN, end, move, note, replaced, send_back, take_up
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import (
    active_moderators,
    open_report,
    open_retract,
    signatures_needed,
    signers,
    standing_signers,
)
from schemas.base import Severity
from schemas.callers import Caller
from schemas.documents import (
    Envelope,
    EraseReason,
    Identity,
    ReportDocument,
    Retract,
    RetractReason,
)
from schemas.moderation import (
    Approval,
    ApprovalAnswer,
    Dispute,
    Merge,
    Rejection,
    Reseal,
    Retraction,
)
from schemas.reports import (
    MOST_READERS,
    SealedAccount,
    SealedKey,
    Status,
    StatusAnswer,
    Warn,
)
from schemas.tables import RecordedRow, ReportRow

LISTED = (Status.APPROVED, Status.PUBLISHED)
ERASED: Mapping[RetractReason, EraseReason] = MappingProxyType(
    {
        RetractReason.REPORTER_REQUEST: EraseReason.REPORTER_REQUEST,
        RetractReason.OBJECTION: EraseReason.OBJECTION,
        RetractReason.LEGAL: EraseReason.LEGAL,
    }
)
"""The reasons for which not even the log keeps what was said."""


class _Desk(NamedTuple):
    """One decision at work: the transaction, the moment, the identity in force, and who decides."""

    tx: Transaction
    now: datetime
    identity: Identity
    moderator: str
    collective: str


class Moderation:
    """Each public method is one decision, in one transaction; of several at once one holds."""

    def __init__(
        self, store: Store, instance: Instance, log: Log, clock: Clock, delay: Callable[[], int]
    ) -> None:
        """`delay()` gives the seconds until a report that is no danger may be published."""
        self._store = store
        self._instance = instance
        self._log = log
        self._clock = clock
        self._delay = delay

    def approve(self, report_id: str, approval: Approval, caller: Caller) -> ApprovalAnswer:
        """Add a moderator's signature to a report; with enough of them it is approved.

        A report whose reporter wants no warning is recorded instead, without a signature.
        Raises NotFound, Conflict (with `into` where the same reporter's report is live already),
        InvalidRequest, or InvalidInput with an entry code.
        """
        with self._store.begin() as tx:
            desk = self._desk(tx, caller)
            report = self._taken_up(desk, report_id)
            if report.warn in (Warn.STATISTICS, Warn.NONE):
                return self._record(desk, report, approval)
            if approval.envelope is None:
                raise InvalidRequest
            return self._sign(desk, report, approval.envelope)

    def reject(self, report_id: str, rejection: Rejection, caller: Caller) -> StatusAnswer:
        """End a report unpublished."""
        with self._store.begin() as tx:
            desk = self._desk(tx, caller)
            report = self._taken_up(desk, report_id)
            end(tx, desk.now, report, desk.moderator, Status.REJECTED, rejection.reason)
        return StatusAnswer(status=Status.REJECTED)

    def merge(self, report_id: str, merge: Merge, caller: Caller) -> StatusAnswer:
        """End a report as part of another one about the same token."""
        with self._store.begin() as tx:
            desk = self._desk(tx, caller)
            tx.reports.lock((report_id, merge.into))
            into = self._find(desk, merge.into, (*OPEN, *LIVE))
            report = self._taken_up(desk, report_id)
            if into.id == report.id or not tx.reports.share_token(report, into):
                raise Conflict
            end(tx, desk.now, report, desk.moderator, Status.MERGED)
        return StatusAnswer(status=Status.MERGED)

    def retract(self, report_id: str, retraction: Retraction, caller: Caller) -> ApprovalAnswer:
        """Take an approved report away for good; for danger with two moderators."""
        with self._store.begin() as tx:
            desk = self._desk(tx, caller)
            report = self._find(desk, report_id, LIVE)
            answer = self._withdraw(desk, report, retraction.envelope, disputed=False)
            if answer.approvals < answer.needed:
                return answer
            end(tx, desk.now, report, desk.moderator, Status.REMOVED)
            reason = Retract.decode(retraction.envelope.payload).reason
            if reason in ERASED:
                self._log.erase(tx, desk.identity, report.id, ERASED[reason])
        return answer.model_copy(update={"status": Status.REMOVED})

    def dispute(self, report_id: str, dispute: Dispute, caller: Caller) -> ApprovalAnswer:
        """Hide an approved report while it is reviewed; for danger with two moderators.

        A local report that one moderator may hide needs no envelope: no partner hears of it.
        """
        with self._store.begin() as tx:
            desk = self._desk(tx, caller)
            report = self._find(desk, report_id, LISTED)
            needed = self._needed(desk, report)
            if dispute.envelope is not None:
                answer = self._withdraw(desk, report, dispute.envelope, disputed=True)
            elif report.warn == Warn.LOCAL and needed == 1:
                answer = ApprovalAnswer(status=Status(report.status), approvals=1, needed=1)
            else:
                raise InvalidInput("too-few-signatures")
            if answer.approvals < answer.needed:
                return answer
            retraction = {} if report.retraction is None else {"retraction": None}
            move(tx, desk.now, report, desk.moderator, Status.DISPUTED, retraction)
        return answer.model_copy(update={"status": Status.DISPUTED})

    def release(self, report_id: str, caller: Caller) -> StatusAnswer:
        """Take back what is pending: a dispute, or a decision that still lacks a signature.

        A disputed report goes back to review, to be approved again by a signed report that
        `replaces` the former entry.
        """
        with self._store.begin() as tx:
            desk = self._desk(tx, caller)
            report = self._find(desk, report_id, (*OPEN, *LIVE))
            if report.status == Status.DISPUTED:
                send_back(tx, desk.now, report, desk.moderator, former=report.envelope)
                return StatusAnswer(status=Status.IN_REVIEW)
            if report.status in LISTED and report.retraction is not None:
                pending: dict[str, None] = {"retraction": None}
            elif report.status == Status.IN_REVIEW and report.envelope is not None:
                pending = {"envelope": None, "entry": None}
            else:
                raise Conflict
            status = Status(report.status)
            note(tx, desk.now, report, desk.moderator, status, "released")
            if not tx.reports.change(report, (status,), **pending):
                raise Conflict
        return StatusAnswer(status=status)

    def reseal(self, report_id: str, reseal: Reseal, caller: Caller) -> StatusAnswer:
        """Let a colleague who joined later read a report; raise Conflict where she can already."""
        with self._store.begin() as tx:
            desk = self._desk(tx, caller)
            report = self._find(desk, report_id, (*OPEN, *LIVE))
            sealed = SealedAccount.model_validate_json(report.sealed)
            active = {key_id(one.sign) for one in active_moderators(desk.identity, desk.collective)}
            if reseal.kid not in active:
                raise InvalidInput("unknown-key")
            readers = {key.kid for key in sealed.keys}
            if reseal.kid in readers or len(readers) >= MOST_READERS:
                raise Conflict
            keys = [*sealed.keys, SealedKey(kid=reseal.kid, sealed=reseal.sealed)]
            text = sealed.model_copy(update={"keys": keys}).model_dump_json()
            note(desk.tx, desk.now, report, desk.moderator, Status(report.status), "resealed")
            if not tx.reports.change(report, (report.status,), sealed=text):
                raise Conflict
        return StatusAnswer(status=Status(report.status))

    def _desk(self, tx: Transaction, caller: Caller) -> _Desk:
        moderator = moderating(caller)
        tx.collectives.hold_identity()
        identity = self._instance.refresh(tx)
        active = {one.id for one in active_moderators(identity, caller.collective)}
        if moderator not in active:
            raise Forbidden
        return _Desk(tx, self._clock(), identity, moderator, caller.collective)

    def _find(self, desk: _Desk, report_id: str, statuses: Sequence[Status]) -> ReportRow:
        """Return a report, locked. One that has ended, or is elsewhere, is a Conflict."""
        report = desk.tx.reports.find(report_id)
        if report is None or report.collective != desk.collective:
            past = [row for row in desk.tx.audit.of(report_id) if row.collective == desk.collective]
            raise Conflict if past else NotFound
        if report.status not in statuses:
            raise Conflict
        return report

    def _taken_up(self, desk: _Desk, report_id: str) -> ReportRow:
        """Return an open report, which is now in review."""
        report = self._find(desk, report_id, OPEN)
        if report.status == Status.SUBMITTED:
            take_up(desk.tx, desk.now, report, desk.moderator)
            report = self._find(desk, report_id, OPEN)
        return report

    def _sign(self, desk: _Desk, report: ReportRow, envelope: Envelope) -> ApprovalAnswer:
        document = open_report(envelope, desk.identity, today=desk.now.date())
        self._compare(desk, report, document)
        grave = Severity.DANGER in (report.severity, document.severity)
        needed = signatures_needed(desk.identity, desk.collective, danger=grave)
        envelope, signed = self._signed(desk, report.envelope, envelope, needed)
        entry = entry_id(envelope.payload_type, envelope.payload)
        values: dict[str, object] = {"envelope": envelope.model_dump_json(), "entry": entry}
        for other in desk.tx.reports.same_reporter(report):
            if other.status in LIVE:
                raise Conflict(into=other.id)
        if len(signed) < needed:
            note(desk.tx, desk.now, report, desk.moderator, Status.IN_REVIEW, "signed")
            if not desk.tx.reports.change(report, (Status.IN_REVIEW,), **values):
                raise Conflict
            return ApprovalAnswer(status=Status.IN_REVIEW, approvals=len(signed), needed=needed)
        if not desk.tx.reports.set_live(report, live=True):
            raise Conflict
        at_once = document.severity is Severity.DANGER
        soonest = to_the_hour(desk.now) if at_once else hour_from(desk.now) + self._delay()
        values |= {
            "publish_at": max(soonest, report.not_before),
            "published_severity": document.severity,
            "published_month": document.month,
            "expires": document.expires,
        }
        move(desk.tx, desk.now, report, desk.moderator, Status.APPROVED, values)
        return ApprovalAnswer(status=Status.APPROVED, approvals=len(signed), needed=needed)

    def _compare(self, desk: _Desk, report: ReportRow, document: ReportDocument) -> None:
        """Refuse a signed report that is not about what was reported."""
        if document.collective != desk.collective:
            raise InvalidInput("not-yours")
        held = [(one.kind, one.token) for one in desk.tx.reports.identifiers(report)]
        named = [(one.kind, one.token) for one in document.identifiers]
        if named != held or document.replaces != replaced(report):
            raise InvalidInput("malformed")
        if desk.tx.reports.has_entry(
            entry_id(ReportDocument.payload_type, document.encode()), report
        ):
            raise InvalidInput("duplicate")

    def _signed(
        self, desk: _Desk, stored: str | None, envelope: Envelope, needed: int
    ) -> tuple[Envelope, frozenset[str]]:
        """Add the caller's signature to those stored; return all with all who signed.

        Every signature that was sent must hold. Only hers may be new: a colleague's that she
        kept from an earlier report, or one that was released, is not her colleague's decision.
        """
        sent = signers(envelope, desk.identity, desk.collective)
        former = None if stored is None else Envelope.model_validate_json(stored)
        if former is not None and former.payload != envelope.payload:
            raise Conflict
        before: frozenset[str] = frozenset()
        if former is not None:
            before = standing_signers(former, desk.identity, desk.collective)
        if desk.moderator not in sent or not sent - before <= {desk.moderator}:
            raise InvalidInput("too-few-signatures")
        if desk.moderator in before and len(before) < needed:
            raise Conflict
        kept = former.signatures if former is not None else ()
        signatures = {one.keyid: one for one in (*kept, *envelope.signatures)}
        joined = envelope.model_copy(update={"signatures": tuple(signatures.values())})
        return joined, before | sent

    def _record(self, desk: _Desk, report: ReportRow, approval: Approval) -> ApprovalAnswer:
        if approval.envelope is not None:
            raise InvalidRequest
        kept = {}
        if report.warn == Warn.STATISTICS:
            kept = {
                "categories": report.categories,
                "severity": report.severity,
                "month": report.month,
                "expires": report.expires,
            }
        desk.tx.reports.record(RecordedRow(id=report.id, collective=report.collective, **kept))
        end(desk.tx, desk.now, report, desk.moderator, Status.RECORDED)
        return ApprovalAnswer(status=Status.RECORDED, approvals=1, needed=1)

    def _withdraw(
        self, desk: _Desk, report: ReportRow, envelope: Envelope, *, disputed: bool
    ) -> ApprovalAnswer:
        document = open_retract(envelope, desk.identity, today=desk.now.date())
        if document.collective != desk.collective or document.target != report.entry:
            raise InvalidInput("not-yours")
        if (document.reason is RetractReason.DISPUTED) != disputed:
            raise InvalidInput("malformed")
        needed = self._needed(desk, report)
        envelope, signed = self._signed(desk, report.retraction, envelope, needed)
        status = Status(report.status)
        if len(signed) < needed:
            note(desk.tx, desk.now, report, desk.moderator, status, "signed")
            text = envelope.model_dump_json()
            if not desk.tx.reports.change(report, (status,), retraction=text):
                raise Conflict
        else:
            # At once, before anything that still waits: whoever it is about should not wait.
            self._log.retract(desk.tx, desk.identity, report, envelope)
        return ApprovalAnswer(status=status, approvals=len(signed), needed=needed)

    def _needed(self, desk: _Desk, report: ReportRow) -> int:
        grave = report.published_severity == Severity.DANGER
        return signatures_needed(desk.identity, desk.collective, danger=grave)
