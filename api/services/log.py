"""The log of this instance: what enters it, in one order for everybody (PROTOCOL.md §8).

Each method works in its caller's transaction, which also holds what the entry is about, and takes
the lock of the log's row last. Whoever is given an entry is given one that is stored.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from api.crypto.envelopes import entry_id, key_id, public_key, sign
from api.crypto.merkle import Frontier
from api.errors import Unavailable
from api.services.checkpoints import checkpoint_of
from api.services.instance import Chance, Clock, number_of
from api.store.log import NewEntry
from api.store.transaction import Transaction
from api.trust import active_moderators, entry_leaf, signatures_needed, standing_signers
from schemas.base import CATEGORIES, Category, Severity, Sharing
from schemas.canonical import Document
from schemas.documents import (
    Close,
    Envelope,
    Erase,
    EraseReason,
    Identity,
    Keys,
    ReportDocument,
    Signature,
)
from schemas.feed import FeedEntry, SignedEntry
from schemas.reports import Warn
from schemas.tables import (
    EntryRow,
    LogRow,
    ReportRow,
)

RENEWED = timedelta(hours=20)
"""Before the day within which a checkpoint is signed anew is over."""
MOST_TARGETS = 64
AT_ONCE = 1_000

Seeds = Callable[[int], bytes]


class _Item(NamedTuple):
    """An entry to be appended; `report` and `expires` where it publishes a report.

    Only one that was erased since, and is put back, has no `text`.
    """

    leaf: bytes
    text: str | None
    report: str | None = None
    expires: str | None = None

    @classmethod
    def of(
        cls, envelope: Envelope, report: str | None = None, expires: str | None = None
    ) -> "_Item":
        """Return what is kept of an envelope."""
        return cls(_id(envelope), envelope.model_dump_json(), report, expires)


class Log:
    """Appends to the log, and erases from it. Only its keys are here, never a moderator's."""

    def __init__(self, seed_of: Seeds, clock: Clock, chance: Chance) -> None:
        """`seed_of(number)` is the seed of the log key of the log of that number."""
        self._seed_of = seed_of
        self._clock = clock
        self._chance = chance

    def announce(self, tx: Transaction, identity: Identity) -> None:
        """Put a version of the identity in force, from this place of the log on."""
        # The first entries of a log announce all versions there are, this one among them.
        row, begun = self._current(tx, identity)
        if not begun:
            self._append(tx, identity, row, [self._keys(identity, identity.log)])

    def publish(self, tx: Transaction, identity: Identity, reports: Iterable[ReportRow]) -> None:
        """Append those of the reports that are published now which may leave this instance."""
        items = {
            item.leaf: item
            for report in reports
            if (item := _published(tx, report, identity)) is not None
        }
        # Asked before the lock, which others wait for: who publishes holds the reports' own rows.
        for leaf in tx.log.known(number_of(identity.log), items) if items else ():
            del items[leaf]
        if items:
            row, begun = self._current(tx, identity)
            if not begun:  # with all that is published already
                self._append(tx, identity, row, items.values())

    def retract(
        self, tx: Transaction, identity: Identity, report: ReportRow, envelope: Envelope
    ) -> None:
        """Append what moderators signed to take `report` away, if it ever left."""
        number = number_of(identity.log)
        if report.entry is not None and tx.log.known(number, [report.entry]):
            row, _ = self._current(tx, identity)
            standing = _standing(envelope, identity, report.collective)
            self._append(tx, identity, row, [_Item.of(standing)])

    def erase(
        self, tx: Transaction, identity: Identity, report_id: str, reason: EraseReason
    ) -> None:
        """Delete all that the log says of a report, and tell partners to."""
        entries = tx.log.of_report(number_of(identity.log), report_id)
        if entries:
            row, _ = self._current(tx, identity)
            self._erase(tx, identity, row, entries, reason)

    def erase_expired(self, tx: Transaction, identity: Identity) -> int:
        """Delete what the log says of reports whose last day is over; return how many."""
        row, _ = self._current(tx, identity)
        today = f"{self._clock():%Y-%m-%d}"
        erased = 0
        while over := tx.log.expired(row.number, today, MOST_TARGETS):
            self._erase(tx, identity, row, over, EraseReason.EXPIRED)
            erased += len(over)
        return erased

    def erase_lost(self, tx: Transaction, identity: Identity) -> None:
        """Say of what came back from partners without its content that it is erased."""
        row, _ = self._current(tx, identity)
        lost, explained = tx.log.lost(row.number), set[bytes]()
        for envelope in tx.log.of_type(row.number, Erase.payload_type) if lost else ():
            document = Erase.decode(Envelope.model_validate_json(envelope).payload)
            explained.update(document.targets)
        unexplained = [entry for entry in lost if entry.leaf not in explained]
        self._erase(tx, identity, row, unexplained, EraseReason.EXPIRED)

    def renew(self, tx: Transaction, identity: Identity) -> bool:
        """Sign the newest checkpoint anew if it is old; tell whether."""
        row, _ = self._current(tx, identity)
        head = tx.log.entry(row.number, row.size - 1)
        now = int(self._clock().timestamp())
        if head is None or 0 <= now - head.issued < RENEWED.total_seconds():
            return False
        seed = self._seed_of(row.number)
        tx.log.renew(head, now, _signature(seed, checkpoint_of(identity.origin, head, now)))
        return True

    def close(self, tx: Transaction, identity: Identity, successor: str | None) -> None:
        """End the log with an entry that says so, and where it goes on; raise Unavailable."""
        row, _ = self._current(tx, identity)
        fields = {} if successor is None else {"successor": successor}
        document = Close(origin=identity.origin, rid=self._rid(), issued=self._today(), **fields)
        self._append(tx, identity, row, [_Item.of(self._signed(row.number, document))])
        tx.log.set_state(row, "closed")

    def put_back(
        self, tx: Transaction, identity: Identity, row: LogRow, entries: Iterable[FeedEntry]
    ) -> None:
        """Append to a locked log what partners have seen of it and it has lost."""
        items = [
            _Item(
                entry_leaf(entry),
                entry.text() if isinstance(entry, SignedEntry) else None,
            )
            for entry in entries
        ]
        self._append(tx, identity, row, items)

    def may_append(self, tx: Transaction, identity: Identity) -> bool:
        """Tell whether anything may be signed: not in a restored copy that nobody vouched for."""
        row = tx.log.current()
        return row is None or row.number != number_of(identity.log) or row.state != "unverified"

    def _current(self, tx: Transaction, identity: Identity) -> tuple[LogRow, bool]:
        """Return the log of `identity`, locked, and whether it begins just now."""
        number = number_of(identity.log)
        row = tx.log.current(lock=True)
        if row is not None and row.number == number:
            if row.state == "unverified":
                raise Unavailable
            return row, False
        if row is not None:
            # Nobody can ask for it any more, and what is withdrawn must not stay in it.
            tx.log.forget(row.number)
        row = tx.log.begin(number)
        items = iter(self._first_items(tx, identity))
        while some := list(islice(items, AT_ONCE)):
            self._append(tx, identity, row, some)
        return row, True

    def _first_items(self, tx: Transaction, newest: Identity) -> Iterable[_Item]:
        """Yield all versions of the identity, and after each what it suffices to verify.

        A key counts only from its announcement to its end: what was signed by somebody who has
        ended since must stand before that.
        """
        waiting = tx.reports.all_published()
        for version in range(1, newest.version + 1):
            identity = newest if version == newest.version else _version(tx, version)
            yield self._keys(identity, newest.log)
            left = []
            for report in waiting:
                if not _suffices(report, identity):
                    left.append(report)
                elif (item := _published(tx, report, identity)) is not None:
                    yield item
            waiting = left

    def _keys(self, identity: Identity, log: str) -> _Item:
        document = Keys(
            origin=identity.origin,
            rid=self._rid(),
            identity_version=identity.version,
            identity_sha256=sha256(identity.encode()).digest(),
            issued=self._today(),
        )
        return _Item.of(self._signed(number_of(log), document))

    def _erase(
        self, tx: Transaction, identity: Identity, row: LogRow, entries: Sequence[EntryRow],
        reason: EraseReason,
    ) -> None:  # fmt: skip
        for start in range(0, len(entries), MOST_TARGETS):
            some = entries[start : start + MOST_TARGETS]
            document = Erase(
                origin=identity.origin,
                rid=self._rid(),
                targets=tuple(entry.leaf for entry in some),
                reason=reason,
                issued=self._today(),
            )
            self._append(tx, identity, row, [_Item.of(self._signed(row.number, document))])
            tx.log.elide(some)

    def _append(
        self, tx: Transaction, identity: Identity, row: LogRow, items: Iterable[_Item]
    ) -> None:
        """Write entries, leaves, frontier and checkpoints, all in the caller's transaction.

        What happens after a log was closed, its partners are not told.
        """
        if row.state == "closed":
            return
        frontier = Frontier(row.size, row.frontier)
        seed, now = self._seed_of(row.number), int(self._clock().timestamp())
        entries = []
        for item in items:
            frontier.append(item.leaf)
            entry = NewEntry(
                row.number, frontier.size - 1, item.leaf, item.text, item.report, item.expires,
                frontier.root, now,
            )  # fmt: skip
            signature = _signature(seed, checkpoint_of(identity.origin, entry))
            entries.append(entry._replace(signature=signature))
        tx.log.append(row, entries, bytes(frontier), frontier.size)

    def _signed(self, number: int, document: Document) -> Envelope:
        seed = self._seed_of(number)
        signature = Signature(keyid=key_id(public_key(seed)), sig=_signature(seed, document))
        return Envelope.around(document, [signature])

    def _rid(self) -> str:
        return self._chance(16).hex()

    def _today(self) -> str:
        return f"{self._clock():%Y-%m-%d}"


