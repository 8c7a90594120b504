"""Promises about the schema: how it comes to be, how it changes, and who refuses without it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from api.app import create_app
from api.cli import main
from api.errors import Conflict, Unavailable
from api.keyring import read_key
from api.services.drafts import signed
from api.services.health import OutdatedSchema
from api.store.backup import MADE_ANEW
from api.store.engine import Store, open_engine
from api.store.schema import HEAD, UnknownSchema, configuration, migrate
from schemas.callers import Role
from schemas.feed import Policy
from schemas.moderation import Approval
from schemas.partner_tables import EvidenceRow, PartnerIdentityRow
from schemas.reports import Warn
from schemas.tables import Table
from tests.factories import World
from tests.foreign import Partner

SCRIPTS = Path(__file__).parents[2] / "alembic"
SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lease", sa.Column("note", sa.String(length=4), nullable=True))
    with op.batch_alter_table("report", recreate="{recreate}") as batch_op:
        batch_op.add_column(sa.Column("note", sa.String(length=4), nullable=True))
    {rest}


def downgrade() -> None:
    op.drop_column("report", "note")
    op.drop_column("lease", "note")
"""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def rows_of(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table.name: [
            tuple(row)
            for row in connection.execute(select(table).order_by(*table.primary_key.columns))
        ]
        for table in Table.metadata.sorted_tables
    }


def revision(url: str) -> str | None:
    store = Store(open_engine(url))
    try:
        with store.read() as tx:
            return tx.revision()
    finally:
        store.close()


def busy(world: World) -> None:
    """A row in every table but those that the running instance makes anew."""
    moderators = world.collective("rose")
    member = world.member("rose")
    world.publish(member, moderators, 113)
    world.file(member, 114, warn=Warn.STATISTICS)
    item, first = world.item(moderators[0]), world.caller(moderators[0])
    world.parts.moderation.approve(item.id, Approval(), first)
    world.file(member, 200, 201)
    world.join("rose")
    world.parts.callers.invite("rose", Role.MEMBER, 1)
    partner = Partner(world, policy=Policy.AUTO)
    partner.report(115)
    partner.set_policy(Policy.HOLD, "lily")
    with world.parts.store.begin() as tx:
        tx.partners.set_keys(partner.id, {"k" * 44: bytes(32)}, claimed=True)
        tx.partners.add_identities(
            [PartnerIdentityRow(partner=partner.id, version=1, sha256=bytes(32), envelope="{}")]
        )
        tx.partners.add_evidence(
            EvidenceRow(partner=partner.id, at=0, code="fork", ours="{}", theirs="{}")
        )


def with_second(folder: Path, *, recreate: str = "auto", rest: str = "") -> Any:
    """Our migrations and one more, as a later version would have."""
    scripts = folder / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    text_ = SECOND.format(head=HEAD, recreate=recreate, rest=rest)
    (scripts / "versions/9999_second.py").write_text(text_)
    return str(scripts)


def upgrade_with(url: str, scripts: str) -> None:
    config = configuration(url)
    config.set_main_option("script_location", scripts)
    command.upgrade(config, "head")


def test_there_is_one_head_and_the_code_knows_it() -> None:
    assert ScriptDirectory.from_config(configuration("sqlite://")).get_heads() == [HEAD]


def test_models_and_migrations_agree(database_url: str) -> None:
    command.check(configuration(database_url))


def test_the_migrations_are_no_package() -> None:
    assert not list(SCRIPTS.rglob("__init__.py"))


def test_nothing_is_left_when_all_is_taken_down_and_it_works_when_up_again(
    database_url: str, tmp_path: Path
) -> None:
    world = World(tmp_path, database_url)
    busy(world)
    world.close()
    command.downgrade(configuration(world.url), "base")
    with connected(world.url) as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
        found = connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one()
        assert found == 0
    migrate(world.url)
    again = World(world.folder / "again", world.url)
    try:
        moderators = again.collective("rose")
        again.publish(again.member("rose"), moderators, 113)
        assert again.look_up(113, again.member("rose")).match
    finally:
        again.close()


def test_a_dump_of_all_rows_can_be_put_back(database_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, database_url)
    busy(world)
    with world.parts.store.read() as tx:
        lines = list(tx.backup.lines())
    with connected(world.url) as connection:
        before = rows_of(connection)
    world.close()
    command.downgrade(configuration(world.url), "base")
    migrate(world.url)
    store = Store(open_engine(world.url))
    with store.begin() as tx:
        assert tx.backup.load(lines) == len(lines)
    store.close()
    with connected(world.url) as connection:
        after = rows_of(connection)
    for name, rows in before.items():
        if name in MADE_ANEW:
            assert after[name] == []
        else:
            assert rows, f"{name} was not tested"
            assert after[name] == rows


