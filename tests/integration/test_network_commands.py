"""Promises about the network key on its way by hand, and about changing it, as operators do it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from api.crypto import oprf
from api.crypto.envelopes import public_key
from api.crypto.ristretto import scalar
from api.crypto.words import fingerprint_words
from api.founding import found
from api.keyring import Keyring, read_key
from api.store.schema import migrate
from api.trust import follow_chain, root_fingerprint
from schemas.documents import Envelope
from schemas.network import KeyRequest
from tests.factories import Clock, World
from tests.operators import Operator, clock_of_commands

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
JOIN = "--origin beta.example --address https://beta.example"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = clock_of_commands(monkeypatch)
    monkeypatch.setattr("api.cli.network.utc_now", clock)
    monkeypatch.setattr("api.cli.network.found", partial(found, clock=clock))
    return clock


@pytest.fixture
def world(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[World]:
    world = World(tmp_path, database_url, clock)
    yield world
    world.close()


@pytest.fixture
def operator(world: World, clock: Clock) -> Operator:
    return Operator(world.settings.data, world.url, clock)


@pytest.fixture
def newcomer(tmp_path: Path, clock: Clock) -> Operator:
    """An operator on another host, before anything is there."""
    return Operator(tmp_path / "beta", f"sqlite:///{tmp_path / 'beta.db'}", clock)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A stick that is carried from host to host."""
    stick = tmp_path / "stick"
    stick.mkdir()
    return stick


def words_in(told: str) -> set[str]:
    return {line.strip() for line in told.splitlines() if line.count(" / ") == 3}


def joined(operator: Operator, newcomer: Operator, files: Path) -> None:
    newcomer.does(f"network request {files}/request")
    operator.does(f"network invite {files}/request {files}/sealed --yes")
    newcomer.does(f"network join {files}/sealed {JOIN} --root {files}/beta.root --yes")


def rotated(operator: Operator, world: World) -> None:
    operator.does(f"network rotate --root {world.root}")


def test_an_invited_instance_has_the_key_of_the_network(
    operator: Operator, newcomer: Operator, world: World, files: Path
) -> None:
    joined(operator, newcomer, files)
    ours, theirs = world.identity, newcomer.identity
    assert (theirs.origin, theirs.version, theirs.epoch) == ("beta.example", 1, 1)
    assert (theirs.network, theirs.argon2id) == (ours.network, ours.argon2id)
    assert theirs.public_key == ours.public_key
    assert theirs.root != ours.root
    assert theirs.log_key != ours.log_key
    assert Keyring.load(newcomer.data / "keys").epoch == Keyring.load(world.settings.keys).epoch
    assert not (newcomer.data / "transport.key").exists()


def test_both_operators_see_the_words_that_the_other_reads_out(
    operator: Operator, newcomer: Operator, world: World, files: Path
) -> None:
    asked = words_in(newcomer.does(f"network request {files}/request"))
    assert asked == words_in(operator.does(f"network invite {files}/request {files}/sealed --yes"))
    told = newcomer.does(f"network join {files}/sealed {JOIN} --root {files}/beta.root --yes")
    root = fingerprint_words(root_fingerprint(world.identity.root))
    assert root in words_in(told)
    assert asked != {root}


def test_nothing_is_left_where_the_words_differ(
    operator: Operator, newcomer: Operator, files: Path
) -> None:
    newcomer.does(f"network request {files}/request")
    refused = operator.fails(f"network invite {files}/request {files}/sealed", answers="n\n")
    assert "Nothing was sealed" in refused
    assert not (files / "sealed").exists()
    operator.does(f"network invite {files}/request {files}/sealed", answers="y\n")
    before = sorted(newcomer.data.iterdir())
    refused = newcomer.fails(f"network join {files}/sealed {JOIN}", answers="n\n")
    assert "Nothing was changed" in refused
    assert sorted(newcomer.data.iterdir()) == before == [newcomer.data / "transport.key"]
    assert not Path(newcomer.url.removeprefix("sqlite:///")).exists()
    newcomer.does(f"network join {files}/sealed {JOIN} --root {files}/beta.root", answers="y\n")


