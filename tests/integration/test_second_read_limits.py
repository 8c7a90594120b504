"""Promises about load, clocks and faults: none of them takes a warning or a quota away."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from api.crypto.stretching import stretch
from api.errors import RateLimited
from api.founding import found
from api.parts import Parts, UnsafeSetting
from api.services.drafts import Founding
from api.services.timekeeping import LEASE
from api.settings import Settings
from api.store.engine import open_engine
from schemas.base import Severity
from schemas.callers import Caller, JoinRequest, Role
from schemas.documents import Argon2id
from schemas.lookups import LookupQuery
from schemas.reports import Status
from tests.factories import (
    CHEAP,
    NETWORK,
    ORIGIN,
    START,
    Clock,
    Moderator,
    World,
    awaited,
    phone,
    refused,
)

MakeWorld = Callable[..., World]
# Where the database has no part in it, one is enough.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# ---- A list that was lost ----


def lose_the_list(world: World) -> None:
    engine = open_engine(world.url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM bucket"))
        connection.execute(text("DELETE FROM layout"))
    engine.dispose()


def publish(world: World, member: Caller, moderators: list[Moderator], number: int) -> str:
    """Approve a danger that any round publishes; return its receipt."""
    receipt = world.file(member, number)
    world.approve(world.queue(moderators[0])[-1], *moderators)
    return receipt


def generation(world: World) -> int:
    with world.parts.store.read() as tx:
        layout = tx.buckets.layout()
    return layout.generation if layout else 0


@pytest.mark.parametrize("sealed_before", [1, 2, 3, 5])
def test_a_list_lost_under_a_running_process_is_served_whole_again(
    world: World, sealed_before: int
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.round()
    taken_back = publish(world, member, moderators, 0)
    for number in range(1, sealed_before):
        publish(world, member, moderators, number)
        world.round()
    lose_the_list(world)
    world.withdraw(taken_back)
    for number in range(100, 106):
        publish(world, member, moderators, number)
        world.round()
        listed = {*range(1, sealed_before), *range(100, number + 1)}
        assert {one for one in (*range(10), *range(100, 110)) if match(world, one)} == listed


@pytest.mark.parametrize("sealed_meanwhile", [1, 2, 3, 4, 5])
def test_a_list_that_another_process_made_anew_is_served_though_it_counts_alike(
    world: World, sealed_meanwhile: int
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    for number in range(3):
        publish(world, member, moderators, number)
        world.round()
    assert generation(world) == 3
    world.parts.timekeeper.stop()
    lose_the_list(world)
    with world.another() as other:
        for number in range(100, 100 + sealed_meanwhile):
            publish(world, member, moderators, number)
            other.round()
        world.round()
    listed = {*range(3), *range(100, 100 + sealed_meanwhile)}
    assert {one for one in (*range(10), *range(100, 110)) if match(world, one)} == listed


def test_a_list_of_several_buckets_is_served_whole_again(make_world: MakeWorld) -> None:
    world = make_world(bucket_limit=4096)
    moderators, member = world.collective("rose"), world.member("rose")
    numbers = range(320)
    for start in range(0, 320, 4):
        world.file(member, *range(start, start + 4), severity=Severity.RISK)
    for page in range(4):
        for item in world.queue(moderators[0])[:20]:
            world.approve(item, moderators[page % 2])
    world.clock.pass_(hours=49)
    world.round()
    assert len(world.parts.instance.serving.fresh(world.clock.now).files) > 1
    lose_the_list(world)
    publish(world, member, moderators, 500)
    world.round()
    assert all(match(world, number) for number in (*numbers[::16], 319, 500))
    assert not match(world, 501)


def match(world: World, number: int) -> bool:
    """Whether the running process answers a look-up with a match."""
    rows = world.parts.callers.invite("rose", Role.MEMBER, 1).invitations
    token = world.parts.callers.redeem(JoinRequest(code=SecretStr(rows[0].code))).token
    return world.look_up(number, world.parts.callers.recognise(token)).match


# ---- Others' load ----


@contextmanager
def busy(world: World, places: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let somebody else's look-up hold `places` places of the pool for the block."""
    asked, go = threading.Event(), threading.Event()

    def slow(*identifier_network_cost: Any) -> bytes:
        asked.set()
        assert go.wait(30)
        return stretch(*identifier_network_cost)

    world.collective("iris", 1)
    other = world.member("iris")
    query = LookupQuery(identifiers=[phone(900 + number) for number in range(places)])
    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr("api.services.stretching.stretch", slow)
        answer = pool.submit(asyncio.run, world.parts.lookups.answer(query, other))
        assert asked.wait(30)
        try:
            yield
        finally:
            go.set()
            assert len(answer.result(30).results) == places


def look_up(world: World, caller: Caller, identifiers: int) -> None:
    query = LookupQuery(identifiers=[phone(number) for number in range(identifiers)])
    awaited(world.parts.lookups.answer(query, caller))


