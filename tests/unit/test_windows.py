"""What may be counted within a moving window, and what is remembered of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.store import windows
from api.store.windows import Windows

MOST, SECONDS = 5, 60


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


def hit(counts: Windows, name: str, more: int = 1) -> int:
    return counts.hit([(name, MOST, SECONDS, more)])


def test_what_is_refused_is_not_counted(clock: Time) -> None:
    counts = Windows()
    assert hit(counts, "rose", 3) == 0
    assert hit(counts, "rose", 3) == SECONDS
    assert hit(counts, "rose", 2) == 0
    clock.now += SECONDS
    assert hit(counts, "rose", MOST) == 0


def test_of_several_counts_all_or_none_are_counted() -> None:
    counts = Windows()
    both = [("rose", MOST, SECONDS, 3), ("all", 2 * MOST, SECONDS, 3)]
    assert counts.hit(both) == 0
    assert counts.hit(both) == SECONDS
    assert counts.hit([("all", 2 * MOST, SECONDS, 7)]) == 0


def test_one_name_within_two_times_is_two_counts() -> None:
    counts = Windows()
    both = [("rose", MOST, SECONDS, 3), ("rose", 3, 2 * SECONDS, 3)]
    assert counts.hit(both) == 0
    assert counts.hit(both) == 2 * SECONDS
    assert hit(counts, "rose", 2) == 0


def test_after_the_wait_there_is_room(clock: Time) -> None:
    counts = Windows()
    hit(counts, "rose", 2)
    clock.now += 20.5
    hit(counts, "rose", 3)
    wait = hit(counts, "rose", 2)
    assert wait == SECONDS - 20
    clock.now += wait - 1
    assert hit(counts, "rose", 2) > 0
    clock.now += 1
    assert hit(counts, "rose", 2) == 0


def test_who_no_longer_calls_is_forgotten(clock: Time) -> None:
    counts = Windows()
    for n in range(100):
        hit(counts, f"gone-{n}")
    clock.now += SECONDS
    for _ in range(100):
        counts.hit([("rose", 1000, SECONDS, 1)])
    assert len(counts) == 1


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(0, 40)), max_size=40)
)
def test_no_window_ever_holds_more_than_it_may(hits: list[tuple[str, int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        clock = Time()
        patched.setattr(windows, "time", clock)
        counts = Windows()
        taken: list[tuple[float, str, int]] = []
        for name, more, later in hits:
            clock.now += later
            held = sum(much for at, who, much in taken if who == name and at > clock.now - SECONDS)
            fits = held + more <= MOST
            assert (hit(counts, name, more) == 0) is fits
            if fits:
                taken.append((clock.now, name, more))
