"""Whose keys count where in a partner's log, and what a partner may not say of itself."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from api.crypto.envelopes import public_key
from api.keyring import KeyFileError, read_key
from api.services import following, succession
from api.services.drafts import signed
from api.trust import LIFETIME
from schemas.base import encode_base64
from schemas.documents import Collective, Envelope, Status
from schemas.feed import Policy
from tests.factories import World
from tests.hostile import Peer, followed, leaf_of, rows_of, seed_of, served

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
WAIT = {"minutes": 11}
"""Longer than an identity is not asked for again."""


@pytest.fixture
def joined(world: World) -> Iterator[Callable[..., Peer]]:
    """Let the world add a partner whose first identity is of the test's choice."""
    with ExitStack() as stack:

        def join(threshold: int = 1, **changes: Any) -> Peer:
            peer = stack.enter_context(served(Peer(world)))
            if threshold > 1:
                changes["root"] = peer.root("1", "2", threshold=threshold)
            peer.issue(**changes)
            peer.append(peer.keys())
            partners = world.parts.partners
            partners.add(partners.meet(peer.address), Policy.AUTO)
            return peer

        yield join


def newcomer(peer: Peer, name: str, collective: str = "lily") -> tuple[Collective, ...]:
    """The collectives with another moderator."""
    return tuple(
        one.model_copy(update={"moderators": (*one.moderators, peer.moderator(name))})
        if one.id == collective
        else one
        for one in peer.identity.collectives
    )


# What no identity may be


@sqlite
def test_an_identity_of_another_root_than_was_compared_is_refused(peer: Peer) -> None:
    stranger = peer.draft(version=1, previous=None, root=peer.root("thief"))
    peer.identities.clear()
    peer.put(stranger, "thief")
    peer.refused("identity-refused")
    # Nor does it help to show the right root, without its signature.
    peer.identities.clear()
    peer.put(peer.draft(root=peer.root("1")), "thief")
    peer.refused("identity-refused")
    assert (peer.line.state, peer.line.identity_version) == ("waiting", 0)


@sqlite
def test_the_first_identity_needs_as_many_root_signatures_as_it_says(
    joined: Callable[..., Peer],
) -> None:
    peer = joined(threshold=2)
    peer.refused("identity-refused")
    peer.identities.clear()
    peer.put(peer.draft(root=peer.root("1", "2", threshold=2)), "1", "2")
    assert peer.sync().code is None


REFUSED: dict[str, Callable[[Peer], None]] = {
    "version skipped": lambda peer: peer.put(peer.draft(version=3)),
    "chain broken": lambda peer: peer.put(peer.draft(previous=bytes(32))),
    "chain lost": lambda peer: peer.put(peer.draft(previous=None)),
    "old root did not sign": lambda peer: peer.put(peer.draft(root=peer.root("2")), "2"),
    "new root did not sign": lambda peer: peer.put(peer.draft(root=peer.root("2")), "1"),
    "too few of the new root": lambda peer: peer.put(
        peer.draft(root=peer.root("2", "3", threshold=2)), "1", "2"
    ),
    "nobody signed": lambda peer: peer.put(peer.draft(), "nobody"),
    "expired": lambda peer: peer.put(
        peer.draft(issued=peer.time(peer.now - timedelta(days=9)), expires=peer.time(peer.now))
    ),
    "lasts too long": lambda peer: peer.put(
        peer.draft(expires=peer.time(peer.now + LIFETIME + timedelta(seconds=1)))
    ),
    "issued tomorrow": lambda peer: peer.put(
        peer.draft(issued=peer.time(peer.now + timedelta(days=1)))
    ),
    "at the end of the calendar": lambda peer: peer.put(
        peer.draft(issued="9999-12-30T00:00:00Z", expires="9999-12-31T00:00:00Z")
    ),
    "moderator vanished": lambda peer: peer.put(
        peer.draft(collectives=peer.collectives(lambda one: one if one.id != "lily-c" else None))
    ),
    "collective vanished": lambda peer: peer.put(
        peer.draft(collectives=peer.identity.collectives[:1])
    ),
    "key changed": lambda peer: peer.put(
        peer.draft(
            collectives=peer.collectives(
                lambda one: one
                if one.id != "lily-a"
                else peer.moderator("lily-a", sign=public_key(seed_of("new")))
            )
        )
    ),
    "moderator moved": lambda peer: peer.put(
        peer.draft(
            collectives=(
                peer.identity.collectives[0].model_copy(
                    update={"moderators": peer.identity.collectives[0].moderators[:-1]}
                ),
                newcomer(peer, "lily-c", "iris")[1],
            )
        )
    ),
    "another network": lambda peer: peer.put(peer.draft(network="test-elsewhere")),
    "another K in the same epoch": lambda peer: peer.put(
        peer.draft(public_key=peer.token(113))
    ),
    "another log key": lambda peer: peer.put(peer.draft(log_key=public_key(seed_of("x")))),
    "another log, same key": lambda peer: peer.put(peer.draft(log="hostile.example:2")),
    "a log skipped": lambda peer: peer.put(
        peer.draft(log="hostile.example:3", log_key=public_key(seed_of("x")))
    ),
}  # fmt: skip


