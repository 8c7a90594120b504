"""After a restore: what partners saw of our log, fetched back before anything is signed (§8).

A copy of yesterday that went on by itself would contradict what it signed since, and partners
would part with it for ever. So a restored log says nothing until they have been asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from api.crypto.failures import InvalidInput
from api.crypto.merkle import Frontier
from api.errors import PartnerFailure, Unavailable
from api.services.instance import Clock, Instance
from api.services.log import Log
from api.services.pages import PAGE_BYTES
from api.services.positions import Positions
from api.services.replaying import Replay
from api.services.rosters import adopt_roster
from api.services.rotation import carry_over
from api.services.succession import MOST_BYTES, Remote
from api.services.witnessing import Witnessed, Witnessing
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import entry_leaf, next_identity, open_log_entry
from schemas.documents import Envelope, Identity, Keys
from schemas.feed import MOST_ENTRIES, FeedEntry, Page, SignedEntry

MOST_FETCHED = 200_000
"""Entries that may have been lost: more is no accident."""


@dataclass(frozen=True, slots=True)
class _Tail:
    """The entries that we lack, the identities they announce, and the tree behind them."""

    entries: Sequence[FeedEntry]
    identities: Sequence[tuple[Identity, Envelope]]
    frontier: Frontier


class Healing:
    """Compares our log with what partners have verified of it, and makes it whole again."""

    def __init__(
        self, store: Store, instance: Instance, log: Log, positions: Positions,
        witnessing: Witnessing, remote: Remote, replay: Replay, clock: Clock,
    ) -> None:  # fmt: skip
        """Ask `remote` for what is lost, and do again with `replay` what it did here."""
        self._store = store
        self._instance = instance
        self._log = log
        self._positions = positions
        self._witnessing = witnessing
        self._remote = remote
        self._replay = replay
        self._clock = clock

    def is_needed(self) -> bool:
        """Tell whether our log is a restored copy that nobody has vouched for yet."""
        with self._store.read() as tx:
            row = tx.log.current()
            return row is not None and row.state == "unverified"

    def suspect(self) -> bool:
        """Let nothing be signed if a partner has seen more of our log than we have; tell whether.

        So is found out who put an old copy of the database in place without a restore.
        """
        identity = self._instance.identity
        size = self._frontier().size
        if all(one.checkpoint.size <= size for one in self._seen(identity)):
            return False
        with self._store.begin() as tx:
            tx.log.suspect()
        return True

    def heal(self) -> int:
        """Fetch back what is lost, and sign again; return how many entries it was.

        Raises Unavailable where no partner can say what it saw, PartnerFailure where none gives
        it back whole, InvalidInput `fork` where what was seen is not what is here: then only a
        new log can go on.
        """
        identity, frontier = self._instance.identity, self._frontier()
        seen = self._seen(identity)
        if not seen:
            raise Unavailable
        self._check(frontier, [one for one in seen if one.checkpoint.size <= frontier.size])
        longer = [one for one in seen if one.checkpoint.size > frontier.size]
        longer.sort(key=lambda one: one.checkpoint.size, reverse=True)
        tail = _Tail((), (), frontier)
        if longer:
            tail = self._fetched(identity, frontier, longer)
            _check_passing(frontier, tail, longer)
        with self._store.begin() as tx:
            self._put(tx, frontier, tail)
        return len(tail.entries)

    def close(self) -> None:
        """End our log in good order; raise Unavailable where it must not be signed."""
        with self._store.begin() as tx:
            self._log.close(tx, self._instance.refresh(tx), None)

    def identities(self) -> tuple[int, dict[str, str]]:
        """Take back the versions of our identity that partners have and we lost.

        Returns how many, and the partners who did not say what they have, each with the code of
        why. Root keys have signed them, so whatever became of the log, they hold; and one that was
        signed anew in their place would be refused everywhere.
        """
        with self._store.read() as tx:
            origins = [one.origin for one in tx.partners.all() if one.version]
        taken, silent = 0, dict[str, str]()
        for origin in origins:
            try:
                while True:
                    self._take_next(self._positions.read(origin).feed)
                    taken += 1
            except (PartnerFailure, InvalidInput) as failed:
                if failed.code != "unknown-log":  # it has none that follows
                    silent[origin] = failed.code
            except ValidationError:
                silent[origin] = "bad-answer"
        return taken, silent

    def _take_next(self, feed: str) -> None:
        pinned = self._instance.identity
        found = self._next_identity(feed, pinned)
        with self._store.begin() as tx:
            tx.collectives.hold_identity(alone=True)
            self._adopt(tx, pinned, *found)
        self._instance.serve()

    def _next_identity(self, feed: str, pinned: Identity) -> tuple[Identity, Envelope]:
        url = f"{feed}/returns/identity?version={pinned.version + 1}"
        envelope = Envelope.model_validate_json(self._remote.get(url, most=MOST_BYTES))
        return next_identity(pinned, envelope), envelope

    def _seen(self, identity: Identity) -> list[Witnessed]:
        return self._witnessing.of_log(identity.log, identity.log_key)

    def _frontier(self) -> Frontier:
        with self._store.read() as tx:
            row = tx.log.current()
        return Frontier() if row is None else Frontier(row.size, row.frontier)

    def _check(self, frontier: Frontier, seen: Sequence[Witnessed]) -> None:
        """Refuse to go on from a past that a partner has seen otherwise."""
        with self._store.read() as tx:
            row = tx.log.current()
            for one in seen:
                number, size = (row.number if row else 0), one.checkpoint.size
                entry = tx.log.entry(number, size - 1) if size else None
                root = entry.root if entry else Frontier().root
                if root != one.checkpoint.root or size > frontier.size:
                    raise InvalidInput("fork")

    def _fetched(self, identity: Identity, frontier: Frontier, seen: Sequence[Witnessed]) -> _Tail:
        """Return the entries behind `frontier` from whoever has most, and of these the fullest.

        Who has purged us, or holds erased what we published, gives back less than others.
        """
        failure: Exception = PartnerFailure("unreachable")
        tails: list[_Tail] = []
        for one in seen:
            if tails and one.checkpoint.size < seen[0].checkpoint.size:
                break
            try:
                tails.append(self._fetched_from(identity, frontier, one))
            except (PartnerFailure, InvalidInput) as failed:
                failure = failed
        if not tails:
            raise failure
        return max(tails, key=lambda tail: sum(isinstance(e, SignedEntry) for e in tail.entries))

    def _fetched_from(self, identity: Identity, frontier: Frontier, seen: Witnessed) -> _Tail:
        feed = self._positions.read(seen.by).feed
        after, entries = frontier.copy(), list[FeedEntry]()
        if seen.checkpoint.size - frontier.size > MOST_FETCHED:
            raise InvalidInput("page-too-large")
        while after.size < seen.checkpoint.size:
            limit = min(MOST_ENTRIES, seen.checkpoint.size - after.size)
            page = self._page(f"{feed}/returns?from={after.size}&limit={limit}")
            if page.log != identity.log or page.first != after.size or not page.entries:
                raise PartnerFailure("bad-answer")
            if [one.seq for one in page.entries] != list(range(page.first, page.to)):
                raise PartnerFailure("bad-answer")
            after.extend(entry_leaf(one) for one in page.entries[:limit])
            entries += page.entries[:limit]
        if after.root != seen.checkpoint.root:
            raise InvalidInput("fork")
        return _Tail(entries, self._identities(feed, identity, entries), after)

    def _page(self, url: str) -> Page:
        try:
            return Page.model_validate_json(self._remote.get(url, most=PAGE_BYTES))
        except ValidationError:
            raise PartnerFailure("bad-answer") from None

    def _identities(
        self, feed: str, identity: Identity, entries: Sequence[FeedEntry]
    ) -> list[tuple[Identity, Envelope]]:
        """Return the versions of our identity that the lost entries announce, verified."""
        found, newest = [], identity
        for entry in entries:
            if not isinstance(entry, SignedEntry) or entry.payload_type != Keys.payload_type:
                continue
            keys = open_log_entry(entry, newest)
            assert isinstance(keys, Keys)
            if keys.identity_version <= newest.version:
                continue
            try:
                found.append(self._next_identity(feed, newest))
            except ValidationError:
                raise PartnerFailure("bad-answer") from None
            newest, _ = found[-1]
        return found

    def _adopt(
        self, tx: Transaction, pinned: Identity, identity: Identity, envelope: Envelope
    ) -> None:
        """Put in force again what follows `pinned`; what is stored goes over into its epoch."""
        if identity.epoch != pinned.epoch:
            factor = self._instance.factor(pinned.epoch, identity.epoch)
            carry_over(tx, identity.network, identity.epoch, factor, self._clock())
            tx.buckets.forget()
        tx.collectives.add_identity(identity.version, envelope.model_dump_json())
        adopt_roster(tx, identity)

    def _put(self, tx: Transaction, frontier: Frontier, tail: _Tail) -> None:
        """Make the log whole and do again what its lost entries did, all in one transaction."""
        tx.collectives.hold_identity(alone=True)
        identity = self._instance.refresh(tx)
        row = tx.log.current(lock=True)
        if row is None or (row.size, row.state) != (frontier.size, "unverified"):
            raise Unavailable
        for version, envelope in tail.identities:
            self._adopt(tx, identity, version, envelope)
            identity = version
        self._log.put_back(tx, identity, row, tail.entries)
        tx.log.set_state(row, "open")
        self._replay.run(tx, identity, tail.entries)
        # What nobody has any more must be explained to whoever follows us later.
        self._log.erase_lost(tx, identity)


def _check_passing(frontier: Frontier, tail: _Tail, seen: Sequence[Witnessed]) -> None:
    """Hold what the others saw against the entries that lead to what the first one saw."""
    after, wanted = frontier.copy(), {one.checkpoint.size: one.checkpoint.root for one in seen}
    for entry in tail.entries:
        after.append(entry_leaf(entry))
        if wanted.get(after.size, after.root) != after.root:
            raise InvalidInput("fork")
