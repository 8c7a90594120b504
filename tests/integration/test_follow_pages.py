"""A log that is not what it was, or not what it says, is caught; nothing of it is stored."""

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from api.crypto.envelopes import public_key
from api.crypto.merkle import root_of
from api.services import pages
from api.services.following import CHECKPOINT_BYTES
from api.services.pages import PAGE_BYTES
from api.services.positions import LONGEST_BACK_OFF
from schemas.base import encode_base64
from schemas.documents import Checkpoint, Envelope
from tests.factories import World
from tests.hostile import (
    FEED,
    Peer,
    Sent,
    as_json,
    followed,
    leaf_of,
    problem,
    rows_of,
    seed_of,
    stored,
)

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Page = dict[str, Any]


def wire(envelope: Envelope) -> Any:
    return json.loads(envelope.model_dump_json())


def altered(peer: Peer, change: Callable[[Page], Page | None]) -> None:
    """Change the pages that go on where the world is; tell the truth about the past."""
    here = peer.line.entries

    def answer(query: dict[str, str]) -> Sent:
        page = peer.page(int(query["from"]), int(query["limit"]))
        if page["from"] == here:
            changed = change(page)
            page = page if changed is None else changed
        return Sent(as_json(page))

    peer.answers["/entries"] = answer


def swapped(page: Page) -> None:
    entries = page["entries"]
    entries[0], entries[1] = entries[1], entries[0]


def renumbered(page: Page) -> None:
    swapped(page)
    for seq, entry in enumerate(page["entries"], page["from"]):
        entry["seq"] = seq


def without(page: Page, place: int) -> None:
    del page["entries"][place]


def rewritten(page: Page) -> None:
    entry = page["entries"][1]
    payload = bytearray(Envelope.model_validate({k: entry[k] for k in entry if k != "seq"}).payload)
    payload[-40] ^= 1
    entry["payload"] = encode_base64(bytes(payload))


def bare(page: Page) -> None:
    page["entries"] = []


def told(member: str, value: Any) -> Callable[[Page], None]:
    return lambda page: page.update({member: value})


def oversize(page: Page) -> None:
    page["entries"][0]["payload"] = encode_base64(b"x" * 4097)


REFUSED_PAGES: dict[str, tuple[Callable[[Page], Page | None], str]] = {
    "reordered": (swapped, "wrong-order"),
    "reordered and renumbered": (renumbered, "root-mismatch"),
    "first entry missing": (lambda page: without(page, 0), "wrong-order"),
    "gap": (lambda page: without(page, 1), "wrong-order"),
    "last entry missing": (lambda page: without(page, -1), "truncated-page"),
    "empty": (bare, "truncated-page"),
    "end overstated": (told("to", 99), "truncated-page"),
    "start misstated": (told("from", 1), "wrong-cursor"),
    "payload altered": (rewritten, "root-mismatch"),
    "entry too large": (oversize, "entry-too-large"),
    "another log": (told("log", "hostile.example:2"), "wrong-log"),
    "somebody else's log": (told("log", "alpha.example:1"), "wrong-log"),
    "no list": (told("entries", {}), "bad-answer"),
    "a member too many": (told("note", "x"), "bad-answer"),
    "too few members": (lambda page: {"log": page["log"]}, "bad-answer"),
}


def test_a_page_that_is_not_what_its_checkpoint_says_is_refused_whole(peer: Peer) -> None:
    peer.taken(peer.report(113))
    peer.append(peer.report(114), peer.report(115), peer.report(116))
    for name, (change, code) in REFUSED_PAGES.items():
        altered(peer, change)
        peer.refused(code, name)
    peer.answers.clear()
    assert (peer.sync().entries, peer.counted) == (3, 4)


@sqlite
def test_the_first_page_is_refused_as_any_other(peer: Peer) -> None:
    peer.append(peer.report(114), peer.report(115))
    peer.says("/entries", bytes(8).hex())
    peer.sync()  # which keeps the identity, so that nothing at all may change from here on
    for name, (change, code) in REFUSED_PAGES.items():
        altered(peer, change)
        peer.refused(code, name)
    peer.answers.clear()
    assert peer.sync().entries == 3


def test_a_page_is_replayed_in_vain(peer: Peer) -> None:
    first = peer.page(0)
    peer.taken(peer.report(113))
    second = peer.page(1)
    peer.taken(peer.report(114))
    peer.append(peer.report(115))
    for old in (first, second):
        altered(peer, lambda _page, old=old: old)  # type: ignore[misc]
        peer.refused("wrong-cursor")
    # With the cursor that we asked for it is another past.
    altered(peer, lambda page: second | {"from": page["from"], "to": page["to"]})
    peer.refused("wrong-order")