SMALL: dict[str, Any] = {
    "stretching_threads": 1,
    "stretching_queue": 9,
    "per_hour": 10,
    "per_day": 10,
    "collective_per_day": 10,
    "reports_per_day": 2,
}


@pytest.mark.parametrize(("held", "asked"), [(10, 1), (10, 10), (1, 10), (5, 6)])
def test_a_look_up_that_others_load_refused_costs_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, held: int, asked: int
) -> None:
    world = make_world(**SMALL)
    world.collective("rose", 1)
    member = world.member("rose")
    world.round()
    with busy(world, held, monkeypatch):
        for _ in range(15):
            with refused("unavailable"):
                look_up(world, member, asked)
    look_up(world, member, 10)
    with refused("rate-limited"):
        look_up(world, member, 1)


@pytest.mark.parametrize(("held", "named"), [(10, 1), (10, 4), (8, 3)])
def test_a_report_that_others_load_refused_costs_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, held: int, named: int
) -> None:
    world = make_world(**SMALL)
    world.collective("rose", 1)
    member = world.member("rose")
    world.round()
    with busy(world, held, monkeypatch):
        for _ in range(15):
            with refused("unavailable"):
                world.file(member, *range(named))
    assert world.rows("report") == world.rows("receipt") == []
    look_up(world, member, 8)
    for number in range(2):
        world.file(member, number)
    with refused("rate-limited"):
        world.file(member, 2)


def test_who_is_over_her_quota_holds_no_place_that_others_need(make_world: MakeWorld) -> None:
    world = make_world(**SMALL | {"collective_per_day": 100})
    world.collective("rose", 1)
    member, other = world.member("rose"), world.member("rose")
    world.round()
    look_up(world, member, 10)
    for _ in range(15):
        with refused("rate-limited"):
            look_up(world, member, 10)
    look_up(world, other, 10)


@pytest.mark.parametrize(("threads", "queue"), [(1, 8), (8, 1), (4, 5)])
def test_fewer_places_than_one_look_up_may_need_are_refused(
    tmp_path: Path, threads: int, queue: int
) -> None:
    with pytest.raises(ValidationError):
        Settings(data=tmp_path, stretching_threads=threads, stretching_queue=queue)


@pytest.mark.parametrize(("threads", "queue"), [(1, 9), (9, 1), (5, 5)])
def test_ten_places_are_enough_for_ten_identifiers(
    make_world: MakeWorld, threads: int, queue: int
) -> None:
    world = make_world(stretching_threads=threads, stretching_queue=queue)
    moderators, member = world.collective("rose"), world.member("rose")
    publish(world, member, moderators, 3)
    world.round()
    query = LookupQuery(identifiers=[phone(number) for number in range(10)])
    for _ in range(3):
        results = awaited(world.parts.lookups.answer(query, member)).results
        assert [one.match for one in results] == [number == 3 for number in range(10)]


# ---- Files so small that they say whom one asks about ----


@pytest.mark.parametrize("limit", [4_096, 49_152, 131_071])
def test_a_network_of_people_has_no_small_buckets(
    database_url: str, tmp_path: Path, limit: int
) -> None:
    data, url = tmp_path / "instance", SecretStr(database_url)
    founding = Founding("roses", ORIGIN, "http://127.0.0.1:8000", Argon2id(m_kib=65_536, t=3))
    settings = Settings(data=data, database_url=url)
    found(settings, founding, tmp_path / "root.key", Clock())
    with pytest.raises(UnsafeSetting):
        Parts(settings.model_copy(update={"bucket_limit": limit}), Clock())
    for enough in (131_072, 262_144):
        Parts(settings.model_copy(update={"bucket_limit": enough}), Clock()).close()


@pytest.mark.parametrize("network", [NETWORK, "test-"])
def test_a_network_for_tests_may_have_small_buckets(
    database_url: str, tmp_path: Path, network: str
) -> None:
    data, url = tmp_path / "instance", SecretStr(database_url)
    settings = Settings(data=data, database_url=url, bucket_limit=4_096)
    founding = Founding(network, ORIGIN, "http://127.0.0.1:8000", CHEAP)
    found(settings, founding, tmp_path / "root.key", Clock())
    Parts(settings, Clock()).close()


# ---- Clocks ----


MOMENTS = [START, START + timedelta(seconds=1), START.replace(minute=59, second=50)]


@pytest.mark.parametrize("severity", [Severity.RISK, Severity.NUISANCE])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("chance", ["least", "most"])
def test_what_is_no_danger_waits_one_hour_at_least_and_48_at_most(
    world: World, monkeypatch: pytest.MonkeyPatch, severity: Severity, moment: datetime, chance: str
) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda n: 0 if chance == "least" else n - 1)
    (moderator,) = world.collective("rose", 1)
    world.clock.now = moment
    receipt = world.file(world.member("rose"), 113, severity=severity)
    world.approve(world.item(moderator), moderator)
    world.clock.now = moment + timedelta(hours=1, seconds=-1)
    world.round()
    assert world.status(receipt) is Status.APPROVED
    world.clock.now = moment + timedelta(hours=48)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED


