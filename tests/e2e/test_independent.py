"""The same question in clear, by our client, and by one written from the protocol."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.client import Client, CouldNotCheck, Refused, join
from api.crypto.buckets import Counts
from api.crypto.identifiers import parse_identifier
from schemas.callers import Role
from tests.e2e.conftest import (
    LISTED,
    TWICE,
    UNLISTED,
    Cast,
    Server,
    bearer_of,
    eventually,
    found_world,
    people,
    serving,
    this_month,
)
from tests.factories import World
from tests.independent import client as independent
from tests.independent.client import IndependentClient

NOBODY = ("email", "nobody@example.org", None)


def number(last: int) -> tuple[str, str, str | None]:
    return ("phone", f"07700 900{last:03}", "GB")


QUESTIONS = [
    [number(LISTED)],
    [number(UNLISTED)],
    [NOBODY],
    [number(TWICE), number(UNLISTED), number(LISTED), NOBODY, number(LISTED)],
    [number(last) for last in range(990, 1000)],
]


@pytest.fixture(scope="module")
def ours(server: Server) -> Iterator[Client]:
    """Our client, joined by an invitation."""
    with Client(join(server.invitation("rose"))) as client:
        yield client


@pytest.fixture(scope="module")
def theirs(server: Server) -> IndependentClient:
    """The independent client, joined by another."""
    return IndependentClient.join(server.invitation("rose"))


Answer = tuple[int, int, int, int, int] | None


def plainly(server: Server, bearer: str, items: list[Any]) -> list[Answer]:
    fields = ("kind", "value", "region")
    identifiers = [dict(zip(fields, item, strict=True)) for item in items]
    body = {"identifiers": identifiers}
    results = server.ask("POST", "/v1/lookups", bearer, json=body).json()["results"]
    return [
        (
            one["reports"]["danger"], one["reports"]["risk"], one["reports"]["nuisance"],
            one["collectives"], one["reports"]["recent"],
        )
        if one["match"]
        else None
        for one in results
    ]  # fmt: skip


def by_ours(client: Client, items: list[Any]) -> list[Answer]:
    return [_tuple(one) for one in client.check([parse_identifier(*item) for item in items])]


def _tuple(counts: Counts | None) -> Answer:
    if counts is None:
        return None
    return (counts.danger, counts.risk, counts.nuisance, counts.collectives, counts.recent)


def by_theirs(client: IndependentClient, items: list[Any]) -> list[Answer]:
    return [None if one is None else tuple(one) for one in client.check(items)]  # type: ignore[misc]


@pytest.mark.parametrize("items", QUESTIONS, ids=["match", "none", "email", "several", "ten"])
def test_the_three_ways_of_asking_have_one_answer(
    server: Server, cast: Cast, ours: Client, theirs: IndependentClient, items: list[Any]
) -> None:
    plain = plainly(server, cast.member, items)
    assert by_ours(ours, items) == plain
    assert by_theirs(theirs, items) == plain
    known = {number(LISTED): (1, 0, 0, 1, 1), number(TWICE): (2, 0, 0, 2, 2)}
    assert plain == [known.get(item) for item in items]


def test_a_new_warning_reaches_all_three(
    server: Server, cast: Cast, shared_world: World, ours: Client, theirs: IndependentClient
) -> None:
    items = [number(700)]
    assert by_ours(ours, items) == by_theirs(theirs, items) == [None]
    member = shared_world.member("thorn")
    known = {one.id for one in shared_world.queue(cast.thorn[0])}
    shared_world.file(member, 700, month=this_month(shared_world))
    (item,) = [one for one in shared_world.queue(cast.thorn[0]) if one.id not in known]
    shared_world.approve(item, *cast.thorn)
    expected: list[Answer] = [(1, 0, 0, 1, 1)]
    eventually(lambda: plainly(server, cast.member, items) == expected)
    assert by_ours(ours, items) == by_theirs(theirs, items) == expected


def test_all_three_go_on_after_a_new_identity(
    server: Server, cast: Cast, shared_world: World, ours: Client, theirs: IndependentClient
) -> None:
    shared_world.sign_identity()
    eventually(lambda: server.serves_newest(cast.member))
    items = [number(LISTED), number(UNLISTED)]
    assert by_ours(ours, items) == by_theirs(theirs, items) == plainly(server, cast.member, items)


def test_an_invitation_works_once(server: Server) -> None:
    for first, second in ((join, IndependentClient.join), (IndependentClient.join, join)):
        line = server.invitation("rose")
        first(line)
        with pytest.raises((independent.CouldNotCheck, Refused)) as refused:
            second(line)
        error: Any = refused.value
        assert getattr(error, "reason", None) == "not-found" or error.code == "not-found"


def test_another_root_is_not_believed(server: Server) -> None:
    line = server.invitation("rose")
    forged = line[:-64] + "0" * 64
    with pytest.raises(CouldNotCheck):
        join(forged)
    stranger = IndependentClient.join(server.invitation("rose")[:-64] + "0" * 64)
    with pytest.raises(independent.CouldNotCheck):
        stranger.check([number(LISTED)])


def test_an_ended_token_can_not_check(server: Server, shared_world: World) -> None:
    member = shared_world.member("rose")
    root = IndependentClient.join(server.invitation("rose")).root
    ended = IndependentClient(server.address, bearer_of(member), root)
    shared_world.parts.callers.leave(member)
    with pytest.raises(independent.CouldNotCheck) as refused:
        ended.check([number(UNLISTED)])
    assert refused.value.reason == "unauthenticated"


def test_a_moderators_code_is_not_for_a_member(server: Server) -> None:
    line = server.invitation("rose", Role.MODERATOR)
    with pytest.raises(independent.CouldNotCheck) as refused:
        IndependentClient.join(line)
    assert refused.value.reason == "invalid-request"


def test_a_list_cut_into_buckets_gives_the_same_answers(
    sqlite_template: Path, tmp_path: Path
) -> None:
    """Over 256 tokens, at the smallest limit that a test network may set."""
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'buckets.db')}"
    own_world = found_world(tmp_path, url)
    cast = people(own_world)
    # Where there is one moderator, one signature is enough.
    moderators, member = own_world.collective("moss", 1), own_world.member("moss")
    for first in range(200, 460, 4):
        own_world.file(member, *range(first, first + 4), month=this_month(own_world))
    for item in own_world.queue(moderators[0]):
        own_world.approve(item, *moderators)
    own_world.close()
    with serving(own_world, tmp_path, BUCKET_LIMIT="4096") as server:
        buckets = server.ask("GET", "/v1/network").json()["buckets"]
        assert buckets == {"bits": 2, "slots": 224}
        sizes = set()
        for index in range(4):
            answer = server.ask("GET", f"/v1/buckets/1/2/{index}", cast.member)
            sizes.add(len(answer.content))
        assert sizes == {44 + 12 * 224 + 64}
        items = [number(last) for last in (LISTED, 200, 301, 402, 459, 460, UNLISTED)]
        plain = plainly(server, cast.member, items)
        assert [one is not None for one in plain] == [True] * 5 + [False] * 2
        with Client(join(server.invitation("rose"))) as ours:
            theirs = IndependentClient(server.address, ours.profile.token, ours.profile.root)
            assert by_ours(ours, items) == by_theirs(theirs, items) == plain
