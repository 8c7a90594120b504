"""Accounts that only the moderators of the reporter's collective can read (PROTOCOL.md §6).

Padded plaintext under a random box key (XSalsa20-Poly1305); the box key sealed to each of them
(libsodium `crypto_box_seal`: X25519, anonymous sender, itself randomised).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nacl import bindings
from nacl.exceptions import CryptoError

from api.crypto.failures import InvalidInput

PADDING = 4096
_OVERHEAD = bindings.crypto_secretbox_MACBYTES
_BOX_KEY = bindings.crypto_secretbox_KEYBYTES


@dataclass(frozen=True, slots=True)
class SealedParts:
    """A sealed account: nonce (24), box (tag || ciphertext), sealed box keys (80 each) by `kid`."""

    nonce: bytes
    box: bytes
    keys: Mapping[str, bytes]


def seal_account(
    plaintext: bytes, boxes: Mapping[str, bytes], chance: Callable[[int], bytes]
) -> SealedParts:
    """Seal `plaintext` to the X25519 public keys `boxes`, by `kid`.

    `chance(n)` gives n random bytes: the box key first, then the nonce.
    Raises InvalidInput `sealed-unreadable` if there is nobody to read it or a key is unusable.
    """
    if not boxes:
        raise InvalidInput("sealed-unreadable")
    box_key = chance(_BOX_KEY)
    nonce = chance(bindings.crypto_secretbox_NONCEBYTES)
    # At least one block: the length must not tell an empty account from a short one.
    blocks = max(1, -(-len(plaintext) // PADDING))
    box = bindings.crypto_secretbox(plaintext.ljust(blocks * PADDING), nonce, box_key)
    keys = {kid: seal_box_key(box_key, public) for kid, public in boxes.items()}
    return SealedParts(nonce=nonce, box=box, keys=keys)


def open_account(parts: SealedParts, kid: str, box_secret: bytes) -> bytes:
    """Return the account without its padding, for the holder of `kid`'s 32-byte X25519 secret.

    Raises InvalidInput `sealed-unreadable` if it is not sealed to her, or not intact.
    """
    if kid not in parts.keys:
        raise InvalidInput("sealed-unreadable")
    return open_box(parts.nonce, parts.box, open_box_key(parts.keys[kid], box_secret))


def open_box(nonce: bytes, box: bytes, box_key: bytes) -> bytes:
    """Return what `box` holds, without its padding.

    Raises InvalidInput `sealed-unreadable` if it is not intact or not a whole number of blocks.
    """
    if len(box) <= _OVERHEAD or (len(box) - _OVERHEAD) % PADDING:
        raise InvalidInput("sealed-unreadable")
    try:
        padded = bindings.crypto_secretbox_open(box, nonce, box_key)
    except (CryptoError, ValueError):
        raise InvalidInput("sealed-unreadable") from None
    return padded.rstrip(b" ")


def seal_box_key(box_key: bytes, public: bytes) -> bytes:
    """Return `box_key` (32 bytes) sealed to an X25519 public key: 80 bytes.

    Also how a moderator lets a colleague who joined later read an account.
    Raises InvalidInput `sealed-unreadable` for a public key to which nothing can be sealed.
    """
    return seal(box_key, public)


def open_box_key(sealed: bytes, box_secret: bytes) -> bytes:
    """Return the 32-byte box key sealed to the public key of `box_secret` (32 bytes).

    Raises InvalidInput `sealed-unreadable` if it was sealed to somebody else or is not intact.
    """
    box_key = unseal(sealed, box_secret)
    if len(box_key) != _BOX_KEY:
        raise InvalidInput("sealed-unreadable")
    return box_key


def seal(data: bytes, public: bytes) -> bytes:
    """Return `data` sealed to an X25519 public key: 48 bytes longer.

    Raises InvalidInput `sealed-unreadable` for a public key to which nothing can be sealed.
    """
    if len(public) != bindings.crypto_box_PUBLICKEYBYTES:
        raise InvalidInput("sealed-unreadable")
    try:
        return bindings.crypto_box_seal(data, public)
    except CryptoError:
        raise InvalidInput("sealed-unreadable") from None


def unseal(sealed: bytes, secret: bytes) -> bytes:
    """Return what was sealed to the public key of `secret` (32 bytes).

    Raises InvalidInput `sealed-unreadable` if it was sealed to somebody else or is not intact.
    """
    try:
        public = bindings.crypto_scalarmult_base(secret)
        return bindings.crypto_box_seal_open(sealed, public, secret)
    except (CryptoError, ValueError, TypeError):
        raise InvalidInput("sealed-unreadable") from None
