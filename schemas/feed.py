"""What instances say to each other (PROTOCOL.md §8)."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.base import Base64, Count, Digest32, HostName, Key32, LogId, Message, Url
from schemas.documents import Envelope, Signature

MOST_ENTRIES = 256
"""Of one page."""
PROTOCOL = 1

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A root fingerprint in lower-case hex, as in an invitation."""


class Policy(StrEnum):
    """What is done with a partner's reports: they count, wait for a moderator here, or neither."""

    AUTO = "auto"
    HOLD = "hold"
    BLOCK = "block"


class WellKnown(Message):
    """Who lives at an address, for an operator to compare; nothing of it is proved."""

    protocol: Annotated[tuple[int, ...], Field(min_length=1, max_length=16)]
    origin: HostName
    feed: Url
    root_sha256: Fingerprint
    http_keys: Annotated[tuple[Key32, ...], Field(max_length=32)]


class FeedEntry(Message):
    """An entry with its place in the log: an envelope, or the leaf hash of what was erased."""

    seq: Count
    payload: Annotated[bytes | None, Base64()] = None
    payload_type: str | None = Field(default=None, alias="payloadType", max_length=100)
    signatures: Annotated[tuple[Signature, ...] | None, Field(min_length=1, max_length=64)] = None
    elided: Literal[True] | None = None
    leaf: Digest32 | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> Self:
        said = (self.payload is None, self.payload_type is None, self.signatures is None)
        if said not in {(True,) * 3, (False,) * 3} or said[0] == (self.leaf is None):
            raise ValueError("neither an envelope nor a leaf")
        if (self.leaf is None) != (self.elided is None):
            raise ValueError("a leaf, and nothing that says why")
        return self

    @property
    def envelope(self) -> Envelope | None:
        """The envelope as it was signed; None for what was erased."""
        if self.payload is None:
            return None
        # Its members were validated with this; once is enough.
        return Envelope.model_construct(
            payload=self.payload, payload_type=self.payload_type, signatures=self.signatures
        )


class Page(Message):
    """Entries `first` to `to` (excluded) of a log, and the checkpoint of that size.

    That there are no more than `MOST_ENTRIES` is checked where it has a code of its own.
    """

    log: LogId
    first: Count = Field(alias="from")
    to: Count
    entries: tuple[FeedEntry, ...]
    checkpoint: Envelope
