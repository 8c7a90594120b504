"""Where we are with each partner: read, moved on, and noted when something is wrong."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256

from api.crypto.envelopes import key_id
from api.crypto.merkle import Frontier
from api.errors import NotFound
from api.services.instance import Chance, Clock, number_of
from api.services.succession import Version
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import root_fingerprint
from schemas.documents import Envelope, Identity
from schemas.partner_tables import (
    EvidenceRow,
    PartnerIdentityRow,
    PartnerRow,
)

LONGEST_BACK_OFF = timedelta(hours=1)
AS_USUAL = (None, "not-a-partner")
"""After these a partner is asked as often as ever: it answers, and its operator may add us now."""
WAITING, FOLLOWING, QUARANTINED, CLOSED = "waiting", "following", "quarantined", "closed"


class ContradictionError(Exception):
    """A partner signed what cannot be true beside what it signed before."""

    def __init__(self, code: str, ours: str, theirs: str) -> None:
        """`ours` is the envelope that we had verified, `theirs` the one that contradicts it."""
        super().__init__(code)
        self.code, self.ours, self.theirs = code, ours, theirs


@dataclass(frozen=True, slots=True)
class Position:
    """A partner as it was read, its newest identity, and where we are in its log."""

    row: PartnerRow
    identity: Identity
    frontier: Frontier

    @property
    def feed(self) -> str:
        """The address of its feed, without a slash at the end."""
        return self.identity.feed.rstrip("/")

    @property
    def partner(self) -> int:
        """The partner's id here."""
        return id_of(self.row)

    def moved(self, row: PartnerRow) -> "Position":
        """Return where we are now that `row` is what is stored of the partner."""
        return replace(self, row=row, frontier=Frontier(row.size, row.frontier))


class Positions:
    """Reads and writes partners; each public method is one transaction."""

    def __init__(self, store: Store, clock: Clock, chance: Chance, every: timedelta) -> None:
        """Let each partner be asked about `every` so often."""
        self._store = store
        self._clock = clock
        self._chance = chance
        self._every = every

    def row(self, origin: str) -> PartnerRow:
        """Return a partner; raise NotFound."""
        with self._store.read() as tx:
            return _found(tx.partners.find(origin))

    def read(self, origin: str) -> Position:
        """Return where we are with a partner; raise NotFound before its identity is known."""
        with self._store.read() as tx:
            row = _found(tx.partners.find(origin))
            pinned = tx.partners.identity(id_of(row), row.version)
        if pinned is None:
            raise NotFound
        return Position(row, decoded(pinned.envelope), Frontier(row.size, row.frontier))

    def in_force(self, origin: str) -> Identity | None:
        """Return the identity in force where we are in a partner's log; None at its beginning."""
        with self._store.read() as tx:
            row = _found(tx.partners.find(origin))
            kept = tx.partners.identity(id_of(row), row.announced)
        return None if kept is None else decoded(kept.envelope)

    def pin(self, origin: str, before: int, versions: Sequence[Version]) -> None:
        """Keep the verified identities that followed version `before` of a partner's."""
        with self._changing(origin) as (tx, row):
            if row.version != before or not versions:
                return
            newest, _ = versions[-1]
            tx.partners.add_identities(
                PartnerIdentityRow(
                    partner=id_of(row),
                    version=identity.version,
                    sha256=sha256(identity.encode()).digest(),
                    envelope=envelope.model_dump_json(),
                )
                for identity, envelope in versions
            )
            keys = {key_id(key): key for key in newest.http_keys}
            tx.partners.set_keys(id_of(row), keys, claimed=False)
            row.version, row.root, row.feed = (
                newest.version, root_fingerprint(newest.root), newest.feed,
            )  # fmt: skip
            row.refresh_at = 0
            if row.state == WAITING:
                row.state = FOLLOWING
            if row.log != number_of(newest.log):
                # The former log ends at the last checkpoint that we have verified.
                row.log, row.size, row.frontier = number_of(newest.log), 0, b""
                row.checkpoint, row.announced = None, 0
                if row.state == CLOSED:
                    row.state, row.code = FOLLOWING, None

    def refresh_from(self, origin: str, moment: int) -> None:
        """Let the identity of a partner not be asked for before `moment` (Unix seconds)."""
        with self._changing(origin) as (_, row):
            row.refresh_at = moment

    def quarantine(self, origin: str, found: ContradictionError) -> None:
        """Ask a partner no more, and keep what it signed as evidence."""
        with self._changing(origin) as (tx, row):
            row.state, row.code = QUARANTINED, found.code
            tx.partners.add_evidence(
                EvidenceRow(
                    partner=id_of(row), at=int(self._clock().timestamp()), code=found.code,
                    ours=found.ours, theirs=found.theirs,
                )
            )  # fmt: skip

    def note(self, origin: str, failure: str | None, wait: int | None) -> None:
        """Say when to ask again: about as often as chosen, ever more seldom after failures."""
        every = self._every.total_seconds()
        with self._changing(origin) as (_, row):
            row.failures = 0 if failure is None else row.failures + 1
            if row.state in (WAITING, FOLLOWING):
                row.code = failure
            slower = min(every * 2 ** min(row.failures, 16), LONGEST_BACK_OFF.total_seconds())
            pause = max(every, 0 if failure in AS_USUAL else slower, wait or 0)
            jitter = int.from_bytes(self._chance(2)) / 2**16 * pause / 4
            row.retry_at = int(self._clock().timestamp() + pause + jitter)

    @contextmanager
    def _changing(self, origin: str) -> Iterator[tuple[Transaction, PartnerRow]]:
        with self._store.begin() as tx:
            yield tx, _found(tx.partners.find(origin, lock=True))


def id_of(row: PartnerRow) -> int:
    """Return the id of a stored partner."""
    assert row.id is not None
    return row.id


# A page after the other is judged by the same identity; the same object is told fastest.
@lru_cache(maxsize=8)
def decoded(envelope: str) -> Identity:
    """Return the identity in an envelope that was stored as JSON."""
    return Identity.decode(Envelope.model_validate_json(envelope).payload)


def _found(row: PartnerRow | None) -> PartnerRow:
    if row is None:
        raise NotFound
    return row
