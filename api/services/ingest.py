"""What becomes of a partner's entries, each judged by itself (PROTOCOL.md §8).

One bad entry is kept as refused and never stops the feed: what stands around it was signed too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from itertools import groupby
from typing import NamedTuple

from api.crypto.buckets import bucket_word
from api.crypto.failures import InvalidInput
from api.services.judging import Candidate, JudgedPage, Step, check_signers, open_all
from api.store.arrivals import NewEntry, NewIdentifier, NewReport, NewWord
from api.store.transaction import Transaction
from api.trust import (
    moderators_of,
    open_log_entry,
    open_retract,
    revocations,
    signatures_needed,
    signers,
)
from schemas.base import Severity
from schemas.documents import (
    Close,
    Envelope,
    Erase,
    EraseReason,
    Identity,
    Keys,
    ReportDocument,
    Retract,
    Status,
)
from schemas.feed import FeedEntry, Policy, SignedEntry
from schemas.partner_tables import (
    ForeignEntryRow,
    ForeignReportRow,
    PartnerRow,
)

STANDING, RETRACTED, REPLACED = "standing", "retracted", "replaced"
APPLIED, ELIDED, REJECTED = "applied", "elided", "rejected:"
CLOSED = "closed"
NOT_KEPT = frozenset({"duplicate", "expired"})
"""Refusals after which not even what was said stays: it is here, or it is erased, or over."""
# Looked at for every report: of an enumeration a member is found more slowly.
DANGER, AUTO = Severity.DANGER, Policy.AUTO
ERASABLE = frozenset({ReportDocument.payload_type, Retract.payload_type})

Convert = Callable[[bytes, int], bytes]
Versions = Callable[[int], Identity | None]


class Terms(NamedTuple):
    """What this instance goes by: its network and epoch, the day, and how tokens come into it.

    `convert(token, epoch)` makes of a token of an earlier epoch one of `epoch`; it raises
    InvalidInput `wrong-epoch` where it can't.
    """

    network: str
    epoch: int
    today: date
    convert: Convert


@dataclass(slots=True)
class _Rows:
    """Rows that wait to be written together."""

    entries: list[NewEntry] = field(default_factory=list)
    reports: list[NewReport] = field(default_factory=list)
    identifiers: list[NewIdentifier] = field(default_factory=list)
    words: list[NewWord] = field(default_factory=list)


class Ingest:
    """Applies the entries of pages, in the transaction that moves our position in the log."""

    def __init__(
        self, tx: Transaction, partner: PartnerRow, identity: Versions, terms: Terms
    ) -> None:
        """Work in `tx` on a locked partner; `identity(version)` is a verified one, or None."""
        assert partner.id is not None
        self._tx = tx
        self._partner = partner
        self._id = partner.id
        self._version = identity
        self._newest = identity(partner.version)
        self._in_force = identity(partner.announced)
        self._terms = terms
        self._policies = tx.partners.policies(self._id)
        self._rows = _Rows()
        self._known: set[bytes] = set()
        if partner.day != f"{terms.today}":
            partner.day = f"{terms.today}"
            partner.reports_today = partner.erasures_today = 0
        # What is asked for every entry, without the detour of a mapped attribute.
        self._log, self._policy = partner.log, partner.policy
        self._reports_today, self._reports_a_day = partner.reports_today, partner.reports_a_day

    def apply(self, pages: Iterable[JudgedPage]) -> None:
        """Keep the entries of pages, do what they say, and move on; a log ends where it says so."""
        for page in pages:
            if self._partner.state != CLOSED:
                self._apply(page)
        self._write()
        self._partner.reports_today = self._reports_today

    def _apply(self, page: JudgedPage) -> None:
        self._known |= self._tx.arrivals.known(self._id, page.opened.leaves)
        for are_reports, run in groupby(page.steps, lambda step: isinstance(step, Candidate)):
            if are_reports:
                self._reports([one for one in run if isinstance(one, Candidate)], page.by)
            else:
                for one in run:
                    self._other(one.entry, one.leaf)
        frontier = page.opened.frontier
        self._partner.size, self._partner.frontier = frontier.size, bytes(frontier)
        self._partner.checkpoint = page.checkpoint

    def _reports(self, candidates: Sequence[Candidate], by: Identity | None) -> None:
        """Take reports that follow each other, each step for all of them.

        Nothing here depends on the report before, and a step stays fast while it is repeated.
        """
        if by != self._in_force:  # another version has come into force in this very page
            open_all(candidates, self._in_force, self._terms.today)
            check_signers(candidates, self._in_force)
        for one in candidates:
            one.refuse_first(self._refuse_known)
        for one in candidates:
            one.attempt(self._convert)
        for one in candidates:
            one.attempt(self._list)
            self._keep(one.entry, one.leaf, one.refusal)

    def _other(self, entry: FeedEntry, leaf: bytes) -> None:
        """Judge an entry that may change what was before it."""
        refusal = None
        if isinstance(entry, SignedEntry):
            try:
                self._refuse_known(Step(entry, leaf))
                self._take(entry)
            except InvalidInput as refused:
                refusal = refused.code
        self._keep(entry, leaf, refusal)

    def _keep(self, entry: FeedEntry, leaf: bytes, refusal: str | None) -> None:
        text = None
        outcome = ELIDED
        if isinstance(entry, SignedEntry):
            outcome = APPLIED
            if refusal not in NOT_KEPT:
                text = entry.text()
        if refusal is None:
            self._known.add(leaf)
        else:
            outcome = f"{REJECTED}{refusal}"
        self._rows.entries.append(NewEntry(self._id, self._log, entry.seq, leaf, text, outcome))

    def _refuse_known(self, one: Step) -> None:
        if self._partner.state == CLOSED:
            raise InvalidInput("unsupported")
        if one.leaf in self._known:
            raise InvalidInput("duplicate")

    def _take(self, envelope: Envelope) -> None:
        if envelope.payload_type == Retract.payload_type:
            self._retract(envelope)
            return
        assert self._newest is not None
        entry = open_log_entry(envelope, self._newest)
        if isinstance(entry, Keys):
            self._announce(entry)
        elif isinstance(entry, Erase):
            self._erase(entry)
        else:
            self._close(entry)

    def _convert(self, one: Candidate) -> None:
        terms, report = self._terms, one.report
        one.tokens = [terms.convert(each.token, report.epoch) for each in report.identifiers]
        one.words = [bucket_word(token, terms.network, terms.epoch) for token in one.tokens]

    def _list(self, one: Candidate) -> None:
        """Let a report count, if enough have signed it and nothing is wrong with its place."""
        self._refuse_known(one)  # once more: the same may stand in this page twice
        report = one.report
        former = self._former(report)
        danger = report.severity is DANGER or (former is not None and former.severity == DANGER)
        needed = signatures_needed(self._identity(), report.collective, danger=danger)
        if len(one.signed) < needed:
            raise InvalidInput("too-few-signatures")
        self._reports_today += 1
        over_quota = self._reports_today > self._reports_a_day
        place = (self._id, self._log, one.entry.seq)
        self._rows.reports.append(
            NewReport(
                *place, report.collective, report.severity, report.month, report.expires,
                ",".join(sorted(one.signed)), needed, STANDING, over_quota,
            )
        )  # fmt: skip
        self._rows.identifiers += [
            NewIdentifier(*place, position, each.kind, token, word)
            for position, (each, token, word) in enumerate(
                zip(report.identifiers, one.tokens, one.words, strict=True)
            )
        ]
        if not over_quota and self._policies.get(report.collective, self._policy) == AUTO:
            self._rows.words += map(NewWord, one.words)
        if former is not None and former.standing != RETRACTED:
            self._tx.arrivals.change(former, standing=REPLACED)

    def _former(self, report: ReportDocument) -> ForeignReportRow | None:
        """Return the report that `report` replaces; None where there is none any more.

        What never came, because it had to stay where it was, can be replaced as well.
        """
        if report.replaces is None:
            return None
        entry, former = self._target(report.replaces) or (None, None)
        if former is not None and former.collective != report.collective:
            raise InvalidInput("not-yours")
        if entry is not None and former is None and entry.outcome == APPLIED:
            raise InvalidInput("not-yours")
        return former

    def _retract(self, envelope: Envelope) -> None:
        identity = self._identity()
        retract = open_retract(envelope, identity, today=self._terms.today)
        found = self._target(retract.target)
        if found is None:
            raise InvalidInput("not-yours")
        entry, report = found
        # Of what is erased, or was refused, nothing is left to be taken away.
        if report is None and entry.outcome == APPLIED:
            raise InvalidInput("not-yours")
        if report is not None and report.collective != retract.collective:
            raise InvalidInput("not-yours")
        danger = report is not None and report.severity == Severity.DANGER
        needed = signatures_needed(identity, retract.collective, danger=danger)
        if len(signers(envelope, identity, retract.collective)) < needed:
            raise InvalidInput("too-few-signatures")
        if report is not None:
            self._tx.arrivals.change(report, standing=RETRACTED)

    def _announce(self, keys: Keys) -> None:
        follows = keys.identity_version == self._partner.announced + 1
        identity = self._version(keys.identity_version) if follows else None
        if identity is None or sha256(identity.encode()).digest() != keys.identity_sha256:
            raise InvalidInput("malformed")
        if self._in_force is not None:
            self._suspend(self._in_force, identity)
        self._partner.announced = keys.identity_version
        self._in_force = identity

    def _suspend(self, old: Identity, new: Identity) -> None:
        """Let nothing count any more whose unrevoked signatures no longer suffice."""
        for collective in {collective for collective, _ in revocations(old, new)}:
            self._write()
            gone = any(
                one.id == collective and one.status is Status.REVOKED for one in new.collectives
            )
            # Who is not in `new` may have joined later: a new log announces old versions again.
            revoked = {
                one.id
                for one in moderators_of(new, collective)
                if gone or one.status is Status.REVOKED
            }
            standing = self._tx.arrivals.standing(self._id, collective)
            lost = [
                one for one in standing if len(set(one.signers.split(",")) - revoked) < one.needed
            ]
            self._tx.arrivals.suspend(self._id, lost)

    def _erase(self, erase: Erase) -> None:
        self._write()
        targets = self._tx.arrivals.find(self._id, erase.targets)
        if len(targets) < len(erase.targets):
            raise InvalidInput("not-yours")
        if not all(_is_erasable(entry) for entry, _ in targets.values()):
            raise InvalidInput("unsupported")
        gone = []
        for entry, report in targets.values():
            if report is None or self._may_erase(erase, report):
                gone.append((entry, report))
            elif not report.erasing:
                self._tx.arrivals.change(report, erasing=True)
        self._tx.arrivals.erase(self._id, gone)

    def _may_erase(self, erase: Erase, report: ForeignReportRow) -> bool:
        """Tell whether a warning may go at once, or somebody here must look: many went today."""
        if erase.reason is EraseReason.EXPIRED and report.expires < f"{self._terms.today}":
            return True
        self._partner.erasures_today += 1
        return self._partner.erasures_today <= self._partner.erasures_a_day

    def _close(self, _: Close) -> None:
        self._partner.state, self._partner.code = CLOSED, "log-closed"

    def _identity(self) -> Identity:
        if self._in_force is None:
            raise InvalidInput("unknown-key")
        return self._in_force

    def _target(self, leaf: bytes) -> tuple[ForeignEntryRow, ForeignReportRow | None] | None:
        self._write()
        return self._tx.arrivals.find(self._id, [leaf]).get(leaf)

    def _write(self) -> None:
        rows, self._rows = self._rows, _Rows()
        self._tx.arrivals.add(rows.entries, rows.reports, rows.identifiers, rows.words)


def _is_erasable(entry: ForeignEntryRow) -> bool:
    """Tell whether an entry is a report or a retraction, as far as that can still be seen."""
    if entry.envelope is None:
        return True
    return Envelope.model_validate_json(entry.envelope).payload_type in ERASABLE
