"""Backups: the database and the keys apart, the keys locked with a passphrase.

The database's is text, a row a line, between a header and a seal: an HMAC of all lines under a
key that comes from the receipt key. So a half, an altered, or another instance's file is refused
before a single row is written, and rows never meet keys that are not theirs.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import BinaryIO

from api.crypto.failures import InvalidInput
from api.crypto.keyfiles import lock, unlock
from api.errors import Conflict
from api.keyring import KEY_BYTES, KeyFileError, Keyring, keys_of
from api.services.instance import Chance
from api.store.engine import Store
from api.store.schema import HEAD

KIND = "backup"
_SEALING = b"parasol/v1\0backup"


class BackupError(Exception):
    """A backup cannot be restored; the text says why, and holds nothing of it."""


def write_rows(store: Store, ring: Keyring) -> Iterator[str]:
    """Yield the lines of a backup of the database, all of one moment, each with its end."""
    seal = _seal(ring)
    header = json.dumps({"parasol": KIND, "revision": HEAD}, sort_keys=True)
    with store.read() as tx:
        for text in chain([header], tx.backup.lines()):
            line = f"{text}\n"
            seal.update(line.encode("ascii"))
            yield line
    yield json.dumps({"seal": seal.hexdigest()}) + "\n"


def read_rows(store: Store, file: BinaryIO, ring: Keyring) -> int:
    """Restore a backup into an empty database; return how many rows.

    Raises BackupError for what is not a whole backup, of this revision, of the instance whose
    keys are in `ring`; Conflict where there are rows already.
    """
    count = _check(file, ring)
    file.seek(0)
    with store.begin() as tx:
        if not tx.backup.is_empty():
            raise Conflict
        rows = tx.backup.load(line.decode("ascii") for line in islice(file, 1, 1 + count))
        if tx.partners.count():
            # They may have seen more of our log than this copy knows.
            tx.log.suspect()
        return rows


def lock_keys(ring: Keyring, passphrase: str, chance: Chance) -> bytes:
    """Return all key files in one, encrypted."""
    return lock(json.dumps(keys_of(ring), sort_keys=True).encode(), passphrase, chance)


def unlock_keys(data: bytes, passphrase: str) -> Keyring:
    """Return the keys of a backup; raise InvalidInput `wrong-passphrase` or `malformed`."""
    opened = unlock(data, passphrase)
    try:
        members = json.loads(opened)
        keys = {name: bytes.fromhex(key) for name, key in members.items()}
        ring = Keyring.of(keys)
    except (ValueError, TypeError, AttributeError, KeyFileError):
        raise InvalidInput("malformed") from None
    if any(len(key) != KEY_BYTES for key in keys.values()):
        raise InvalidInput("malformed")
    return ring


def _check(file: BinaryIO, ring: Keyring) -> int:
    """Return how many rows stand between header and seal; raise BackupError."""
    seal = _seal(ring)
    header, last, lines = file.readline(), b"", 0
    _check_header(header)
    before = header
    for last in file:
        seal.update(before)
        before, lines = last, lines + 1
    expected = json.dumps({"seal": seal.hexdigest()}).encode() + b"\n"
    if not hmac.compare_digest(last, expected):
        raise BackupError("the backup is incomplete, was altered, or belongs to other keys")
    return lines - 1


def _check_header(line: bytes) -> None:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("parasol") != KIND:
        raise BackupError("this is not a backup of Parasol")
    if header != {"parasol": KIND, "revision": HEAD}:
        raise BackupError("the backup is of another version: restore it with that, then migrate")


def _seal(ring: Keyring) -> hmac.HMAC:
    key = hmac.digest(ring.receipt, _SEALING, hashlib.sha256)
    return hmac.new(key, digestmod=hashlib.sha256)
