"""Our own log, as the operator looks at it: where it stands, whether it holds, who saw what."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from api.crypto.failures import InvalidInput
from api.errors import NotFound
from api.services.checkpoints import verify_log
from api.services.instance import Clock, Instance
from api.store.engine import Store
from api.store.transaction import Transaction
from schemas.documents import Checkpoint
from schemas.tables import LogRow


@dataclass(frozen=True, slots=True)
class OwnLog:
    """Where our log stands."""

    log: str
    key: bytes
    size: int
    erased: int
    state: str
    root: str
    """In hex."""
    age: int
    """Seconds since its newest checkpoint was signed."""


class Agreement(StrEnum):
    """What a checkpoint that others hold of our log is to what is stored here."""

    SAME = "same"
    OTHER = "other"
    LONGER = "longer"


class Inspection:
    """Reads, and changes nothing; each public method is one transaction."""

    def __init__(self, store: Store, instance: Instance, clock: Clock) -> None:
        """Look at the log of `instance` in `store`."""
        self._store = store
        self._instance = instance
        self._clock = clock

    def head(self) -> OwnLog:
        """Return where our log stands; raise NotFound before its first entry."""
        with self._store.read() as tx:
            identity, row = self._instance.refresh(tx), _current(tx)
            newest = tx.log.entry(row.number, row.size - 1)
            if newest is None:
                raise NotFound
            return OwnLog(
                log=f"{identity.origin}:{row.number}",
                key=identity.log_key,
                size=row.size,
                erased=tx.log.elided(row.number),
                state=row.state,
                root=newest.root.hex(),
                age=int(self._clock().timestamp()) - newest.issued,
            )

    def verify(self) -> tuple[int, int]:
        """Hash everything stored anew; return how many entries, and how many are erased.

        Raises InvalidInput as `verify_log` does, and `malformed` for what cannot even be read.
        """
        with self._store.read() as tx:
            identity = self._instance.refresh(tx)
            try:
                return verify_log(tx, identity)
            except ValidationError:
                raise InvalidInput("malformed") from None

    def agrees(self, seen: Checkpoint) -> Agreement:
        """Tell whether a checkpoint of our current log is one of those that are stored here."""
        with self._store.read() as tx:
            row = _current(tx)
            if seen.size > row.size:
                return Agreement.LONGER
            entry = tx.log.entry(row.number, seen.size - 1)
        same = entry is not None and entry.root == seen.root
        return Agreement.SAME if same else Agreement.OTHER


def _current(tx: Transaction) -> LogRow:
    row = tx.log.current()
    if row is None:
        raise NotFound
    return row
