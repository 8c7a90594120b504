"""A new moderator's proof that she holds the signing key she announces (PROTOCOL.md §5)."""

from api.crypto.envelopes import public_key, sign_bytes, verify_bytes


def prove_join(seed: bytes, code: str, box: bytes) -> bytes:
    """Return the 64-byte proof over `code` and both public keys, by the `sign` key of `seed`."""
    return sign_bytes(seed, _message(code, public_key(seed), box))


def check_join(sign: bytes, box: bytes, code: str, proof: bytes) -> None:
    """Accept `proof` for the public keys `sign` and `box`; raise InvalidInput `bad-signature`."""
    verify_bytes(sign, _message(code, sign, box), proof)


def _message(code: str, sign: bytes, box: bytes) -> bytes:
    return b"\0".join((b"parasol/v1", b"join", code.encode("ascii"), sign + box))