def test_what_is_carried_tells_a_stranger_nothing(
    operator: Operator, newcomer: Operator, world: World, files: Path, tmp_path: Path
) -> None:
    newcomer.does(f"network request {files}/request")
    operator.does(f"network invite {files}/request {files}/sealed --yes")
    request, sealed = (files / "request").read_bytes(), (files / "sealed").read_bytes()
    secret = read_key(newcomer.data / "transport.key")
    k = Keyring.load(world.settings.keys).epoch
    for content in (request, sealed):
        for key in (secret, k):
            assert key not in content
            assert key.hex().encode() not in content
    assert (files / "sealed").stat().st_mode & 0o777 == 0o600
    assert (newcomer.data / "transport.key").stat().st_mode & 0o777 == 0o600
    assert KeyRequest.decode(request.strip()).key
    thief = Operator(tmp_path / "thief", f"sqlite:///{tmp_path / 'thief.db'}", operator.clock)
    assert "nowhere else" in thief.fails(f"network join {files}/sealed {JOIN} --yes")
    thief.does(f"network request {files}/other")
    assert "not sealed to the request" in thief.fails(f"network join {files}/sealed {JOIN} --yes")


@on_sqlite
@pytest.mark.parametrize("damage", ["cut", "space", "turned", "empty", "other"])
def test_a_damaged_file_is_refused(
    operator: Operator, newcomer: Operator, files: Path, damage: str
) -> None:
    newcomer.does(f"network request {files}/request")
    operator.does(f"network invite {files}/request {files}/sealed --yes")
    whole = (files / "sealed").read_text()
    place = len(whole) // 2
    flipped = "A" if whole[place] != "A" else "B"
    damaged = {
        "cut": whole[:place],
        "space": whole.replace(":", ": ", 1),
        "turned": whole[:place] + flipped + whole[place + 1 :],
        "empty": "",
        "other": (files / "request").read_text(),
    }
    (files / "sealed").write_text(damaged[damage])
    newcomer.fails(f"network join {files}/sealed {JOIN} --yes")
    assert not (newcomer.data / "keys").exists()
    (files / "request").write_text(damaged[damage])
    if damage != "other":
        operator.fails(f"network invite {files}/request {files}/again --yes")


def test_an_instance_that_came_later_gets_the_later_key_and_what_led_to_it(
    operator: Operator, newcomer: Operator, world: World, files: Path
) -> None:
    first = world.token(1)
    rotated(operator, world)
    rotated(operator, world)
    joined(operator, newcomer, files)
    assert newcomer.identity.epoch == 3
    ring = Keyring.load(newcomer.data / "keys")
    assert oprf.public_key(scalar(ring.epoch)) == world.identity.public_key
    assert ring.network_key(3, 1) == scalar(Keyring.load(world.settings.keys).epoch)
    assert ring.delta_epochs() == [1, 2]
    newcomer.does("run-once")
    newcomer.does("status")
    assert first


