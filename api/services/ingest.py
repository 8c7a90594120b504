"""What becomes of a partner's entries, each judged by itself (PROTOCOL.md §8).

One bad entry is kept as refused and never stops the feed: what stands around it was signed too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple

from api.crypto.buckets import bucket_word
from api.crypto.failures import InvalidInput
from api.store.transaction import Transaction
from api.trust import (
    moderators_of,
    open_log_entry,
    open_report,
    open_retract,
    revocations,
    signatures_needed,
    signers,
)
from schemas.base import CATEGORIES, Category, Severity, Sharing
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
from schemas.feed import FeedEntry, Policy
from schemas.tables import ForeignEntryRow, ForeignReportRow, PartnerRow

STANDING, RETRACTED, REPLACED, SUSPENDED = "standing", "retracted", "replaced", "suspended"
APPLIED, ELIDED, REJECTED = "applied", "elided", "rejected:"
KEPT_HERE = frozenset(one for one in Category if CATEGORIES[one].shared is Sharing.NEVER)
ERASABLE = frozenset({ReportDocument.payload_type, Retract.payload_type})

Row = dict[str, Any]
Convert = Callable[[bytes, int], bytes]


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

    entries: list[Row] = field(default_factory=list)
    reports: list[Row] = field(default_factory=list)
    identifiers: list[Row] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


class Ingest:
    """Applies the entries of one page, in the transaction that moves our position in the log."""

    def __init__(
        self, tx: Transaction, partner: PartnerRow, identities: Mapping[int, Identity], terms: Terms
    ) -> None:
        """Work in `tx` on a locked partner, all of whose verified `identities` are given."""
        assert partner.id is not None
        self._tx = tx
        self._partner = partner
        self._id = partner.id
        self._identities = identities
        self._newest = identities[partner.version]
        self._in_force = identities.get(partner.announced)
        self._terms = terms
        self._policies = tx.partners.policies(self._id)
        self._rows = _Rows()
        if partner.day != f"{terms.today}":
            partner.day = f"{terms.today}"
            partner.reports_today = partner.erasures_today = 0

    def apply(self, entries: Sequence[FeedEntry], leaves: Sequence[bytes]) -> None:
        """Judge and keep `entries`, whose leaf hashes are `leaves`."""
        known = self._tx.arrivals.known(self._id, leaves)
        for entry, leaf in zip(entries, leaves, strict=True):
            envelope = entry.envelope
            try:
                if envelope is None:
                    outcome = ELIDED
                elif leaf in known:
                    raise InvalidInput("duplicate")  # noqa: TRY301  (caught as all others are)
                else:
                    self._take(entry.seq, envelope)
                    outcome = APPLIED
                known.add(leaf)
            except InvalidInput as refused:
                outcome = f"{REJECTED}{refused.code}"
            self._rows.entries.append(
                {
                    "partner": self._id,
                    "log": self._partner.log,
                    "seq": entry.seq,
                    "leaf": leaf,
                    "envelope": None if envelope is None else envelope.model_dump_json(),
                    "outcome": outcome,
                }
            )
        self._write()

    def _take(self, seq: int, envelope: Envelope) -> None:
        kind = envelope.payload_type
        if kind == ReportDocument.payload_type:
            self._report(seq, envelope)
        elif kind == Retract.payload_type:
            self._retract(envelope)
        else:
            entry = open_log_entry(envelope, self._newest)
            if isinstance(entry, Keys):
                self._announce(entry)
            elif isinstance(entry, Erase):
                self._erase(entry)
            else:
                self._close(entry)

    def _report(self, seq: int, envelope: Envelope) -> None:
        identity, terms = self._identity(), self._terms
        report = open_report(envelope, identity, today=terms.today, earlier_epochs=True)
        if not KEPT_HERE.isdisjoint(report.categories):
            raise InvalidInput("malformed")
        former = self._former(report)
        danger = report.severity is Severity.DANGER or (
            former is not None and former.severity == Severity.DANGER
        )
        needed = signatures_needed(identity, report.collective, danger=danger)
        signed = signers(envelope, identity, report.collective)
        if len(signed) < needed:
            raise InvalidInput("too-few-signatures")
        tokens = [terms.convert(one.token, report.epoch) for one in report.identifiers]
        words = [bucket_word(token, terms.network, terms.epoch) for token in tokens]
        partner = self._partner
        partner.reports_today += 1
        over_quota = partner.reports_today > partner.reports_a_day
        place = {"partner": self._id, "log": partner.log, "seq": seq}
        self._rows.reports.append(
            place
            | {
                "collective": report.collective,
                "severity": report.severity,
                "month": report.month,
                "expires": report.expires,
                "signers": ",".join(sorted(signed)),
                "needed": needed,
                "standing": STANDING,
                "over_quota": over_quota,
                "erasing": False,
                "decision": None,
            }
        )
        self._rows.identifiers += [
            place | {"position": position, "kind": one.kind, "token": token, "word": word}
            for position, (one, token, word) in enumerate(
                zip(report.identifiers, tokens, words, strict=True)
            )
        ]
        if not over_quota and self._policies.get(report.collective, partner.policy) == Policy.AUTO:
            self._rows.words += words
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
        identity = self._identities.get(keys.identity_version)
        if (
            keys.identity_version != self._partner.announced + 1
            or identity is None
            or sha256(identity.encode()).digest() != keys.identity_sha256
        ):
            raise InvalidInput("malformed")
        if self._in_force is not None:
            self._suspend(self._in_force, identity)
        self._partner.announced = keys.identity_version
        self._in_force = identity

    def _suspend(self, old: Identity, new: Identity) -> None:
        """Let nothing count any more whose unrevoked signatures no longer suffice."""
        for collective in {collective for collective, _ in revocations(old, new)}:
            self._write()
            ended = any(
                one.id == collective and one.status is Status.REVOKED for one in new.collectives
            )
            unrevoked = {
                one.id
                for one in moderators_of(new, collective)
                if one.status is not Status.REVOKED and not ended
            }
            for report in self._tx.arrivals.standing(self._id, collective):
                if len(unrevoked.intersection(report.signers.split(","))) < report.needed:
                    self._tx.arrivals.change(report, standing=SUSPENDED)

    def _erase(self, erase: Erase) -> None:
        found = [self._target(target) for target in erase.targets]
        targets = [one for one in found if one is not None]
        if len(targets) < len(found):
            raise InvalidInput("not-yours")
        if not all(_is_erasable(entry) for entry, _ in targets):
            raise InvalidInput("unsupported")
        for entry, report in targets:
            if report is not None and not self._may_erase(erase, report):
                self._tx.arrivals.change(report, erasing=True)
            else:
                self._tx.arrivals.erase(entry, report)

    def _may_erase(self, erase: Erase, report: ForeignReportRow) -> bool:
        """Tell whether a warning may go at once, or somebody here must look: many went today."""
        if erase.reason is EraseReason.EXPIRED and report.expires < f"{self._terms.today}":
            return True
        self._partner.erasures_today += 1
        return self._partner.erasures_today <= self._partner.erasures_a_day

    def _close(self, _: Close) -> None:
        self._partner.state, self._partner.code = "closed", "log-closed"

    def _identity(self) -> Identity:
        if self._in_force is None:
            raise InvalidInput("unknown-key")
        return self._in_force

    def _target(self, leaf: bytes) -> tuple[ForeignEntryRow, ForeignReportRow | None] | None:
        self._write()
        return self._tx.arrivals.find(self._id, leaf)

    def _write(self) -> None:
        rows, self._rows = self._rows, _Rows()
        self._tx.arrivals.add(rows.entries, rows.reports, rows.identifiers, rows.words)


def _is_erasable(entry: ForeignEntryRow) -> bool:
    """Tell whether an entry is a report or a retraction, as far as that can still be seen."""
    if entry.envelope is None:
        return True
    return Envelope.model_validate_json(entry.envelope).payload_type in ERASABLE
