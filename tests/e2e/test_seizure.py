"""The recipe for a seized server (docs/operations.md, *Ending an instance*), by its commands."""

import shutil
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.client import Client, CouldNotCheck, Profile
from api.parts import Parts
from api.services.stretching import canonical
from api.settings import Settings
from api.trust import root_fingerprint
from schemas.documents import Identity
from schemas.reports import Status
from tests.crashing import Command, until
from tests.e2e.conftest import bearer_of, this_month
from tests.e2e.test_rotation import number
from tests.factories import Clock, Moderator, World, phone
from tests.operators import Operator
from tests.pairs import befriend, copied, listening, pair

BEFORE, AFTER = 113, 114
"""Of whom was warned before the last backup, and after it."""


@dataclass
class Seized:
    """An instance whose server was taken, a partner of it, and whoever has the server now."""

    world: World
    partner: World
    thief: Parts
    backup: Path
    passphrase: Path
    receipt: str
    bearer: str
    moderators: list[Moderator]
    identity: Identity

    def operator(self) -> Operator:
        return Operator(self.world.settings.data, self.world.settings.url)

    def colleague(self) -> Operator:
        return Operator(self.partner.settings.data, self.partner.settings.url)

    def found_by_partner(self) -> dict[int, int]:
        """How many warnings the partner's members find."""
        self.partner.round()
        member, both = self.partner.member("lily"), (BEFORE, AFTER)
        return {one: self.partner.look_up(one, member).reports.total for one in both}


def published(world: World, moderators: list[Moderator], about: int) -> str:
    receipt = world.file(world.member("rose"), about, month=this_month(world))
    world.approve(world.item(moderators[0]), *moderators[:2])
    world.round()
    assert world.status(receipt) is Status.PUBLISHED
    return receipt


@pytest.fixture
def seized(sqlite_template: Path, tmp_path: Path) -> Iterator[Seized]:
    """The thief has database and key files as they were, and serves nothing yet."""
    urls = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        urls.append(copied(sqlite_template, tmp_path / name))
    with pair(tmp_path, urls[0], urls[1], Clock(datetime.now(UTC))) as (world, partner):
        moderators, _ = world.collective("rose"), partner.collective("lily")
        passphrase = tmp_path / "passphrase"
        passphrase.write_text("correct horse battery staple\n")
        passphrase.chmod(0o600)
        with listening(world, partner):
            befriend(world, partner)
        receipt = published(world, moderators, BEFORE)
        backup = tmp_path / "backup"
        Operator(world.settings.data, world.url).does(
            f"backup {backup} --passphrase-file {passphrase}"
        )
        moderators.append(world.join("rose"))
        world.sign_identity()
        published(world, moderators, AFTER)
        with listening(world):
            assert partner.parts.following.sync(world.origin).code is None
        partner.parts.timekeeper.stop()
        bearer = bearer_of(world.member("rose"))
        world.parts.timekeeper.stop()
        identity = world.identity
        world.close()
        loot = tmp_path / "loot"
        shutil.copytree(world.settings.data, loot)
        stolen = f"sqlite:///{shutil.copy(urls[0].removeprefix('sqlite:///'), loot / 'stolen.db')}"
        thief = Parts(Settings(data=loot, database_url=SecretStr(stolen)))
        world.settings = Settings(
            data=tmp_path / "another", database_url=SecretStr(f"sqlite:///{tmp_path}/another.db")
        )
        yield Seized(
            world, partner, thief, backup, passphrase, receipt, bearer, moderators, identity
        )
        thief.close()