@sqlite
def test_an_identity_that_may_not_follow_is_refused(peer: Peer) -> None:
    peer.taken(peer.report())
    for name, put in REFUSED.items():
        put(peer)
        peer.append(peer.keys())
        peer.refused("identity-refused", name)
        peer.refused("identity-refused", name)
        peer.forget()
        peer.world.clock.pass_(**WAIT)
    assert (peer.line.identity_version, peer.counted) == (1, 1)
    peer.issue(collectives=newcomer(peer, "lily-d"))
    peer.taken(peer.keys(), peer.report(114, by=("lily-d", "lily-a")))
    assert (peer.line.identity_version, peer.counted) == (2, 2)


def first_of(members: dict[str, Any]) -> dict[str, Any]:
    one: dict[str, Any] = members["collectives"][1]["moderators"][0]
    return one


UNWRITABLE: dict[str, Callable[[dict[str, Any]], object]] = {
    "one key under two moderators": lambda new: first_of(new).update(
        sign=new["collectives"][0]["moderators"][0]["sign"]
    ),
    "a key for signing and reading": lambda new: first_of(new).update(
        sign=new["collectives"][0]["moderators"][0]["box"]
    ),
    "the log key for a moderator": lambda new: first_of(new).update(sign=new["log_key"]),
    "an unknown member": lambda new: new.update(note="x"),
    "a threshold that cannot be met": lambda new: new["root"].update(threshold=2),
    "another origin": lambda new: new.update(origin="alpha.example", log="alpha.example:1"),
    "no point": lambda new: new.update(public_key=encode_base64(b"\xff" * 32)),
}


@sqlite
def test_an_identity_that_contradicts_itself_is_refused(peer: Peer) -> None:
    peer.taken(peer.report())
    for name, change in UNWRITABLE.items():
        peer.append(peer.put_raw(change))  # type: ignore[arg-type]
        peer.refused("identity-refused", name)
        peer.forget()
        peer.world.clock.pass_(**WAIT)


@sqlite
def test_a_version_is_not_replaced_by_another_of_its_number(peer: Peer) -> None:
    peer.taken(peer.report())
    other = peer.draft(version=1, previous=None, collectives=newcomer(peer, "lily-d"))
    peer.identities.clear()
    peer.put(other)
    peer.append(peer.keys(identity_version=2))
    peer.refused("identity-refused")
    # Nor by none at all.
    peer.world.clock.pass_(**WAIT)
    peer.says("/v1/identity", {})
    peer.refused("bad-answer")