@sqlite
def test_a_page_of_too_many_entries_or_bytes_is_refused(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.append(*(leaf_of(peer.report()) for _ in range(258)))
    altered(peer, lambda page: peer.page(page["from"], 257))
    peer.refused("page-too-large")
    body = as_json(peer.page(2)).ljust(PAGE_BYTES + 1)
    peer.answers["/entries"] = lambda _query: Sent(body)
    peer.refused("page-too-large")


def head(peer: Peer, **changes: Any) -> None:
    by = changes.pop("by", None)
    peer.says("/checkpoint", peer.checkpoint(by=by, **changes))


@sqlite
def test_a_checkpoint_by_another_key_is_refused(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.append(peer.report(114))
    head(peer, by=peer.seed("lily-a"))
    peer.refused("unknown-key")
    peer.refused("unknown-key")
    true = peer.checkpoint()
    forged = true.signatures[0].model_copy(update={"sig": bytes(64)})
    peer.says("/checkpoint", true.model_copy(update={"signatures": (forged,)}))
    peer.refused("bad-signature")
    peer.says("/checkpoint", true.model_copy(update={"signatures": true.signatures * 2}))
    peer.refused("malformed")
    peer.answers.clear()
    altered(peer, told("checkpoint", wire(peer.checkpoint(by=seed_of("stranger")))))
    peer.refused("unknown-key")
    # At most one question for an identity that might have had the key.
    assert peer.fetched["/v1/identity"] == 2


@sqlite
def test_an_old_head_and_one_from_the_future_are_refused(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.append(peer.report(114))
    for age, code in (
        (timedelta(days=7, seconds=1), "stale-head"),
        (-timedelta(minutes=5, seconds=1), "clock-skew"),
    ):
        head(peer, issued=peer.time(peer.now - age))
        peer.refused(code)
    for age in (timedelta(days=7), -timedelta(minutes=5)):
        head(peer, issued=peer.time(peer.now - age))
        assert peer.sync().code is None


@sqlite
def test_a_frozen_head_is_noticed_though_nothing_is_new(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.says("/checkpoint", peer.checkpoint())
    peer.world.clock.pass_(days=7)
    assert peer.sync().code is None
    peer.world.clock.pass_(seconds=1)
    peer.refused("stale-head")
    assert (peer.line.state, peer.counted) == ("following", 1)


@sqlite
def test_the_head_of_another_log_under_the_same_key_is_refused(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.append(peer.report(114))
    head(peer, log="hostile.example:2")
    peer.refused("wrong-log")
    peer.answers.clear()
    altered(peer, told("checkpoint", wire(peer.checkpoint(log="hostile.example:2"))))
    peer.refused("wrong-log")
    # Nor does a checkpoint speak of the log of somebody else.
    document = Checkpoint.decode(peer.checkpoint().payload)
    payload = document.encode().replace(b'"hostile.example:1"', b'"alpha.example:1"')
    mixed = Envelope(
        payload=payload, payloadType=document.payload_type, signatures=peer.checkpoint().signatures
    )
    peer.says("/checkpoint", mixed)
    peer.refused("malformed")


def other_past(peer: Peer, place: int = 1) -> None:
    """Go on with another entry at a place that the world has seen."""
    peer.entries[place] = peer.report(666)


def test_two_logs_of_the_same_size_are_a_fork(peer: Peer) -> None:
    peer.taken(peer.report(113), peer.report(114))
    seen = peer.checkpoint()
    other_past(peer)
    peer.quarantined("fork")
    (kept,) = peer.world.parts.partners.evidence(peer.origin)
    assert (kept.ours, kept.theirs) == (seen, peer.checkpoint())
    # What was verified goes on counting, until the operator says otherwise.
    assert peer.counted == 2


def test_another_past_behind_a_larger_head_is_a_fork(peer: Peer) -> None:
    peer.taken(peer.report(113), peer.report(114))
    seen = peer.checkpoint()
    other_past(peer)
    peer.append(peer.report(115))
    peer.quarantined("fork")
    (kept,) = peer.world.parts.partners.evidence(peer.origin)
    assert (kept.ours, kept.theirs) == (seen, peer.checkpoint(3))


def test_a_head_that_the_entries_do_not_lead_to_is_a_fork(peer: Peer) -> None:
    peer.taken(peer.report(113))
    peer.append(peer.report(114), peer.report(115))
    shown = peer.checkpoint(3, root=bytes(32))
    peer.says("/checkpoint", shown)
    peer.quarantined("fork")
    (kept,) = peer.world.parts.partners.evidence(peer.origin)
    assert (kept.ours, kept.theirs) == (shown, peer.checkpoint())


@sqlite
def test_a_fork_that_it_will_not_own_to_is_refused_all_the_same(peer: Peer) -> None:
    peer.taken(peer.report(113), peer.report(114))
    true = peer.page(2)
    other_past(peer)
    peer.append(peer.report(115))
    for past in (problem("unavailable", 503), Sent(as_json(true)), Sent(b"{}")):
        peer.answers["/entries"] = lambda query, past=past: (  # type: ignore[misc]
            Sent(as_json(peer.page(int(query["from"])))) if query["limit"] == "256" else past
        )
        peer.refused("root-mismatch")


def test_a_shorter_log_is_a_rollback(peer: Peer) -> None:
    peer.taken(peer.report(113), peer.report(114))
    peer.says("/checkpoint", peer.checkpoint(2))
    peer.quarantined("rollback")
    assert peer.counted == 2


@sqlite
def test_an_empty_log_has_one_root(peer: Peer) -> None:
    peer.entries.clear()
    peer.says("/checkpoint", peer.checkpoint(root=bytes(32)))
    assert peer.sync().code == "root-mismatch"
    peer.answers.clear()
    assert peer.sync().code is None
    # One that was seen empty can have been no other.
    peer.append(peer.keys())
    altered(peer, swapped_root)
    peer.refused("root-mismatch")
    peer.answers.clear()
    assert peer.sync().entries == 1


def swapped_root(page: Page) -> None:
    page["entries"] = [page["entries"][0] | {"payloadType": "application/vnd.parasol.x.v1+json"}]


@sqlite
def test_what_is_shown_to_another_partner_is_compared(world: World, peer: Peer) -> None:
    with followed(world, "gamma.example") as witness:
        peer.taken(peer.report(113), peer.report(114))
        assert witness.sync().code is None
        mine = peer.checkpoint()
        # The same, shorter, and one of a size that we have not seen: nothing to hold against it.
        for honest in (mine, peer.checkpoint(2), peer.checkpoint(9, root=bytes(32))):
            witness.says("/witness", honest)
            (seen,) = world.parts.witnessing.compare(peer.origin)
            assert (seen.by, seen.envelope) == ("gamma.example", honest)
        # What somebody else signed, or of another log, says nothing.
        for hearsay in (
            peer.checkpoint(2, root=bytes(32), by=witness.log_seed),
            peer.checkpoint(2, root=bytes(32), log="hostile.example:2"),
        ):
            witness.says("/witness", hearsay)
            assert world.parts.witnessing.compare(peer.origin) == []
        assert peer.line.state == "following"
        for size in (2, 3):
            world_was = stored(world)
            witness.says("/witness", other := peer.checkpoint(size, root=bytes(32)))
            world.parts.witnessing.compare(peer.origin)
            assert (peer.line.state, peer.line.code) == ("quarantined", "fork")
            *_, kept = world.parts.partners.evidence(peer.origin)
            assert (kept.ours, kept.theirs) == (mine, other)
            assert stored(world) != world_was
            world.parts.partners.resume(peer.origin)
        assert witness.line.state == "following"


@sqlite
def test_what_others_saw_is_asked_for_whenever_something_is_new(world: World, peer: Peer) -> None:
    with followed(world, "gamma.example") as witness:
        peer.append(peer.report(113))
        witness.sync()
        world.clock.pass_(hours=1)
        witness.says("/witness", peer.checkpoint())
        world.parts.follow()
        assert (peer.line.state, peer.line.entries) == ("following", 2)
        question = f"{FEED}/witness?log=hostile.example:1"
        assert (peer.asked.count(question), witness.asked.count(question)) == (0, 1)
        world.clock.pass_(hours=1)
        world.parts.follow()
        assert witness.asked.count(question) == 1
        peer.append(peer.report(114))
        witness.says("/witness", peer.checkpoint(2, root=bytes(32)))
        world.clock.pass_(hours=1)
        world.parts.follow()
        assert (peer.line.state, peer.line.code) == ("quarantined", "fork")


def test_an_elision_that_nothing_covers_is_caught_at_the_head(peer: Peer) -> None:
    gone, other = peer.report(113), peer.report(114)
    peer.append(leaf_of(gone), other)
    assert peer.sync().code == "unexplained-elision"
    assert (peer.line.state, peer.line.evidence) == ("quarantined", ("unexplained-elision",))
    assert peer.sync().code == "quarantined"


def test_a_quarantine_ends_when_the_operator_says_so(peer: Peer) -> None:
    gone = peer.report(113)
    peer.append(leaf_of(gone))
    assert peer.sync().code == "unexplained-elision"
    peer.append(peer.erase(gone))
    assert (peer.sync().code, peer.line.state) == ("quarantined", "quarantined")
    peer.world.parts.partners.resume(peer.origin)
    assert (peer.sync().code, peer.line.state) == (None, "following")
    assert peer.outcomes() == ["applied", "erased", "applied"]


# What is not even an answer


@sqlite
def test_no_answer_of_any_kind_is_taken_for_a_retraction(peer: Peer) -> None:
    peer.taken(peer.report())
    peer.append(peer.report(114))
    bomb = gzip.compress(bytes(10_000_000))
    elsewhere = ("Location", f"{peer.address}{FEED}/elsewhere")
    hostile = {
        "bomb": (Sent(bomb, fields=(("Content-Encoding", "gzip"),)), "bad-answer"),
        "redirection": (Sent(b"{}", 302, fields=(elsewhere,)), "bad-answer"),
        "endless": (
            Sent(b"[" * 4096, endless=True, fields=(("Connection", "close"),)),
            "too-large",
        ),
        "silence": (Sent(b""), "bad-answer"),
        "no JSON": (Sent(b"{}", kind="text/html"), "bad-answer"),
        "deep": (Sent(b"[" * 1000 + b"]" * 1000), "bad-answer"),
        "a problem": (problem("unavailable", 503), "unavailable"),
        "ours alone": (problem("fork", 409), "bad-answer"),
        "large": (Sent(b"{}".ljust(CHECKPOINT_BYTES + 1)), "too-large"),
        "other": (Sent(b"{}"), "bad-answer"),
    }
    for sent, code in hostile.values():
        peer.says("/checkpoint", sent)
        peer.refused(code)
    del peer.answers["/checkpoint"]
    for sent, code in hostile.values():
        peer.says("/entries", sent)
        if sent.body[2:].strip() or sent.endless:
            peer.refused("page-too-large" if code == "too-large" else code)
    assert (peer.counted, peer.fetched["/elsewhere"]) == (1, 0)
    peer.answers.clear()
    assert (peer.sync().code, peer.counted) == (None, 2)


# When it is asked again


def row(peer: Peer) -> dict[str, Any]:
    (one,) = rows_of(peer.world, "partner")
    return one


@sqlite
def test_failures_are_answered_with_patience(peer: Peer) -> None:
    every = peer.world.settings.poll_seconds
    now = int(peer.now.timestamp())
    assert peer.sync().code is None
    assert every <= row(peer)["retry_at"] - now <= every * 1.25 + 1
    peer.says("/checkpoint", problem("unavailable", 503))
    waits = []
    for failures in range(1, 9):
        peer.sync()
        assert row(peer)["failures"] == failures
        waits.append(row(peer)["retry_at"] - now)
    longest = int(LONGEST_BACK_OFF.total_seconds())
    for failures, wait in enumerate(waits, 1):
        least = min(every * 2**failures, longest)
        assert least <= wait <= least * 1.25 + 1
    assert peer.world.parts.following.due() == []
    peer.world.clock.pass_(seconds=waits[-1])
    assert peer.world.parts.following.due() == [peer.origin]
    peer.answers.clear()
    assert peer.sync().code is None
    assert (row(peer)["failures"], row(peer)["code"]) == (0, None)


@sqlite
def test_a_partner_is_asked_no_sooner_than_it_wants(peer: Peer) -> None:
    now = int(peer.now.timestamp())
    # One who says very little is not asked before our own patience ends, nor "never" never again.
    for asked, least in ((7200, 7200), (1, 1200), (10**8, 86_400)):
        peer.says("/checkpoint", problem("rate-limited", 429, **{"Retry-After": f"{asked}"}))
        assert peer.sync().code == "rate-limited"
        wait = row(peer)["retry_at"] - now
        assert least <= wait <= least * 1.25 + 1


@sqlite
def test_who_polls_seldom_does_not_poll_more_often_after_failures(
    make_world: Callable[..., World],
) -> None:
    world = make_world(poll_seconds=86_400)
    with followed(world) as peer:
        peer.says("/checkpoint", problem("unavailable", 503))
        peer.sync()
        assert row(peer)["retry_at"] >= peer.now.timestamp() + 86_400


@sqlite
def test_whoever_still_has_to_add_us_is_asked_as_often_as_usual(peer: Peer) -> None:
    """Two operators who add each other need not wait for longer and longer pauses to meet."""
    every, now = peer.world.settings.poll_seconds, int(peer.now.timestamp())
    peer.says("/checkpoint", problem("not-a-partner", 403))
    for _ in range(6):
        assert peer.sync().code == "not-a-partner"
        assert every <= row(peer)["retry_at"] - now <= every * 1.25 + 1


# A long log


def test_a_long_log_is_fetched_page_by_page_and_goes_on_where_it_stopped(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else how many are applied at once depends on how fast they come.
    monkeypatch.setattr(pages, "MOST_PAGES", 1)
    one = peer.report(113)
    peer.append(one, *(peer.risk(114) for _ in range(600)))
    seen: list[tuple[int, int]] = []

    def progress(here: int, there: int) -> bool:
        seen.append((here, there))
        return here != 512

    first = peer.world.parts.following.sync(peer.origin, progress)
    assert (first.code, first.entries) == (None, 512)
    assert (peer.line.entries, peer.line.synced_at) == (512, None)
    assert peer.sync().entries == 90
    assert seen == [(256, 602), (512, 602)]
    assert (peer.line.entries, peer.line.reports) == (602, 601)
    assert peer.outcomes() == ["applied"] * 602
    # The last was fetched ahead, and once more after the stop.
    asked = list(dict.fromkeys(one for one in peer.asked if "/entries" in one))
    assert asked == [f"{FEED}/entries?from={first}&limit=256" for first in (0, 256, 512)]
    position = row(peer)
    assert position["frontier"].startswith(root_of(peer.leaves()[:512]))


@sqlite
def test_a_stop_in_the_middle_is_nobody_s_failure(peer: Peer) -> None:
    peer.taken()
    peer.append(*(peer.risk(114) for _ in range(9)))
    before = row(peer)
    count = []

    def answer(query: dict[str, str]) -> Sent:
        count.append(1)
        if len(count) == 2:
            peer.world.parts.remote.stop()
        return Sent(as_json(peer.page(int(query["from"]), 3)))

    peer.answers["/entries"] = answer
    synced = peer.sync()
    assert (synced.code, synced.entries) == ("stopped", 3)
    after = row(peer)
    assert all(after[name] == before[name] for name in ("failures", "retry_at", "code", "state"))
    assert (after["size"], len(rows_of(peer.world, "foreign_entry"))) == (4, 4)


@sqlite
def test_what_stood_before_a_bad_page_stays(peer: Peer) -> None:
    peer.append(*(peer.risk(114) for _ in range(14)))

    def answer(query: dict[str, str]) -> Sent:
        page = peer.page(int(query["from"]), 3)
        if page["from"] == 12:
            rewritten(page)
        return Sent(as_json(page))

    peer.answers["/entries"] = answer
    assert peer.sync().code == "root-mismatch"
    assert (peer.line.entries, peer.line.reports) == (12, 11)
    del peer.answers["/entries"]
    assert peer.sync().entries == 3
    assert peer.outcomes() == ["applied"] * 15


@sqlite
def test_smaller_pages_are_as_good(peer: Peer) -> None:
    peer.append(*(peer.risk(114) for _ in range(9)))
    peer.answers["/entries"] = lambda query: Sent(as_json(peer.page(int(query["from"]), 3)))
    assert (peer.sync().entries, peer.line.reports) == (10, 9)


@sqlite
def test_a_log_that_grows_meanwhile_is_followed_beyond_the_head_that_was_shown(peer: Peer) -> None:
    peer.append(peer.risk(113))
    peer.says("/checkpoint", peer.checkpoint())
    peer.append(peer.risk(114))
    assert (peer.sync().entries, peer.line.reports) == (3, 2)
    # The head that was shown is by now behind us: that alone is no rollback of the log.
    del peer.answers["/checkpoint"]
    assert (peer.sync().code, peer.line.entries) == (None, 3)


def test_the_http_keys_of_a_partner_are_those_of_its_identity(peer: Peer) -> None:
    assert [one["claimed"] for one in rows_of(peer.world, "partner_key")] == [True]
    peer.taken()
    (kept,) = rows_of(peer.world, "partner_key")
    assert (kept["key"], bool(kept["claimed"])) == (peer.identity.http_keys[0], False)
    new = public_key(seed_of("new http"))
    peer.issue(http_keys=(new,))
    peer.taken(peer.keys())
    assert [one["key"] for one in rows_of(peer.world, "partner_key")] == [new]
