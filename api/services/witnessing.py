"""What partners have seen of each other's logs, and of ours (PROTOCOL.md §8).

Who shows two partners two logs is found out when the two compare.
"""

from dataclasses import dataclass

from pydantic import ValidationError

from api.crypto.failures import InvalidInput
from api.crypto.merkle import Frontier
from api.errors import NotFound, PartnerFailure
from api.services.following import CHECKPOINT_BYTES
from api.services.positions import ContradictionError, Position, Positions
from api.services.succession import Remote
from api.store.engine import Store
from api.trust import open_checkpoint
from schemas.documents import Checkpoint, Envelope


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoint of a log that the partner `by` has verified."""

    by: str
    checkpoint: Checkpoint
    envelope: Envelope


class Witnessing:
    """Asks partners for checkpoints that are not their own."""

    def __init__(self, store: Store, positions: Positions, remote: Remote) -> None:
        """Ask `remote`."""
        self._store = store
        self._positions = positions
        self._remote = remote

    def compare(self, origin: str) -> list[Witnessed]:
        """Ask our other partners what they have seen of a partner's log; return who can say.

        One that has seen another log than we have puts the partner in quarantine. Raises
        NotFound for a partner whose identity is not known.
        """
        position = self._positions.read(origin)
        seen = self.of_log(position.identity.log, position.identity.log_key)
        for one in seen:
            if not self._agrees(position, one.checkpoint):
                ours, theirs = position.row.checkpoint or "", one.envelope.model_dump_json()
                self._positions.quarantine(origin, ContradictionError("fork", ours, theirs))
                break
        return seen

    def of_log(self, log: str, log_key: bytes) -> list[Witnessed]:
        """Return what each partner has verified of `log`, whose own partner is not asked."""
        owner = log.rpartition(":")[0]
        with self._store.read() as tx:
            partners = [one.origin for one in tx.partners.all() if one.origin != owner]
        answers = (self._asked(partner, log, log_key) for partner in partners)
        return [one for one in answers if one is not None]

    def _asked(self, partner: str, log: str, log_key: bytes) -> Witnessed | None:
        try:
            feed = self._positions.read(partner).feed
            body = self._remote.get(f"{feed}/witness?log={log}", most=CHECKPOINT_BYTES)
            envelope = Envelope.model_validate_json(body)
            checkpoint = open_checkpoint(envelope, log_key)
        except (NotFound, PartnerFailure, InvalidInput, ValidationError):
            return None
        return Witnessed(partner, checkpoint, envelope) if checkpoint.log == log else None

    def _agrees(self, position: Position, seen: Checkpoint) -> bool:
        """Tell whether what was seen is the beginning of what we have; what is longer may be."""
        if seen.size >= position.frontier.size:
            return seen.size > position.frontier.size or seen.root == position.frontier.root
        then = Frontier()
        with self._store.read() as tx:
            then.extend(tx.arrivals.leaves(position.partner, position.row.log, seen.size))
        return then.size != seen.size or then.root == seen.root
