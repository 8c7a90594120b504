"""Partners' reports on hold: what waits for a moderator here (PROTOCOL.md §§6, 8)."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from api.errors import Conflict, Forbidden, NotFound
from api.services.callers import moderating
from api.services.instance import Clock, Instance, to_the_hour
from api.store.engine import Store
from api.store.foreign import HeldReport
from api.store.transaction import Transaction
from api.trust import active_moderators
from schemas.base import Kind, Severity
from schemas.callers import Caller
from schemas.documents import Envelope, ReportDocument
from schemas.feed import Policy
from schemas.held import Decision, HeldAnswer, HeldItem, HeldKind, HeldPage, HeldQuestion, Why
from schemas.partner_tables import ForeignIdentifierRow
from schemas.reports import TokenIdentifier
from schemas.tables import AuditRow

OPERATOR = "operator"
SUBJECT_DIGITS = 40
"""So much of an entry id as the audit trail names it by."""


class Held:
    """Each public method is one transaction; of several decisions at once one holds."""

    def __init__(self, store: Store, instance: Instance, clock: Clock) -> None:
        """Read from `store`; who moderates is told by the identity of `instance`."""
        self._store = store
        self._instance = instance
        self._clock = clock

    def page(self, after: str | None, limit: int, caller: Caller) -> HeldPage:
        """Return a page of what waits, for a moderator of any collective here.

        Danger first, oldest first. Raises Forbidden.
        """
        with self._store.read() as tx:
            self._moderator(tx, caller)
            return self._page(tx, after, limit, decided=False)

    def decide(
        self, entry: bytes, caller: Caller, *, accept: bool, question: HeldQuestion | None = None
    ) -> HeldAnswer:
        """Accept or refuse a report, or its erasure: accepted it is erased, refused it stays.

        Raises Forbidden, NotFound, or Conflict where it does not wait (any longer), or waits as
        something else than what `question` names.
        """
        with self._store.begin() as tx:
            moderator = self._moderator(tx, caller)
            found = self._found(tx, entry)
            seen = None if question is None else question.kind
            if not found.waits or seen not in (None, _kind(found)):
                raise Conflict
            trail = _Trail(self._clock(), moderator, caller.collective)
            if found.report.erasing:
                _decide_erasure(tx, trail, found, accept=accept)
            else:
                _decide_report(tx, trail, found, _decision(accept=accept))
        return HeldAnswer(decision=_decision(accept=accept))

    def list_for_operator(
        self, after: str | None, limit: int, *, decided: bool = False
    ) -> HeldPage:  # fmt: skip
        """Return a page of what waits, or of the reports that were decided, for the operator."""
        with self._store.read() as tx:
            return self._page(tx, after, limit, decided=decided)

    def settle(
        self, entry: bytes, decision: Decision | None, kind: HeldKind = HeldKind.REPORT
    ) -> None:
        """Set the decision about a report as the operator, whatever it was; None: reopen it.

        With kind `erasure`, decide about one that is held, instead. Raises NotFound, or Conflict
        where nothing would change.
        """
        with self._store.begin() as tx:
            found = self._found(tx, entry)
            trail = _Trail(self._clock(), OPERATOR, "")
            if kind is HeldKind.REPORT and found.report.decision != decision:
                _decide_report(tx, trail, found, decision)
            elif kind is HeldKind.ERASURE and found.report.erasing and decision is not None:
                _decide_erasure(tx, trail, found, accept=decision is Decision.ACCEPTED)
            else:
                raise Conflict

    def _moderator(self, tx: Transaction, caller: Caller) -> str:
        moderator = moderating(caller)
        active = active_moderators(self._instance.refresh(tx), caller.collective)
        if all(one.id != moderator for one in active):
            raise Forbidden
        return moderator

    def _today(self) -> str:
        return f"{self._clock():%Y-%m-%d}"

    def _found(self, tx: Transaction, entry: bytes) -> HeldReport:
        found = tx.foreign.find(entry, self._today())
        if found is None:
            raise Conflict if tx.foreign.has(entry) else NotFound
        return found

    def _page(self, tx: Transaction, after: str | None, limit: int, *, decided: bool) -> HeldPage:
        ask = tx.foreign.decided if decided else tx.foreign.held
        start = None if after is None else tuple(int(part) for part in after.split("."))
        rows = ask(self._today(), start, limit + 1)
        shown = rows[:limit]
        tokens = tx.foreign.tokens([one.report for one in shown])
        known = tx.foreign.known(tokens, self._today())
        items = [_item(one, tokens[one.place], known[one.place], decided=decided) for one in shown]
        following = None
        if len(rows) > limit:
            last = shown[-1]
            following = ".".join(map(str, (last.rank, *last.place)))
        return HeldPage(items=items, next=following)


class _Trail(NamedTuple):
    """Who decides, when, and for which collective of ours: none where it is the operator."""

    now: datetime
    actor: str
    collective: str

    def note(self, tx: Transaction, found: HeldReport, before: str, after: str) -> None:
        """Add to the audit trail."""
        tx.audit.add(
            AuditRow(
                at=to_the_hour(self.now),
                collective=self.collective,
                subject=found.entry.leaf.hex()[:SUBJECT_DIGITS],
                actor=self.actor,
                before=before,
                after=after,
                reason=_why(found),
            )
        )


def _decide_report(
    tx: Transaction, trail: _Trail, found: HeldReport, decision: Decision | None
) -> None:
    before = found.report.decision
    trail.note(tx, found, before or "held", decision or "held")
    if not tx.foreign.decide(found.report, decision):
        raise Conflict
    if Decision.ACCEPTED in (before, decision):
        tx.foreign.unseal_report(found.report)


def _decide_erasure(tx: Transaction, trail: _Trail, found: HeldReport, *, accept: bool) -> None:
    trail.note(tx, found, "erasing", "erased" if accept else "kept")
    if not tx.foreign.keep(found.report):
        raise Conflict
    if accept:
        tx.foreign.unseal_report(found.report)
        tx.foreign.erase([found.place])


def _item(
    found: HeldReport, tokens: Sequence[ForeignIdentifierRow], known: int, *, decided: bool
) -> HeldItem:
    report = found.report
    assert found.entry.envelope is not None
    document = ReportDocument.decode(Envelope.model_validate_json(found.entry.envelope).payload)
    return HeldItem(
        entry=found.entry.leaf.hex(),
        kind=_kind(found),
        why=_why(found),
        origin=found.origin,
        collective=report.collective,
        issued=document.issued,
        expires=report.expires,
        categories=list(document.categories),
        severity=Severity(report.severity),
        month=report.month,
        identifiers=[TokenIdentifier(kind=Kind(row.kind), token=row.token) for row in tokens],
        known=known,
        decision=Decision(report.decision) if decided and report.decision else None,
    )


def _kind(found: HeldReport) -> HeldKind:
    return HeldKind.ERASURE if found.report.erasing else HeldKind.REPORT


def _why(found: HeldReport) -> Why:
    """Return why it waits, or waited; an erasure is never held but for its number."""
    if found.report.erasing or (found.report.over_quota and found.policy != Policy.HOLD):
        return Why.QUOTA
    return Why.POLICY


def _decision(*, accept: bool) -> Decision:
    return Decision.ACCEPTED if accept else Decision.REFUSED
