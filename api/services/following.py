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
from api.services.judging import JudgedPage
from api.services.pages import Head, Pages, announced
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
from api.trust import check_current, check_head, open_checkpoint
from schemas.documents import Envelope, Identity
from schemas.partner_tables import PartnerRow

TURN_SECONDS = 60
"""After so long the other partners have their turn, and the rest is for the next round."""
LEASE = "partners"
LEASE_LIFE = timedelta(seconds=120)
"""Longer than one answer of a partner may take."""
REFRESHED_AGAIN = 600
"""Seconds until an identity is asked for again that did not help."""
CHECKPOINT_BYTES = 16 * 1024

log = structlog.get_logger()

Progress = Callable[[int, int], bool]
"""Is told how many entries of how many are here; tells whether to go on."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of asking a partner: how many entries, and why there were no more."""

    origin: str
    entries: int
    code: str | None


class Following:
    """Each partner is asked by one process at a time; if by two, one of them does nothing."""

    def __init__(
        self, store: Store, instance: Instance, positions: Positions, remote: Remote, clock: Clock
    ) -> None:
        """Ask `remote` for what is new."""
        self._store = store
        self._instance = instance
        self._positions = positions
        self._pages = Pages(positions, remote, clock)
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
        while position.frontier.size < head.checkpoint.size and position.row.state == FOLLOWING:
            with self._pages.ahead(position, head) as pages:
                for run in pages:
                    wanted = announced(run[0].opened.entries, position.identity)
                    renewed = wanted > position.identity.version
                    if renewed:
                        log, position = position.identity.log, self._known(position, wanted)
                        if position.identity.log != log:
                            position, head = self._head(position)
                            break
                    row = self._apply(position, run)
                    if row is None:
                        return False
                    position = position.moved(row)
                    if row.state != FOLLOWING:
                        break
                    if not progress(position.frontier.size, head.checkpoint.size):
                        return False
                    if renewed:
                        break  # what follows is judged by the newer identity, and is where it says
        self._arrived(position, head)
        return True

    def _known(self, position: Position, version: int) -> Position:
        """Return the partner with the identity of a version that its log announces."""
        position = self._refreshed(position)
        if version > position.identity.version:
            raise InvalidInput("identity-refresh")
        self._check_network(position.identity)
        return position

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

    def _head(self, position: Position) -> tuple[Position, Head]:
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
        head, held = Head(checkpoint, envelope.model_dump_json()), position.frontier
        if checkpoint.size > held.size or (checkpoint.size, checkpoint.root) == (
            held.size, held.root,
        ):  # fmt: skip
            return position, head
        if position.row.checkpoint is None:
            raise InvalidInput("root-mismatch")  # of no entries at all
        code = "rollback" if checkpoint.size < held.size else "fork"
        raise ContradictionError(code, position.row.checkpoint, head.text)

    def _apply(self, position: Position, pages: Sequence[JudgedPage]) -> PartnerRow | None:
        """Do all that pages say, and move on, in one transaction; None if somebody else did."""
        before, opened = position.row, pages[0].opened
        first = opened.frontier.size - len(opened.entries)
        with self._store.begin() as tx:
            row = tx.partners.find(before.origin, lock=True)
            where = (before.id, before.log, first, FOLLOWING)
            if row is None or (row.id, row.log, row.size, row.state) != where:
                return None
            Ingest(tx, row, _versions(tx, row), self._terms(tx)).apply(pages)
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

    def _arrived(self, position: Position, head: Head) -> None:
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


def _versions(tx: Transaction, row: PartnerRow) -> Versions:
    """Return what finds a verified version of a partner's identity."""

    def version(number: int) -> Identity | None:
        kept = tx.partners.identity(id_of(row), number) if number <= row.version else None
        return None if kept is None else decoded(kept.envelope)

    return version
