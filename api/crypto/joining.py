"""A new moderator's proof that she holds the signing key she announces (PROTOCOL.md §5)."""

from api.crypto.envelopes import public_key, sign_bytes, verify_bytes
from api.crypto.failures import InvalidInput
from api.crypto.sealing import seal_box_key


def prove_join(seed: bytes, code: str, box: bytes) -> bytes:
    """Return the 64-byte proof over `code` and both public keys, by the `sign` key of `seed`."""
    return sign_bytes(seed, _message(code, public_key(seed), box))


def check_join(sign: bytes, box: bytes, code: str, proof: bytes) -> None:
    """Accept `proof` for the public keys `sign` and `box`.

    Raises InvalidInput `bad-signature`, or `malformed` for a `box` key to which nothing can be
    sealed: with it in the identity, nobody of the collective could report any more.
    """
    verify_bytes(sign, _message(code, sign, box), proof)
    try:
        seal_box_key(bytes(32), box)
    except InvalidInput:
        raise InvalidInput("malformed") from None


def _message(code: str, sign: bytes, box: bytes) -> bytes:
    return b"\0".join((b"parasol/v1", b"join", code.encode("ascii"), sign + box))
