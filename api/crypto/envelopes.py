"""What an envelope's signatures are over, and whose they are (DSSE v1, RFC 8032)."""

import base64
import hashlib
from functools import lru_cache

from nacl import bindings
from nacl.exceptions import BadSignatureError

from api.crypto.failures import InvalidInput


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: DSSE v1's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def entry_id(payload_type: str, payload: bytes) -> bytes:
    """Return the 32-byte id of an entry, which is its Merkle leaf hash (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\0" + pae(payload_type, payload)).digest()


def key_id(public: bytes) -> str:
    """Return the `keyid` of a raw 32-byte public key: base64 of its SHA-256."""
    return base64.b64encode(hashlib.sha256(public).digest()).decode("ascii")


def public_key(seed: bytes) -> bytes:
    """Return the 32-byte Ed25519 public key of a 32-byte seed."""
    return bindings.crypto_sign_seed_keypair(seed)[0]


def sign(seed: bytes, payload_type: str, payload: bytes) -> bytes:
    """Return the 64-byte Ed25519 signature of a payload by the key of a 32-byte seed."""
    return sign_bytes(seed, pae(payload_type, payload))


def verify(public: bytes, payload_type: str, payload: bytes, signature: bytes) -> None:
    """Accept a signature over a payload. Raises as `verify_bytes` does."""
    verify_bytes(public, pae(payload_type, payload), signature)


def sign_bytes(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte Ed25519 signature of labelled bytes that are no envelope."""
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    return bindings.crypto_sign(message, secret)[: bindings.crypto_sign_BYTES]


def verify_bytes(public: bytes, message: bytes, signature: bytes) -> None:
    """Accept an Ed25519 signature (64 bytes) by a public key (32 bytes) over `message`.

    Raises InvalidInput `bad-signature`, also for a key that is no canonical point of the prime
    order subgroup.
    """
    # libsodium reads 32 bytes of key whatever it is given.
    if len(public) != bindings.crypto_sign_PUBLICKEYBYTES or not _is_sound(public):
        raise InvalidInput("bad-signature")
    if len(signature) != bindings.crypto_sign_BYTES:
        raise InvalidInput("bad-signature")
    try:
        bindings.crypto_sign_open(signature + message, public)
    except BadSignatureError:
        raise InvalidInput("bad-signature") from None


# Libraries disagree about signatures by keys with a torsion part; a partner must not see what
# we don't. The check costs as much as a verification, and keys are few.
@lru_cache(maxsize=1024)
def _is_sound(public: bytes) -> bool:
    return bool(bindings.crypto_core_ed25519_is_valid_point(public))
