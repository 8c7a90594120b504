"""Receipts and reporter tags: what binds a report to its reporter, without a name (§6).

Their keys come from the text of the bearer token, which the instance does not keep; every
function that takes one raises InvalidInput `unauthenticated` if it has not the form of one.
"""

import hashlib
import hmac
import re

from api.crypto.bearers import bearer_bytes
from api.crypto.failures import InvalidInput

_RECEIPT = re.compile(r"[0-9]{16}")
_STORED = b"parasol/v1\0stored receipt\0"


def receipt_secret(bearer: str) -> bytes:
    """Return `rk` (32 bytes), from which receipts of a bearer token's reports are made."""
    return _derived(bearer, b"parasol receipt")


def receipt(key: bytes, rk: bytes, request_id: bytes) -> str:
    """Return the 16 digits for a request (id of 16 bytes), by the instance's receipt key.

    The same request of the same bearer gets the same receipt, so that asking twice is harmless.
    """
    number = int.from_bytes(hmac.digest(key, rk + request_id, hashlib.sha256))
    return f"{number % 10**16:016d}"


def receipt_digest(key: bytes, receipt: str) -> bytes:
    """Return the 32 bytes by which a receipt is stored: an HMAC under the receipt key.

    The label keeps it apart from the HMAC that made the receipt.
    Raises InvalidInput `not-found` for what has not the form of a receipt.
    """
    if not _RECEIPT.fullmatch(receipt):
        raise InvalidInput("not-found")
    return hmac.digest(key, _STORED + receipt.encode("ascii"), hashlib.sha256)


def body_digest(rk: bytes, body: bytes) -> bytes:
    """Return the 16 bytes by which a request's body is remembered (keyed BLAKE2b, RFC 7693)."""
    return hashlib.blake2b(body, digest_size=16, key=rk).digest()


def reporter_tag(bearer: str, token: bytes) -> bytes:
    """Return the 16 bytes that are equal for one reporter's reports about one token."""
    key = _derived(bearer, b"parasol report")
    return hashlib.blake2b(token, digest_size=16, key=key).digest()


def _derived(bearer: str, person: bytes) -> bytes:
    return hashlib.blake2b(bearer_bytes(bearer), digest_size=32, person=person).digest()
