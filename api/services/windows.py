"""Moving windows in this process's memory, a pair for each request that was counted."""

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from limits.storage import MemoryStorage

FORGOTTEN_AT_ONCE = 2
"""More than one: so there are never more keys than were used within the longest window."""


@dataclass(slots=True)
class _Window:
    """What was counted for one key: when and how much, the oldest first, and all together."""

    seconds: int
    counted: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0

    def move(self, now: float) -> None:
        """Leave behind what has been counted too long ago."""
        while self.counted and self.counted[0][0] < now - self.seconds:
            self.total -= self.counted.popleft()[1]


class Windows(MemoryStorage):
    """The library's storage for its moving windows, at a cost that does not grow with the callers.

    Its own keeps an object for every unit and, after each hit, goes through those of everybody.
    """

    def __init__(self) -> None:
        """Begin with nothing counted."""
        super().__init__()
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._counting = threading.Lock()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` for `key` if no more than `limit` are counted within `expiry` seconds."""
        now = time.time()
        with self._counting:
            window = self._windows.get(key) or _Window(expiry)
            window.move(now)
            if window.total + amount > limit:
                return False
            window.counted.append((now, amount))
            window.total += amount
            self._windows[key] = window
            self._windows.move_to_end(key)
            self._forget(now)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """Return when the oldest that still counts was counted, and how much counts."""
        now = time.time()
        with self._counting:
            window = self._windows.get(key)
            if window is None:
                return now, 0
            window.move(now)
            return (window.counted[0][0] if window.counted else now), window.total

    def _forget(self, now: float) -> None:
        """Drop the keys that were used last before all others, when nothing of them counts."""
        for _ in range(FORGOTTEN_AT_ONCE):
            window = next(iter(self._windows.values()))
            window.move(now)
            if window.counted:
                return
            self._windows.popitem(last=False)
