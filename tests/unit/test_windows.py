"""The counts of moving windows in memory, against the library's own."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.services import windows
from api.services.windows import Windows

ITEM = RateLimitItemPerMinute(5)
WINDOW = 60


class Time:
    """A clock that is set."""

    now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    at = Time()
    monkeypatch.setattr(windows, "time", at)
    return at


@pytest.fixture
def limiter(clock: Time) -> MovingWindowRateLimiter:  # noqa: ARG001  (its time is the clock's)
    return MovingWindowRateLimiter(Windows())


def test_no_more_than_the_limit_is_counted_within_any_window(
    clock: Time, limiter: MovingWindowRateLimiter
) -> None:
    taken: list[float] = []
    for _ in range(400):
        clock.now += 3
        if limiter.hit(ITEM, "rose"):
            taken.append(clock.now)
    assert len(taken) > ITEM.amount
    assert all(later - first > WINDOW for first, later in zip(taken, taken[5:], strict=False))
    assert any(after - before == 3 for before, after in pairwise(taken))


def test_what_is_refused_is_not_counted(clock: Time, limiter: MovingWindowRateLimiter) -> None:
    assert limiter.hit(ITEM, "rose", cost=3)
    assert not limiter.hit(ITEM, "rose", cost=3)
    assert limiter.get_window_stats(ITEM, "rose").remaining == 2
    assert limiter.hit(ITEM, "rose", cost=2)
    clock.now += WINDOW + 1
    assert limiter.get_window_stats(ITEM, "rose").remaining == 5


def test_a_caller_learns_when_there_is_room_again(
    clock: Time, limiter: MovingWindowRateLimiter
) -> None:
    limiter.hit(ITEM, "rose", cost=2)
    clock.now += 20
    limiter.hit(ITEM, "rose", cost=3)
    reset = limiter.get_window_stats(ITEM, "rose").reset_time
    clock.now = reset
    assert not limiter.test(ITEM, "rose")
    clock.now = reset + 0.001
    assert limiter.test(ITEM, "rose", cost=2)
    assert not limiter.test(ITEM, "rose", cost=3)


def test_one_caller_takes_nothing_from_another(limiter: MovingWindowRateLimiter) -> None:
    assert limiter.hit(ITEM, "rose", cost=5)
    assert limiter.hit(ITEM, "lily", cost=5)


def test_who_no_longer_calls_is_forgotten(clock: Time) -> None:
    storage = Windows()
    limiter = MovingWindowRateLimiter(storage)
    for n in range(100):
        limiter.hit(ITEM, f"gone-{n}")
    clock.now += WINDOW + 1
    for _ in range(100):
        limiter.hit(RateLimitItemPerMinute(1000), "rose")
    assert len(storage._windows) == 1  # noqa: SLF001


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 4)), max_size=30))
def test_it_counts_as_the_library_does(hits: list[tuple[str, int]]) -> None:
    ours, theirs = MovingWindowRateLimiter(Windows()), MovingWindowRateLimiter(MemoryStorage())
    for key, cost in hits:
        assert ours.test(ITEM, key, cost=cost) == theirs.test(ITEM, key, cost=cost)
        assert ours.hit(ITEM, key, cost=cost) == theirs.hit(ITEM, key, cost=cost)