@on_sqlite
@pytest.mark.parametrize("moment", MOMENTS)
def test_no_chance_makes_a_wait_shorter_or_longer(world: World, moment: datetime) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    world.clock.now = moment
    for number in range(40):
        world.file(member, number, severity=Severity.RISK)
    for item in world.queue(moderator):
        world.approve(item, moderator)
    waits = [row["publish_at"] - int(moment.timestamp()) for row in world.rows("report")]
    assert len(waits) == 40
    assert 3_600 <= min(waits) <= max(waits) <= 48 * 3_600
    assert max(waits) - min(waits) > 12 * 3_600


def take(world: World, holder: str, now: datetime) -> bool:
    with world.parts.store.begin() as tx:
        until = int((now + timedelta(seconds=60)).timestamp())
        return tx.leases.take(LEASE, holder, int(now.timestamp()), until)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=365)])
def test_a_lease_taken_by_a_clock_that_was_ahead_is_not_believed(
    world: World, ahead: timedelta
) -> None:
    assert take(world, "ahead", START + ahead)
    assert take(world, "right", START)
    assert not take(world, "third", START + timedelta(seconds=59))
    assert take(world, "third", START + timedelta(seconds=60))


def test_a_lease_that_runs_is_believed(world: World) -> None:
    assert take(world, "first", START)
    for seconds in (0, 1, 59):
        assert not take(world, "second", START + timedelta(seconds=seconds))
    assert take(world, "first", START + timedelta(seconds=59))
    assert not take(world, "second", START + timedelta(seconds=118))
    assert take(world, "second", START + timedelta(seconds=119))


def test_a_process_that_died_with_a_clock_a_year_ahead_keeps_nobody_from_publishing(
    world: World,
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.round()
    world.parts.timekeeper.stop()
    ahead = Clock(START + timedelta(days=365))
    with world.another(ahead) as other:
        assert other.timekeeper.run_once() is not None
        receipt = publish(world, member, moderators, 113)
        world.round()
        assert world.status(receipt) is Status.PUBLISHED
        assert world.look_up(113, member).match


# ---- Guesses ----


def test_wrong_codes_keep_nobody_from_joining(world: World) -> None:
    world.collective("rose", 1)
    code = world.parts.callers.invite("rose", Role.MEMBER, 1).invitations[0].code
    for number in range(200):
        with refused("not-found"):
            world.parts.callers.redeem(JoinRequest(code=SecretStr(f"{number:043}")))
    answer = world.parts.callers.redeem(JoinRequest(code=SecretStr(code)))
    assert world.parts.callers.recognise(answer.token).collective == "rose"


@pytest.mark.parametrize("ask", [World.status, World.withdraw])
def test_wrong_receipts_are_limited_and_keep_nobody_from_her_report(
    world: World, ask: Callable[[World, str], Status]
) -> None:
    world.collective("rose")
    receipt = world.file(world.member("rose"), 113)
    for number in range(120):
        with refused("not-found"):
            ask(world, f"{number:016}")
    for number in range(3):
        with pytest.raises(RateLimited) as caught:
            ask(world, f"{number:016}")
        assert 1 <= caught.value.retry_after <= 60
    assert world.status(receipt) is Status.SUBMITTED
    assert world.withdraw(receipt) is Status.WITHDRAWN
    assert world.status(receipt) is world.withdraw(receipt) is Status.WITHDRAWN


# ---- Faults ----


def test_a_fault_in_one_report_keeps_no_other_from_being_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    receipts = [publish(world, member, moderators, number) for number in range(3)]
    faulty = world.rows("report")[1]["id"]
    keeper = world.parts.timekeeper
    real = keeper._publish  # noqa: SLF001

    def publish_or_fail(report_ids: Sequence[str], now: datetime) -> int:
        if faulty in report_ids:
            raise RuntimeError
        return real(report_ids, now)

    with monkeypatch.context() as patched:
        patched.setattr(keeper, "_publish", publish_or_fail)
        with suppress(RuntimeError):
            world.round()
    assert [world.status(one) for one in receipts] == ["published", "approved", "published"]
    assert [world.look_up(number, member).match for number in range(3)] == [True, False, True]
    world.round()
    assert world.status(receipts[1]) is Status.PUBLISHED
    assert world.look_up(1, member).match


# ---- The identity in force ----


def test_an_instance_never_goes_back_to_an_older_identity(world: World) -> None:
    world.collective("rose", 1)
    instance, before = world.parts.instance, world.identity
    with world.parts.store.read() as tx:
        assert instance.refresh(tx) == before
        world.collective("lily", 1)
        with world.parts.store.read() as later:
            newest = instance.refresh(later)
        assert newest.version == before.version + 1
        assert instance.refresh(tx) == before
        assert instance.identity == newest
        assert instance.envelope(None).payload == newest.encode()
        with world.parts.store.read() as later:
            assert instance.refresh(later) == newest
    assert instance.identity == world.identity == newest
