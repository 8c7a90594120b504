"""Promises about the operator's commands, run as an operator runs them."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api.crypto.bearers import parse_invitation
from api.crypto.envelopes import public_key
from api.crypto.words import fingerprint_words
from api.keyring import read_key
from api.store.engine import open_engine
from api.store.schema import HEAD
from api.trust import root_fingerprint
from tests.factories import Clock, Moderator, World
from tests.operators import Operator, clock_of_commands
from tests.services import free_port

PASSPHRASE = "correct horse battery staple"
INIT = (
    "init --network test-network --origin alpha.example --address https://alpha.example/ "
    "--m-kib 64 --t 1"
)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The commands' clock."""
    return clock_of_commands(monkeypatch)


@pytest.fixture
def newcomer(tmp_path: Path, database_url: str, clock: Clock) -> Operator:
    """An operator with an empty database, before `parasol init`."""
    return Operator(tmp_path / "instance", database_url, clock)


@pytest.fixture
def world(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[World]:
    world = World(tmp_path, database_url, clock)
    yield world
    world.close()


@pytest.fixture
def operator(world: World, clock: Clock) -> Operator:
    """The operator of `world`, which is running."""
    return Operator(world.settings.data, world.url, clock)


def id_of(world: World, moderator: Moderator) -> str:
    with world.parts.store.read() as tx:
        rows = {row.sign: row.id for row in tx.collectives.moderators()}
    return rows[public_key(moderator.seed)]


def words_of(moderator: Moderator) -> str:
    both = public_key(moderator.seed) + bytes(moderator.box.public_key)
    return fingerprint_words(hashlib.sha256(both).digest())


def test_init_shows_the_root_fingerprint_and_sends_the_root_key_away(newcomer: Operator) -> None:
    told = newcomer.does(INIT)
    fingerprint = root_fingerprint(newcomer.identity.root)
    assert fingerprint.hex() in told
    assert fingerprint_words(fingerprint) in told
    root = newcomer.data / "root.key"
    assert str(root) in told
    assert "Take it away now" in told
    assert newcomer.identity.feed == "https://alpha.example/feed/v1/"
    for key in (root, *(newcomer.data / "keys").iterdir()):
        assert read_key(key).hex() not in told


def test_a_new_instance_can_be_used(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.does(f"{INIT} --root {tmp_path}/root.key")
    assert not (newcomer.data / "root.key").exists()
    newcomer.does("collective add rose")
    newcomer.does("member invite rose")
    newcomer.does(f"identity sign --root {tmp_path}/root.key")
    assert "published 0" in newcomer.does("run-once")
    assert "version 2" in newcomer.does("status")


def test_an_instance_is_founded_once(newcomer: Operator, tmp_path: Path) -> None:
    newcomer.does(INIT)
    before = newcomer.identity
    assert "founded once" in newcomer.fails(INIT)
    assert "founded once" in newcomer.fails(f"{INIT} --root {tmp_path}/other.key")
    elsewhere = Operator(tmp_path / "elsewhere", newcomer.url, newcomer.clock)
    assert "not empty" in elsewhere.fails(INIT)
    assert newcomer.identity == before
    assert "version 1" in newcomer.does("status")


@on_sqlite
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--network north-sea --m-kib 64", "cost"),
        ("--m-kib 9999999", "cost"),
        ("--m-kib 0", "--m-kib"),
        ("--network NO --m-kib 19456 --t 2", "--network"),
        ("--origin Alpha.example", "--origin"),
        ("--address http://alpha.example", "address"),
        ("--address alpha.example", "--address"),
        ("--root nowhere/at/all/root.key", "root.key"),
    ],
)
def test_init_names_what_it_cannot_use(newcomer: Operator, options: str, named: str) -> None:
    assert named in newcomer.fails(f"{INIT} {options}")
    assert not (newcomer.data / "keys").exists()
    newcomer.does(INIT)


