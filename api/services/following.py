"""Following the logs of partners: a page at a time, from where we are (PROTOCOL.md §8).

A failed fetch changes nothing: absence is no retraction. What a partner signed twice, and
differently, is kept as evidence, and the partner is not asked again until the operator says so.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pydantic import ValidationError

from api.crypto.failures import InvalidInput
from api.errors import NotFound, PartnerFailure
from api.keyring import KeyFileError
from api.services.feed import FEED_PATH
from api.services.ingest import Ingest, Terms, Versions
from api.services.instance import Clock, Instance
from api.services.positions import (
    CLOSED,
    FOLLOWING,
    QUARANTINED,
    ContradictionError,
    Position,
    Positions,
    decoded,
    id_of,
)
from api.services.succession import Remote, first_identities, next_identities
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import (
    OpenedPage,
    check_current,
    check_head,
    open_checkpoint,
    open_log_entry,
    open_page,
)
from schemas.documents import Checkpoint, Envelope, Identity, Keys
from schemas.feed import MOST_ENTRIES, FeedEntry, Page, SignedEntry
from schemas.tables import PartnerRow

TURN_SECONDS = 60
"""After so long the other partners have their turn, and the rest is for the next round."""
LEASE = "partners"
LEASE_LIFE = timedelta(seconds=120)
"""Longer than one answer of a partner may take."""
REFRESHED_AGAIN = 600
"""Seconds until an identity is asked for again that did not help."""
CHECKPOINT_BYTES = 16 * 1024
PAGE_BYTES = 8 * 1024 * 1024

log = structlog.get_logger()

Progress = Callable[[int, int], bool]
"""Is told how many entries of how many are here; tells whether to go on."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of asking a partner: how many entries, and why there were no more."""

    origin: str
    entries: int
    code: str | None


@dataclass(frozen=True, slots=True)
class _Head:
    """The newest checkpoint of a log, as it was sent."""

    checkpoint: Checkpoint
    text: str