@sqlite
def test_an_identity_that_has_expired_here_is_asked_for_again(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.world.clock.pass_(days=399)
    assert peer.sync().code is None
    peer.world.clock.pass_(days=1)
    peer.refused("identity-refused")
    peer.world.clock.pass_(**WAIT)
    peer.issue()
    peer.taken(peer.keys())
    assert peer.line.identity_version == 2


# Chains


def test_a_chain_is_followed_from_the_root_that_was_compared(
    joined: Callable[..., Peer], world: World
) -> None:
    peer = joined()
    world.parts.partners.remove(peer.origin)
    peer.issue("1", "2", root=peer.root("2"))
    peer.issue("2", "3", "4", root=peer.root("3", "4", threshold=2))
    peer.append(*(peer.keys_of(one) for one in peer.identities[1:]))
    peer.append(peer.report())
    # The operator has compared the newest root; what came before is told by its hashes.
    world.parts.partners.add(world.parts.partners.meet(peer.address), Policy.AUTO)
    peer.taken()
    assert [row["version"] for row in rows_of(world, "partner_identity")] == [1, 2, 3]
    assert peer.counted == 1
    # One of two signatures of the new root is too few.
    peer.issue("3", root=peer.root("3", "4", threshold=2))
    peer.append(peer.keys())
    peer.refused("identity-refused")


@sqlite
def test_the_past_of_a_chain_is_told_by_its_hashes(
    joined: Callable[..., Peer], world: World
) -> None:
    peer = joined()
    world.parts.partners.remove(peer.origin)
    peer.issue("1", "2", root=peer.root("2"))
    world.parts.partners.add(world.parts.partners.meet(peer.address), Policy.AUTO)
    true, forged = peer.identities[0], peer.draft(version=1, previous=None)
    peer.put(forged, "2")
    peer.identities[0] = peer.identities.pop()
    peer.refused("identity-refused")
    peer.identities[0] = true
    assert peer.sync().code is None


@sqlite
def test_a_chain_costs_no_more_than_was_allowed(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        peer.issue()
    size = len(peer.identities[0].model_dump_json())
    with monkeypatch.context() as limits:
        limits.setattr(succession, "CHAIN_BYTES", 2 * size)
        peer.refused("too-large")
    with monkeypatch.context() as limits:
        limits.setattr(succession, "CHAIN_SECONDS", -1)
        peer.refused("unreachable")
    with monkeypatch.context() as limits:
        limits.setattr(succession, "LONGEST_CHAIN", 2)
        asked = peer.fetched["/v1/identity"]
        peer.refused("identity-refused")
        assert peer.fetched["/v1/identity"] == asked + 1
    assert peer.sync().code is None


# Networks and their keys


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "test-elsewhere"}, "wrong-network"),
        ({"argon2id": {"m_kib": 128, "t": 1}}, "wrong-network"),
        ({"public_key": None}, "wrong-network"),
        ({"epoch": 2}, "wrong-epoch"),
    ],
)
@sqlite
def test_another_network_or_key_is_not_followed(
    joined: Callable[..., Peer], world: World, changes: dict[str, Any], code: str
) -> None:
    if "argon2id" in changes:
        changes = {"argon2id": type(world.identity.argon2id)(**changes["argon2id"])}
    if "public_key" in changes:
        changes = {"public_key": world.token(113)}
    peer = joined(**changes)
    peer.append(peer.report())
    peer.sync()
    peer.refused(code)
    assert peer.line.entries == 0


def rotate(world: World) -> None:
    """Change the network key, as the operator's command does."""
    rotation = world.parts.rotation
    delta = rotation.choose()
    rotation.convert(delta, lambda _done, _total: None)
    rotation.switch(signed(rotation.draft(delta), [read_key(world.root)]), delta)


def test_tokens_of_a_former_epoch_are_converted_as_they_come(peer: Peer, world: World) -> None:
    early, late, again = peer.report(113), peer.report(113), peer.report(114)
    peer.taken(early)
    rotate(world)
    # The partner has not changed its key yet: what it says is of the epoch that we come from.
    assert peer.outcome_of(late) == ["applied"]
    tokens = {row["token"] for row in rows_of(world, "foreign_identifier")}
    assert tokens == {world.token(113)} != {peer.token(113)}
    ours = world.identity
    peer.issue(epoch=2, public_key=ours.public_key)
    peer.tokens.clear()
    # What was signed before the change may come after it.
    assert peer.outcome_of(peer.keys(), again, peer.report(115)) == ["applied"] * 3
    tokens = {row["token"] for row in rows_of(world, "foreign_identifier")}
    assert tokens == {world.token(number) for number in (113, 114, 115)}
    assert peer.outcome_of(peer.report(113, epoch=3)) == ["rejected:wrong-epoch"]


