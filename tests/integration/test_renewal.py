"""Promises about new keys of the server's own, and about those that an identity may name."""

import secrets

import pytest

from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.crypto.oprf import public_key as network_key
from api.crypto.ristretto import scalar_from_uniform
from api.keyring import read_key
from api.parts import Parts
from api.services.drafts import Changes, signed
from schemas.documents import Identity
from tests.factories import ORIGIN, World, refused


def accept(world: World, draft: Identity) -> Identity:
    return world.identities.accept(signed(draft, [read_key(world.root)]))


def test_the_log_goes_on_under_the_next_number_with_a_key_of_its_own(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    with world.another() as server:
        server.round()
        before = server.instance.serving
        identity = accept(world, world.parts.renewal.log())
        assert identity.log == f"{ORIGIN}:2"
        assert identity.log_key == public_key(read_key(world.settings.keys / "log-2.key"))
        # The list in hand is signed by the former key: it goes with the former identity.
        with server.store.read() as tx:
            assert server.instance.refresh(tx) == identity
        server.round()
        assert server.instance.serving is before
        world.round()  # which has the lease, and seals
        server.round()
        assert server.instance.identity == identity
        assert server.lookups.network().log_public_key == identity.log_key
    world.round()
    assert world.look_up(1, member).match
    assert {row["log"] for row in world.rows("entry")} == {2}


def test_a_log_key_that_nobody_signed_is_the_next_one(world: World) -> None:
    first, again = world.parts.renewal.log(), world.parts.renewal.log()
    assert first.log_key == again.log_key
    assert accept(world, again).log_key == first.log_key


def test_a_list_that_is_to_be_sealed_anew_is_no_empty_one(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    accept(world, world.parts.renewal.log())
    assert world.look_up(1, member).match
    with world.another() as fresh, refused("unavailable"):
        fresh.instance.serve()
        fresh.lookups.network()


def test_an_identity_names_no_key_that_is_not_here(world: World) -> None:
    stranger = public_key(secrets.token_bytes(32))
    pinned = world.identity
    for changes in (
        Changes(http_keys=[stranger]),
        Changes(http_keys=[stranger, *pinned.http_keys]),
        Changes(log_key=stranger),
        Changes(network_key=network_key(scalar_from_uniform(secrets.token_bytes(64)))),
    ):
        with refused("identity-refused"):
            accept(world, world.identities.draft(changes))
    assert world.identity == pinned
    with world.another() as parts:
        assert isinstance(parts, Parts)


def test_the_network_key_changes_with_the_tokens_or_not_at_all(world: World) -> None:
    delta = world.parts.rotation.choose()
    with refused("identity-refused"):
        accept(world, world.parts.rotation.draft(delta))
    assert world.identity.epoch == 1


def test_a_key_of_a_moderator_becomes_none_of_the_servers(world: World) -> None:
    (moderator, _) = world.collective("rose")
    for changes in (
        Changes(http_keys=[public_key(moderator.seed), *world.identity.http_keys]),
        Changes(log_key=bytes(moderator.box.public_key)),
    ):
        with pytest.raises(InvalidInput, match="key-in-use"):
            world.identities.draft(changes)
