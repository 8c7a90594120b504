"""Promises about reading from a replica: never much older than the database, and never a no."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from api.crypto.bearers import new_bearer
from api.errors import Unauthenticated, Unavailable
from api.parts import Parts
from api.services.callers import REMEMBERED_SECONDS
from api.store.engine import PROMPT_SECONDS, open_engine
from api.store.replica import Replica
from api.store.schema import migrate
from tests.conftest import needed
from tests.e2e.conftest import new_member
from tests.factories import World
from tests.services import Replicated, replicated


@dataclass
class Pair:
    """An instance, and a process of it that may read from a replica."""

    world: World
    parts: Parts
    replica: str

    @property
    def copy(self) -> Replica:
        assert self.parts.replica is not None
        return self.parts.replica

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let the replica show everything there is, and nothing that comes during the block."""
        self.caught_up()
        address = self.replica.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            while connection.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != (
                "paused",
            ):
                time.sleep(0.01)
            self.parts.look()  # pausing may take a while
            try:
                yield
            finally:
                connection.execute("SELECT pg_wal_replay_resume()")

    def caught_up(self) -> None:
        began = time.monotonic()
        while (behind := self.copy.behind) is None or behind > time.monotonic() - began:
            assert time.monotonic() < began + 10, "the replica never caught up"
            self.parts.look()
            time.sleep(0.02)

    def look_on(self, seconds: float = PROMPT_SECONDS) -> None:
        """Look as the server does, until what a replica that stands still shows is too old."""
        until = time.monotonic() + seconds + 0.2
        while time.monotonic() < until:
            self.parts.look()
            time.sleep(0.1)

    def knows(self, bearer: str) -> bool:
        self.parts.callers.forget_all()
        try:
            return self.parts.callers.recognise(bearer) is not None
        except Unauthenticated:
            return False


@pytest.fixture(scope="module")
def cluster() -> Iterator[Replicated]:
    with needed("PostgreSQL", replicated()) as running:
        with administrator(running) as admin:
            admin.execute("CREATE DATABASE migrated")
        migrate(f"{running.url}/migrated")
        yield running


def administrator(cluster: Replicated) -> "psycopg.Connection[tuple[object]]":
    address = f"{cluster.url}/postgres".replace("+psycopg", "")
    return psycopg.connect(address, autocommit=True)


@pytest.fixture
def pair(cluster: Replicated, tmp_path: Path) -> Iterator[Pair]:
    """An instance over a new database of the cluster."""
    name = f"test{secrets.token_hex(8)}"
    with administrator(cluster) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE migrated".encode())
    world = World(tmp_path, f"{cluster.url}/{name}")
    replica = f"{cluster.copy}/{name}"
    chosen = {"replica_url": SecretStr(replica)}
    parts = Parts(world.settings.model_copy(update=chosen), world.clock)
    yield Pair(world, parts, replica)
    parts.close()
    world.close()


def test_a_replica_is_read_but_a_revocation_is_felt_in_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PROMPT_SECONDS + REMEMBERED_SECONDS < 5
    monkeypatch.setattr("api.store.engine.PROMPT_SECONDS", 3)  # this machine may be busy
    pair.world.collective("rose")
    member = new_member(pair.world)
    with pair.standing_still():
        assert pair.world.parts.callers.revoke("rose", None)
        assert pair.knows(member)  # which the replica says, and nobody else
        pair.look_on(3)
        assert not pair.knows(member)
    pair.caught_up()
    assert not pair.knows(member)


def test_who_has_joined_a_moment_ago_is_known(pair: Pair) -> None:
    pair.world.collective("rose")
    with pair.standing_still():
        assert pair.knows(new_member(pair.world))


def test_a_replica_is_not_thought_old_where_nothing_happens(pair: Pair) -> None:
    pair.caught_up()
    pair.look_on()
    assert pair.copy.shows(0.5)


def test_a_list_is_never_exchanged_for_an_older_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, instance = pair.world, pair.parts.instance
    rose = world.collective("rose")
    member = world.member("rose")
    world.round()

    def served() -> tuple[int, int]:
        sealed = instance.serving.sealed
        assert sealed is not None
        return instance.identity.version, sealed.generation

    with pair.standing_still():
        instance.serve()
        before = served()
        world.publish(member, rose, 113)
        world.sign_identity()
        pair.look_on()
        instance.serve()  # from the database: the replica is too old
        newer = served()
        assert newer > before
        monkeypatch.setattr("api.store.engine.PROMPT_SECONDS", 60)  # even if it counted as prompt
        instance.serve()
        assert served() == newer
    pair.caught_up()
    instance.serve()
    assert served() == newer


def test_what_is_no_replica_is_not_read(pair: Pair) -> None:
    engine = open_engine(pair.world.url)
    primary = Replica(engine, pair.world.url)
    primary.look()
    assert primary.behind is None
    primary.close()
    engine.dispose()


def test_without_the_database_a_replica_serves_for_a_minute(
    cluster: Replicated, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.world.collective("rose")
    pair.world.round()
    member = new_member(pair.world)
    pair.caught_up()
    pair.parts.instance.serve()
    with cluster.stopped():
        pair.look_on()
        assert pair.knows(member)
        pair.parts.health.check()
        with pytest.raises(Unavailable):  # a no is never the replica's to say
            pair.knows(new_bearer("m", secrets.token_bytes))
        monkeypatch.setattr("api.store.engine.OLDEST_SECONDS", PROMPT_SECONDS)
        with pytest.raises(Unavailable):
            pair.knows(member)
        with pytest.raises(Unavailable):
            pair.parts.health.check()
