"""The network key changes in the middle of a sync, here or there, wherever that falls."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.crypto.buckets import bucket_word
from api.crypto.ristretto import Scalar, element, multiply, scalar_from_uniform
from api.keyring import read_key
from api.parts import Parts
from api.services.drafts import signed
from api.services.following import Following
from schemas.callers import Caller
from tests.factories import NETWORK, World
from tests.hostile import Peer, Sent, as_json, followed, leaf_of, rows_of

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Where no lock of the database decides anything."""
SIZE = 3
"""Entries a page."""
REPORTS = 10
NUMBERS = range(1, REPORTS + 1)


@pytest.fixture
def peer(world: World) -> Iterator[Peer]:
    with followed(world) as peer:
        world.collective("rose")
        world.parts.partners.set_quotas(peer.origin, 1000, 1000)
        in_pages(peer)
        yield peer


def in_pages(peer: Peer, meanwhile: Callable[[int], object] = lambda _: None) -> None:
    """Answer small pages; do something before each, which is told its number."""
    asked = [0]

    def page(query: dict[str, str]) -> Sent:
        asked[0] += 1
        meanwhile(asked[0])
        return Sent(as_json(peer.page(int(query["from"]), SIZE)))

    peer.answers["/entries"] = page


def new_delta() -> Scalar:
    return scalar_from_uniform(secrets.token_bytes(64))


def go_over(parts: Parts, world: World, delta: Scalar) -> None:
    """Let the world go over to the key to which `delta` leads, as the operator's command does."""
    parts.rotation.convert(parts.rotation.choose(delta), lambda _done, _total: None)
    parts.rotation.switch(signed(parts.rotation.draft(delta), [read_key(world.root)]), delta)


def change_theirs(peer: Peer, delta: Scalar) -> None:
    """Let the peer go over to the key to which `delta` leads, and announce it."""
    key = multiply(delta, element(peer.identity.public_key))
    peer.issue(epoch=peer.identity.epoch + 1, public_key=key)
    peer.append(peer.keys())
    peer.tokens = {one: multiply(delta, element(token)) for one, token in peer.tokens.items()}


def is_converted(peer: Peer, *numbers: int) -> None:
    """Hold what is stored against the log: every entry once, each token of our epoch."""
    world, epoch = peer.world, peer.world.identity.epoch
    entries = rows_of(world, "foreign_entry")
    assert [row["leaf"] for row in entries] == peer.leaves()
    assert {row["outcome"] for row in entries} == {"applied"}
    stored = sorted((row["token"], row["word"]) for row in rows_of(world, "foreign_identifier"))
    tokens = [world.token(one) for one in numbers]
    assert stored == sorted((one, bucket_word(one, NETWORK, epoch)) for one in tokens)


def are_warned(world: World, member: Caller) -> dict[int, int]:
    """How many warnings of each number are given, of those of whom any is."""
    world.round()
    found = {one: world.look_up(one, member) for one in range(REPORTS + 2)}
    return {number: one.reports.total for number, one in found.items() if one.match}


@on_sqlite
@pytest.mark.parametrize("page", [1, 3])
def test_whoever_changes_the_key_while_it_is_read_is_waited_for(peer: Peer, page: int) -> None:
    """Pages before the announcement count, none from it on: until we are given what leads there."""
    world, delta = peer.world, new_delta()
    member = world.member("rose")
    late = peer.report(REPORTS + 1)  # approved before the change, published after it
    peer.append(*[peer.report(number) for number in NUMBERS])

    def meanwhile(number: int) -> None:
        if number == page:
            change_theirs(peer, delta)
            peer.append(late, *[peer.report(one) for one in NUMBERS[:4]])

    in_pages(peer, meanwhile)
    assert peer.sync().code in (None, "wrong-epoch")  # to the head of before, perhaps
    assert peer.sync().code == "wrong-epoch"
    here = peer.line.entries
    assert REPORTS - SIZE < here <= REPORTS + 1
    assert (peer.line.state, peer.line.counted) == ("following", here - 1)
    before = are_warned(world, member)
    assert before == dict.fromkeys(range(1, here), 1)
    for _ in range(2):  # asked again, as long as it lasts: nothing moves
        assert (peer.sync().code, peer.line.entries) == ("wrong-epoch", here)
    go_over(world.parts, world, delta)
    world.round()
    assert peer.sync().code is None
    is_converted(peer, *NUMBERS, REPORTS + 1, *NUMBERS[:4])
    assert peer.counted == REPORTS + 5
    once, twice = dict.fromkeys([*NUMBERS, REPORTS + 1], 1), dict.fromkeys(NUMBERS[:4], 2)
    assert are_warned(world, member) == once | twice