@sqlite
def test_a_key_that_nobody_gave_us_stops_nothing(
    peer: Peer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.taken()
    rotate(world)

    def absent(*_: object) -> bytes:
        raise KeyFileError("delta-1.key")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.parts.instance), "convert", absent)
        assert peer.outcome_of(peer.report()) == ["rejected:wrong-epoch"]
    with monkeypatch.context() as patch:
        patch.setattr(type(world.parts.instance), "network_public_key", absent)
        peer.refused("wrong-epoch")


# Whose key counts where


def test_a_key_counts_from_its_announcement_to_its_end(peer: Peer) -> None:
    early = peer.report(113, by=("lily-a", "lily-d"))
    peer.issue(collectives=newcomer(peer, "lily-d"))
    second = peer.keys()
    peer.issue(collectives=peer.with_status(Status.ENDED, "lily-a"))
    third = peer.keys()
    pairs = [("lily-a", "lily-d"), ("lily-b", "lily-d"), ("lily-a", "lily-b")]
    reports = [[peer.report(n, by=by) for by in pairs] for n in (113, 114, 115)]
    log = [early, *reports[0], second, *reports[1], third, *reports[2]]
    good, unknown = "applied", "rejected:unknown-key"
    expected = [
        unknown, unknown, unknown, good,
        good, good, good, good,
        good, unknown, good, unknown,
    ]  # fmt: skip
    assert peer.outcome_of(*log) == expected
    # One who has ended has signed what she signed.
    assert peer.counted == 5
    # It is all in one page, and was judged by place: the identity was fetched once.
    assert peer.fetched["/entries"] == 1


@sqlite
def test_the_first_entry_announces_the_first_version(peer: Peer) -> None:
    announced = peer.entries.pop()
    report = peer.report()
    assert peer.outcome_of(report, announced, report) == [
        "rejected:unknown-key", "applied", "applied"
    ]  # fmt: skip


@sqlite
def test_an_announcement_names_the_next_version_and_no_other(peer: Peer) -> None:
    peer.taken()
    again = peer.keys(rid="0" * 32)
    peer.issue()
    peer.issue()
    skipping, wrong = peer.keys(), peer.keys(identity_version=2)
    assert peer.outcome_of(again, skipping, wrong) == ["rejected:malformed"] * 3
    second = peer.keys_of(peer.identities[1])
    forged = second.model_copy(
        update={"signatures": peer.signed(peer.report_document(), "lily-a").signatures}
    )
    assert peer.outcome_of(forged, second) == ["rejected:unknown-key", "applied"]
    assert rows_of(peer.world, "partner")[0]["announced"] == 2


