"""What instances say to each other (PROTOCOL.md §8)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.base import Count, Digest32, HostName, Key32, LogId, Message, Url
from schemas.documents import Envelope

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


class SignedEntry(Envelope):
    """An envelope with its place in the log."""

    seq: Count


class ElidedEntry(Message):
    """What is left of an entry that was erased: its place, and its leaf hash."""

    seq: Count
    elided: Literal[True]
    leaf: Digest32


FeedEntry = SignedEntry | ElidedEntry


class Page(Message):
    """Entries `first` to `to` (excluded) of a log, and the checkpoint of that size.

    That there are no more than `MOST_ENTRIES` is checked where it has a code of its own.
    """

    log: LogId
    first: Count = Field(alias="from")
    to: Count
    # In this order: nearly all are signed, and the other is tried only where that fails.
    entries: tuple[Annotated[FeedEntry, Field(union_mode="left_to_right")], ...]
    checkpoint: Envelope
