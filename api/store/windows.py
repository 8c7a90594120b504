"""Moving windows in this process's memory, a pair for each request that was counted."""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

Wanted = tuple[str, int, int, int]
"""What is counted, how much of it there may be in how many seconds, and how much more is wanted."""

FORGOTTEN_AT_ONCE = 2
"""More than one: so there are never many more names than were used within the longest window."""


@dataclass(slots=True)
class _Window:
    """What was counted under one name: when and how much, the oldest first, and all together."""

    seconds: int
    counted: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0

    def move(self, now: float) -> None:
        """Leave behind what was counted too long ago."""
        while self.counted and self.counted[0][0] <= now - self.seconds:
            self.total -= self.counted.popleft()[1]

    def wait(self, now: float) -> int:
        """Return for how many seconds the oldest that is counted still counts."""
        oldest = self.counted[0][0] if self.counted else now
        return max(1, math.ceil(oldest + self.seconds - now))


class Windows:
    """Counts of one process, for any thread; what one costs does not grow with the callers."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._windows: OrderedDict[tuple[str, int], _Window] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many names are remembered."""
        return len(self._windows)

    def hit(self, wanted: Sequence[Wanted]) -> int:
        """Count all that is wanted and return 0; or none, and return for how long to wait."""
        now = time.time()
        with self._lock:
            wait, windows = 0, []
            for name, most, seconds, more in wanted:
                window = self._windows.get((name, seconds)) or _Window(seconds)
                window.move(now)
                if window.total + more > most:
                    wait = max(wait, window.wait(now))
                windows.append(window)
            if wait == 0:
                for (name, _, seconds, more), window in zip(wanted, windows, strict=True):
                    window.counted.append((now, more))
                    window.total += more
                    self._windows[name, seconds] = window
                    self._windows.move_to_end((name, seconds))
                    self._forget(now)
        return wait

    def _forget(self, now: float) -> None:
        """Drop the names that were used last before all others, when nothing of them counts."""
        for _ in range(FORGOTTEN_AT_ONCE):
            window = next(iter(self._windows.values()))
            window.move(now)
            if window.counted:
                return
            self._windows.popitem(last=False)
