"""A restored instance asks what was seen of its log before it signs anything."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.crypto.envelopes import public_key
from api.errors import Unavailable
from api.founding import restore
from api.keyring import Keyring, add_key, read_key
from api.parts import Parts
from api.services.backups import write_rows
from api.services.checkpoints import verify_log
from api.services.drafts import Changes, signed
from api.settings import Settings
from schemas.callers import Caller
from schemas.documents import RetractReason
from schemas.feed import Policy
from schemas.moderation import Dispute, Retraction
from schemas.reports import Status
from tests.e2e.conftest import eventually
from tests.factories import Clock, Moderator, World, refused
from tests.pairs import befriend, copied, listening, pair

Pair = tuple[World, World]

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what no database decides: each of these needs two servers."""


@pytest.fixture
def two(database_url: str, sqlite_template: Path, tmp_path: Path) -> Iterator[Pair]:
    """Two partners, the first of them on either database."""
    clock = Clock(datetime.now(UTC))
    with pair(tmp_path, database_url, copied(sqlite_template, tmp_path), clock) as made:
        yield made


def month(world: World) -> str:
    return f"{world.clock.now:%Y-%m}"


def size(world: World) -> int:
    with world.parts.store.read() as tx:
        row = tx.log.current()
        assert row is not None
        return row.size


def root(world: World) -> bytes:
    with world.parts.store.read() as tx:
        row = tx.log.current()
        assert row is not None
        entry = tx.log.entry(row.number, row.size - 1)
        assert entry is not None
        assert verify_log(tx, world.identity)[0] == row.size
        return entry.root


def backup(world: World) -> bytes:
    ring = Keyring.load(world.settings.keys)
    return "".join(write_rows(world.parts.store, ring)).encode("ascii")


def put_back(world: World, rows: bytes, url: str) -> World:
    """The instance as its backup `rows` has it, over the new database `url`."""
    ring = Keyring.load(world.settings.keys)
    world.close()
    fields = world.settings.model_dump() | {"data": world.folder / "restored", "database_url": url}
    settings = Settings(**fields)
    restore(settings, io.BytesIO(rows), ring)
    again = object.__new__(World)
    again.__dict__.update(world.__dict__)
    again.settings, again.url = settings, url
    again.parts = Parts(settings, world.clock)
    again.identities = again.parts.identities
    world.parts = again.parts  # which is what the fixture closes
    return again


def take_back(
    world: World, moderators: list[Moderator], number: int, reason: RetractReason
) -> None:
    """Retract, or dispute, what is published about a number."""
    token = world.token(number)
    (item,) = [
        one
        for one in world.queue(moderators[0], Status.PUBLISHED)
        if token in {each.token for each in one.identifiers}
    ]
    document = world.retract_document(item, reason)
    decide = world.parts.moderation
    for moderator in moderators:
        envelope = world.envelope(document, moderator)
        if reason is RetractReason.DISPUTED:
            decide.dispute(item.id, Dispute(envelope=envelope), world.caller(moderator))
        else:
            decide.retract(item.id, Retraction(envelope=envelope), world.caller(moderator))


@pytest.fixture
def restored(two: Pair, tmp_path: Path) -> Iterator[tuple[World, World, bytes, list[Moderator]]]:
    """An instance restored from before much that its partner has seen; and what its root was."""
    alpha, beta = two
    with listening(alpha, beta):
        befriend(alpha, beta)
    rose, member = alpha.collective("rose"), alpha.member("rose")
    receipts = {n: alpha.publish(member, rose, n, month=month(alpha)) for n in (1, 2, 3, 4)}
    waiting = alpha.file(member, 5, month=month(alpha))
    rows = backup(alpha)
    # What the backup does not know.
    alpha.approve(alpha.item(rose[0]), *rose)
    alpha.round()
    assert alpha.status(waiting) is Status.PUBLISHED
    alpha.publish(member, rose, 6, month=month(alpha))
    alpha.withdraw(receipts[1])
    take_back(alpha, rose, 2, RetractReason.ERROR)
    take_back(alpha, rose, 3, RetractReason.DISPUTED)
    alpha.collective("thorn")
    with listening(alpha):
        synced = beta.parts.following.sync(alpha.origin)
    assert (synced.code, synced.entries) == (None, size(alpha) - 1)
    seen = root(alpha)
    again = put_back(alpha, rows, f"sqlite:///{tmp_path}/restored.db")
    with listening(beta):
        yield again, beta, seen, rose


def test_what_partners_saw_comes_back_with_all_that_it_did(
    restored: tuple[World, World, bytes, list[Moderator]],
) -> None:
    alpha, beta, seen, rose = restored
    assert alpha.parts.healing.is_needed()
    assert root(alpha) != seen
    assert alpha.parts.healing.heal() > 0
    assert not alpha.parts.healing.is_needed()
    assert root(alpha) == seen
    # The identity that was signed since came back, too, and its collective.
    assert {one.collective for one in alpha.identities.roster()} == {"rose", "thorn"}
    alpha.parts.instance.serve()
    alpha.round()
    member = alpha.member("rose")
    answers = {n: alpha.look_up(n, member).match for n in range(1, 7)}
    assert answers == {1: False, 2: False, 3: False, 4: True, 5: True, 6: True}
    lily = _member_of(beta)

    def as_ours() -> bool:
        beta.round()  # or its server does
        return all(beta.look_up(n, lily).match is found for n, found in answers.items())

    eventually(as_ours)
    # And it goes on, without contradicting itself.
    alpha.publish(member, rose, 7, month=month(alpha))
    with listening(alpha):
        synced = beta.parts.following.sync(alpha.origin)
    assert (synced.code, synced.entries > 0) == (None, True)


