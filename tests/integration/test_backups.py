"""Promises about backups: all comes back, nothing half, and no key lies open in one."""

import base64
import io
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, func, select, text

from api.crypto.failures import InvalidInput
from api.crypto.keyfiles import lock
from api.errors import Conflict
from api.founding import restore
from api.keyring import KeyFileError, Keyring, keys_of, read_key
from api.parts import Parts
from api.services.backups import BackupError, lock_keys, read_rows, unlock_keys, write_rows
from api.services.health import OutdatedSchema
from api.settings import Settings
from api.store.backup import MADE_ANEW
from api.store.engine import Store, open_engine
from api.store.schema import HEAD
from schemas.tables import Table
from tests.factories import World, submission

PASSPHRASE = "correct horse battery staple"
NewDatabase = Callable[[str], str]
_numbers = itertools.count()
# Where the database has no part in it, one is enough.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewDatabase]:
    """Make empty databases, not even migrated, of either kind."""
    made: list[str] = []

    def make(kind: str) -> str:
        name = f"fresh{next(_numbers)}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{name}.db"
        server = request.getfixturevalue("postgresql_server")
        run(server, f"CREATE DATABASE {name}")
        made.append(name)
        return f"{server}/{name}"

    def run(server: str, statement: str) -> None:
        engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    yield make
    for name in made:
        run(request.getfixturevalue("postgresql_server"), f"DROP DATABASE {name} WITH (FORCE)")


def counts(url: str) -> dict[str, int]:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Table.metadata.sorted_tables
            if table.name not in MADE_ANEW
        }
    engine.dispose()
    return found


def ring(world: World) -> Keyring:
    return Keyring.load(world.settings.keys)


def rows(world: World) -> bytes:
    return "".join(write_rows(world.parts.store, ring(world))).encode("ascii")


def settings(folder: Path, url: str) -> Settings:
    return Settings(data=folder / "restored", database_url=SecretStr(url), per_hour=1000)


@pytest.mark.parametrize(
    ("before", "after"),
    [("sqlite", "sqlite"), ("postgresql", "postgresql"), ("sqlite", "postgresql"),
     ("postgresql", "sqlite")],
)  # fmt: skip
def test_a_restored_instance_goes_on_where_it_was(
    new_database: NewDatabase, tmp_path: Path, before: str, after: str
) -> None:
    old = World(tmp_path, new_database(before))
    moderators, member = old.collective("rose"), old.member("rose")
    old.publish(member, moderators, 113)
    old.publish(member, moderators, 114, severity="risk", categories=["theft"])
    receipt = old.file(member, 115)
    pending = submission(116)
    waiting = old.parts.reports.submit(pending, b"body", member).receipt
    answers = [old.look_up(number, member) for number in (113, 114, 115, 999)]
    data = rows(old)
    locked = lock_keys(ring(old), PASSPHRASE, os.urandom)
    old.close()

    place = settings(tmp_path, new_database(after))
    keys = unlock_keys(locked, PASSPHRASE)
    assert restore(place, io.BytesIO(data), keys) == len(data.splitlines()) - 2
    assert counts(place.url) == counts(old.url)

    # The same world, over the other database.
    new = old
    new.parts = Parts(place, old.clock)
    new.identities = new.parts.identities
    new.round()
    member = new.parts.callers.recognise(member.bearer.get_secret_value())
    assert [new.look_up(number, member) for number in (113, 114, 115, 999)] == answers
    assert answers[0].match
    assert not answers[2].match
    # Asked again, with the same bearer: the same receipt, and nothing is stored twice.
    assert new.parts.reports.submit(pending, b"body", member).receipt == waiting
    assert new.status(receipt) == "submitted"
    assert new.withdraw(receipt) == "withdrawn"
    # New rows get numbers of their own, and moderators and the root key still count.
    new.publish(member, moderators, 117)
    assert new.look_up(117, member).match
    new.collective("lily")
    assert [one.id for one in new.identity.collectives] == ["rose", "lily"]
    assert rows(new)
    new.close()


@pytest.fixture
def lived_in(world: World) -> World:
    moderators = world.collective("rose")
    world.publish(world.member("rose"), moderators, 113)
    return world