def test_collectives_are_added_listed_and_ended(operator: Operator, world: World) -> None:
    assert "parasol moderator invite rose" in operator.does("collective add rose")
    assert operator.does("collective list") == "rose  active\n"
    moderator = world.join("rose")
    world.member("rose")
    who = id_of(world, moderator)
    assert operator.does("collective list") == f"rose  active\n  {who}  pending\n"
    world.sign_identity()
    assert operator.does("collective list") == f"rose  active\n  {who}  active\n"
    told = operator.does("collective end rose")
    assert "tokens and invitations: 2" in told
    assert "parasol identity sign" in told
    assert operator.does("collective list").startswith("rose  ended\n")
    world.sign_identity()
    assert operator.identity.collectives[0].status == "ended"
    operator.does("collective add lily")
    operator.does("collective end lily --revoke")
    assert "lily  revoked" in operator.does("collective list")


def test_a_moderator_is_invited_compared_signed_and_ended(operator: Operator, world: World) -> None:
    operator.does("collective add rose")
    result = operator.run("moderator invite rose")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    invitation = parse_invitation(line)
    assert invitation.root == root_fingerprint(operator.identity.root)
    assert "seven days" in result.stderr
    moderator = world.join("rose")
    who = id_of(world, moderator)

    refused = operator.fails(f"identity sign --root {world.root}", "n\n")
    assert f"parasol moderator revoke {who}" in refused
    assert "Stopped." in operator.fails(f"identity sign --root {world.root}")
    assert operator.identity.version == 1

    told = operator.does(f"identity sign --root {world.root}", "y\n")
    assert words_of(moderator) in told
    assert "Take the root key off" in told
    assert operator.identity.version == 2
    # Nobody new: nothing to compare.
    operator.does(f"identity sign --root {world.root}")

    operator.does(f"moderator end {who}")
    assert "no active moderator" in operator.fails(f"moderator revoke {who}")
    assert "no active moderator" in operator.fails("moderator end nobody")
    assert "is not announced" in operator.does("status")
    operator.does(f"identity sign --root {world.root}")
    assert operator.identity.collectives[0].moderators[0].status == "ended"


@on_sqlite
def test_each_new_moderator_is_compared(operator: Operator, world: World) -> None:
    operator.does("collective add rose")
    both = [world.join("rose") for _ in range(2)]
    operator.fails(f"identity sign --root {world.root}", "y\nn\n")
    assert operator.identity.version == 1
    told = operator.does(f"identity sign --yes --root {world.root}")
    assert all(words_of(one) in told for one in both)
    assert operator.identity.version == 2