def may_leave(categories: Iterable[Category], opted_in: Callable[[], frozenset[str]]) -> bool:
    """Tell whether a report of these categories may be told to partners (PROTOCOL.md §11).

    `opted_in()` is asked for what its collective lets leave only where that decides.
    """
    return all(
        CATEGORIES[one].shared is Sharing.YES
        or (CATEGORIES[one].shared is Sharing.OPT_IN and one in opted_in())
        for one in categories
    )


def _published(tx: Transaction, report: ReportRow, identity: Identity) -> _Item | None:
    """Return the entry that publishes `report`; None where it must stay here."""
    envelope = _standing(_envelope(report), identity, report.collective)
    document = ReportDocument.decode(envelope.payload)
    if report.warn != Warn.NETWORK:
        return None
    if not may_leave(document.categories, lambda: tx.collectives.opted_in(report.collective)):
        return None
    return _Item.of(envelope, report.id, document.expires)


def _standing(envelope: Envelope, identity: Identity, collective: str) -> Envelope:
    """Return `envelope` without the signatures of those who have ended since they signed."""
    active = {key_id(one.sign) for one in active_moderators(identity, collective)}
    kept = tuple(one for one in envelope.signatures if one.keyid in active)
    return envelope.model_copy(update={"signatures": kept})


def _suffices(report: ReportRow, identity: Identity) -> bool:
    grave = report.published_severity == Severity.DANGER
    needed = signatures_needed(identity, report.collective, danger=grave)
    return len(standing_signers(_envelope(report), identity, report.collective)) >= needed


def _envelope(report: ReportRow) -> Envelope:
    assert report.envelope is not None
    return Envelope.model_validate_json(report.envelope)


def _version(tx: Transaction, version: int) -> Identity:
    text = tx.collectives.identity(version)
    if text is None:
        raise Unavailable
    return Identity.decode(Envelope.model_validate_json(text).payload)


def _id(envelope: Envelope) -> bytes:
    return entry_id(envelope.payload_type, envelope.payload)


def _signature(seed: bytes, document: Document) -> bytes:
    return sign(seed, document.payload_type, document.encode())