def test_a_backup_is_of_one_moment(lived_in: World) -> None:
    written = write_rows(lived_in.parts.store, ring(lived_in))
    begun = [next(written), next(written)]
    lived_in.identities.add_collective("lily")
    lived_in.member("lily")
    data = "".join([*begun, *written])
    assert "rose" in data
    assert "lily" not in data
    assert "lily" in rows(lived_in).decode()


def test_no_key_and_no_bearer_lies_in_a_backup(lived_in: World) -> None:
    member = lived_in.member("rose")
    held = rows(lived_in)
    held += lock_keys(ring(lived_in), PASSPHRASE, os.urandom)
    keys = [bytes.fromhex(key) for key in keys_of(ring(lived_in)).values()]
    for secret in (*keys, read_key(lived_in.root)):
        for written_as in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert written_as not in held
    assert member.bearer.get_secret_value().encode() not in held
    assert PASSPHRASE.encode() not in held


@on_sqlite
def test_keys_open_with_their_passphrase_alone(lived_in: World) -> None:
    locked = lock_keys(ring(lived_in), PASSPHRASE, os.urandom)
    assert unlock_keys(locked, PASSPHRASE) == ring(lived_in)
    for data, passphrase, code in (
        (locked, PASSPHRASE.upper(), "wrong-passphrase"),
        (locked, "", "wrong-passphrase"),
        (locked[:-20], PASSPHRASE, "malformed"),
        (b"", PASSPHRASE, "malformed"),
    ):
        with pytest.raises(InvalidInput) as caught:
            unlock_keys(data, passphrase)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "held",
    [b"", b"[]", b"1", b"{}", b'{"epoch":"00"}', b'{"epoch":1,"http":1,"log":1,"receipt":1}',
     b'{"epoch":"","http":"","log":"","receipt":""}', b'{"box":"AA==","sign":"AA==","v":1}'],
)  # fmt: skip
def test_what_is_locked_but_no_keyring_is_malformed(held: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        unlock_keys(lock(held, PASSPHRASE, os.urandom, m_kib=8, t=1), PASSPHRASE)
    assert caught.value.code == "malformed"


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _without_seal(data: bytes) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:-1])


def _without_last_row(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:-2], lines[-1]])


def _without_last_end(data: bytes) -> bytes:
    return data[:-1]


def _longer(data: bytes) -> bytes:
    return data + data.splitlines(keepends=True)[1]


