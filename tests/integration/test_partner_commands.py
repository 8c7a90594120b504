"""Promises about the commands between instances, run as an operator runs them."""

import json
import os
import re
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from api.cli.reasons import REASONS
from api.crypto.words import fingerprint_words
from api.errors import FEED_CODES
from api.store.engine import open_engine
from api.trust import root_fingerprint
from schemas.base import Category, Severity
from schemas.documents import Envelope
from tests.factories import Clock, World
from tests.hostile import Peer, Sent, followed, problem, served
from tests.operators import Operator, clock_of_commands

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

CODES = """bad-signature unknown-key wrong-network wrong-epoch malformed wrong-cursor wrong-order
truncated-page root-mismatch wrong-log page-too-large entry-too-large identity-refresh
identity-refused unexplained-elision rollback fork stale-head quarantined clock-skew stopped
unreachable too-large bad-answer"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The commands' clock."""
    return clock_of_commands(monkeypatch)


@pytest.fixture
def world(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"), database_url, clock)
    yield world
    world.close()


@pytest.fixture
def operator(world: World, clock: Clock) -> Operator:
    """The operator of `world`, which follows the peer of a test."""
    return Operator(world.settings.data, world.url, clock)


@pytest.fixture
def stranger(world: World) -> Iterator[Peer]:
    """An instance that nobody has added yet."""
    with served(Peer(world)) as peer:
        peer.issue()
        peer.append(peer.keys())
        yield peer


def fingerprint_of(peer: Peer) -> bytes:
    return root_fingerprint(peer.identity.root)


def add(peer: Peer, *options: str) -> str:
    return " ".join(
        ["partner add", peer.address, "--fingerprint", fingerprint_of(peer).hex(), *options]
    )


@on_sqlite
def test_a_partner_is_added_after_its_words_were_compared(
    operator: Operator, stranger: Peer
) -> None:
    result = operator.run(f"partner add {stranger.address}/ --policy auto", "y\n")
    assert result.exit_code == 0, result.output
    told, fingerprint = result.stdout, fingerprint_of(stranger)
    assert "hostile.example" in told
    assert fingerprint.hex() in told
    assert fingerprint_words(fingerprint) in told
    assert "never by what came from" in told
    # The square of a QR code, in half blocks.
    drawn = [line for line in told.splitlines() if re.fullmatch("[ \u2580\u2584\u2588]{33,}", line)]
    assert len(drawn) > 15
    assert "Added hostile.example, policy auto" in told
    assert "Reached it: 1 entries" in told
    assert stranger.line.state == "following"


@on_sqlite
@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_whoever_does_not_confirm_adds_nothing(
    operator: Operator, stranger: Peer, answer: str
) -> None:
    operator.fails(f"partner add {stranger.address}", answer)
    assert (
        operator.does("partner list") == "There are no partners yet: parasol partner add ADDRESS\n"
    )


@on_sqlite
def test_a_script_must_repeat_the_fingerprint(operator: Operator, stranger: Peer) -> None:
    assert "--yes" in operator.fails(f"partner add {stranger.address} --yes")
    wrong = fingerprint_of(stranger).hex().replace("a", "b")
    told = operator.fails(f"partner add {stranger.address} --fingerprint {wrong}")
    assert "nothing was added" in told
    assert "no partners" in operator.does("partner list")
    operator.does(add(stranger))
    assert stranger.line.policy == "hold"


@on_sqlite
def test_what_cannot_be_added_is_said_in_one_line(
    operator: Operator, stranger: Peer, world: World
) -> None:
    assert "https://beta.example" in operator.fails("partner add beta.example")
    assert "(unreachable)" in operator.fails("partner add http://127.0.0.1:1")
    stranger.says("/.well-known/parasol", Sent(b"<html>", kind="text/html"))
    assert "(bad-answer)" in operator.fails(add(stranger))
    own = stranger.well_known().model_copy(update={"origin": world.origin})
    stranger.says("/.well-known/parasol", json.loads(own.model_dump_json()))
    assert "this instance itself" in operator.fails(add(stranger))
    stranger.answers.clear()
    operator.does(add(stranger))
    assert "partner already" in operator.fails(add(stranger))


@on_sqlite
def test_who_is_not_known_there_yet_is_told_what_is_missing(
    operator: Operator, stranger: Peer, world: World
) -> None:
    stranger.says("/v1/identity", problem("not-a-partner", 403))
    told = operator.does(add(stranger))
    assert "its operator must add it, too. (not-a-partner)" in told
    assert f"There: parasol partner add {world.address}" in told
    assert fingerprint_words(root_fingerprint(world.identity.root)) in told
    shown = operator.does("partner list")
    assert "! It does not know this instance" in shown
    assert "last reached never" in shown
    # It has added us, and shows us its identity; who we are it has not verified yet.
    stranger.answers.clear()
    stranger.says("/checkpoint", problem("not-a-partner", 403))
    assert "It has added this instance, and still has to ask" in operator.run("sync").stderr
    assert "It has added this instance" in operator.does("partner list")
    stranger.answers.clear()
    assert operator.does("sync") == "hostile.example: 1 new entries\n"
    assert "!" not in operator.does("partner list")
    stranger.says("/checkpoint", problem("not-a-partner", 403))
    assert "It no longer knows this instance" in operator.run("sync").stderr


def test_the_list_says_what_counts_and_what_was_refused(operator: Operator, world: World) -> None:
    with followed(world) as peer:
        peer.append(
            peer.report(113), peer.risk(114), peer.report(115, by=("lily-a",)),
            peer.report(116, by=("nobody", "noone")),
        )  # fmt: skip
        assert "5 new entries" in operator.does("sync hostile.example")
        told = operator.does("partner list")
        (line,) = json.loads(operator.does("partner list --json"))
    assert "hostile.example  following, policy auto" in told
    assert "entries 5; reports that count 2 of 2; last reached 2026-11-23 12:00 UTC" in told
    assert re.search("entries refused: .*too-few-signatures 1", told)
    assert "!" not in told
    assert (line["counted"], line["reports"], line["code"], line["reason"]) == (2, 2, None, None)


def test_policies_hold_at_once_and_can_be_undone(operator: Operator, world: World) -> None:
    def counted() -> int:
        (line,) = json.loads(operator.does("partner list --json"))
        return int(line["counted"])

    with followed(world) as peer:
        peer.taken(peer.report(113), peer.risk(114, collective="iris", by=("iris-a",)))
        for command, number in (
            ("block", 0), ("hold", 0), ("auto", 2), ("block --collective iris", 1),
            ("default --collective iris", 2),
        ):  # fmt: skip
            operator.does(f"partner policy hostile.example {command}")
            assert counted() == number, command
        told = operator.does("partner policy hostile.example --reports 7 --erasures 0")
        assert "7 reports, 0 erasures" in told
        assert "policy auto" in told
        result = operator.run("partner policy hostile.example block --collective lili")
        assert result.stderr == "! hostile.example announces no collective lili.\n"
        told = operator.does("partner policy hostile.example default --collective lili")
        assert "lili" not in told


@on_sqlite
@pytest.mark.parametrize("wrong", ["", "default", "--collective lily", "sometimes"])
def test_a_policy_that_is_none_is_a_usage_error(operator: Operator, wrong: str) -> None:
    operator.fails(f"partner policy hostile.example {wrong}")


@on_sqlite
@pytest.mark.parametrize(
    "command",
    [
        "partner policy beta.example hold", "partner purge beta.example --yes", "sync beta.example",
        "partner remove beta.example --yes", "partner resume beta.example",
        "partner evidence beta.example", "partner witness beta.example",
    ],
)  # fmt: skip
def test_who_is_no_partner_is_named(operator: Operator, command: str) -> None:
    assert operator.fails(command) == "beta.example is no partner: see parasol partner list."


def test_a_fork_is_kept_as_evidence_until_the_operator_resumes(
    operator: Operator, world: World
) -> None:
    with followed(world) as peer:
        peer.taken(peer.report(113))
        peer.entries[-1] = peer.report(114)
        result = operator.run("sync")
        assert result.exit_code == 2
        assert "two logs that cannot both be true. (fork)" in result.stderr
        told = operator.does("partner list")
        assert "hostile.example  quarantined, policy auto" in told
        assert "(fork)" in told
        assert "evidence (fork)" in told
        assert "reports that count 1 of 1" in told
        assert "Partners are in quarantine" in operator.does("status")

        (kept,) = json.loads(operator.does("partner evidence hostile.example"))
        both = [Envelope.model_validate(kept[side]) for side in ("ours", "theirs")]
        assert len({one.payload for one in both}) == 2
        assert {one.signatures[0].keyid for one in both} == {peer.checkpoint().signatures[0].keyid}
        assert (kept["code"], kept["found"]) == ("fork", "2026-11-23T12:00:00Z")

        assert "(fork)" in operator.run("sync hostile.example").stderr
        assert "asked again" in operator.does("partner resume hostile.example")
        assert "not in quarantine" in operator.fails("partner resume hostile.example")
        assert json.loads(operator.does("partner evidence hostile.example")) == [kept]


def test_purging_and_removing_ask_and_say_what_it_means(operator: Operator, world: World) -> None:
    with followed(world) as peer:
        peer.taken(peer.report(113))
        assert operator.fails("partner purge hostile.example", "n\n") == "Nothing was changed."
        assert operator.fails("partner remove hostile.example", "n\n") == "Nothing was changed."
        assert peer.counted == 1
        told = operator.does("partner purge hostile.example", "y\n")
        assert "cannot be undone" in told
        assert "Deleted: 1 reports" in told
        assert peer.counted == 0
        assert "0 new entries" in operator.does("sync")
        assert "Removed hostile.example" in operator.does("partner remove hostile.example", "y\n")
        assert "no partners" in operator.does("partner list")
        # Added again, it begins anew.
        operator.does(add(peer, "--policy auto"))
        assert peer.counted == 1


def test_what_waits_is_listed_and_settled(operator: Operator, world: World) -> None:
    with followed(world) as peer:
        operator.does("partner policy hostile.example hold")
        assert operator.does("partner held") == "Nothing is held.\n"
        peer.taken(peer.report(113), peer.risk(114))
        assert "Partners' reports wait" in operator.does("status")
        heading, danger, risk = operator.does("partner held").splitlines()
        assert "DANGER" in danger
        assert "RISK" in risk
        entry = danger.split()[0]
        assert operator.does(f"partner held accept {entry}").startswith("Accepted.")
        assert peer.counted == 1
        assert len(operator.does("partner held").splitlines()) == 2
        assert entry in operator.does("partner held --decided")
        assert "Nothing of the kind" in operator.fails(f"partner held accept {entry}")
        assert operator.does(f"partner held refuse {entry}").startswith("Refused.")
        assert peer.counted == 0
        assert operator.does(f"partner held reopen {entry}").startswith("It waits again")
        assert len(operator.does("partner held").splitlines()) == 3
    assert "first four" in operator.fails("partner held accept xyz")
    assert "Say which" in operator.fails("partner held accept")
    assert heading.startswith("ENTRY")


@on_sqlite
def test_witnesses_of_a_partner_and_of_our_own_log(operator: Operator, world: World) -> None:
    world.collective("rose")
    with followed(world) as peer, followed(world, "witness.example") as other:
        peer.taken(peer.report(113))
        other.taken()
        told = operator.does("partner witness")
        assert told.count("nobody else could say") == 3
        other.says("/witness", peer.checkpoint(1))
        told = operator.does("partner witness hostile.example")
        assert "witness.example has verified 1 entries" in told
        assert "nothing of it contradicts" in told
        size = world.parts.inspection.head().size
        ours = world.parts.feed.checkpoint()
        other.says("/witness", ours)
        told = operator.does("partner witness")
        assert f"witness.example has verified {size} entries: the same" in told
        # Somebody who was shown another log.
        was, peer.entries[-1] = peer.entries[-1], peer.report(115)
        other.says("/witness", peer.checkpoint())
        peer.entries[-1] = was
        told = operator.fails("partner witness hostile.example")
        assert "(fork)" in told
        assert peer.line.state == "quarantined"


@on_sqlite
def test_a_log_of_ours_that_others_saw_longer_or_otherwise_is_loud(
    operator: Operator, world: World
) -> None:
    engine = open_engine(world.url)
    with followed(world) as peer:
        peer.taken()
        peer.says("/witness", world.parts.feed.checkpoint())
        world.collective("rose")
        assert "the same" in operator.does("partner witness")
        peer.says("/witness", world.parts.feed.checkpoint())
        with engine.begin() as connection:
            connection.execute(text("UPDATE entry SET root = zeroblob(32) WHERE seq = 1"))
        result = operator.run("partner witness")
        assert result.exit_code == 2
        assert "ANOTHER LOG" in result.stdout
        with engine.begin() as connection:
            connection.execute(text("UPDATE log SET size = 1"))
        assert "MORE THAN IS STORED" in operator.run("partner witness").stdout
    engine.dispose()


@on_sqlite
def test_a_sync_of_several_says_of_each_what_came(operator: Operator, world: World) -> None:
    with followed(world) as peer, followed(world, "witness.example") as other:
        peer.append(peer.report(113))
        other.says("/checkpoint", problem("unavailable", 503))
        result = operator.run("sync")
        assert result.exit_code == 2
        assert result.stdout == "hostile.example: 2 new entries\n"
        assert result.stderr.startswith("witness.example: 0 new entries. It cannot answer now")
        assert result.stderr.count("\n") == 1
    assert "(unreachable)" in operator.run("sync hostile.example").stderr


@on_sqlite
def test_ctrl_c_stops_between_two_pages_and_nothing_is_lost(
    operator: Operator, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.cli.syncing.SHOWN_EVERY", 0)
    with followed(world) as peer:
        peer.append(*(peer.risk(113) for _ in range(600)))
        honest, asked = peer.answer, iter(range(1000))

        def interrupting(query: dict[str, str]) -> Sent:
            if query["from"] == "256" and next(asked) == 0:
                os.kill(os.getpid(), signal.SIGINT)
            del peer.answers["/entries"]
            sent = honest(f"/feed/v1/entries?from={query['from']}&limit={query['limit']}")
            peer.answers["/entries"] = interrupting
            return sent

        peer.answers["/entries"] = interrupting
        result = operator.run("sync hostile.example")
        assert result.exit_code == 2
        assert "hostile.example: 256 of 601 entries" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("Stopped. What came is kept")
        before = peer.line.entries
        assert before in {256, 512}
        assert f"{601 - before} new entries" in operator.does("sync hostile.example")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@on_sqlite
def test_the_log_can_be_looked_at_and_hashed_anew(operator: Operator, world: World) -> None:
    moderators = world.collective("rose")
    receipt = world.publish(world.member("rose"), moderators, 113)
    told = operator.does("feed show")
    assert "log alpha.example:1, 3 entries, 0 of them erased" in told
    assert "state open" in told
    assert re.search("^root [0-9a-f]{64}$", told, re.MULTILINE)
    assert "checkpoint signed less than a minute ago" in told
    assert operator.does("feed verify") == "The log holds: 3 entries, 0 of them erased.\n"
    world.withdraw(receipt)
    world.clock.pass_(hours=5)
    assert operator.does("feed verify") == "The log holds: 4 entries, 1 of them erased.\n"
    assert "signed 5 hours ago" in operator.does("feed show")


@on_sqlite
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("DELETE FROM entry WHERE seq = 1", "wrong-order"),
        ("DELETE FROM entry WHERE seq = 2", "root-mismatch"),
        ("UPDATE entry SET leaf = zeroblob(32) WHERE seq = 1", "root-mismatch"),
        ("UPDATE entry SET root = zeroblob(32) WHERE seq = 1", "root-mismatch"),
        ("UPDATE entry SET signature = zeroblob(64) WHERE seq = 1", "bad-signature"),
        ("UPDATE entry SET envelope = '{}' WHERE seq = 1", "malformed"),
    ],
)
def test_a_log_that_does_not_hold_is_said_to(
    operator: Operator, world: World, change: str, code: str
) -> None:
    world.collective("rose")
    world.collective("lily")
    engine = open_engine(world.url)
    with engine.begin() as connection:
        connection.execute(text(change))
    engine.dispose()
    told = operator.fails("feed verify")
    assert told.startswith("The log does not hold:")
    assert f"({code})" in told