def test_an_identity_is_asked_for_once_and_then_not_for_ten_minutes(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.issue(collectives=newcomer(peer, "lily-d"))
    hidden = peer.identities.pop()
    peer.append(peer.keys(), peer.report(114, by=("lily-a", "lily-d")))
    for _ in range(3):
        peer.refused("identity-refresh")
    assert peer.fetched["/v1/identity"] == 2
    peer.world.clock.pass_(minutes=10)
    peer.refused("identity-refresh")
    assert peer.fetched["/v1/identity"] == 3
    peer.identities.append(hidden)
    peer.refused("identity-refresh")
    peer.world.clock.pass_(minutes=10)
    assert (peer.sync().code, peer.counted) == (None, 2)


def test_two_hundred_bad_signatures_ask_for_no_identity(peer: Peer) -> None:
    peer.taken()
    asked = peer.fetched["/v1/identity"]
    document = peer.report_document()
    strangers = [
        peer.signed(document.model_copy(update={"rid": f"{n:032x}"}), f"stranger-{n}", "lily-a")
        for n in range(1, 101)
    ]
    forged = [
        Envelope.around(
            peer.report_document(),
            [one.model_copy(update={"sig": bytes(64)}) for one in peer.report().signatures],
        )
        for _ in range(100)
    ]
    outcomes = peer.outcome_of(*strangers, *forged)
    assert outcomes == ["rejected:unknown-key"] * 100 + ["rejected:bad-signature"] * 100
    assert peer.fetched["/v1/identity"] == asked
    assert peer.line.refused == {"unknown-key": 100, "bad-signature": 100}


# A moderator whose key is no longer trusted


def standings(peer: Peer) -> list[str]:
    return [row["standing"] for row in rows_of(peer.world, "foreign_report")]


@pytest.mark.parametrize("status", [Status.REVOKED, Status.ENDED])
def test_what_a_revoked_moderator_signed_waits_for_another_signature(
    peer: Peer, status: Status
) -> None:
    alone, both = peer.risk(113), peer.report(114)
    three = peer.report(115, by=("lily-a", "lily-b", "lily-c"))
    others = peer.report(116, by=("lily-b", "lily-c"))
    elsewhere = peer.risk(117, collective="iris", by=("iris-a",))
    peer.taken(alone, both, three, others, elsewhere)
    assert peer.counted == 5
    peer.issue(collectives=peer.with_status(status, "lily-a"))
    peer.taken(peer.keys())
    if status is Status.ENDED:
        assert peer.counted == 5
        return
    assert standings(peer) == ["suspended", "suspended", "standing", "standing", "standing"]
    assert peer.counted == 3
    assert {row["word"] for row in rows_of(peer.world, "unsealed")}
    # A new report that says the same, and replaces it, counts.
    new = peer.report(114, by=("lily-b", "lily-c"), replaces=leaf_of(both))
    assert peer.outcome_of(new) == ["applied"]
    assert (peer.counted, standings(peer)[1]) == (4, "replaced")


def test_whose_key_has_only_ended_still_stands_for_what_she_signed(peer: Peer) -> None:
    ended = peer.report(113, by=("lily-b", "lily-c"))
    both = peer.report(114, by=("lily-a", "lily-b"))
    peer.taken(ended, both)
    peer.issue(collectives=peer.with_status(Status.ENDED, "lily-b"))
    peer.taken(peer.keys())
    peer.issue(collectives=peer.with_status(Status.REVOKED, "lily-a"))
    peer.taken(peer.keys())
    assert (peer.counted, standings(peer)) == (1, ["standing", "suspended"])


def test_a_collective_that_is_revoked_takes_all_its_reports_with_it(peer: Peer) -> None:
    peer.taken(peer.report(113), peer.risk(114, collective="iris", by=("iris-a",)))
    lily, iris = peer.identity.collectives
    gone = lily.model_copy(update={"status": Status.REVOKED})
    peer.issue(collectives=(gone, iris))
    assert peer.outcome_of(peer.keys(), peer.report(115)) == ["applied", "rejected:unknown-key"]
    assert (peer.counted, standings(peer)) == (1, ["suspended", "standing"])


# Another log


def test_a_log_is_succeeded_by_the_next_and_nothing_counts_twice(peer: Peer) -> None:
    one, two = peer.report(113), peer.report(114)
    peer.taken(one, two)
    peer.succeed()
    three = peer.report(115)
    peer.append(one, two, three)
    assert (peer.sync().code, peer.counted) == (None, 3)
    assert peer.outcomes() == ["applied"] * 2 + ["rejected:duplicate"] * 2 + ["applied"]
    assert (peer.line.entries, peer.line.identity_version) == (5, 2)
    # What stood in the former log can be taken back, and erased, in this one.
    assert peer.outcome_of(peer.retract(one), peer.erase(one, two)) == ["applied"] * 2
    assert peer.counted == 1
    assert all(
        row["envelope"] is None
        for row in rows_of(peer.world, "foreign_entry")
        if row["leaf"] in (leaf_of(one), leaf_of(two))
    )


def test_old_versions_that_a_new_log_announces_suspend_nobody_who_came_later(peer: Peer) -> None:
    peer.issue(collectives=peer.with_status(Status.REVOKED, "lily-c"))
    second = peer.keys()
    peer.issue(collectives=newcomer(peer, "lily-d"))
    report = peer.report(113, by=("lily-b", "lily-d"))
    peer.taken(second, peer.keys(), report)
    peer.succeed()
    peer.append(report)
    assert (peer.sync().code, peer.counted) == (None, 1)
    assert peer.outcomes() == ["applied"] * 4 + ["rejected:duplicate"]


@sqlite
def test_a_new_log_must_be_announced_by_both_roots(peer: Peer) -> None:
    peer.taken(peer.report())
    entries = list(peer.entries)
    peer.succeed()
    peer.identities[-1] = peer.identities[-1].model_copy(
        update={"signatures": peer.signed(peer.identity, "thief").signatures}
    )
    peer.refused("identity-refused")
    # Its old key does not speak for the new log, nor the new one for the old.
    peer.identities.pop()
    peer.world.clock.pass_(**WAIT)
    peer.refused("unknown-key")
    peer.number, peer.entries = 1, entries
    assert peer.sync().code is None


def test_a_closed_log_says_no_more_until_another_follows(peer: Peer) -> None:
    one, two = peer.report(113), peer.report(114)
    outcomes = peer.outcome_of(one, peer.close(successor="hostile.example:2"), two)
    assert outcomes == ["applied", "applied", "rejected:unsupported"]
    assert (peer.line.state, peer.line.code, peer.counted) == ("closed", "log-closed", 1)
    asked = len(peer.asked)
    peer.refused("log-closed")
    assert peer.asked[asked:] == ["/v1/identity"]
    # It is asked again by itself, though seldom.
    peer.world.clock.pass_(hours=2)
    assert peer.world.parts.following.due() == [peer.origin]
    peer.succeed()
    peer.append(one, two)
    assert (peer.sync().code, peer.counted, peer.line.state) == (None, 2, "following")
    assert peer.line.code is None


@sqlite
def test_what_a_closed_log_can_no_longer_explain_is_no_contradiction(peer: Peer) -> None:
    gone = peer.report()
    peer.append(leaf_of(gone), peer.close())
    assert peer.sync().code is None
    assert (peer.line.state, peer.line.synced_at) == ("closed", int(peer.now.timestamp()))
    peer.succeed()
    assert (peer.sync().code, peer.line.state) == (None, "following")


# Nobody holds up the others


@sqlite
def test_what_one_partner_provokes_does_not_stop_the_others(
    peer: Peer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with followed(world, "zeta.example") as honest:
        honest.append(honest.report())
        read = world.parts.positions.read

        def failing(origin: str) -> Any:
            if origin == peer.origin:
                raise OverflowError
            return read(origin)

        monkeypatch.setattr(world.parts.positions, "read", failing)
        synced = world.parts.following.round("us")
        assert [(one.origin, one.code) for one in synced] == [
            (peer.origin, "internal"), (honest.origin, None)
        ]  # fmt: skip
        assert (peer.line.code, honest.counted) == ("internal", 1)
        assert world.parts.following.due() == []


@sqlite
def test_whoever_has_very_much_to_say_says_it_in_turns(
    peer: Peer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "TURN_SECONDS", 0)
    with followed(world, "zeta.example") as other:
        other.append(other.report())
        peer.append(*(peer.risk(113) for _ in range(300)))
        first = world.parts.following.round("us")
        assert [one.entries for one in first] == [256, 2]
        assert [one.entries for one in world.parts.following.round("us")] == [45, 0]
        # Who does not have the lease asks nobody.
        assert world.parts.following.round("another process") == []


@sqlite
def test_a_feed_moves_with_its_identity(peer: Peer, world: World) -> None:
    peer.taken(peer.report())
    with served(Peer(world)) as elsewhere:
        peer.issue(feed=f"{elsewhere.address}/feed/v1/")
        peer.append(peer.keys())
        assert peer.sync().entries == 1
        elsewhere.identities, elsewhere.newest = peer.identities, peer.newest
        elsewhere.entries = [*peer.entries, peer.report(114)]
        asked = len(peer.asked)
        assert (peer.sync().code, peer.counted) == (None, 2)
        assert len(peer.asked) == asked
