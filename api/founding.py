"""How an instance begins: anew, or from a backup. Until all is well, it has not begun."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from api.crypto.bearers import Invitation, format_invitation, parse_invitation
from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.crypto.oprf import derive_key
from api.crypto.stretching import Cost, check_cost
from api.errors import Conflict
from api.keyring import KeyFileError, Keyring, private_file
from api.parts import utc_now
from api.services.backups import read_rows
from api.services.drafts import Founding, first_identity, signed
from api.services.health import OutdatedSchema
from api.services.identities import Identities
from api.services.instance import Clock
from api.services.log import Log
from api.services.sharing import Shared
from api.settings import Settings
from api.store.engine import Store, open_engine
from api.store.schema import HEAD, migrate
from api.trust import root_fingerprint
from schemas.documents import Identity, Root

KEY_BYTES = 32
PRIVATE = 0o700
WRITABLE_BY_OTHERS = 0o022


def found(
    settings: Settings,
    founding: Founding,
    root_file: Path,
    clock: Clock = utc_now,
    shared: Shared | None = None,
) -> Identity:
    """Make the database, the keys, and version 1 of the identity, signed by a new root key.

    The network is a new one, or that of `shared`, which `joining` names. The root key is written
    to `root_file`, to be taken away. Raises Conflict where the database holds an instance
    already, KeyFileError where there are keys, InvalidInput `weak-cost` or `invalid-address`,
    ValidationError for what no identity may hold; nothing is changed then.
    """
    check_cost(Cost(founding.argon2id.m_kib, founding.argon2id.t), founding.network)
    if os.path.lexists(root_file):
        raise KeyFileError(f"{root_file} is there already: an instance is founded once")
    ring = Keyring(
        epoch=_network_key(shared),
        log=os.urandom(KEY_BYTES),
        http=os.urandom(KEY_BYTES),
        receipt=os.urandom(KEY_BYTES),
        later=_deltas(shared),
    )
    seed = os.urandom(KEY_BYTES)
    identity = first_identity(founding, ring, Root(keys=(public_key(seed),), threshold=1), clock())
    _check_address(founding.address, identity)
    with _beginning(settings) as store, _root_key(root_file, seed), ring.saving(settings.keys):
        log = Log(ring.log_seed, clock, os.urandom)
        Identities(store, clock, log, lambda: ring).found(signed(identity, [seed]))
    return identity


def joining(shared: Shared, origin: str, address: str) -> Founding:
    """Return how an instance is founded in the network of another, in its present epoch."""
    network = shared.identity
    return Founding(network.network, origin, address, network.argon2id, network.epoch)


def restore(settings: Settings, rows: BinaryIO, ring: Keyring) -> int:
    """Begin with the rows of a backup and its keys; return how many rows.

    Raises Conflict and KeyFileError as `found` does, and BackupError.
    """
    with _beginning(settings) as store, ring.saving(settings.keys):
        return read_rows(store, rows, ring)


def _network_key(shared: Shared | None) -> bytes:
    if shared is None:
        return derive_key(os.urandom(KEY_BYTES), b"parasol/v1 epoch 1")
    if shared.key is None:
        raise InvalidInput("key-missing")
    return shared.key


def _deltas(shared: Shared | None) -> Mapping[str, bytes]:
    given = {} if shared is None else shared.deltas
    return {f"delta-{epoch}": delta for epoch, delta in given.items()}


def _check_address(address: str, identity: Identity) -> None:
    """Refuse an address that no invitation could name; raise InvalidInput `invalid-address`."""
    line = format_invitation(Invitation(address, "0" * 43, root_fingerprint(identity.root)))
    try:
        named = parse_invitation(line).address
    except InvalidInput:
        named = None
    if named != address:
        raise InvalidInput("invalid-address")


@contextmanager
def _beginning(settings: Settings) -> Iterator[Store]:
    """Open the database of an instance that is still to be; raise where there is one."""
    try:
        if settings.keys.exists():
            raise KeyFileError(f"{settings.keys} is there already: an instance is founded once")
        settings.data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        mode = settings.data.stat().st_mode
    except OSError:
        raise KeyFileError(f"{settings.data} cannot be made") from None
    if mode & WRITABLE_BY_OTHERS:
        raise KeyFileError(f"{settings.data} is open to others: chmod go-w {settings.data}")
    store = Store(open_engine(settings.url))
    try:
        with store.read() as tx:
            revision = tx.revision()
        if revision is None:
            migrate(settings.url)
        elif revision != HEAD:
            # Another instance's, perhaps in use: not ours to change.
            raise OutdatedSchema
        with store.read() as tx:
            if not tx.backup.is_empty():
                raise Conflict
        yield store
    finally:
        store.close()


@contextmanager
def _root_key(file: Path, seed: bytes) -> Iterator[None]:
    """Write the root key; take it back where the block fails."""
    try:
        with private_file(file) as opened:
            opened.write(seed.hex() + "\n")
    except OSError:
        raise KeyFileError(f"{file} cannot be written, or would not be private there") from None
    try:
        yield
    except BaseException:
        file.unlink()
        raise