class Following:
    """Each partner is asked by one process at a time; if by two, one of them does nothing."""

    def __init__(
        self, store: Store, instance: Instance, positions: Positions, remote: Remote, clock: Clock
    ) -> None:
        """Ask `remote` for what is new."""
        self._store = store
        self._instance = instance
        self._positions = positions
        self._remote = remote
        self._clock = clock

    def due(self) -> list[str]:
        """Return the origins of the partners who should be asked now."""
        with self._store.read() as tx:
            return tx.partners.due(int(self._clock().timestamp()))

    def round(self, holder: str) -> list[Synced]:
        """Ask every partner whose turn it is, as long as `holder` has the lease; return whom.

        Who has very much to say says it in several turns, and the others come between.
        """
        due = self.due() if self._leads(holder) else ()
        return [self._turn(origin, holder) for origin in due if self._leads(holder)]

    def _turn(self, origin: str, holder: str) -> Synced:
        until = time.monotonic() + TURN_SECONDS

        def may_go_on(_here: int, _all: int) -> bool:
            return time.monotonic() < until and self._leads(holder)

        try:
            return self.sync(origin, may_go_on)
        except NotFound:  # removed just now
            return Synced(origin, 0, None)
        except Exception as fault:  # noqa: BLE001  (what one provokes must not stop the others)
            log.critical("fault", kind=type(fault).__name__, work="sync")
            self._positions.note(origin, "internal", None)
            return Synced(origin, 0, "internal")

    def _leads(self, holder: str) -> bool:
        now = self._clock()
        with self._store.begin() as tx:
            until = int((now + LEASE_LIFE).timestamp())
            return tx.leases.take(LEASE, holder, int(now.timestamp()), until)

    def sync(self, origin: str, progress: Progress = lambda _here, _all: True) -> Synced:
        """Fetch all that is new from a partner; raise NotFound where there is none.

        Whatever goes wrong is noted with the partner, with the time of the next attempt.
        """
        before = self._positions.row(origin)
        failure: str | None = None
        wait: int | None = None
        try:
            if not self._follow(origin, progress):
                return self._synced(before, None)
        except ContradictionError as found:
            failure = found.code
            self._positions.quarantine(origin, found)
        except PartnerFailure as failed:
            if failed.code == "stopped":
                return self._synced(before, failed.code)
            failure, wait = failed.code, failed.retry_after
        except InvalidInput as refused:
            failure = refused.code
            if (failure, before.code) == ("identity-refresh", "identity-refused"):
                failure = before.code  # it is for that that we wait
        self._positions.note(origin, failure, wait)
        return self._synced(before, failure)

    def _synced(self, before: PartnerRow, code: str | None) -> Synced:
        now = self._positions.row(before.origin)
        return Synced(now.origin, now.size - (before.size if now.log == before.log else 0), code)

    def _follow(self, origin: str, progress: Progress) -> bool:
        """Fetch all that is new; False if we were told to stop, or somebody else does it."""
        position, head = self._head(self._ready(origin))
        while position.frontier.size < head.checkpoint.size:
            page = self._page(position)
            opened = self._opened(position, page)
            _check_passing(position, opened, head, page)
            wanted = _announced(opened.entries, position.identity)
            if wanted > position.identity.version:
                log = position.identity.log
                position = self._refreshed(position)
                if wanted > position.identity.version:
                    raise InvalidInput("identity-refresh")
                self._check_network(position.identity)
                if position.identity.log != log:
                    position, head = self._head(position)
                    continue
            row = self._apply(position, opened, page)
            if row is None:
                return False
            position = Position(row, position.identity, opened.frontier)
            if position.row.state != FOLLOWING:
                break
            if not progress(position.frontier.size, head.checkpoint.size):
                return False
        self._arrived(position, head)
        return True

    def _ready(self, origin: str) -> Position:
        """Return a partner whose identity is in force, and of our network and key."""
        row = self._positions.row(origin)
        if row.state == QUARANTINED:
            raise InvalidInput("quarantined")
        if row.version == 0:
            address = row.feed.rstrip("/").removesuffix(FEED_PATH.rstrip("/"))
            now = self._clock()
            versions = first_identities(self._remote, address, row.origin, row.root, now)
            self._positions.pin(origin, 0, versions)
        position = self._positions.read(origin)
        if row.state == CLOSED:
            # Unless another log follows that one.
            position = self._refreshed(position)
            if position.row.state == CLOSED:
                raise InvalidInput("log-closed")
        try:
            check_current(position.identity, self._clock())
        except InvalidInput:
            position = self._refreshed(position)
        self._check_network(position.identity)
        return position

    def _refreshed(self, position: Position) -> Position:
        """Return the partner with its newest identity, if we may ask for it by now.

        Raises InvalidInput `identity-refused` for one that may not follow the pinned one, and
        `identity-refresh` where too little time has passed since one did not help.
        """
        now, origin = int(self._clock().timestamp()), position.row.origin
        if now < position.row.refresh_at:
            raise InvalidInput("identity-refresh")
        self._positions.refresh_from(origin, now + REFRESHED_AGAIN)
        address = position.feed.removesuffix(FEED_PATH.rstrip("/"))
        versions = next_identities(self._remote, address, position.identity, self._clock())
        self._positions.pin(origin, position.row.version, versions)
        return self._positions.read(origin)

    def _check_network(self, identity: Identity) -> None:
        """Refuse another network, or another key of an epoch that both know."""
        ours = self._instance.identity
        if (identity.network, identity.argon2id) != (ours.network, ours.argon2id):
            raise InvalidInput("wrong-network")
        if identity.epoch > ours.epoch:
            # Its entries are in a key that we have not been given yet: later, perhaps.
            raise InvalidInput("wrong-epoch")
        try:
            public_key = self._instance.network_public_key(identity.epoch)
        except KeyFileError:  # of an epoch so old that nobody gave us its key
            raise InvalidInput("wrong-epoch") from None
        if public_key != identity.public_key:
            raise InvalidInput("wrong-network")

    def _head(self, position: Position) -> tuple[Position, _Head]:
        """Return the head of a partner's log, and where we are in it."""
        try:
            envelope = Envelope.model_validate_json(
                self._remote.get(f"{position.feed}/checkpoint", most=CHECKPOINT_BYTES)
            )
        except ValidationError:
            raise PartnerFailure("bad-answer") from None
        try:
            checkpoint = open_checkpoint(envelope, position.identity.log_key)
        except InvalidInput as refused:
            if refused.code != "unknown-key":
                raise
            # Perhaps another log follows this one; its key is in an identity that we lack.
            try:
                position = self._refreshed(position)
            except InvalidInput as waiting:
                raise (refused if waiting.code == "identity-refresh" else waiting) from None
            checkpoint = open_checkpoint(envelope, position.identity.log_key)
        check_head(checkpoint, log=position.identity.log, now=self._clock())
        head, held = _Head(checkpoint, envelope.model_dump_json()), position.frontier
        if checkpoint.size > held.size or (checkpoint.size, checkpoint.root) == (
            held.size, held.root,
        ):  # fmt: skip
            return position, head
        if position.row.checkpoint is None:
            raise InvalidInput("root-mismatch")  # of no entries at all
        code = "rollback" if checkpoint.size < held.size else "fork"
        raise ContradictionError(code, position.row.checkpoint, head.text)

    def _page(self, position: Position, first: int | None = None) -> Page:
        """Fetch a page from where we are; or, from `first` on, what ends where we are."""
        size = position.frontier.size
        start, limit = (size, MOST_ENTRIES) if first is None else (first, size - first)
        url = f"{position.feed}/entries?from={start}&limit={limit}"
        try:
            return Page.model_validate_json(self._remote.get(url, most=PAGE_BYTES))
        except PartnerFailure as failed:
            if failed.code == "too-large":
                raise InvalidInput("page-too-large") from None
            raise
        except ValidationError:
            raise PartnerFailure("bad-answer") from None

    def _opened(self, position: Position, page: Page) -> OpenedPage:
        try:
            return open_page(page, position.identity, position.frontier)
        except InvalidInput as refused:
            if refused.code == "root-mismatch":
                self._probe(position)
            raise

    def _probe(self, position: Position) -> None:
        """Ask what the log was when it was as long as what we have; raise where it was another.

        Of a page that does not fit it cannot be told whether the page is wrong, or the past.
        """
        size, ours = position.frontier.size, position.row.checkpoint
        if ours is None or not size:
            return
        try:
            envelope = self._page(position, size - 1).checkpoint
            then = open_checkpoint(envelope, position.identity.log_key)
        except (InvalidInput, PartnerFailure):
            return  # it won't say: then the page is wrong
        same = (then.log, then.size) == (position.identity.log, size)
        if same and then.root != position.frontier.root:
            raise ContradictionError("fork", ours, envelope.model_dump_json())

    def _apply(self, position: Position, opened: OpenedPage, page: Page) -> PartnerRow | None:
        """Do all that a page says, and move on, in one transaction; None if somebody else did."""
        before = position.row
        with self._store.begin() as tx:
            row = tx.partners.find(before.origin, lock=True)
            where = (before.id, before.log, page.first, FOLLOWING)
            if row is None or (row.id, row.log, row.size, row.state) != where:
                return None
            terms = self._terms(tx)
            Ingest(tx, row, _versions(tx, row), terms).apply(opened.entries, opened.leaves)
            row.size, row.frontier = opened.frontier.size, bytes(opened.frontier)
            row.checkpoint = page.checkpoint.model_dump_json()
        return row

    def _terms(self, tx: Transaction) -> Terms:
        # Held: no token of the former epoch may come after a change of the network key.
        tx.collectives.hold_identity()
        identity = self._instance.refresh(tx)

        def convert(token: bytes, epoch: int) -> bytes:
            if epoch == identity.epoch:
                return token
            try:
                return self._instance.convert(token, epoch, identity.epoch)
            except KeyFileError:
                raise InvalidInput("wrong-epoch") from None

        return Terms(identity.network, identity.epoch, self._clock().date(), convert)

    def _arrived(self, position: Position, head: _Head) -> None:
        """Keep the head, which may be newer than the page that led there.

        By now every elision must have been explained.
        """
        before = position.row
        with self._store.begin() as tx:
            row = tx.partners.find(before.origin, lock=True)
            if row is None or (row.log, row.size) != (before.log, before.size):
                return
            if row.state not in (FOLLOWING, CLOSED):
                return
            # A log that is closed can explain nothing any more, and what follows is another one.
            if row.state == FOLLOWING and tx.arrivals.unexplained(id_of(row), row.log):
                ours = row.checkpoint or head.text
                raise ContradictionError("unexplained-elision", ours, head.text)
            if head.checkpoint.size == row.size:
                row.checkpoint = head.text
            row.synced_at = int(self._clock().timestamp())


def _check_passing(position: Position, opened: OpenedPage, head: _Head, page: Page) -> None:
    """Hold the head against the entries that lead there."""
    size = position.frontier.size
    if not size < head.checkpoint.size <= opened.frontier.size:
        return
    there = position.frontier.copy()
    there.extend(opened.leaves[: head.checkpoint.size - size])
    if there.root != head.checkpoint.root:
        raise ContradictionError("fork", head.text, page.checkpoint.model_dump_json())


def _versions(tx: Transaction, row: PartnerRow) -> Versions:
    """Return what finds a verified version of a partner's identity."""

    def version(number: int) -> Identity | None:
        kept = tx.partners.identity(id_of(row), number) if number <= row.version else None
        return None if kept is None else decoded(kept.envelope)

    return version


def _announced(entries: Sequence[FeedEntry], pinned: Identity) -> int:
    """Return the newest version that the log itself announces in `entries`; 0 for none."""
    newest = 0
    for entry in entries:
        if not isinstance(entry, SignedEntry) or entry.payload_type != Keys.payload_type:
            continue
        try:
            keys = open_log_entry(entry, pinned)
        except InvalidInput:
            continue
        if isinstance(keys, Keys):
            newest = max(newest, keys.identity_version)
    return newest
