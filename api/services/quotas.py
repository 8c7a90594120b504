"""How much one caller may ask for (PROTOCOL.md §5). Counted by opaque ids.

In memory, or together with other processes. While what they share does not answer each counts
alone; but guesses are refused then, since whoever guesses would choose that moment.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.errors import RateLimited, Unavailable
from api.store.windows import Wanted, Windows
from schemas.callers import Caller, Role

if TYPE_CHECKING:  # its library takes a fifth of a second to load
    from api.store.counts import SharedCounts

GUESSES_PER_MINUTE = 120
"""Wrong receipts of everybody together. A right one is never limited, so that nobody can keep
others from withdrawing; that there are 10^16 is what keeps them from being guessed."""

MINUTE, HOUR, DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """Identifiers a member, a collective and a moderator may look up; reports a member may file."""

    per_hour: int
    per_day: int
    collective_per_day: int
    moderator_per_hour: int
    reports_per_day: int


class Quotas:
    """Counts what callers ask for and refuses what is over. Safe to use from any thread."""

    def __init__(self, limits: Limits, shared: "SharedCounts | None" = None) -> None:
        """Start with every count at zero, or where the `shared` ones are."""
        self._limits = limits
        self._shared = shared
        self._own = Windows()

    def spend(self, caller: Caller, identifiers: int) -> None:
        """Count `identifiers` looked up by `caller`; raise RateLimited and count none if over."""
        self._hit(self._looking(caller, identifiers))

    def file(self, caller: Caller, identifiers: int = 0) -> None:
        """Count one report filed by `caller`, and the `identifiers` it names in clear.

        Raises RateLimited if either is too much, and counts none.
        """
        looked = self._looking(caller, identifiers) if identifiers else []
        filed = (f"report {caller.member}", self._limits.reports_per_day, DAY, 1)
        self._hit([filed, *looked])

    def guess(self) -> None:
        """Count a wrong receipt; raise RateLimited where everybody's were too many of late.

        Raises Unavailable where the shared counts do not answer.
        """
        counts = self._shared or self._own
        _refuse_over(counts.hit([("guess receipt", GUESSES_PER_MINUTE, MINUTE, 1)]))

    def _looking(self, caller: Caller, identifiers: int) -> list[Wanted]:
        limits, name = self._limits, f"look {caller.member}"
        if caller.role is Role.MODERATOR:
            return [(name, limits.moderator_per_hour, HOUR, identifiers)]
        return [
            (name, limits.per_hour, HOUR, identifiers),
            (name, limits.per_day, DAY, identifiers),
            (f"all {caller.collective}", limits.collective_per_day, DAY, identifiers),
        ]

    def _hit(self, wanted: Sequence[Wanted]) -> None:
        # All of the counts or none: a refusal must not use up another count.
        if self._shared:
            with suppress(Unavailable):
                _refuse_over(self._shared.hit(wanted))
                return
        _refuse_over(self._own.hit(wanted))


def _refuse_over(wait: int) -> None:
    if wait:
        raise RateLimited(wait)