def test_a_change_takes_along_whoever_is_given_it_and_nobody_else(
    operator: Operator, newcomer: Operator, world: World, files: Path, tmp_path: Path
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    joined(operator, newcomer, files)
    shut_out = Operator(tmp_path / "gamma", f"sqlite:///{tmp_path / 'gamma.db'}", operator.clock)
    (tmp_path / "gamma-stick").mkdir()
    joined(operator, shut_out, tmp_path / "gamma-stick")
    told = operator.does(f"network rotate --root {world.root}")
    assert "share-delta" in told
    assert world.identity.epoch == 2
    newcomer.does(f"network request {files}/request2")
    operator.does(f"network share-delta {files}/request2 {files}/delta --yes")
    newcomer.does(f"network rotate --delta {files}/delta --root {files}/beta.root --yes")
    assert newcomer.identity.epoch == 2
    assert newcomer.identity.public_key == world.identity.public_key
    assert not (newcomer.data / "transport.key").exists()
    assert "nowhere else" in shut_out.fails(
        f"network rotate --delta {files}/delta --root {tmp_path}/gamma-stick/beta.root --yes"
    )
    assert shut_out.identity.epoch == 1
    world.round()
    assert world.look_up(1, member).match


def test_a_delta_is_no_key(
    operator: Operator, newcomer: Operator, world: World, files: Path
) -> None:
    rotated(operator, world)
    newcomer.does(f"network request {files}/request")
    operator.does(f"network share-delta {files}/request {files}/delta --yes")
    assert "no network key" in newcomer.fails(f"network join {files}/delta {JOIN} --yes")
    assert not (newcomer.data / "keys").exists()


def test_a_change_that_does_not_begin_here_is_refused(
    operator: Operator, newcomer: Operator, files: Path, tmp_path: Path
) -> None:
    joined(operator, newcomer, files)
    newcomer.does(f"network request {files}/request2")
    operator.does(f"network share-delta {files}/request2 {files}/nothing --yes")
    take = f"network rotate --root {files}/beta.root --yes --delta"
    assert "begins where" in newcomer.fails(f"{take} {files}/nothing")
    other = Operator(tmp_path / "other", f"sqlite:///{tmp_path / 'other.db'}", operator.clock)
    founding = "--network test-network --origin other.example --address https://other.example"
    other.does(f"init {founding} --m-kib 64 --t 1 --root {files}/other.root")
    other.does(f"network rotate --root {files}/other.root")
    other.does(f"network share-delta {files}/request2 {files}/foreign --yes")
    assert "not of this network" in newcomer.fails(f"{take} {files}/foreign")
    assert newcomer.identity.epoch == 1
    assert not (newcomer.data / "keys/delta-1.key").exists()


def test_without_a_root_key_everything_is_prepared_and_nothing_changed(
    operator: Operator, world: World
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    assert "nothing has changed yet" in operator.does("network rotate")
    delta = read_key(world.settings.keys / "delta-1.key")
    assert world.identity.epoch == 1
    assert world.look_up(1, member).match
    rotated(operator, world)
    assert read_key(world.settings.keys / "delta-1.key") == delta
    assert world.identity.epoch == 2


def test_too_few_root_keys_are_told_before_an_hour_of_work(
    operator: Operator, world: World, files: Path
) -> None:
    operator.does(f"identity new-key {files}/strange")
    assert "nothing was signed" in operator.fails(f"network rotate --root {files}/strange")
    assert not (world.settings.keys / "delta-1.key").exists()


def test_new_moderators_are_compared_when_the_key_changes(operator: Operator, world: World) -> None:
    world.collective("rose")
    world.join("rose")
    refused = operator.fails(f"network rotate --root {world.root}", answers="n\n")
    assert "Nothing was signed" in refused
    assert world.identity.epoch == 1
    operator.does(f"network rotate --root {world.root}", answers="y\n")
    assert world.identity.epoch == 2


# ---- Root and http keys ----


def chain(world: World) -> list[Envelope]:
    newest = world.identity.version
    return [world.parts.instance.envelope(version) for version in range(1, newest + 1)]


def test_root_keys_are_replaced_by_several(operator: Operator, world: World, files: Path) -> None:
    world.collective("rose")
    first = root_fingerprint(world.identity.root)
    for name in ("one", "two", "three"):
        told = operator.does(f"identity new-key {files}/{name}")
        assert public_key(read_key(files / name)).hex() in told
    new = " ".join(f"--new {files}/{name}" for name in ("one", "two", "three"))
    told = operator.does(f"identity rotate-root --old {world.root} {new} --threshold 2")
    root = world.identity.root
    assert (len(root.keys), root.threshold) == (3, 2)
    assert fingerprint_words(root_fingerprint(root)) in told
    assert follow_chain(chain(world), root_sha256=first) == world.identity
    assert "nothing was signed" in operator.fails(f"identity sign --root {world.root}")
    assert "nothing was signed" in operator.fails(f"identity sign --root {files}/one")
    operator.does(f"identity sign --root {files}/one --root {files}/three")
    assert follow_chain(chain(world)[2:], root_sha256=root_fingerprint(root)) == world.identity


def test_old_and_new_root_keys_must_sign(operator: Operator, world: World, files: Path) -> None:
    operator.does(f"identity new-key {files}/one")
    options = f"--new {files}/one --threshold 1"
    refused = operator.fails(f"identity rotate-root --old {files}/one {options}")
    assert "nothing was signed" in refused
    refused = operator.fails(
        f"identity rotate-root --old {world.root} --new {files}/one --threshold 2"
    )
    assert "can never sign" in refused
    assert world.identity.version == 1


def test_a_key_with_another_use_becomes_no_root_key(
    operator: Operator, world: World, files: Path
) -> None:
    (moderator, _) = world.collective("rose")
    hers = files / "hers"
    hers.write_text(moderator.seed.hex())
    hers.chmod(0o600)
    for other in (hers, world.settings.keys / "log.key", world.settings.keys / "http.key"):
        refused = operator.fails(
            f"identity rotate-root --old {world.root} --new {other} --threshold 1"
        )
        assert "another use" in refused
    assert world.identity.version == 2


def test_a_root_key_is_never_written_over_another_file(operator: Operator, files: Path) -> None:
    operator.does(f"identity new-key {files}/one")
    before = (files / "one").read_bytes()
    assert (files / "one").stat().st_mode & 0o777 == 0o600
    assert "there already" in operator.fails(f"identity new-key {files}/one")
    assert (files / "one").read_bytes() == before


def test_http_keys_come_before_the_former_ones_go(operator: Operator, world: World) -> None:
    (first,) = world.identity.http_keys
    sign = f"--root {world.root}"
    assert "nothing to retire" in operator.fails(f"identity rotate-http --retire {sign}")
    operator.does(f"identity rotate-http {sign}")
    second = public_key(read_key(world.settings.keys / "http-2.key"))
    assert set(world.identity.http_keys) == {first, second}
    world.round()
    instance = world.parts.instance
    assert public_key(instance.http_seed(world.identity)) in {first, second}
    operator.does(f"identity rotate-http --retire {sign}")
    assert world.identity.http_keys == (second,)
    world.round()
    assert public_key(instance.http_seed(world.identity)) == second
    operator.does(f"identity rotate-http {sign}")
    assert (world.settings.keys / "http-3.key").exists()
    with world.another() as parts:
        parts.round()


def test_an_http_key_that_nobody_signed_is_the_next_one(operator: Operator, world: World) -> None:
    world.collective("rose")
    world.join("rose")
    operator.fails(f"identity rotate-http --root {world.root}", answers="n\n")
    made = read_key(world.settings.keys / "http-2.key")
    operator.does(f"identity rotate-http --root {world.root} --yes")
    assert public_key(made) in world.identity.http_keys
    assert not (world.settings.keys / "http-3.key").exists()


def test_keys_that_came_later_are_backed_up_and_restored(
    operator: Operator, world: World, files: Path, tmp_path: Path
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    rotated(operator, world)
    operator.does(f"identity rotate-http --root {world.root}")
    secret = files / "passphrase"
    secret.write_text("correct horse battery staple")
    secret.chmod(0o600)
    operator.does(f"backup {files}/backup --passphrase-file {secret}")
    rows = (files / "backup/database.jsonl").read_text().splitlines()
    assert "converted" not in {json.loads(row).get("table") for row in rows}
    url = f"sqlite:///{tmp_path / 'again.db'}"
    again = Operator(tmp_path / "again", url, operator.clock)
    again.does(f"restore {files}/backup --passphrase-file {secret}")
    keys = sorted(one.name for one in (tmp_path / "again/keys").iterdir())
    assert keys == sorted(one.name for one in world.settings.keys.iterdir())
    assert {"delta-1.key", "http-2.key"} <= set(keys)
    for key in (tmp_path / "again/keys").iterdir():
        assert key.stat().st_mode & 0o777 == 0o600
    assert again.identity == world.identity
    again.does("status")
    migrate(url)