def test_our_key_changes_between_a_page_and_its_place(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another process, when the page was read and judged in the former epoch."""
    world, true, turns = peer.world, Following._apply, [0]  # noqa: SLF001
    member = world.member("rose")
    peer.append(*[peer.report(number) for number in NUMBERS])

    def apply(self: Following, *given: Any) -> Any:
        turns[0] += 1
        if turns[0] == 2:
            with world.another() as operator:
                go_over(operator, world, new_delta())
        return true(self, *given)

    # Each page by itself: else chance decides how many come together.
    monkeypatch.setattr("api.services.pages.MOST_PAGES", 1)
    monkeypatch.setattr(Following, "_apply", apply)
    assert peer.sync().code is None
    assert turns[0] > 2
    assert world.identity.epoch == 2
    is_converted(peer, *NUMBERS)
    assert are_warned(world, member) == dict.fromkeys(NUMBERS, 1)


@on_sqlite
def test_what_takes_back_a_report_of_the_former_key_finds_it(peer: Peer) -> None:
    """A retraction, an erasure and a correction, on pages that are read after the change."""
    world = peer.world
    member = world.member("rose")
    reports = [peer.report(number) for number in NUMBERS]
    peer.append(*reports, peer.retract(reports[0]), peer.erase(reports[1]))
    peer.append(peer.report(REPORTS + 1, replaces=leaf_of(reports[2])))

    def meanwhile(number: int) -> None:
        if number == 3:
            with world.another() as operator:
                go_over(operator, world, new_delta())

    in_pages(peer, meanwhile)
    assert peer.sync().code is None
    assert peer.counted == REPORTS - 2
    assert are_warned(world, member) == dict.fromkeys(range(4, REPORTS + 2), 1)


@on_sqlite
def test_both_change_the_key_in_the_middle_of_one_sync(peer: Peer) -> None:
    """The follower is given the delta while it reads: at the latest the next sync goes on."""
    world, delta = peer.world, new_delta()
    member = world.member("rose")
    peer.append(*[peer.report(number) for number in NUMBERS])

    def meanwhile(number: int) -> None:
        if number == 2:
            change_theirs(peer, delta)
            peer.append(*[peer.report(one) for one in NUMBERS[:2]])
        if number == 3:
            with world.another() as operator:
                go_over(operator, world, delta)

    in_pages(peer, meanwhile)
    assert peer.sync().code in (None, "wrong-epoch")
    world.round()
    assert peer.sync().code is None
    is_converted(peer, *NUMBERS, *NUMBERS[:2])
    assert are_warned(world, member) == dict.fromkeys(NUMBERS, 1) | {1: 2, 2: 2}


def test_our_key_changes_again_and_again_at_any_moment_of_a_sync(peer: Peer) -> None:
    """Two processes that really run at once: one follows, the other changes the key three times."""
    world = peer.world
    member = world.member("rose")
    times = 6
    peer.append(*[peer.report(number) for _ in range(times) for number in NUMBERS])
    with world.another() as operator, ThreadPoolExecutor(1) as pool:
        following = pool.submit(peer.sync)
        changes = 0
        while not following.done() or changes < 3:
            if changes < 3:
                go_over(operator, world, new_delta())
                changes += 1
        assert following.result().code is None
    assert world.identity.epoch == 4
    is_converted(peer, *list(NUMBERS) * times)
    assert peer.counted == times * REPORTS
    assert are_warned(world, member) == dict.fromkeys(NUMBERS, times)