def brought_back(seized: Seized) -> None:
    """What the recipe says, in its order, up to serving."""
    here, there = seized.operator(), seized.colleague()
    world, partner = seized.world, seized.partner
    root, theirs = f"--root {world.root} --yes", f"--root {partner.root} --yes"
    there.does(f"partner policy {world.origin} block --erasures 0")
    here.does(f"restore {seized.backup} --passphrase-file {seized.passphrase}")
    # Whoever blocks us says nothing either, and a version signed twice would end the instance.
    assert here.fails(f"feed succeed {root}").startswith("Nothing was signed")
    there.does(f"partner policy {world.origin} hold")
    assert "1 versions of the identity came back" in here.does(f"feed succeed {root}")
    here.does(f"identity rotate-http {root}")
    here.does(f"identity rotate-http --retire {root}")
    here.does(f"network rotate {root}")
    request, delta = world.folder / "request", world.folder / "delta"
    there.does(f"network request {request}")
    here.does(f"network share-delta {request} {delta} --yes")
    there.does(f"network rotate --delta {delta} {theirs}")
    here.does("member revoke rose --all")
    for one in here.identity.collectives[0].moderators:
        here.does(f"moderator end {one.id}")
    here.does(f"identity sign {root}")


def test_an_instance_whose_server_was_seized_comes_back_and_the_thief_is_shut_out(
    seized: Seized, tmp_path: Path
) -> None:
    world, partner, here, there = (
        seized.world, seized.partner, seized.operator(), seized.colleague(),
    )  # fmt: skip
    with listening(partner):
        brought_back(seized)
        assert here.identity.version > seized.identity.version
        world.parts = Parts(world.settings, world.clock)
        world.identities = world.parts.identities
        command = Command(world, tmp_path / "output")
        command.begin()
        try:
            until(command.is_ready, command.output)
            goes_on(seized, here, there)
            is_shut_out(seized)
        finally:
            command.end()


def goes_on(seized: Seized, here: Operator, there: Operator) -> None:
    """All is there that was in the backup, and new things come."""
    world, partner = seized.world, seized.partner
    assert "new entries" in there.does(f"sync {world.origin}")
    assert seized.found_by_partner() == {BEFORE: 0, AFTER: 0}  # it waits for a decision
    there.does(f"partner policy {world.origin} auto --erasures 20")
    # What came after the backup is not here any more; at the partner it stays.
    until(lambda: seized.found_by_partner() == {BEFORE: 1, AFTER: 1}, "at the partner")
    with Client(profile(world, bearer_of(world.member("rose")))) as client:
        listed, lost = client.check([number(BEFORE), number(AFTER)])
        assert (listed is None, lost) == (False, None)
    assert world.status(seized.receipt) is Status.PUBLISHED
    assert "The log holds" in here.does("feed verify")
    moderators = [world.join("rose") for _ in range(2)]
    here.does(f"identity sign --root {world.root} --yes")
    receipt = world.file(world.member("rose"), AFTER, month=this_month(world), epoch=2)
    world.approve(world.item(moderators[0]), *moderators)
    until(lambda: world.status(receipt) is Status.PUBLISHED, "by the server")
    partner.parts.following.sync(world.origin)
    until(lambda: seized.found_by_partner() == {BEFORE: 1, AFTER: 2}, "at the partner")
    with Client(profile(world, bearer_of(world.member("rose")))) as client:
        until(lambda: all(client.check([number(BEFORE), number(AFTER)])), "here")
    with Client(profile(world, seized.bearer)) as client, pytest.raises(CouldNotCheck):
        client.check([number(BEFORE)])


def is_shut_out(seized: Seized) -> None:
    """What the thief has opens nothing that came since, and no partner answers."""
    held = seized.thief.instance.serving.held
    stolen = seized.thief.stretching.tokens(
        [canonical(phone(BEFORE))], held.identity, held.evaluator
    )
    rows = {b64decode(row["token"]) for row in seized.world.rows("identifier")}
    assert seized.world.token(BEFORE) in rows
    assert not rows & set(stolen)
    assert seized.thief.following.sync(seized.partner.origin).code == "not-a-partner"


def profile(world: World, bearer: str) -> Profile:
    return Profile(world.address, bearer, root_fingerprint(world.identity.root), collective="rose")
