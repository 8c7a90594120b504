"""Tokens that are nobody's, sent by the thousand: they shall not keep members from the database."""

import threading
import time
from collections.abc import Callable, Iterable

from api.errors import RateLimited

MOST_A_SECOND = 50
"""Tokens that turn out to be nobody's in one second, of everybody together: then it is a flood."""

FRESH_SECONDS, STALE_SECONDS = 2, 5
"""How old what is known of members' tokens may be before it is read anew, and is not gone by."""


class Strangers:
    """Tells members from strangers during a flood, without a query for each. Knows no addresses.

    Who is in the database is never refused, but for a token that another process has given out
    within the last seconds; she is told to wait as long. Safe to use from any thread.
    """

    def __init__(self, read: Callable[[], Iterable[bytes]]) -> None:
        """Take `read`, which returns the digests of all members' tokens; it is asked in floods."""
        self._read = read
        self._members: set[int] = set()
        self._read_at = -float(STALE_SECONDS)
        self._second = 0
        self._counted = 0
        self._lock = threading.Lock()

    def screen(self, digest: bytes) -> None:
        """Raise RateLimited if this is a flood and the token, by its digest, no member's."""
        now = time.monotonic()
        flooded = self._second == int(now) and self._counted >= MOST_A_SECOND
        if flooded and now < self._read_at + STALE_SECONDS and _short(digest) not in self._members:
            raise RateLimited(STALE_SECONDS)

    def count(self) -> None:
        """Count a token that was nobody's; in a flood, learn whose tokens are somebody's."""
        now = time.monotonic()
        with self._lock:
            if self._second != int(now):
                self._second, self._counted = int(now), 0
            self._counted += 1
            due = self._counted >= MOST_A_SECOND and now > self._read_at + FRESH_SECONDS
            if due:
                self._members = {_short(digest) for digest in self._read()}
                self._read_at = now

    def welcome(self, digest: bytes) -> None:
        """Know the token that a new member was just given."""
        with self._lock:
            self._members.add(_short(digest))


def _short(digest: bytes) -> int:
    """Return as much of a digest as tells members' from made-up ones, in a third of the memory."""
    return int.from_bytes(digest[:8])
