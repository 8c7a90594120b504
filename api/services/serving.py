"""What a process serves: identity, key and list of one moment, exchanged at one stroke."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from api.crypto.buckets import Layout
from api.crypto.oprf import KeyEvaluator
from api.errors import Unavailable
from api.store.transaction import Transaction
from schemas.documents import Envelope, Identity
from schemas.tables import BucketRow

SECONDS_AN_HOUR = 3_600
STALE_HOURS = 48


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One bucket as it is served."""

    file: bytes
    etag: str
    sealed: int

    @classmethod
    def of(cls, row: BucketRow) -> "SealedFile":
        """Return the bucket of a stored row."""
        etag = f'"{hashlib.sha256(row.file).hexdigest()[:32]}"'
        return cls(row.file, etag, row.sealed)


@dataclass(frozen=True, slots=True)
class SealedList:
    """All buckets of one layout: a reader sees one such list, whole, or the next."""

    edition: str
    epoch: int
    layout: Layout
    generation: int
    files: tuple[SealedFile, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A version of the identity, as signed, and the network key of its epoch."""

    identity: Identity
    envelope: Envelope
    evaluator: KeyEvaluator

    def is_sealed_like(self, other: "Held") -> bool:
        """Tell whether a list that is sealed under the one can be read under the other."""
        mine, theirs = self.identity, other.identity
        return (mine.epoch, mine.log_key) == (theirs.epoch, theirs.log_key)


@dataclass(frozen=True, slots=True)
class Serving:
    """One answer takes all it needs from one of these, and so never mixes two epochs."""

    held: Held
    sealed: SealedList | None = None

    def fresh(self, now: datetime) -> SealedList:
        """Return the list; raise Unavailable where there is none, or no fresh one."""
        current = self.sealed
        if current is None or now.timestamp() // SECONDS_AN_HOUR - STALE_HOURS > min(
            file.sealed for file in current.files
        ):
            raise Unavailable
        return current


def newest_list(tx: Transaction, known: SealedList | None) -> SealedList | None:
    """Return the list that is sealed, as `tx` sees it; only what `known` lacks is read.

    None where there is none.
    """
    layout = tx.buckets.layout()
    if layout is None:
        return None
    same = known is not None and known.edition == layout.edition
    if known and same and known.generation == layout.generation:
        return known
    files = list(known.files) if known and same else []
    for row in tx.buckets.newer(known.generation if known and same else 0):
        sealed = SealedFile.of(row)
        if row.index < len(files):
            files[row.index] = sealed
        else:
            files.append(sealed)
    if len(files) != 1 << layout.bits:
        return None
    plan = Layout(layout.bits, layout.slots)
    return SealedList(layout.edition, layout.epoch, plan, layout.generation, tuple(files))
