"""Promises about identities: who signs them, what may follow what, and the keys behind them."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.errors import Conflict, NotFound, Refusal
from api.founding import found
from api.keyring import KeyFileError, read_key
from api.parts import Parts
from api.services.drafts import Founding, signed, written
from api.services.instance import NotFounded
from api.services.rosters import newcomers
from api.settings import Settings
from api.store.engine import open_engine
from api.trust import follow_chain, root_fingerprint
from schemas.callers import Role
from schemas.documents import Argon2id, Envelope, Identity, Root, Status
from tests.factories import CHEAP, NETWORK, ORIGIN, Moderator, World

ADDRESS = "https://alpha.example"
# Where the database has no part in it, one is enough.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def versions(world: World) -> list[int]:
    engine = open_engine(world.url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version FROM identity ORDER BY version"))
        numbers = list(found.scalars())
    engine.dispose()
    return numbers


def next_one(world: World, **changes: Any) -> Identity:
    return world.identities.draft().model_copy(update=changes)


def refused(world: World, identity: Identity, *seeds: bytes, code: str) -> None:
    before = versions(world)
    with pytest.raises(InvalidInput) as caught:
        world.identities.accept(signed(identity, seeds or [read_key(world.root)]))
    assert caught.value.code == code
    assert versions(world) == before


def status_of(world: World, moderator: Moderator) -> str:
    sign = public_key(moderator.seed)
    with world.parts.store.read() as tx:
        return next(row.status for row in tx.collectives.moderators() if row.sign == sign)


def id_of(world: World, moderator: Moderator) -> str:
    sign = public_key(moderator.seed)
    with world.parts.store.read() as tx:
        return next(row.id for row in tx.collectives.moderators() if row.sign == sign)


def settings(world: World, name: str) -> Settings:
    return Settings(data=world.folder / name, database_url=SecretStr(world.url))


def test_a_new_instance_names_itself(world: World) -> None:
    identity = world.identity
    assert (identity.version, identity.origin, identity.network) == (1, ORIGIN, NETWORK)
    assert (identity.epoch, identity.log, identity.previous) == (1, f"{ORIGIN}:1", None)
    assert identity.collectives == ()
    assert identity.root == Root(keys=(public_key(read_key(world.root)),), threshold=1)
    assert identity.expires == written(world.clock.now + timedelta(days=400))


def test_each_identity_follows_the_one_before(world: World) -> None:
    world.collective("rose")
    world.clock.pass_(days=100)
    world.collective("lily", moderators=1)
    root = root_fingerprint(world.identity.root)
    envelopes = [world.parts.instance.envelope(version) for version in (1, 2, 3)]
    newest = follow_chain(envelopes, root_sha256=root)
    assert newest == world.identity
    assert {one.id: len(one.moderators) for one in newest.collectives} == {"rose": 2, "lily": 1}
    assert newest.issued == written(world.clock.now)


@on_sqlite
def test_a_draft_changes_nothing(world: World) -> None:
    before = world.identity
    world.identities.draft()
    assert world.identity == before
    assert versions(world) == [1]


def test_a_moderator_is_pending_until_the_root_key_signed(world: World) -> None:
    world.identities.add_collective("rose")
    moderator = world.join("rose")
    assert status_of(world, moderator) == "pending"
    assert world.caller(moderator).role is Role.MEMBER
    assert [one.id for one in world.identity.collectives] == []
    world.sign_identity()
    assert status_of(world, moderator) == "active"
    assert world.caller(moderator).role is Role.MODERATOR
    announced = world.identity.collectives[0].moderators[0]
    assert (announced.sign, announced.box) == (
        public_key(moderator.seed),
        bytes(moderator.box.public_key),
    )


@on_sqlite
def test_only_those_in_the_draft_are_new_to_be_compared(world: World) -> None:
    world.collective("rose")
    late = world.join("rose")
    draft = world.identities.draft()
    ((collective, one),) = newcomers(world.identity, draft)
    assert (collective, one.sign) == ("rose", public_key(late.seed))


def test_who_joins_while_the_operator_compares_is_not_signed_with_the_rest(world: World) -> None:
    world.identities.add_collective("rose")
    compared = world.join("rose")
    draft = world.identities.draft()
    slipped_in = world.join("rose")
    world.identities.accept(signed(draft, [read_key(world.root)]))
    assert (status_of(world, compared), status_of(world, slipped_in)) == ("active", "pending")
    world.sign_identity()
    assert status_of(world, slipped_in) == "active"


@pytest.mark.parametrize("pending", [True, False])
def test_who_is_ended_while_the_operator_compares_is_not_announced(
    world: World, *, pending: bool
) -> None:
    """Or the next identity could never follow: nobody may vanish from it."""
    world.collective("rose")
    leaving = world.join("rose")
    if not pending:
        world.sign_identity()
    draft = world.identities.draft()
    world.identities.end_moderator(id_of(world, leaving), Status.REVOKED)
    before = versions(world)
    with pytest.raises(Conflict):
        world.identities.accept(signed(draft, [read_key(world.root)]))
    assert versions(world) == before
    world.sign_identity()
    assert versions(world) == [*before, before[-1] + 1]


def test_what_this_instance_does_not_know_is_not_announced(world: World) -> None:
    world.collective("rose")
    (rose,) = world.identities.draft().collectives
    stranger = rose.moderators[0].model_copy(
        update={"id": "m-stranger", "sign": secrets.token_bytes(32), "box": secrets.token_bytes(32)}
    )
    with_stranger = rose.model_copy(update={"moderators": (*rose.moderators, stranger)})
    for collectives in (
        (with_stranger,),
        (rose, rose.model_copy(update={"id": "lily", "moderators": ()})),
    ):
        draft = next_one(world, collectives=collectives)
        with pytest.raises(Conflict):
            world.identities.accept(signed(draft, [read_key(world.root)]))
    assert versions(world) == [1, 2]


def test_a_draft_signed_by_another_key_is_refused_and_not_kept(world: World) -> None:
    refused(world, next_one(world), secrets.token_bytes(32), code="identity-refused")
    moderator = world.collective("rose")[0]
    refused(world, next_one(world), moderator.seed, code="identity-refused")


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 3},
        {"version": 1},
        {"previous": bytes(32)},
        {"previous": None},
        {"network": "test-other"},
        {"origin": "beta.example", "log": "beta.example:1"},
        {"argon2id": Argon2id(m_kib=128, t=1)},
        {"epoch": 2},
        {"log": f"{ORIGIN}:2", "log_key": bytes(range(32))},
        {"log_key": bytes(range(32))},
        {"public_key": bytes(32)},
    ],
    ids="-".join,
)
@on_sqlite
def test_an_identity_that_does_not_follow_is_refused(world: World, changes: dict[str, Any]) -> None:
    """Neither may it need keys that are not on the server: look-ups would end for everybody."""
    refused(world, next_one(world, **changes), code="identity-refused")


@on_sqlite
def test_an_identity_that_nobody_would_accept_is_refused(world: World) -> None:
    now = world.clock.now
    for changes, code in (
        ({"expires": written(now + timedelta(days=401))}, "identity-refused"),
        ({"expires": written(now - timedelta(days=1))}, "identity-refused"),
        (
            {
                "issued": written(now - timedelta(days=2)),
                "expires": written(now - timedelta(days=1)),
            },
            "identity-expired",
        ),
        ({"issued": written(now + timedelta(hours=2))}, "clock-skew"),
    ):
        refused(world, next_one(world, **changes), code=code)


def test_two_root_keys_must_both_sign_when_the_threshold_says_so(world: World) -> None:
    first = read_key(world.root)
    second, third = secrets.token_bytes(32), secrets.token_bytes(32)
    root = Root(keys=tuple(sorted(map(public_key, (first, second, third)))), threshold=2)
    taking_over = next_one(world, root=root)
    # The old threshold and the new one must both be met.
    refused(world, taking_over, first, code="identity-refused")
    refused(world, taking_over, second, third, code="identity-refused")
    world.identities.accept(signed(taking_over, [first, second]))
    assert world.identity.root == root

    world.identities.add_collective("rose")
    moderator = world.join("rose")
    draft = world.identities.draft()
    refused(world, draft, first, code="identity-refused")
    refused(world, draft, first, first, code="identity-refused")
    refused(world, draft, first, secrets.token_bytes(32), code="identity-refused")
    assert status_of(world, moderator) == "pending"
    world.identities.accept(signed(draft, [second, third]))
    assert status_of(world, moderator) == "active"
    assert world.identity.previous == hashlib.sha256(taking_over.encode()).digest()


def test_an_identity_is_put_in_force_once(world: World) -> None:
    envelope = signed(world.identities.draft(), [read_key(world.root)])
    world.identities.accept(envelope)
    with pytest.raises(InvalidInput):
        world.identities.accept(envelope)
    assert versions(world) == [1, 2]


def test_an_end_stands_in_the_next_identity(world: World) -> None:
    ended, revoked, stays = world.collective("rose", moderators=3)
    world.identities.end_moderator(id_of(world, ended), Status.ENDED)
    world.identities.end_moderator(id_of(world, revoked), Status.REVOKED)
    world.parts.callers.forget_all()
    for moderator in (ended, revoked):
        with pytest.raises(Refusal):
            world.caller(moderator)
    assert world.parts.health.overview().unannounced
    world.sign_identity()
    assert not world.parts.health.overview().unannounced
    (rose,) = world.identity.collectives
    assert {one.sign: one.status for one in rose.moderators} == {
        public_key(ended.seed): Status.ENDED,
        public_key(revoked.seed): Status.REVOKED,
        public_key(stays.seed): Status.ACTIVE,
    }
    with pytest.raises(NotFound):
        world.identities.end_moderator(id_of(world, ended), Status.REVOKED)


def test_a_collective_that_ends_takes_its_tokens_and_pending_moderators_along(
    world: World,
) -> None:
    moderators = world.collective("rose")
    others = world.collective("lily")
    member = world.member("rose")
    world.join("rose")
    world.parts.callers.invite("rose", Role.MEMBER, 1)
    assert world.identities.end_collective("rose", Status.REVOKED) == 5
    world.parts.callers.forget_all()
    for bearer in (member.bearer.get_secret_value(), moderators[0].bearer):
        with pytest.raises(Refusal):
            world.parts.callers.recognise(bearer)
    assert world.caller(others[0]).role is Role.MODERATOR
    world.sign_identity()
    found = {one.id: (one.status, len(one.moderators)) for one in world.identity.collectives}
    assert found == {"rose": (Status.REVOKED, 2), "lily": (Status.ACTIVE, 2)}
    for again in (Status.ENDED, Status.REVOKED):
        with pytest.raises(NotFound):
            world.identities.end_collective("rose", again)
    with pytest.raises(Conflict):
        world.identities.add_collective("rose")


def test_a_running_server_sees_the_next_identity(world: World) -> None:
    server = Parts(world.settings, world.clock)
    try:
        server.round()
        world.collective("rose")
        assert server.instance.identity.version == 1
        server.round()
        assert server.instance.identity.version == 2
        assert Identity.decode(server.instance.envelope(None).payload).version == 2
    finally:
        server.close()


def test_an_instance_is_founded_once(world: World) -> None:
    world.collective("rose")
    keys = {one.name: one.read_bytes() for one in world.settings.keys.iterdir()}
    root = world.root.read_bytes()
    founding = Founding(NETWORK, ORIGIN, ADDRESS, CHEAP)
    with pytest.raises(KeyFileError, match="founded once"):
        found(world.settings, founding, world.folder / "other.key", world.clock)
    with pytest.raises(KeyFileError, match="founded once"):
        found(settings(world, "other"), founding, world.root, world.clock)
    with pytest.raises(Conflict):
        found(settings(world, "other"), founding, world.folder / "other.key", world.clock)
    assert not (world.folder / "other.key").exists()
    assert not settings(world, "other").keys.exists()
    assert {one.name: one.read_bytes() for one in world.settings.keys.iterdir()} == keys
    assert world.root.read_bytes() == root
    assert versions(world) == [1, 2]
    world.parts.round()


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "north-sea"},
        {"argon2id": Argon2id(m_kib=19_456, t=1), "network": "north-sea"},
        {"argon2id": Argon2id(m_kib=4, t=1)},
        {"argon2id": Argon2id(m_kib=2_000_000, t=1)},
        {"network": "North Sea"},
        {"origin": "Alpha.example"},
        {"origin": "alpha.example:8000"},
        {"address": "http://alpha.example"},
        {"address": "https://Alpha.example"},
        {"address": "https://alpha.example/parasol"},
        {"address": "https://worker:sesame@alpha.example"},
        {"address": "alpha.example"},
    ],
    ids=repr,
)
@on_sqlite
def test_what_no_network_may_be_is_not_founded(
    database_url: str, tmp_path: Path, changes: dict[str, Any]
) -> None:
    fields: dict[str, Any] = {
        "network": NETWORK, "origin": ORIGIN, "address": ADDRESS, "argon2id": CHEAP,
    }  # fmt: skip
    settings = Settings(data=tmp_path / "instance", database_url=SecretStr(database_url))
    with pytest.raises((InvalidInput, ValidationError)):
        found(settings, Founding(**fields | changes), tmp_path / "root.key")
    assert not (tmp_path / "instance").exists()
    assert not (tmp_path / "root.key").exists()


@pytest.mark.parametrize("where", ["nowhere/root.key", "instance", "link"])
@on_sqlite
def test_nothing_is_founded_where_the_root_key_cannot_be_written(
    database_url: str, tmp_path: Path, where: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    settings = Settings(data=tmp_path / "instance", database_url=SecretStr(database_url))
    founding = Founding(NETWORK, ORIGIN, ADDRESS, CHEAP)
    with pytest.raises(KeyFileError):
        found(settings, founding, tmp_path / where)
    assert not (tmp_path / "elsewhere").exists()
    assert not settings.keys.exists()
    found(settings, founding, tmp_path / "root.key")


@on_sqlite
def test_nothing_is_founded_where_others_can_write(database_url: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "instance", database_url=SecretStr(database_url))
    settings.data.mkdir()
    settings.data.chmod(0o770)
    with pytest.raises(KeyFileError, match="chmod"):
        found(settings, Founding(NETWORK, ORIGIN, ADDRESS, CHEAP), tmp_path / "root.key")
    assert list(settings.data.iterdir()) == []


@on_sqlite
def test_keys_and_the_root_key_are_their_owners_alone(world: World) -> None:
    assert world.settings.data.stat().st_mode & 0o777 == 0o700
    assert world.settings.keys.stat().st_mode & 0o777 == 0o700
    files = [world.root, *world.settings.keys.iterdir()]
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    assert sorted(one.stem for one in files[1:]) == ["epoch", "http", "log", "receipt"]
    assert sorted(one.name for one in world.settings.data.iterdir()) == ["keys"]


def test_no_key_lies_in_the_database(world: World) -> None:
    world.collective("rose")
    world.round()
    engine = open_engine(world.url)
    with engine.connect() as connection, world.parts.store.read() as tx:
        held = "".join(tx.backup.lines())
        held += str(connection.execute(text("SELECT file FROM bucket")).all())
    engine.dispose()
    for file in (world.root, *world.settings.keys.iterdir()):
        key = read_key(file)
        for written_as in (key.hex(), key.hex().upper(), str(key)[2:-1]):
            assert written_as not in held


def _opened_to_the_group(keys: Path) -> None:
    (keys / "receipt.key").chmod(0o640)


def _opened_to_others(keys: Path) -> None:
    (keys / "epoch.key").chmod(0o604)


def _folder_opened(keys: Path) -> None:
    keys.chmod(0o750)


def _truncated(keys: Path) -> None:
    file = keys / "log.key"
    file.write_text(file.read_text()[:40])


def _emptied(keys: Path) -> None:
    (keys / "http.key").write_text("")


def _gone(keys: Path) -> None:
    (keys / "receipt.key").unlink()


def _all_gone(keys: Path) -> None:
    keys.rename(keys.with_name("away"))


def _no_key_at_all(keys: Path) -> None:
    (keys / "epoch.key").write_bytes(b"\xff\xfe\x00")


def _no_scalar(keys: Path) -> None:
    (keys / "epoch.key").write_text("ff" * 32)


def _zero(keys: Path) -> None:
    (keys / "epoch.key").write_text("00" * 32)


def _another_network_key(keys: Path) -> None:
    (keys / "epoch.key").write_text("10" + "00" * 31)


def _another_log_key(keys: Path) -> None:
    (keys / "log.key").write_text(secrets.token_hex(32))


@pytest.mark.parametrize(
    "spoil",
    [
        _opened_to_the_group, _opened_to_others, _folder_opened, _truncated, _emptied, _gone,
        _all_gone, _no_key_at_all, _no_scalar, _zero, _another_network_key, _another_log_key,
    ],
)  # fmt: skip
@on_sqlite
def test_no_instance_starts_with_keys_that_cannot_be_trusted(
    world: World, spoil: Callable[[Path], None]
) -> None:
    keys = {one.read_text().strip() for one in world.settings.keys.iterdir()}
    spoil(world.settings.keys)
    with pytest.raises(KeyFileError) as caught:
        Parts(world.settings, world.clock)
    assert not any(key[:16] in str(caught.value) for key in keys)


@on_sqlite
def test_keys_of_another_instance_do_not_open_this_one(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other", f"sqlite:///{tmp_path}/other.db")
    other.close()
    settings = Settings(data=other.settings.data, database_url=SecretStr(world.url))
    with pytest.raises(KeyFileError, match="not those of this database"):
        Parts(settings, world.clock)


def test_no_instance_starts_without_an_identity(world: World) -> None:
    engine = open_engine(world.url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM identity"))
    engine.dispose()
    with pytest.raises(NotFounded):
        Parts(world.settings, world.clock)
    with pytest.raises(NotFound):
        world.identities.current()


def test_an_envelope_is_served_as_it_was_signed(world: World) -> None:
    envelope = signed(world.identities.draft(), [read_key(world.root)])
    world.identities.accept(envelope)
    assert world.parts.instance.envelope(2) == envelope
    assert isinstance(world.parts.instance.envelope(1), Envelope)
    with pytest.raises(NotFound):
        world.parts.instance.envelope(3)
