"""How an instance begins."""

import os
from pathlib import Path

from api.app import utc_now
from api.crypto.envelopes import public_key
from api.crypto.oprf import derive_key
from api.crypto.stretching import Cost, check_cost
from api.keyring import KeyFileError, Keyring, write_secret
from api.services.identities import Founding, Identities, first_identity, signed
from api.services.instance import Clock
from api.settings import Settings
from api.store.engine import Store, open_engine
from api.store.schema import migrate
from schemas.documents import Identity, Root

KEY_BYTES = 32
PRIVATE = 0o700


def found(
    settings: Settings, founding: Founding, root_file: Path, clock: Clock = utc_now
) -> Identity:
    """Make the database, the keys, and version 1 of the identity, signed by a new root key.

    The root key is written to `root_file`, to be taken away. Raises Conflict where the database
    has an identity already, KeyFileError where there are keys, InvalidInput `weak-cost`.
    """
    check_cost(Cost(founding.argon2id.m_kib, founding.argon2id.t), founding.network)
    if settings.keys.exists() or root_file.exists():
        raise KeyFileError(f"{settings.keys} or {root_file} exists: an instance is founded once")
    settings.data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    migrate(settings.url)
    ring = Keyring(
        epoch=derive_key(os.urandom(KEY_BYTES), b"parasol/v1 epoch 1"),
        log=os.urandom(KEY_BYTES),
        http=os.urandom(KEY_BYTES),
        receipt=os.urandom(KEY_BYTES),
    )
    seed = os.urandom(KEY_BYTES)
    root = Root(keys=(public_key(seed),), threshold=1)
    identity = first_identity(founding, ring, root, clock())
    store = Store(open_engine(settings.url))
    try:
        Identities(store, clock).found(signed(identity, [seed]))
    finally:
        store.close()
    ring.save(settings.keys)
    write_secret(root_file, seed.hex() + "\n")
    return identity