def test_a_later_migration_loses_no_row(database_url: str, tmp_path: Path) -> None:
    """SQLite exchanges whole tables; with foreign keys enforced that would delete the children."""
    world = World(tmp_path, database_url)
    busy(world)
    world.close()
    with connected(world.url) as connection:
        before = rows_of(connection)
    recreate = "always" if world.url.startswith("sqlite") else "auto"
    upgrade_with(world.url, with_second(tmp_path, recreate=recreate))
    assert revision(world.url) == "9999"
    with connected(world.url) as connection:
        assert rows_of(connection) == before


def test_what_came_from_partners_stays_as_it_is_checked_no_more(
    database_url: str, tmp_path: Path
) -> None:
    world = World(tmp_path, database_url)
    busy(world)
    world.close()
    for to, checked in (("0003", True), ("0004", False)):
        with connected(world.url) as connection:
            before = rows_of(connection)
        (command.downgrade if checked else command.upgrade)(configuration(world.url), to)
        with connected(world.url) as connection:
            assert rows_of(connection) == before
            assert before["foreign_identifier"]
            for table in ("foreign_entry", "foreign_report", "foreign_identifier"):
                assert bool(inspect(connection).get_foreign_keys(table)) is checked
                assert inspect(connection).get_pk_constraint(table)["constrained_columns"]


def test_a_report_gets_its_epoch_back_from_the_identity(database_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, database_url)
    busy(world)
    rotation = world.parts.rotation
    delta = rotation.choose()
    rotation.switch(signed(rotation.draft(delta), [read_key(world.root)]), delta)
    world.close()
    with connected(world.url) as connection:
        before = rows_of(connection)
    command.downgrade(configuration(world.url), "0004")
    with connected(world.url) as connection:
        epochs = connection.execute(text("SELECT DISTINCT epoch FROM report")).all()
        assert [tuple(row) for row in epochs] == [(2,)]
        assert rows_of(connection) == before
    migrate(world.url)
    with connected(world.url) as connection:
        assert rows_of(connection) == before


def test_a_migration_that_fails_changes_nothing(database_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, database_url)
    busy(world)
    world.close()
    with connected(world.url) as connection:
        before = rows_of(connection)
    with pytest.raises(ZeroDivisionError):
        upgrade_with(world.url, with_second(tmp_path, rest="1 / 0"))
    assert revision(world.url) == HEAD
    with connected(world.url) as connection:
        assert rows_of(connection) == before
        columns = {column["name"] for column in inspect(connection).get_columns("lease")}
    assert "note" not in columns


def test_a_migration_may_not_leave_rows_that_refer_to_nothing(
    database_url: str, tmp_path: Path
) -> None:
    world = World(tmp_path, database_url)
    busy(world)
    world.close()
    scripts = with_second(tmp_path, rest='op.execute("DELETE FROM report")')
    if world.url.startswith("sqlite"):
        with pytest.raises(RuntimeError):
            upgrade_with(world.url, scripts)
        assert revision(world.url) == HEAD
    else:
        upgrade_with(world.url, scripts)  # PostgreSQL deletes the tokens with their reports
        with connected(world.url) as connection:
            assert connection.execute(text("SELECT count(*) FROM identifier")).scalar_one() == 0


