"""The time, where a caller gives no other clock."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time of this device, with its zone."""
    return datetime.now(UTC)