@on_sqlite
def test_nothing_is_signed_before_partners_were_asked(
    restored: tuple[World, World, bytes, list[Moderator]],
) -> None:
    alpha, beta, _, rose = restored
    before = root(alpha)
    alpha.approve(alpha.item(rose[0]), *rose)
    alpha.round()
    assert alpha.queue(rose[0], Status.APPROVED) != []
    with pytest.raises(Unavailable):
        take_back(alpha, rose, 2, RetractReason.ERROR)
    for refused_now in (alpha.parts.feed.checkpoint, lambda: alpha.parts.feed.entries(0, 256)):
        with pytest.raises(Unavailable):
            refused_now()
    assert root(alpha) == before
    # Whoever looks up is answered meanwhile, from the list as it was.
    assert alpha.look_up(4, alpha.member("rose")).match
    del beta


@on_sqlite
def test_without_an_answer_nothing_is_decided(
    restored: tuple[World, World, bytes, list[Moderator]],
) -> None:
    alpha, beta, _, _ = restored
    beta.parts.partners.remove(alpha.origin)
    with pytest.raises(Unavailable):
        alpha.parts.healing.heal()
    assert alpha.parts.healing.is_needed()


@on_sqlite
def test_a_copy_that_lost_nothing_goes_on_at_once(two: Pair, tmp_path: Path) -> None:
    alpha, beta = two
    with listening(alpha, beta):
        befriend(alpha, beta)
    again = put_back(alpha, backup(alpha), f"sqlite:///{tmp_path}/restored.db")
    with listening(beta):
        assert again.parts.healing.heal() == 0
    assert not again.parts.healing.is_needed()
    rose = again.collective("rose")
    again.publish(again.member("rose"), rose, 9, month=month(again))
    with listening(again):
        assert beta.parts.following.sync(again.origin).code is None


@on_sqlite
def test_an_old_copy_without_a_restore_is_noticed(
    restored: tuple[World, World, bytes, list[Moderator]],
) -> None:
    alpha, _, seen, _ = restored
    _pretend_open(alpha)
    assert alpha.parts.healing.suspect()
    assert alpha.parts.healing.is_needed()
    assert alpha.parts.healing.heal() > 0
    assert root(alpha) == seen
    assert not alpha.parts.healing.suspect()


@on_sqlite
def test_what_is_given_back_altered_is_not_taken(
    restored: tuple[World, World, bytes, list[Moderator]],
) -> None:
    alpha, beta, _, _ = restored
    before = root(alpha)
    with beta.parts.store.begin() as tx:
        partner = tx.partners.find(alpha.origin)
        assert partner is not None
        assert partner.id is not None
        (last,) = tx.arrivals.entries(partner.id, partner.log, partner.size - 1, 1)
        last.envelope, last.leaf = None, bytes(32)
    with refused("fork"):
        alpha.parts.healing.heal()
    assert alpha.parts.healing.is_needed()
    assert root(alpha) == before


@on_sqlite
def test_what_nobody_has_any_more_is_explained_to_whoever_comes_later(
    restored: tuple[World, World, bytes, list[Moderator]],
) -> None:
    alpha, beta, _, _ = restored
    beta.parts.partners.purge(alpha.origin)
    assert alpha.parts.healing.heal() > 0
    beta.parts.partners.remove(alpha.origin)
    with listening(alpha):
        beta.parts.partners.add(beta.parts.partners.meet(alpha.address), Policy.AUTO)
        assert beta.parts.following.sync(alpha.origin).code is None


@on_sqlite
def test_a_log_that_contradicts_itself_is_succeeded_by_another(
    restored: tuple[World, World, bytes, list[Moderator]],
) -> None:
    alpha, beta, _, rose = restored
    # It was put in place and went on: what it signs is not what its partner has seen.
    _pretend_open(alpha)
    alpha.publish(alpha.member("rose"), rose, 8, month=month(alpha))
    for number in range(10, 20):
        alpha.publish(alpha.member("rose"), rose, number, month=month(alpha))
    with listening(alpha):
        assert beta.parts.following.sync(alpha.origin).code == "fork"
        with alpha.parts.store.begin() as tx:
            tx.log.suspect()
        with refused("fork"):
            alpha.parts.healing.heal()
        # Its identity is not lost with it: that would end it for all who know a newer one.
        assert alpha.parts.healing.identities() == (1, {})
    succeeded(alpha)
    alpha.publish(alpha.member("rose"), rose, 21, month=month(alpha))
    with alpha.parts.store.read() as tx:
        row = tx.log.current()
        assert row is not None
        assert (row.number, row.state) == (2, "open")
    # The partner's operator has been told, and takes it up again.
    beta.parts.partners.resume(alpha.origin)
    with listening(alpha):
        assert beta.parts.following.sync(alpha.origin).code is None
    member, numbers = _member_of(beta), (4, 8, 19, 21)

    def answered() -> bool:
        beta.round()  # or its server does
        return [beta.look_up(one, member).reports.total for one in numbers] == [1, 1, 1, 1]

    eventually(answered)


def succeeded(world: World) -> None:
    """Let another log, with another key, go on."""
    seed = bytes(range(32))
    add_key(world.settings.keys, "log-2", seed)
    draft = world.identities.draft(Changes(log_key=public_key(seed)))
    world.identities.accept(signed(draft, [read_key(world.root)]))
    world.parts.instance.serve()
    world.round()


def _pretend_open(world: World) -> None:
    with world.parts.store.begin() as tx:
        row = tx.log.current(lock=True)
        assert row is not None
        tx.log.set_state(row, "open")


def _member_of(world: World) -> Caller:
    if not world.identities.roster():
        world.collective("lily")
    world.round()
    return world.member("lily")
