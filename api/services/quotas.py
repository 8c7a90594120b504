"""How much one caller may ask for (PROTOCOL.md §5). Counted by opaque ids.

In memory, or together with other processes. While what they share does not answer each counts
alone; but guesses are refused then, since whoever guesses would choose that moment.
"""

import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limits import (
    RateLimitItem,
    RateLimitItemPerDay,
    RateLimitItemPerHour,
    RateLimitItemPerMinute,
)
from limits.strategies import MovingWindowRateLimiter

from api.errors import RateLimited, Unavailable
from api.services.windows import Windows
from schemas.callers import Caller, Role

if TYPE_CHECKING:  # its library takes a fifth of a second to load
    from api.store.counts import SharedCounts

GUESSES_PER_MINUTE = 120
"""Wrong receipts of everybody together. A right one is never limited, so that nobody can keep
others from withdrawing; that there are 10^16 is what keeps them from being guessed."""

_Count = tuple[RateLimitItem, str, int]
"""A quota, whose it is, and how much of it is wanted."""


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
        self._shared = shared
        self._limiter = MovingWindowRateLimiter(Windows())
        self._lock = threading.Lock()
        self._member = (
            RateLimitItemPerHour(limits.per_hour, namespace="look"),
            RateLimitItemPerDay(limits.per_day, namespace="look"),
        )
        self._collective = RateLimitItemPerDay(limits.collective_per_day, namespace="all")
        self._moderator = RateLimitItemPerHour(limits.moderator_per_hour, namespace="look")
        self._reports = RateLimitItemPerDay(limits.reports_per_day, namespace="report")
        self._guesses = RateLimitItemPerMinute(GUESSES_PER_MINUTE, namespace="guess")

    def spend(self, caller: Caller, identifiers: int) -> None:
        """Count `identifiers` looked up by `caller`; raise RateLimited and count none if over."""
        self._hit(self._looking(caller, identifiers))

    def file(self, caller: Caller, identifiers: int = 0) -> None:
        """Count one report filed by `caller`, and the `identifiers` it names in clear.

        Raises RateLimited if either is too much, and counts none.
        """
        looked = self._looking(caller, identifiers) if identifiers else []
        self._hit([(self._reports, caller.member, 1), *looked])

    def _looking(self, caller: Caller, identifiers: int) -> list[_Count]:
        if caller.role is Role.MODERATOR:
            return [(self._moderator, caller.member, identifiers)]
        own = [(item, caller.member, identifiers) for item in self._member]
        return [*own, (self._collective, caller.collective, identifiers)]

    def guess(self) -> None:
        """Count a wrong receipt; raise RateLimited where everybody's were too many of late.

        Raises Unavailable where the shared counts do not answer.
        """
        if self._shared:
            self._hit_shared(self._shared, [(self._guesses, "receipt", 1)])
        elif not self._limiter.hit(self._guesses, "receipt"):
            raise RateLimited(self._wait(self._guesses, "receipt"))

    def _hit(self, wanted: Sequence[_Count]) -> None:
        # All of the counts or none: a refusal must not use up another count.
        if self._shared:
            with suppress(Unavailable):
                self._hit_shared(self._shared, wanted)
                return
        with self._lock:
            over = [
                (item, key)
                for item, key, cost in wanted
                if not self._limiter.test(item, key, cost=cost)
            ]
            if over:
                raise RateLimited(max(self._wait(*pair) for pair in over))
            for item, key, cost in wanted:
                self._limiter.hit(item, key, cost=cost)

    def _hit_shared(self, shared: "SharedCounts", wanted: Sequence[_Count]) -> None:
        wait = shared.hit(
            [
                (f"{item.namespace} {key}", item.amount, item.get_expiry(), cost)
                for item, key, cost in wanted
            ]
        )
        if wait:
            raise RateLimited(wait)

    def _wait(self, item: RateLimitItem, key: str) -> int:
        reset = self._limiter.get_window_stats(item, key).reset_time
        return max(1, math.ceil(reset - time.time()))
