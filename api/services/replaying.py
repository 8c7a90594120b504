"""Doing again what lost entries of our own log did, on a database that has forgotten it."""

from collections.abc import Sequence

from api.crypto.buckets import bucket_word
from api.crypto.envelopes import entry_id, key_id
from api.crypto.sealing import seal_account
from api.services.instance import Chance, Clock, Instance, to_the_hour
from api.services.reports import RANKS
from api.services.transitions import LIVE, end, move
from api.store.transaction import Transaction
from api.trust import active_moderators, latest_expiry
from schemas.documents import (
    Erase,
    EraseReason,
    Identity,
    ReportDocument,
    Retract,
    RetractReason,
)
from schemas.feed import FeedEntry, SignedEntry
from schemas.reports import Police, SealedAccount, Status, Warn
from schemas.tables import IdentifierRow, ReportRow

ACTOR = "healed"
ENDS = {
    EraseReason.EXPIRED: Status.EXPIRED,
    EraseReason.REPORTER_REQUEST: Status.WITHDRAWN,
    EraseReason.OBJECTION: Status.REMOVED,
    EraseReason.LEGAL: Status.REMOVED,
}
NOTHING = b"{}"
"""What moderators read of a report whose account is lost: it cannot be approved anew."""


class Replay:
    """Brings reports to where the log says that they are."""

    def __init__(self, instance: Instance, clock: Clock, chance: Chance) -> None:
        """Convert tokens of earlier epochs with the keys of `instance`."""
        self._instance = instance
        self._clock = clock
        self._chance = chance

    def run(self, tx: Transaction, identity: Identity, entries: Sequence[FeedEntry]) -> None:
        """Do what `entries`, in their order, say; what is elided, an erasure did since."""
        for entry in entries:
            if not isinstance(entry, SignedEntry):
                continue
            if entry.payload_type == ReportDocument.payload_type:
                self._publish(tx, identity, entry)
            elif entry.payload_type == Retract.payload_type:
                self._retract(tx, Retract.decode(entry.payload))
            elif entry.payload_type == Erase.payload_type:
                self._erase(tx, Erase.decode(entry.payload))

    def _publish(self, tx: Transaction, identity: Identity, entry: SignedEntry) -> None:
        document = ReportDocument.decode(entry.payload)
        if document.expires < f"{self._clock():%Y-%m-%d}":
            return
        leaf = entry_id(entry.payload_type, entry.payload)
        report = tx.reports.of_entry(leaf)
        if report is None and document.replaces is not None:
            report = tx.reports.of_entry(document.replaces)
        if report is None:
            report = self._lost(tx, identity, document)
        now = self._clock()
        values: dict[str, object] = {
            "envelope": entry.text(),
            "entry": leaf,
            "publish_at": to_the_hour(now),
            "published_severity": document.severity,
            "published_month": document.month,
            "expires": document.expires,
        }
        if report.retraction is not None:
            values["retraction"] = None
        tx.reports.set_live(report, live=True)
        move(tx, now, report, ACTOR, Status.PUBLISHED, values)
        tx.log.set_report(leaf, report.id, document.expires)

    def _lost(self, tx: Transaction, identity: Identity, document: ReportDocument) -> ReportRow:
        """Return a new row for a report of which only what was signed is left."""
        readers = active_moderators(identity, document.collective)
        boxes = {key_id(one.sign): one.box for one in readers}
        if not boxes:
            boxes = {key_id(self._chance(32)): identity.log_key}
        sealed = seal_account(NOTHING, boxes, self._chance)
        account = SealedAccount.of(sealed.nonce, sealed.box, sealed.keys)
        now = to_the_hour(self._clock())
        report = ReportRow(
            id=self._chance(16).hex(),
            collective=document.collective,
            status=Status.APPROVED,
            categories=",".join(document.categories),
            severity=document.severity,
            rank=RANKS[document.severity],
            month=document.month,
            warn=Warn.NETWORK,
            police=Police.NEVER,
            research=False,
            wait_days=0,
            request_id=document.rid,
            sealed=account.model_dump_json(),
            submitted_at=now,
            not_before=now,
            expires=f"{latest_expiry(document.month, document.severity)}",
        )
        tokens = [
            self._instance.convert(one.token, document.epoch, identity.epoch)
            for one in document.identifiers
        ]
        rows = [
            IdentifierRow(
                report=0,
                position=position,
                kind=one.kind,
                token=token,
                word=bucket_word(token, identity.network, identity.epoch),
                tag=self._chance(16),  # whose report it was, nobody knows any more
            )
            for position, (one, token) in enumerate(zip(document.identifiers, tokens, strict=True))
        ]
        tx.reports.add(report, rows)
        return report

    def _retract(self, tx: Transaction, retract: Retract) -> None:
        report = tx.reports.of_entry(retract.target)
        if report is None:
            return
        if retract.reason is not RetractReason.DISPUTED:
            end(tx, self._clock(), report, ACTOR, Status.REMOVED, retract.reason)
        elif report.status in LIVE:
            values = {} if report.retraction is None else {"retraction": None}
            move(tx, self._clock(), report, ACTOR, Status.DISPUTED, values)

    def _erase(self, tx: Transaction, erase: Erase) -> None:
        tx.log.elide_leaves(erase.targets)
        for target in erase.targets:
            report = tx.reports.of_entry(target)
            if report is not None:
                end(tx, self._clock(), report, ACTOR, ENDS[erase.reason], erase.reason)