def test_two_who_migrate_at_once_do_it_once(database_url: str) -> None:
    command.downgrade(configuration(database_url), "base")
    # Two processes: Alembic can do one migration a process at a time.
    program = "import sys; from api.store.schema import migrate; migrate(sys.argv[1])"
    command_line = [sys.executable, "-c", program, database_url]
    running = [subprocess.Popen(command_line, cwd=SCRIPTS.parent) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert revision(database_url) == HEAD


@pytest.mark.parametrize("missing", ["table", "row"])
def test_a_server_refuses_an_empty_schema_and_names_the_mend(
    database_url: str, tmp_path: Path, missing: str
) -> None:
    world = World(tmp_path, database_url)
    world.close()
    command.downgrade(configuration(world.url), "base")
    if missing == "table":
        with connected(world.url) as connection:
            connection.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(OutdatedSchema, match="parasol migrate"):
        create_app(world.settings, world.clock)


def test_a_server_refuses_another_revision(database_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, database_url)
    world.close()
    with connected(world.url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(OutdatedSchema, match="parasol migrate"):
        create_app(world.settings, world.clock)
    with pytest.raises(UnknownSchema):
        migrate(world.url)


def test_parasol_migrate_mends_an_empty_schema(database_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, database_url)
    with world.parts.store.read() as tx:
        lines = list(tx.backup.lines())
    world.close()
    command.downgrade(configuration(world.url), "base")
    environment = {"PARASOL_DATA": str(world.settings.data), "PARASOL_DATABASE_URL": world.url}
    for _ in range(2):
        result = CliRunner().invoke(main, ["migrate"], env=environment)
        assert (result.exit_code, result.stdout) == (0, "The schema is up to date.\n")
    store = Store(open_engine(world.url))
    with store.begin() as tx:
        tx.backup.load(lines)
    store.close()
    create_app(world.settings, world.clock).state.parts.close()


def test_a_database_that_does_not_answer_is_no_empty_one(tmp_path: Path) -> None:
    nobody = "postgresql+psycopg://parasol:sesame@127.0.0.1:1/parasol"
    for url in (nobody, f"sqlite:///{tmp_path}/nowhere/parasol.db"):
        with pytest.raises(Unavailable):
            revision(url)
        with pytest.raises(Unavailable):
            migrate(url)


def test_every_sqlite_connection_is_strict(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "test.db")
    engine = open_engine(f"sqlite:///{tmp_path}/test.db")
    held = [engine.connect() for _ in range(3)]
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
        "secure_delete": 1,
    }
    for connection in held:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected
        }
        assert found == expected
        connection.close()
    engine.dispose()


def test_an_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "parasol.db"
    migrate(f"sqlite:///{file}")
    engine = open_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM lease"))
        files = sorted(tmp_path.iterdir())
        assert [one.name for one in files] == ["parasol.db", "parasol.db-shm", "parasol.db-wal"]
        assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    engine.dispose()


def test_what_is_deleted_is_not_left_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "parasol.db"
    migrate(f"sqlite:///{file}")
    secret = b"\xa5" * 32
    with connected(f"sqlite:///{file}") as connection:
        table = Table.metadata.tables["receipt"]
        connection.execute(insert(table).values(digest=secret))
    assert secret in file.read_bytes()
    with connected(f"sqlite:///{file}") as connection:
        connection.execute(table.delete())
    assert secret not in file.read_bytes()


def test_references_are_enforced(database_url: str) -> None:
    for name, values in (
        ("moderator", {"id": "m", "sign": b"s" * 32, "box": b"b" * 32, "status": "active"}),
        ("invitation", {"digest": b"d" * 32, "member": "m", "role": "member", "expires": 1}),
        ("bearer", {"digest": b"d" * 32, "member": "m", "role": "member"}),
        ("recorded", {"id": "r"}),
    ):
        table = Table.metadata.tables[name]
        with pytest.raises(IntegrityError), connected(database_url) as connection:
            connection.execute(insert(table).values(collective="nowhere", **values))


def test_of_one_tag_only_one_report_is_live(database_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, database_url)
    world.collective("rose")
    member = world.member("rose")
    for _ in range(3):
        world.file(member, 113)
    world.close()
    table = Table.metadata.tables["identifier"]
    with connected(world.url) as connection:
        first, second, third = sorted(connection.execute(select(table.c.report)).scalars())
        tags = set(connection.execute(select(table.c.tag)).scalars())
        assert len(tags) == 1
        connection.execute(table.update().where(table.c.report == first).values(live=True))
    with pytest.raises(IntegrityError), connected(world.url) as connection:
        connection.execute(table.update().where(table.c.report == second).values(live=True))
    with connected(world.url) as connection:
        connection.execute(table.update().where(table.c.report == first).values(live=False))
        connection.execute(table.update().where(table.c.report == third).values(live=True))


def test_errors_of_the_database_hide_what_was_sent(database_url: str) -> None:
    secret = "7700900113"
    row = insert(Table.metadata.tables["recorded"]).values(id=secret, collective="nowhere")
    with pytest.raises(IntegrityError) as caught, connected(database_url) as connection:
        connection.execute(row)
    assert secret not in str(caught.value)
    store = Store(open_engine(database_url))
    with pytest.raises(Conflict) as refused, store.begin() as tx:
        tx.callers.invite(b"d" * 32, secret, "nowhere", "member", 1)
    store.close()
    assert str(refused.value) == "conflict"


def test_a_read_sees_one_moment(database_url: str) -> None:
    store = Store(open_engine(database_url))
    with store.read() as reader:
        assert reader.collectives.all() == []
        with store.begin() as writer:
            writer.collectives.add("rose")
        assert reader.collectives.all() == []
    with store.read() as reader:
        assert [row.id for row in reader.collectives.all()] == ["rose"]
    store.close()