def _a_row_twice(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([lines[0], lines[1], *lines[1:]])


def _a_flipped_bit(data: bytes) -> bytes:
    place = data.index(b'"rose"') + 1
    return data[:place] + b"R" + data[place + 1 :]


def _a_member_made_moderator(data: bytes) -> bytes:
    return data.replace(b'"role": "moderator"', b'"role": "member"', 1)


def _header_alone(data: bytes) -> bytes:
    return data.splitlines(keepends=True)[0]


def _nothing(data: bytes) -> bytes:
    return data[:0]


def _noise(data: bytes) -> bytes:
    return os.urandom(len(data))


def _another_revision(data: bytes) -> bytes:
    return data.replace(f'"revision": "{HEAD}"'.encode(), b'"revision": "0000"', 1)


def _another_kind(data: bytes) -> bytes:
    return data.replace(b'"backup"', b'"export"', 1)


def _deep(data: bytes) -> bytes:
    return b"[" * 100_000 + data


@pytest.mark.parametrize(
    "spoil",
    [
        _half, _without_seal, _without_last_row, _without_last_end, _longer, _a_row_twice,
        _a_flipped_bit, _a_member_made_moderator, _header_alone, _nothing, _noise,
        _another_revision, _another_kind, _deep,
    ],
)  # fmt: skip
@on_sqlite
def test_nothing_is_restored_of_a_backup_that_is_not_whole(
    lived_in: World,
    new_database: NewDatabase,
    tmp_path: Path,
    spoil: Callable[[bytes], bytes],
) -> None:
    data = spoil(rows(lived_in))
    place = settings(tmp_path, new_database("sqlite"))
    with pytest.raises(BackupError) as caught:
        restore(place, io.BytesIO(data), ring(lived_in))
    assert "rose" not in str(caught.value)
    assert set(counts(place.url).values()) == {0}
    assert not place.keys.exists()
    assert list(place.data.iterdir()) == []
    # And what is whole can still be restored there.
    restore(place, io.BytesIO(rows(lived_in)), ring(lived_in))
    Parts(place, lived_in.clock).close()


@on_sqlite
def test_rows_and_keys_of_two_instances_do_not_mix(
    lived_in: World, new_database: NewDatabase, tmp_path: Path
) -> None:
    other = World(tmp_path / "other", new_database("sqlite"))
    other.close()
    place = settings(tmp_path, new_database("sqlite"))
    with pytest.raises(BackupError):
        restore(place, io.BytesIO(rows(lived_in)), ring(other))
    assert set(counts(place.url).values()) == {0}
    assert not place.keys.exists()


def test_nothing_is_restored_over_an_instance(
    lived_in: World, new_database: NewDatabase, tmp_path: Path
) -> None:
    data, keys = rows(lived_in), ring(lived_in)
    before = rows(lived_in)
    for place, refusal in (
        (lived_in.settings, KeyFileError),  # with its keys and its database
        (settings(tmp_path, lived_in.url), Conflict),  # another folder, the same database
        (lived_in.settings.model_copy(update={"database_url": SecretStr(new_database("sqlite"))}),
         KeyFileError),
    ):  # fmt: skip
        with pytest.raises(refusal):
            restore(place, io.BytesIO(data), keys)
    with pytest.raises(Conflict):
        read_rows(lived_in.parts.store, io.BytesIO(data), keys)
    assert not settings(tmp_path, lived_in.url).keys.exists()
    assert rows(lived_in) == before
    assert ring(lived_in) == keys
    lived_in.round()


def test_another_instances_database_is_not_even_migrated(lived_in: World, tmp_path: Path) -> None:
    engine = open_engine(lived_in.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(OutdatedSchema):
        restore(settings(tmp_path, lived_in.url), io.BytesIO(rows(lived_in)), ring(lived_in))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    assert found == "0000"


def test_a_restore_that_breaks_off_leaves_neither_rows_nor_keys(
    lived_in: World,
    new_database: NewDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
) -> None:
    data = rows(lived_in)
    kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    place = settings(tmp_path, new_database(kind))

    def fail(*_: object) -> None:
        assert place.keys.is_dir()
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("api.store.backup.Backup._go_on_counting", fail)
        with pytest.raises(ZeroDivisionError):
            restore(place, io.BytesIO(data), ring(lived_in))
    assert set(counts(place.url).values()) == {0}
    assert list(place.data.iterdir()) == []
    restore(place, io.BytesIO(data), ring(lived_in))


@on_sqlite
def test_a_restore_whose_keys_cannot_be_written_leaves_no_rows(
    lived_in: World, new_database: NewDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = settings(tmp_path, new_database("sqlite"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("api.keyring.write_secret", full)
    with pytest.raises(KeyFileError):
        restore(place, io.BytesIO(rows(lived_in)), ring(lived_in))
    assert set(counts(place.url).values()) == {0}
    assert list(place.data.iterdir()) == []


def test_large_tables_are_written_piece_by_piece(database_url: str, tmp_path: Path) -> None:
    """What PostgreSQL's driver does not do by itself."""
    store = Store(open_engine(database_url))
    keys = Keyring(os.urandom(32), os.urandom(32), os.urandom(32), os.urandom(32))
    with store.begin() as tx:
        for number in range(1201):
            tx.collectives.add(f"c{number:04}")
    data = "".join(write_rows(store, keys)).encode()
    store.close()
    assert len(data.splitlines()) == 1203
    place = Settings(data=tmp_path / "r", database_url=SecretStr(f"sqlite:///{tmp_path}/r.db"))
    assert restore(place, io.BytesIO(data), keys) == 1201


def test_a_backup_has_one_spelling(lived_in: World, tmp_path: Path) -> None:
    """So that two of the same moment can be compared, and are equal after a restore."""
    data, keys = rows(lived_in), ring(lived_in)
    assert rows(lived_in) == data
    place = Settings(data=tmp_path / "r", database_url=SecretStr(f"sqlite:///{tmp_path}/r.db"))
    restore(place, io.BytesIO(data), keys)
    store = Store(open_engine(place.url))
    assert "".join(write_rows(store, keys)).encode() == data
    store.close()
    shutil.rmtree(place.data)
