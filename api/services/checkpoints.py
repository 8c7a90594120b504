"""The checkpoints that are stored with the entries of our log, and whether all of it holds."""

from datetime import UTC, datetime

from api.crypto.envelopes import entry_id, key_id, verify
from api.crypto.failures import InvalidInput
from api.crypto.merkle import Frontier
from api.store.log import NewEntry
from api.store.transaction import Transaction
from schemas.documents import Checkpoint, Envelope, Identity, Signature
from schemas.tables import EntryRow

AT_ONCE = 1_000


def checkpoint_of(origin: str, entry: EntryRow | NewEntry, issued: int | None = None) -> Checkpoint:
    """Return the checkpoint of the log when `entry` was its newest."""
    moment = datetime.fromtimestamp(entry.issued if issued is None else issued, UTC)
    return Checkpoint(
        origin=origin,
        log=f"{origin}:{entry.log}",
        size=entry.seq + 1,
        root=entry.root,
        issued=f"{moment:%Y-%m-%dT%H:%M:%SZ}",
    )


def signed_checkpoint(origin: str, entry: EntryRow, log_key: bytes) -> Envelope:
    """Return the stored checkpoint of `entry`, as it was signed by the key `log_key`."""
    signature = Signature(keyid=key_id(log_key), sig=entry.signature)
    return Envelope.around(checkpoint_of(origin, entry), [signature])


def verify_log(tx: Transaction, identity: Identity) -> tuple[int, int]:
    """Hash everything stored anew; return how many entries there are, and how many are erased.

    Raises InvalidInput `wrong-order` for a gap, `root-mismatch` for a leaf or root that is not
    its entry's, `bad-signature` for a checkpoint that the log key has not signed.
    """
    row = tx.log.current()
    if row is None:
        return 0, 0
    frontier, elided = Frontier(), 0
    while rows := tx.log.entries(row.number, frontier.size, AT_ONCE):
        for entry in rows:
            if entry.seq != frontier.size:
                raise InvalidInput("wrong-order")
            _verify_leaf(entry)
            elided += entry.envelope is None
            frontier.append(entry.leaf)
            if frontier.root != entry.root:
                raise InvalidInput("root-mismatch")
            document = checkpoint_of(identity.origin, entry)
            verify(identity.log_key, document.payload_type, document.encode(), entry.signature)
    if (frontier.size, bytes(frontier)) != (row.size, row.frontier):
        raise InvalidInput("root-mismatch")
    return frontier.size, elided


def _verify_leaf(entry: EntryRow) -> None:
    if entry.envelope is not None:
        envelope = Envelope.model_validate_json(entry.envelope)
        if entry_id(envelope.payload_type, envelope.payload) != entry.leaf:
            raise InvalidInput("root-mismatch")
