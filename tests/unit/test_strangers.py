"""Floods of made-up tokens: members are told from strangers, and nobody's address is known."""

import secrets
import sys

import pytest

from api.errors import RateLimited
from api.services import strangers
from api.services.strangers import FRESH_SECONDS, MOST_A_SECOND, STALE_SECONDS, Strangers

MEMBER, LATE, STRANGER = (secrets.token_bytes(32) for _ in range(3))


class Hand:
    """A clock's, moved by the test, over a database with one member."""

    def __init__(self) -> None:
        self.now, self.reads, self.members = 1_000.25, 0, [MEMBER]

    def monotonic(self) -> float:
        return self.now

    def read(self) -> list[bytes]:
        self.reads += 1
        return list(self.members)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(strangers, "time", hand)
    return hand


def flood(some: Strangers, tokens: int = MOST_A_SECOND) -> None:
    for _ in range(tokens):
        some.count()


def is_refused(some: Strangers, digest: bytes) -> bool:
    try:
        some.screen(digest)
    except RateLimited as refusal:
        return refusal.retry_after == STALE_SECONDS
    return False


def test_a_few_wrong_tokens_cost_nobody_anything(hand: Hand) -> None:
    some = Strangers(hand.read)
    flood(some, MOST_A_SECOND - 1)
    hand.now += 1
    flood(some, MOST_A_SECOND - 1)
    assert not is_refused(some, STRANGER)
    assert hand.reads == 0


def test_in_a_flood_strangers_are_refused_and_members_are_not(hand: Hand) -> None:
    some = Strangers(hand.read)
    flood(some)
    assert is_refused(some, STRANGER)
    assert not is_refused(some, MEMBER)
    hand.now += 1  # the next second has its own first ones
    assert not is_refused(some, STRANGER)


def test_who_joins_during_a_flood_is_let_in_at_once_here_and_soon_elsewhere(hand: Hand) -> None:
    here, elsewhere = Strangers(hand.read), Strangers(hand.read)
    for some in (here, elsewhere):
        flood(some)
    hand.members.append(LATE)
    here.welcome(LATE)
    assert (is_refused(here, LATE), is_refused(elsewhere, LATE)) == (False, True)
    hand.now += FRESH_SECONDS + 1
    flood(elsewhere)
    assert not is_refused(elsewhere, LATE)


def test_nobody_is_refused_by_what_was_read_in_an_earlier_flood(hand: Hand) -> None:
    some = Strangers(hand.read)
    flood(some)
    hand.now += 3_600
    hand.members.append(LATE)
    flood(some, MOST_A_SECOND - 1)
    assert not is_refused(some, LATE)
    some.count()
    assert (is_refused(some, LATE), is_refused(some, STRANGER)) == (False, True)


def test_a_flood_takes_no_memory_and_few_queries(hand: Hand) -> None:
    some = Strangers(hand.read)
    flood(some)
    before = sys.getsizeof(some._members)  # noqa: SLF001  (it is what could grow)
    for _ in range(10):
        flood(some, 1_000)
        hand.now += 0.5
    assert sys.getsizeof(some._members) == before  # noqa: SLF001
    assert hand.reads <= 1 + 5 / FRESH_SECONDS
