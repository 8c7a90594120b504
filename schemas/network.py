"""Files with which instances share a network key, carried by hand (PROTOCOL.md §9)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from schemas.base import Base64, Key32, Ordinal
from schemas.canonical import Document, Part
from schemas.documents import Envelope

FILE_LIMIT = 64 * 1024 * 1024
"""Of a whole chain of identities, each as large as one may be."""


def _rising(deltas: tuple["Delta", ...]) -> tuple["Delta", ...]:
    epochs = [one.epoch for one in deltas]
    if epochs != sorted(set(epochs)):
        raise ValueError("epochs are not rising")
    return deltas


class Delta(Part):
    """What leads from the network key of `epoch` to that of the next."""

    delta: Key32 = Field(repr=False)
    epoch: Ordinal


class KeyRequest(Document):
    """Asks for the network key, or for what leads to the next: sealed to `key` (X25519)."""

    payload_type = "application/vnd.parasol.key-request.v1+json"

    key: Key32
    v: Literal[1] = 1


class SealedKey(Document):
    """A `SharedKey`, which only whoever asked for it can open (`crypto_box_seal`)."""

    payload_type = "application/vnd.parasol.sealed-key.v1+json"
    limit = FILE_LIMIT

    sealed: Annotated[bytes, Base64(49)] = Field(repr=False)
    v: Literal[1] = 1


class SharedKey(Document):
    """What an instance of the network gives: all its identities, and keys that fit them.

    `key` is that of the newest identity's epoch; absent where only deltas are given.
    """

    payload_type = "application/vnd.parasol.shared-key.v1+json"
    limit = FILE_LIMIT

    deltas: Annotated[tuple[Delta, ...], AfterValidator(_rising)] = Field(repr=False)
    identities: Annotated[tuple[Envelope, ...], Field(min_length=1)]
    key: Key32 | None = Field(default=None, repr=False)
    v: Literal[1] = 1
