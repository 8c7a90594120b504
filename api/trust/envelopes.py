"""What every document from outside goes through: its type, its one spelling, a signature."""

from typing import TypeVar

from api.crypto.envelopes import key_id, verify
from api.crypto.failures import InvalidInput
from schemas.canonical import Document, MalformedDocument
from schemas.documents import Envelope

_Kind = TypeVar("_Kind", bound=Document)


def decoded(envelope: Envelope, kind: type[_Kind], code: str) -> _Kind:
    """Return the document of this kind in an envelope; raise `code` if there is none."""
    if envelope.payload_type != kind.payload_type:
        raise InvalidInput(code)
    try:
        return kind.decode(envelope.payload)
    except MalformedDocument:
        raise InvalidInput(code) from None


def holds(envelope: Envelope, key: bytes, signature: bytes) -> bool:
    """Tell whether a signature over the payload of an envelope is by this key."""
    try:
        verify(key, envelope.payload_type, envelope.payload, signature)
    except InvalidInput:
        return False
    return True


def check_sole_signature(envelope: Envelope, key: bytes) -> None:
    """Accept an envelope that this key, and nobody else, has signed.

    Raises `malformed` for more signatures than one, `unknown-key`, `bad-signature`.
    """
    if len(envelope.signatures) != 1:
        raise InvalidInput("malformed")
    signature = envelope.signatures[0]
    if signature.keyid != key_id(key):
        raise InvalidInput("unknown-key")
    verify(key, envelope.payload_type, envelope.payload, signature.sig)