def test_what_a_collective_lets_leave_is_its_choice_and_is_shown(
    operator: Operator, world: World
) -> None:
    moderators = world.collective("rose")
    assert "may leave: harassment, scam" in operator.does("collective share rose scam harassment")
    assert "  shares with partners, too: harassment, scam\n" in operator.does("collective list")
    told = operator.does("collective share rose scam")
    assert "not taken back" in told
    changed = [(row["subject"], row["before"], row["after"]) for row in world.rows("audit")]
    assert changed[-3:] == [
        ("harassment", "kept", "shared"), ("scam", "kept", "shared"),
        ("harassment", "shared", "kept"),
    ]  # fmt: skip
    size = world.parts.inspection.head().size
    member = world.member("rose")
    for number, category in enumerate((Category.HARASSMENT, Category.SCAM)):
        world.publish(member, moderators, number, severity=Severity.RISK, categories=[category])
        size += category is Category.SCAM
        assert world.parts.inspection.head().size == size, category
    operator.does("collective share rose --none")
    assert "shares" not in operator.does("collective list")


@on_sqlite
@pytest.mark.parametrize(
    "wrong", ["rose", "rose scam --none", "rose time_wasting", "rose robbery", "rose nothing"]
)
def test_only_what_needs_it_can_be_shared(operator: Operator, world: World, wrong: str) -> None:
    world.collective("rose")
    operator.fails(f"collective share {wrong}")
    assert "no active collective lily" in operator.fails("collective share lily scam")


def test_status_warns_of_what_is_wrong_between_instances(operator: Operator, world: World) -> None:
    world.round()

    def warnings() -> list[str]:
        return [line for line in operator.does("status").splitlines() if line[:2] == "! "]

    with followed(world) as peer:
        assert "not reached for a day, or never" in warnings()[0]
        peer.taken()
        assert warnings() == []
        assert "partners 1, log open, held 0" in operator.does("status")
        world.clock.now += timedelta(hours=25)
        world.round()
        assert "not reached for a day" in warnings()[0]
        peer.taken()
        assert warnings() == []
    for state in ("unverified", "closed"):
        with world.parts.store.begin() as tx:
            row = tx.log.current()
            assert row is not None
            tx.log.set_state(row, state)
        assert "parasol feed" in warnings()[0]
        seen = json.loads(operator.does("status --json"))
        assert seen["federation"]["log"] == state


def test_every_reason_is_said_in_plain_words() -> None:
    assert {*CODES.split(), *FEED_CODES} <= set(REASONS)
    for sentence in REASONS.values():
        assert re.fullmatch(r"[A-Z][^\n]*[.?]", sentence)
