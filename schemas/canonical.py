"""Payloads with one spelling (PROTOCOL.md §7).

Bytes become a type, the type becomes bytes again, and the two must be equal: this refuses all
that JSON libraries let pass (keys twice, floats, escapes, white space).
"""

from collections.abc import Hashable
from typing import ClassVar, Self, TypeVar

from pydantic import ConfigDict
from pydantic_core import to_json

from schemas.base import Category, Message

PAYLOAD_LIMIT = 4 * 1024


class MalformedDocument(ValueError):  # noqa: N818  (a value is malformed; nothing went wrong here)
    """A payload is not the one spelling of a document of its type. Never repeats the payload."""

    def __init__(self) -> None:
        """Say what, and nothing of the payload."""
        super().__init__("malformed document")


class Part(Message):
    """Something inside a payload: JSON types are taken literally, nothing is converted.

    Members are declared in alphabetical order: that is the order in which they are written.
    """

    model_config = ConfigDict(strict=True)


class Document(Part):
    """Base of the payloads: what is signed."""

    payload_type: ClassVar[str]
    limit: ClassVar[int] = PAYLOAD_LIMIT

    def encode(self) -> bytes:
        """Return the payload: strict JSON, sorted keys, no spaces, absent members left out.

        Raises MalformedDocument if it is larger than its type allows.
        """
        payload = to_json(self, exclude_none=True)
        if len(payload) > self.limit:
            raise MalformedDocument
        return payload

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the document of which `payload` is the encoding.

        Raises MalformedDocument for every other payload.
        """
        if len(payload) > cls.limit:
            raise MalformedDocument
        try:
            document = cls.model_validate_json(payload)
            encoded = document.encode()
        except (ValueError, RecursionError):
            raise MalformedDocument from None
        if encoded != payload:
            raise MalformedDocument
        return document


Item = TypeVar("Item", bound=Hashable)
Sortable = TypeVar("Sortable", bytes, Category)


def distinct(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return `values`. Raises ValueError if one is there twice."""
    if len(values) > 1 and len(set(values)) != len(values):
        raise ValueError("a list repeats itself")
    return values


def ascending(values: tuple[Sortable, ...]) -> tuple[Sortable, ...]:
    """Return `values`. Raises ValueError if they are not sorted, or one is there twice."""
    if len(values) > 1 and list(values) != sorted(set(values)):
        raise ValueError("a list is not sorted, or repeats itself")
    return values
