"""Files of secrets under a passphrase: a moderator's keys, a backup of the instance's.

One line of strict JSON: `{"argon2id":{"m_kib","p","salt","t"},"box","nonce","v":1}`; the box is
XSalsa20-Poly1305 (tag || ciphertext) under Argon2id v1.3 (RFC 9106) of the passphrase in NFKC.
"""

import base64
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret_raw
from nacl import bindings
from nacl.exceptions import CryptoError

from api.crypto.failures import InvalidInput

DEFAULT_M_KIB, DEFAULT_T = 64 * 1024, 3
# A file may come from somebody who wants this device to stand still.
MOST_M_KIB, MOST_T, LONGEST = 1024 * 1024, 16, 1024 * 1024
_LEAST_M_KIB = 8
_SALT = 16


@dataclass(frozen=True, slots=True)
class _Locked:
    """The parts of a file; memory in KiB, passes."""

    m_kib: int
    t: int
    salt: bytes
    nonce: bytes
    box: bytes

    def key(self, passphrase: str) -> bytes:
        # What a terminal passes on undecoded must not end in an error that quotes the passphrase.
        secret = unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")
        return hash_secret_raw(
            secret,
            self.salt,
            time_cost=self.t,
            memory_cost=self.m_kib,
            parallelism=1,
            hash_len=bindings.crypto_secretbox_KEYBYTES,
            type=Type.ID,
            version=0x13,
        )

    def encode(self) -> bytes:
        salt, nonce, box = (_text(part) for part in (self.salt, self.nonce, self.box))
        cost = {"m_kib": self.m_kib, "t": self.t, "p": 1, "salt": salt}
        whole = {"v": 1, "argon2id": cost, "nonce": nonce, "box": box}
        return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> "_Locked":
        try:
            whole = json.loads(data)
            cost = whole["argon2id"]
            salt, nonce, box = (
                _bytes(text) for text in (cost["salt"], whole["nonce"], whole["box"])
            )
            locked = cls(m_kib=cost["m_kib"], t=cost["t"], salt=salt, nonce=nonce, box=box)
        except (ValueError, LookupError, TypeError, RecursionError):
            raise InvalidInput("malformed") from None
        # Written again and compared: what this version doesn't know is not passed over.
        if not locked.is_affordable() or locked.encode() != data:
            raise InvalidInput("malformed")
        return locked

    def is_affordable(self) -> bool:
        return (
            type(self.m_kib) is int
            and type(self.t) is int
            and _LEAST_M_KIB <= self.m_kib <= MOST_M_KIB
            and 1 <= self.t <= MOST_T
            and len(self.salt) == _SALT
            and len(self.nonce) == bindings.crypto_secretbox_NONCEBYTES
        )


def lock(
    plaintext: bytes,
    passphrase: str,
    chance: Callable[[int], bytes],
    *,
    m_kib: int = DEFAULT_M_KIB,
    t: int = DEFAULT_T,
) -> bytes:
    """Return a file that holds `plaintext`, to be opened with `passphrase`.

    `chance(n)` gives n random bytes: 16 of salt, then 24 of nonce.
    """
    salt, nonce = chance(_SALT), chance(bindings.crypto_secretbox_NONCEBYTES)
    key = _Locked(m_kib=m_kib, t=t, salt=salt, nonce=nonce, box=b"").key(passphrase)
    box = bindings.crypto_secretbox(plaintext, nonce, key)
    return _Locked(m_kib=m_kib, t=t, salt=salt, nonce=nonce, box=box).encode()


def unlock(data: bytes, passphrase: str) -> bytes:
    """Return what a file holds; white space around it is ignored.

    Raises InvalidInput `malformed` for what is no such file, or asks for more than 1 GiB, 16
    passes; `wrong-passphrase` for another passphrase or an altered file.
    """
    if len(data) > LONGEST:
        raise InvalidInput("malformed")
    locked = _Locked.decode(data.strip())
    try:
        return bindings.crypto_secretbox_open(locked.box, locked.nonce, locked.key(passphrase))
    except CryptoError:
        raise InvalidInput("wrong-passphrase") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