@on_sqlite
def test_who_joins_during_the_comparison_is_not_signed(
    operator: Operator, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.does("collective add rose")
    compared = world.join("rose")
    joined: list[Moderator] = []

    def answer(*_: object, **__: object) -> bool:
        joined.append(world.join("rose"))
        return True

    monkeypatch.setattr("api.cli.identity.click.confirm", answer)
    operator.does(f"identity sign --root {world.root}")
    (rose,) = operator.identity.collectives
    assert [one.id for one in rose.moderators] == [id_of(world, compared)]
    assert f"{id_of(world, joined[0])}  pending" in operator.does("collective list")


@on_sqlite
def test_nothing_is_signed_without_the_root_key(
    operator: Operator, world: World, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_text(secrets.token_hex(32))
    wrong.chmod(0o600)
    assert "0 of these are root keys" in operator.fails(f"identity sign --root {wrong}")
    wrong.write_text("short")
    assert "wrong.key" in operator.fails(f"identity sign --root {wrong}")
    assert "--root" in operator.fails(f"identity sign --root {tmp_path}/none.key")
    assert "--root" in operator.fails("identity sign")
    world.root.chmod(0o640)
    assert "chmod" in operator.fails(f"identity sign --root {world.root}")
    assert operator.identity.version == 1


def test_identity_show_is_what_workers_compare(operator: Operator, world: World) -> None:
    world.collective("rose")
    told = operator.does("identity show")
    root = root_fingerprint(operator.identity.root)
    assert root.hex() in told
    assert fingerprint_words(root) in told
    assert "collective rose: active, 2 active moderators" in told
    assert "version 2" in told


def test_members_are_invited_listed_and_ended(operator: Operator, world: World) -> None:
    world.collective("rose", moderators=0)
    world.collective("lily", moderators=0)
    result = operator.run("member invite rose --count 2")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [parse_invitation(line).address for line in lines] == ["http://127.0.0.1:8000"] * 2
    unused, _ = re.findall(r"its id: ([0-9a-f]{32})", result.stderr)
    assert operator.does("member list rose") == ""

    member = world.member("rose")
    assert operator.does("member list rose") == f"{member.member}  member\n"
    assert "no token" in operator.fails(f"member revoke lily {member.member}")
    assert "no token" in operator.fails(f"member revoke rose {'0' * 32}")
    assert operator.does(f"member revoke rose {unused}").startswith("Ended: 1.")
    assert operator.does(f"member revoke rose {member.member}").startswith("Ended: 1.")
    assert operator.does("member list rose") == ""
    world.member("rose")
    world.member("lily")
    assert operator.does("member revoke rose --all").startswith("Ended: 2.")
    assert operator.does("member list lily") != ""
    assert "ID or --all" in operator.fails("member revoke rose")
    assert "ID or --all" in operator.fails(f"member revoke rose {unused} --all")


@on_sqlite
@pytest.mark.parametrize(
    "command",
    [
        "member invite nowhere",
        "member list nowhere",
        "member revoke nowhere --all",
        "moderator invite nowhere",
        "collective end nowhere",
    ],
)
def test_an_unknown_collective_is_named(operator: Operator, command: str) -> None:
    assert "no active collective nowhere" in operator.fails(command)


def test_a_collective_is_added_once_under_an_id_that_can_be_one(operator: Operator) -> None:
    operator.does("collective add rose")
    assert "used once" in operator.fails("collective add rose")
    operator.does("collective end rose")
    assert "used once" in operator.fails("collective add rose")
    assert "no active collective" in operator.fails("collective end rose")
    assert "no active collective" in operator.fails("member invite rose")
    for bad in ("Rose", "a" * 41, "ro_se", "../rose", "röse"):
        assert "letters" in operator.fails(f"collective add {bad}")
    assert operator.does("collective list") == "rose  ended\n"


def test_status_is_quiet_when_all_is_well(operator: Operator, world: World) -> None:
    moderators = world.collective("rose")
    world.publish(world.member("rose"), moderators, 113)
    told = operator.does("status")
    assert f"network test-network, epoch 1, schema {HEAD}" in told
    assert "identity version 2, 397 days left" in told
    assert "reports published, danger: 1" in told
    assert "tokens of members: 1" in told
    assert "tokens of moderators: 2" in told
    assert "!" not in told
    seen = json.loads(operator.does("status --json"))
    assert (seen["identity_version"], seen["warnings"], seen["buckets"]) == (2, [], 1)
    assert (seen["unannounced"], seen["pending_moderators"]) == (False, 0)


@on_sqlite
def test_status_tells_whether_valkey_answers(
    operator: Operator, world: World, valkey_url: str
) -> None:
    world.round()
    there, nowhere = valkey_url, f"valkey://127.0.0.1:{free_port()}"
    seen = json.loads(operator.does("status --json", PARASOL_VALKEY_URL=there))
    assert (seen["valkey"], seen["warnings"]) == (True, [])
    seen = json.loads(operator.does("status --json", PARASOL_VALKEY_URL=nowhere))
    assert seen["valkey"] is False
    assert "Valkey does not answer" in str(seen["warnings"])
    assert "! Valkey" in operator.does("status", PARASOL_VALKEY_URL=nowhere)


def test_status_tells_when_the_timed_work_was_done(operator: Operator, world: World) -> None:
    world.round()
    assert json.loads(operator.does("status --json"))["timekeeping_seconds_ago"] is not None
    world.parts.timekeeper.stop()
    assert json.loads(operator.does("status --json"))["timekeeping_seconds_ago"] is None


def warnings(operator: Operator) -> list[str]:
    told = [line[2:] for line in operator.does("status").splitlines() if line[:2] == "! "]
    seen = json.loads(operator.does("status --json"))
    assert seen["warnings"] == told
    return told


@pytest.mark.parametrize(
    ("severity", "category", "patience"),
    [("danger", "robbery", timedelta(hours=24)), ("risk", "theft", timedelta(days=7)),
     ("nuisance", "time_wasting", timedelta(days=7))],
)  # fmt: skip
def test_status_warns_of_reports_that_wait_too_long(
    operator: Operator, world: World, severity: str, category: str, patience: timedelta
) -> None:
    world.collective("rose")
    world.file(world.member("rose"), 113, severity=severity, categories=[category])
    waited = "Reports have waited too long for a moderator."
    world.clock.now += patience
    world.round()
    assert warnings(operator) == []
    assert "OVERDUE" not in operator.does("status")
    world.clock.pass_(hours=1)
    world.round()
    assert warnings(operator) == [waited]
    assert f"reports submitted, {severity}: 1" in operator.does("status")
    assert "OVERDUE" in operator.does("status")


def test_status_warns_before_the_identity_expires(operator: Operator, world: World) -> None:
    world.clock.pass_(days=339)
    world.round()
    assert warnings(operator) == []
    world.clock.pass_(days=1)
    world.round()
    assert warnings(operator) == ["The identity expires soon: run `parasol identity sign`."]
    world.clock.pass_(days=60, hours=1)
    world.round()
    assert "has expired" in warnings(operator)[0]
    operator.does(f"identity sign --root {world.root}")
    assert warnings(operator) == []


@on_sqlite
def test_status_warns_of_moderators_who_wait(operator: Operator, world: World) -> None:
    world.collective("rose")
    world.round()
    assert warnings(operator) == []
    world.join("rose")
    assert warnings(operator) == ["Moderators wait to be announced: run `parasol identity sign`."]


def test_status_warns_when_nothing_is_sealed(operator: Operator, world: World) -> None:
    old = "The buckets are old: is the server running?"
    assert warnings(operator) == [old]
    world.round()
    world.clock.pass_(hours=24)
    assert warnings(operator) == []
    world.clock.pass_(hours=1)
    assert warnings(operator) == [old]
    world.parts.timekeeper.stop()
    assert "sealed 1" in operator.does("run-once")
    assert warnings(operator) == []


def test_run_once_leaves_it_to_the_running_server(operator: Operator, world: World) -> None:
    world.round()
    assert operator.does("run-once") == "The running server does this.\n"
    world.parts.timekeeper.stop()
    assert operator.does("run-once") == "published 0, sent_back 0, expired 0, sealed 0\n"
    assert operator.does("run-once") == "published 0, sent_back 0, expired 0, sealed 0\n"


def secret_file(folder: Path, secret: str = PASSPHRASE) -> Path:
    file = folder / "passphrase"
    file.write_text(f"{secret}\n")
    file.chmod(0o600)
    return file


def test_a_backup_is_two_private_files_and_can_be_restored(
    operator: Operator, world: World, tmp_path: Path
) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    world.publish(member, moderators, 113)
    secret, folder = secret_file(tmp_path), tmp_path / "backups/monday"
    told = operator.does(f"backup {folder} --passphrase-file {secret}")
    assert "different places" in told
    assert sorted(one.name for one in folder.iterdir()) == ["database.jsonl", "keys.locked"]
    assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in folder.parent.iterdir()] == ["monday"]
    held = b"".join(one.read_bytes() for one in folder.iterdir())
    for key in (world.root, *world.settings.keys.iterdir()):
        assert read_key(key) not in held
        assert read_key(key).hex().encode() not in held

    other = Operator(tmp_path / "restored", f"sqlite:///{tmp_path}/restored.db", world.clock)
    restore = f"restore {folder} --passphrase-file"
    assert "passphrase is wrong" in other.fails(f"{restore} {secret_file(tmp_path, 'x')}")
    assert not other.data.exists()
    told = other.does(f"{restore} {secret_file(tmp_path)}")
    assert "undone" in told
    assert "reports published, danger: 1" in other.does("status")
    keys = {one.name: one.read_bytes() for one in (other.data / "keys").iterdir()}
    assert keys == {one.name: one.read_bytes() for one in world.settings.keys.iterdir()}
    assert {one.stat().st_mode & 0o777 for one in (other.data / "keys").iterdir()} == {0o600}
    # Not over what is there.
    assert "founded once" in other.fails(f"{restore} {secret}")
    assert "not empty" in Operator(tmp_path / "third", world.url, world.clock).fails(
        f"{restore} {secret}"
    )
    assert not (tmp_path / "third/keys").exists()


@on_sqlite
def test_a_backup_in_the_ordinary_place_holds_no_copy_of_the_database_file(
    newcomer: Operator, tmp_path: Path
) -> None:
    newcomer.does(INIT, PARASOL_DATABASE_URL="")
    folder = newcomer.data / "backup"
    command = f"backup {folder} --passphrase-file {secret_file(tmp_path)}"
    newcomer.does(command, PARASOL_DATABASE_URL="")
    assert sorted(one.name for one in folder.iterdir()) == ["database.jsonl", "keys.locked"]
    assert {one.stat().st_mode & 0o077 for one in newcomer.data.rglob("*")} == {0}


@on_sqlite
def test_a_backup_is_whole_or_not_there(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, secret = tmp_path / "backup", secret_file(tmp_path)

    def full(*_: object) -> Iterator[str]:
        yield "half"
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("api.cli.instance.write_rows", full)
        assert "cannot be written" in operator.fails(f"backup {folder} --passphrase-file {secret}")
    assert {one.name for one in tmp_path.iterdir() if "backup" in one.name} == set()
    operator.does(f"backup {folder} --passphrase-file {secret}")
    before = (folder / "keys.locked").read_bytes()
    assert "there already" in operator.fails(f"backup {folder} --passphrase-file {secret}")
    assert (folder / "keys.locked").read_bytes() == before


@on_sqlite
def test_a_passphrase_is_never_on_the_command_line_and_never_short(
    operator: Operator, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    assert "12 characters" in operator.fails(
        f"backup {folder} --passphrase-file {secret_file(tmp_path, 'short')}"
    )
    secret = secret_file(tmp_path)
    secret.chmod(0o644)
    assert "chmod" in operator.fails(f"backup {folder} --passphrase-file {secret}")
    secret.chmod(0o600)
    secret.write_bytes(b"\xff\xfe" * 10)
    assert "cannot be read" in operator.fails(f"backup {folder} --passphrase-file {secret}")
    assert "Stopped." in operator.fails(f"backup {folder}", f"{PASSPHRASE}\n")
    assert not folder.exists()
    result = operator.run(f"backup {folder}", f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert result.exit_code == 0
    assert PASSPHRASE not in result.output


@on_sqlite
def test_restore_says_what_is_missing_or_damaged(operator: Operator, tmp_path: Path) -> None:
    folder, secret = tmp_path / "backup", secret_file(tmp_path)
    operator.does(f"backup {folder} --passphrase-file {secret}")
    other = Operator(tmp_path / "other", f"sqlite:///{tmp_path}/other.db", operator.clock)
    restore = f"restore {folder} --passphrase-file {secret}"
    rows, keys = folder / "database.jsonl", folder / "keys.locked"
    whole, locked = rows.read_bytes(), keys.read_bytes()
    rows.write_bytes(whole[:-100])
    assert "incomplete" in other.fails(restore)
    rows.write_bytes(b"noise")
    assert "not a backup" in other.fails(restore)
    rows.write_bytes(whole.replace(HEAD.encode(), b"0000", 1))
    assert "another version" in other.fails(restore)
    rows.unlink()
    assert "must both be in" in other.fails(restore)
    rows.write_bytes(whole)
    keys.write_bytes(locked[:-10])
    assert "keys.locked is damaged" in other.fails(restore)
    keys.unlink()
    assert "must both be in" in other.fails(restore)
    keys.write_bytes(locked)
    assert not (other.data / "keys").exists()
    other.does(restore)


EVERYWHERE = (
    "collective list", "collective add rose", "member list rose", "member invite rose",
    "moderator invite rose", "moderator end m-1", "identity show", "status", "run-once", "serve",
    "partner list", "partner add http://127.0.0.1:1", "sync", "feed show", "feed verify",
)  # fmt: skip


@on_sqlite
@pytest.mark.parametrize("command", [*EVERYWHERE, "migrate"])
def test_a_folder_that_is_not_there_is_not_made(
    newcomer: Operator, tmp_path: Path, command: str
) -> None:
    assert "is not there" in newcomer.fails(command, PARASOL_DATABASE_URL="")
    assert not newcomer.data.exists()
    assert "--data" in newcomer.fails(command, PARASOL_DATA="")
    assert not list(tmp_path.glob("*/*.db"))


@pytest.mark.parametrize("command", EVERYWHERE)
@on_sqlite
def test_an_outdated_schema_is_named_with_its_mend(newcomer: Operator, command: str) -> None:
    newcomer.data.mkdir()
    engine = open_engine(newcomer.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    engine.dispose()
    assert "parasol migrate" in newcomer.fails(command)


def test_migrate_says_what_it_did_or_cannot_do(operator: Operator, world: World) -> None:
    assert operator.does("migrate") == "The schema is up to date.\n"
    engine = open_engine(world.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    assert "newer version" in operator.fails("migrate")


@on_sqlite
@pytest.mark.parametrize("command", ["status", "run-once", "serve", "member list rose", "backup x"])
def test_keys_that_are_open_to_others_are_named_with_their_mend(
    operator: Operator, world: World, command: str
) -> None:
    key = world.settings.keys / "log.key"
    key.chmod(0o644)
    told = operator.fails(command)
    assert f"{key} is open to others: chmod go= {key}" in told


@on_sqlite
@pytest.mark.parametrize("command", ["status", "identity show", "identity sign --root {root}"])
def test_a_database_without_an_instance_is_named(
    operator: Operator, world: World, command: str
) -> None:
    engine = open_engine(world.url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM identity"))
    engine.dispose()
    assert "parasol init" in operator.fails(command.format(root=world.root))


@on_sqlite
@pytest.mark.parametrize("command", [*EVERYWHERE, "migrate", INIT])
def test_a_database_that_does_not_answer_is_named_without_its_password(
    newcomer: Operator, command: str
) -> None:
    newcomer.data.mkdir()
    url = "postgresql+psycopg://parasol:sesame@127.0.0.1:1/parasol"
    result = newcomer.run(command, PARASOL_DATABASE_URL=url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("The database does not answer.")
    assert "sesame" not in result.output


@on_sqlite
def test_settings_that_cannot_be_used_are_named_and_not_repeated(operator: Operator) -> None:
    for name, value in (
        ("PARASOL_PORT", "sesame"),
        ("PARASOL_PER_HOUR", "-7777"),
        ("PARASOL_DATABASE_URL", "postgres://parasol:sesame@db/parasol"),
        ("PARASOL_DATABASE_URL", "postgresql+psycopg://parasol:p@db:7777x/parasol"),
    ):
        result = operator.run("status", **{name: value})
        assert result.exit_code == 2
        assert name in result.stderr
        assert "sesame" not in result.output
        assert "7777" not in result.output


@on_sqlite
def test_a_relative_folder_is_meant_from_where_the_command_was_given(
    newcomer: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = {"PARASOL_DATA": "here", "PARASOL_DATABASE_URL": ""}
    told = newcomer.does(INIT, **relative)
    assert str(tmp_path / "here/root.key") in told
    assert sorted(one.name for one in (tmp_path / "here").iterdir()) == [
        "keys", "parasol.db", "root.key",
    ]  # fmt: skip
    assert newcomer.run("status", **relative).exit_code == 0
