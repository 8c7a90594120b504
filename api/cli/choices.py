"""Words of the protocol as options, written as they travel."""

from enum import StrEnum
from typing import TypeVar

import click

_Word = TypeVar("_Word", bound=StrEnum)


class OneOf(click.Choice[_Word]):
    """A choice among the values of an enumeration; click alone would take its names."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:
        """Return how `choice` is typed."""
        del ctx
        return str(choice)
