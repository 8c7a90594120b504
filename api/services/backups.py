"""Backups: the database and the keys apart, the keys locked with a passphrase."""

import json
from collections.abc import Iterable, Iterator

from api.crypto.keyfiles import lock, unlock
from api.errors import Conflict, InvalidRequest
from api.keyring import Keyring, keys_of
from api.services.instance import Chance
from api.store.engine import Store
from api.store.schema import HEAD

HEADER = {"parasol": "backup", "revision": HEAD}


def write_rows(store: Store) -> Iterator[str]:
    """Yield the lines of a backup of the database, all of one moment."""
    yield json.dumps(HEADER, sort_keys=True)
    with store.read() as tx:
        yield from tx.backup.lines()


def read_rows(store: Store, lines: Iterable[str]) -> int:
    """Restore a backup into an empty database; return how many rows.

    Raises InvalidRequest for a backup of another revision, Conflict where there are rows already.
    """
    remaining = iter(lines)
    try:
        header = json.loads(next(remaining, ""))
    except ValueError:
        raise InvalidRequest from None
    if header != HEADER:
        raise InvalidRequest
    with store.begin() as tx:
        if not tx.backup.is_empty():
            raise Conflict
        return tx.backup.load(remaining)


def lock_keys(ring: Keyring, passphrase: str, chance: Chance) -> bytes:
    """Return all key files in one, encrypted."""
    return lock(json.dumps(keys_of(ring), sort_keys=True).encode(), passphrase, chance)


def unlock_keys(data: bytes, passphrase: str) -> Keyring:
    """Return the keys of a backup; raise InvalidInput `wrong-passphrase` or `malformed`."""
    keys = json.loads(unlock(data, passphrase))
    return Keyring(**{name: bytes.fromhex(key) for name, key in keys.items()})
