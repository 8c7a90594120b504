"""A partner's log key in other hands, before and after the partner goes on with another."""

from collections.abc import Iterator

import pytest

from schemas.documents import Identity
from schemas.feed import Policy
from schemas.held import Decision, HeldKind
from tests.factories import World
from tests.hostile import Peer, followed, stored

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
pytestmark = on_sqlite
"""No race is decided here."""


@pytest.fixture
def peer(world: World) -> Iterator[Peer]:
    with followed(world) as peer:
        world.collective("rose")
        yield peer


def test_what_a_stolen_log_key_erases_waits_and_stays_when_it_is_refused(peer: Peer) -> None:
    """As the recipe says: `block --erasures 0` at once, and later refuse what waits."""
    world = peer.world
    one, two = peer.report(113), peer.report(114)
    peer.taken(one, two)
    world.parts.partners.set_policy(peer.origin, Policy.BLOCK)
    world.parts.partners.set_quotas(peer.origin, None, 0)
    peer.taken(peer.erase(one, two))  # by whoever has the key
    peer.succeed()
    peer.taken(one, two)
    world.parts.partners.set_policy(peer.origin, Policy.AUTO)
    waiting = world.parts.held.list_for_operator(None, 10).items
    assert {one.kind for one in waiting} == {HeldKind.ERASURE}
    assert len(waiting) == 2
    assert peer.counted == 2
    for each in waiting:
        world.parts.held.settle(bytes.fromhex(each.entry), Decision.REFUSED, each.kind)
    assert world.parts.held.list_for_operator(None, 10).items == []
    assert (peer.counted, peer.line.reports) == (2, 2)
    member = world.member("rose")
    world.round()
    assert all(world.look_up(number, member).match for number in (113, 114))


def test_what_a_stolen_log_key_has_erased_does_not_come_back_in_the_next_log(peer: Peer) -> None:
    """An erasure is for good, whoever signed it: moderators have to report anew."""
    one, two = peer.report(113), peer.report(114)
    peer.taken(one, two, peer.erase(one))
    peer.succeed()
    peer.taken(one, two, peer.report(113))
    assert peer.outcomes() == ["applied"] * 2 + ["rejected:duplicate"] * 2 + ["applied"]
    assert peer.counted == 2


def test_the_former_log_key_says_nothing_that_counts_once_another_log_is_followed(
    peer: Peer,
) -> None:
    """Whoever has it, and the address, shows the former log: longer, erased, with an old identity.

    The root keys have signed another: nothing of it is believed, and nothing changes.
    """
    one, two = peer.report(113), peer.report(114)
    peer.taken(one, two)
    peer.succeed()
    peer.taken(one, two)
    honest = (peer.entries, peer.identities, peer.newest, peer.number)
    before = stored(peer.world)
    # In other hands.
    peer.number -= 1
    former = peer.identities[:-1]
    for identities in (former, peer.identities):  # with the new identity, which anybody can read
        peer.identities = identities
        peer.newest = Identity.decode(former[-1].payload)
        peer.entries = [peer.keys(), one, two, peer.erase(one, two), peer.report(115)]
        peer.world.clock.pass_(hours=1)
        assert peer.sync().code in ("identity-refused", "unknown-key", "identity-refresh")
        assert stored(peer.world) == before
        assert (peer.line.state, peer.counted) == ("following", 2)
    # And the partner itself goes on.
    peer.entries, peer.identities, peer.newest, peer.number = honest
    peer.world.clock.pass_(hours=1)
    peer.taken(peer.report(116))
    assert peer.counted == 3
