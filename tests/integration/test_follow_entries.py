"""Each entry of a partner's log is judged by itself: a bad one is refused, and stops nothing."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from api.crypto.envelopes import key_id, public_key, sign
from schemas.base import Category, Severity, encode_base64
from schemas.documents import (
    Envelope,
    Erase,
    Keys,
    ReportDocument,
    Retract,
    Signature,
)
from schemas.feed import Policy
from schemas.tables import Table
from tests.factories import World
from tests.hostile import Peer, followed, leaf_of, rows_of, signature, stored
from tests.unit.test_documents import VECTORS

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GOOD = "applied"


def no(code: str) -> str:
    return f"rejected:{code}"


def raw(seed: bytes, kind: str, payload: bytes) -> Envelope:
    """A payload, whatever it is, with a signature that holds."""
    one = Signature(keyid=key_id(public_key(seed)), sig=sign(seed, kind, payload))
    return Envelope(payload=payload, payloadType=kind, signatures=(one,))


def forged(envelope: Envelope) -> Envelope:
    """An envelope whose last signature does not hold."""
    *good, last = envelope.signatures
    bad = last.model_copy(update={"sig": bytes(64)})
    return envelope.model_copy(update={"signatures": (*good, bad)})


def standings(peer: Peer) -> list[str]:
    return [row["standing"] for row in rows_of(peer.world, "foreign_report")]


# Who signed


def test_a_report_by_a_wrong_or_unknown_key_is_refused_between_good_ones(peer: Peer) -> None:
    entries = [
        peer.report(113),
        forged(peer.report(113)),
        peer.report(114),
        peer.report(113, by=("lily-a", "stranger")),
        peer.report(115),
    ]
    assert peer.outcome_of(*entries) == [GOOD, no("bad-signature"), GOOD, no("unknown-key"), GOOD]
    assert (peer.counted, peer.line.refused) == (3, {"bad-signature": 1, "unknown-key": 1})
    # The operator sees why; and nothing of what was refused counts, or waits.
    assert len(rows_of(peer.world, "foreign_report")) == 3
    assert {row["seq"] for row in rows_of(peer.world, "foreign_identifier")} == {1, 3, 5}


@sqlite
def test_a_danger_needs_two_moderators(peer: Peer) -> None:
    one, twice = peer.report(113, by=("lily-a",)), peer.report(113)
    doubled = twice.model_copy(update={"signatures": twice.signatures[:1] * 2})
    same = peer.report_document(113)
    hers = signature(peer.seed("lily-a"), same)
    # A key id only helps to find a key: under another one hers is no second key.
    renamed, stolen = (
        Envelope.around(same, [hers, hers.model_copy(update={"keyid": key_id(key)})])
        for key in (bytes(32), public_key(peer.seed("lily-b")))
    )
    outcomes = peer.outcome_of(one, doubled, renamed, stolen, twice)
    assert outcomes == [
        no("too-few-signatures"), no("malformed"), no("unknown-key"), no("bad-signature"), GOOD
    ]  # fmt: skip
    assert peer.counted == 1


def test_as_many_may_sign_as_an_envelope_holds(peer: Peer) -> None:
    names = [f"lily-{number:035}" for number in range(64)]
    lily, iris = peer.identity.collectives
    many = tuple(peer.moderator(name) for name in names)
    full = lily.model_copy(update={"moderators": lily.moderators + many})
    peer.issue(collectives=(full, iris))
    assert peer.outcome_of(peer.keys(), peer.report(by=names)) == [GOOD] * 2
    (row,) = rows_of(peer.world, "foreign_report")
    assert row["signers"].split(",") == names


@sqlite
def test_two_keys_of_one_moderator_are_one_moderator(peer: Peer) -> None:
    peer.taken()
    # No identity can give her two: what she might use as a second belongs to nobody.
    by = ("lily-a", "lily-a second")
    assert peer.outcome_of(peer.report(by=by)) == [no("unknown-key")]


@sqlite
def test_the_only_moderator_of_a_collective_suffices(peer: Peer) -> None:
    assert peer.outcome_of(peer.report(113, collective="iris", by=("iris-a",))) == [GOOD]


def test_the_keys_of_one_do_not_sign_for_another(peer: Peer, world: World) -> None:
    with followed(world, "gamma.example") as other:
        document = other.report_document()
        by_peer = peer.signed(document, "lily-a", "lily-b")
        mine = other.report()
        assert other.outcome_of(by_peer, mine) == [no("unknown-key"), GOOD]
        # Nor is what stands in one log taken from another.
        assert peer.outcome_of(mine, other.keys(), other.retract(mine)) == [
            no("foreign-origin"), no("foreign-origin"), no("foreign-origin")
        ]  # fmt: skip
        assert (peer.counted, other.counted) == (0, 1)
        # Collectives of the same instance are as strange to each other.
        assert (
            peer.outcome_of(peer.report(collective="iris"), peer.risk(collective="violet"))
            == [no("unknown-key")] * 2
        )


@sqlite
def test_a_moderator_s_key_says_nothing_for_the_log_nor_the_log_s_for_her(peer: Peer) -> None:
    report = peer.report()
    peer.taken(report)
    erase = Erase.decode(peer.erase(report).payload)
    entries = [
        peer.signed(erase, "lily-a"),
        peer.by_log(peer.report_document()),
        peer.signed(Retract.decode(peer.retract(report).payload), "iris-a"),
        peer.erase(report).model_copy(update={"signatures": peer.erase(report).signatures * 2}),
        forged(peer.erase(report)),
    ]
    assert peer.outcome_of(*entries) == [
        no("unknown-key"), no("unknown-key"), no("unknown-key"), no("malformed"),
        no("bad-signature"),
    ]  # fmt: skip
    assert peer.counted == 1


# What is said


@sqlite
def test_a_swapped_type_is_refused(peer: Peer) -> None:
    report, erase = peer.report(), peer.erase(peer.report())
    retype = [
        report.model_copy(update={"payload_type": Retract.payload_type}),
        report.model_copy(update={"payload_type": Erase.payload_type}),
        erase.model_copy(update={"payload_type": Keys.payload_type}),
        erase.model_copy(update={"payload_type": ReportDocument.payload_type}),
        peer.identities[0],
        peer.checkpoint(),
    ]
    assert peer.outcome_of(*retype, report) == [
        no("malformed"), no("malformed"), no("malformed"), no("malformed"), no("unsupported"),
        no("unsupported"), GOOD,
    ]  # fmt: skip


def test_an_unknown_type_is_kept_as_a_leaf(peer: Peer) -> None:
    kinds = ["application/vnd.parasol.newer.v1+json", "text/plain", "", "\u2603\u0000\U0001f600"]
    unknown = [raw(peer.log_seed, kind, b'{"any":"thing"}') for kind in kinds]
    assert peer.outcome_of(*unknown, peer.report()) == [no("unsupported")] * 4 + [GOOD]
    assert [row["leaf"] for row in rows_of(peer.world, "foreign_entry")] == peer.leaves()


@sqlite
def test_no_other_spelling_of_a_document_is_taken(peer: Peer) -> None:
    seed, kind = peer.seed("lily-a"), Retract.payload_type
    target = peer.risk()
    peer.taken(target)
    true = peer.retract(target, "lily-a").payload.decode()
    bad = list(VECTORS["malformed_payloads"].values())
    # Those of the vectors are of another origin; so here they are once more, as this partner's.
    document = json.loads(true)
    digest = encode_base64(leaf_of(target))
    for text in list(bad):
        mine = text.replace('"alpha.example"', '"hostile.example"').replace('"iris"', '"lily"')
        old = json.loads(VECTORS["malformed_payloads"]["a space"])["target"]
        bad.append(mine.replace(old, digest))
    bad += [
        true.replace('"error"', '"err\\u006fr"'),
        true + "\n",
        true[:-1] + ',"zzz":null}',
        json.dumps(document, sort_keys=False, separators=(",", ":"))[::-1],
        "null", "[]", "", "[" * 4000,
    ]  # fmt: skip
    outcomes = peer.outcome_of(*(raw(seed, kind, text.encode()) for text in bad))
    assert outcomes == [no("malformed")] * len(bad)
    assert (len(bad), standings(peer)) == (2 * len(VECTORS["malformed_payloads"]) + 8, ["standing"])
    assert peer.outcome_of(raw(seed, kind, true.encode())) == [GOOD]


def members(peer: Peer, **changes: Any) -> Envelope:
    """A report that the model would not let anybody write, signed by two."""
    document = json.loads(peer.report_document(113).encode()) | changes
    payload = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    kind = ReportDocument.payload_type
    one, two = (raw(peer.seed(name), kind, payload) for name in ("lily-a", "lily-b"))
    return one.model_copy(update={"signatures": one.signatures + two.signatures})


@sqlite
def test_a_report_that_nobody_could_write_is_refused(peer: Peer) -> None:
    token = encode_base64(peer.token(113))
    kinds = [{"kind": "phone", "token": encode_base64(peer.token(n))} for n in range(5)]
    assert set(
        peer.outcome_of(
            members(peer, identifiers=kinds),
            members(peer, identifiers=[]),
            members(peer, identifiers=[kinds[0], kinds[0]]),
            members(peer, identifiers=[{"kind": "name", "token": token}]),
            members(peer, identifiers=[{"kind": "phone", "token": encode_base64(bytes(32))}]),
            members(peer, identifiers=[{"kind": "phone", "token": encode_base64(b"\xff" * 32)}]),
            members(peer, categories=["robbery", "drugging"]),
            members(peer, categories=["robbery", "robbery"]),
            members(peer, categories=["hair_colour"]),
            members(peer, categories=[]),
            members(peer, categories=["other"]),
            members(peer, categories=["time_wasting"]),
            members(peer, severity="deadly"),
            members(peer, month="2026-13"),
            members(peer, expires="2026-02-30"),
            members(peer, note="A name."),
            members(peer, epoch=1.0),
            members(peer, epoch=2**53),
        )
    ) == {no("malformed")}  # fmt: skip
    assert peer.outcome_of(members(peer, identifiers=kinds[:4])) == [GOOD]


@sqlite
def test_days_and_networks_that_cannot_be_are_refused(peer: Peer) -> None:
    today = peer.now.date()
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({"network": "test-elsewhere"}, "wrong-network"),
        ({"epoch": 2}, "wrong-epoch"),
        ({"issued": f"{today + timedelta(days=2)}"}, "future-dated"),
        ({"issued": f"{today + timedelta(days=1)}"}, None),
        ({"month": "2027-01"}, "future-dated"),
        ({"expires": "2031-11-01"}, "expiry-too-long"),
        ({"expires": "2031-10-30"}, None),
        ({"severity": Severity.RISK, "expires": "2028-11-01"}, "expiry-too-long"),
        ({"severity": Severity.NUISANCE, "expires": "2027-11-01"}, "expiry-too-long"),
        ({"expires": f"{today - timedelta(days=1)}"}, "expired"),
        ({"expires": f"{today}"}, None),
        ({"issued": "0001-01-01"}, None),
    ]
    outcomes = peer.outcome_of(*(peer.report(113, **changes) for changes, _ in cases))
    assert outcomes == [GOOD if code is None else no(code) for _, code in cases]
    # Behind the end of the calendar nothing can be reckoned with.
    last = members(peer, month="9999-12", expires="9999-12-31")
    assert peer.outcome_of(last) == [no("future-dated")]
    # Of what is over already nothing is kept.
    (over,) = (r for r in rows_of(peer.world, "foreign_entry") if r["outcome"] == no("expired"))
    assert over["envelope"] is None
    assert date.fromisoformat(rows_of(peer.world, "foreign_report")[0]["expires"]) > today


@sqlite
def test_two_identifiers_are_one_report(peer: Peer) -> None:
    assert peer.outcome_of(peer.report(113, 114)) == [GOOD]
    assert (peer.line.reports, len(rows_of(peer.world, "foreign_identifier"))) == (1, 2)
    assert {row["word"] for row in rows_of(peer.world, "unsealed")} == {
        row["word"] for row in rows_of(peer.world, "foreign_identifier")
    }


# The same again


def test_the_same_entry_again_is_a_duplicate(peer: Peer) -> None:
    one, two = peer.report(113), peer.risk(114)
    outcomes = peer.outcome_of(one, one, two)
    assert outcomes == [GOOD, no("duplicate"), GOOD]
    assert peer.outcome_of(two, one, peer.entries[0]) == [no("duplicate")] * 3
    assert (peer.counted, peer.line.refused) == (2, {"duplicate": 4})
    # A second signature makes no second report.
    more = peer.signed(ReportDocument.decode(two.payload), "lily-a", "lily-b")
    assert leaf_of(more) == leaf_of(two)
    assert peer.outcome_of(more) == [no("duplicate")]
    # What was refused may come again, as it should have been.
    late = peer.report(115)
    assert peer.outcome_of(forged(late), late) == [no("bad-signature"), GOOD]
    assert peer.counted == 3


# Taking back


def test_a_retraction_takes_a_report_away_once_and_for_all(peer: Peer) -> None:
    danger, risk = peer.report(113), peer.risk(114)
    peer.taken(danger, risk)
    outcomes = peer.outcome_of(
        peer.retract(danger, "lily-a"),
        peer.retract(danger, "iris-a", collective="iris"),
        peer.retract(bytes(32)),
        peer.retract(peer.entries[0]),
    )
    assert outcomes == [no("too-few-signatures"), *[no("not-yours")] * 3]
    assert peer.counted == 2
    # Two sign for danger, though not the two who warned of it.
    assert peer.outcome_of(peer.retract(danger, "lily-b", "lily-c")) == [GOOD]
    assert (peer.counted, standings(peer)) == (1, ["retracted", "standing"])
    assert peer.outcome_of(peer.retract(risk, "lily-c"), peer.retract(risk, "lily-a")) == [GOOD] * 2
    assert (peer.counted, standings(peer)) == (0, ["retracted"] * 2)
    assert peer.outcome_of(danger, risk) == [no("duplicate")] * 2
    assert peer.counted == 0


def test_a_retraction_by_another_partner_takes_nothing(peer: Peer, world: World) -> None:
    report = peer.report()
    peer.taken(report)
    with followed(world, "gamma.example") as other:
        assert other.outcome_of(other.retract(report), other.erase(report)) == [no("not-yours")] * 2
    assert peer.counted == 1


@sqlite
def test_a_retraction_before_its_report_takes_nothing(peer: Peer) -> None:
    report = peer.report()
    assert peer.outcome_of(peer.retract(report), report) == [no("not-yours"), GOOD]
    assert peer.counted == 1


@sqlite
def test_what_is_taken_back_is_sealed_anew(peer: Peer) -> None:
    report = peer.report(113, 114)
    peer.taken(report)
    world = peer.world
    unseal = Table.metadata.tables["unsealed"]
    with world.parts.store.begin() as tx:
        tx._session.execute(unseal.delete())  # noqa: SLF001
    peer.taken(peer.retract(report))
    words = {row["word"] for row in rows_of(world, "foreign_identifier")}
    assert {row["word"] for row in rows_of(world, "unsealed")} == words


# Replacing


def test_a_report_replaces_a_former_one(peer: Peer) -> None:
    risk = peer.risk(113)
    new = peer.report(114, replaces=leaf_of(risk))
    assert peer.outcome_of(risk, new) == [GOOD] * 2
    assert (peer.counted, standings(peer)) == (1, ["replaced", "standing"])
    # Of what another collective said, or of what is no report, it replaces nothing.
    assert (
        peer.outcome_of(
            peer.risk(113, collective="iris", by=("iris-a",), replaces=leaf_of(new)),
            peer.risk(113, replaces=leaf_of(peer.entries[0])),  # type: ignore[arg-type]
        )
        == [no("not-yours")] * 2
    )
    # What never came here, because it had to stay where it was, is replaced as well.
    assert peer.outcome_of(peer.risk(115, replaces=bytes(32))) == [GOOD]
    assert peer.counted == 2


def test_one_moderator_does_not_lower_a_danger(peer: Peer) -> None:
    danger = peer.report(113)
    lowered = peer.report_document(113, severity=Severity.RISK, replaces=leaf_of(danger))
    assert peer.outcome_of(danger, peer.signed(lowered, "lily-a")) == [
        GOOD, no("too-few-signatures")
    ]  # fmt: skip
    assert peer.counted == 1
    assert peer.outcome_of(peer.signed(lowered, "lily-a", "lily-c")) == [GOOD]
    assert (peer.counted, standings(peer)) == (1, ["replaced", "standing"])


@sqlite
def test_what_was_retracted_stays_so_when_it_is_replaced(peer: Peer) -> None:
    report = peer.report(113)
    peer.taken(report, peer.retract(report, reason="disputed"))
    assert peer.counted == 0
    peer.taken(peer.report(113, replaces=leaf_of(report)))
    assert (peer.counted, standings(peer)) == (1, ["retracted", "standing"])


# Erasing


def test_who_comes_late_sees_the_same_root_and_nothing_of_what_was_erased(
    peer: Peer, world: World
) -> None:
    one, two, retract = peer.report(113), peer.report(114), None
    retract = peer.retract(one)
    peer.taken(one, two, retract)
    erase = peer.erase(one, retract, reason="objection")
    assert peer.outcome_of(erase) == [GOOD]
    assert peer.outcomes() == [GOOD, "erased", GOOD, "erased", GOOD]
    assert (peer.line.reports, peer.counted) == (1, 1)
    for row in rows_of(world, "foreign_entry"):
        assert (row["envelope"] is None) == (row["outcome"] == "erased")
    early = rows_of(world, "partner")[0]
    for gone in (one, retract):
        peer.elide(gone)
    world.parts.partners.remove(peer.origin)
    assert not any(stored(world)[table] for table in ("foreign_entry", "foreign_report"))
    world.parts.partners.add(world.parts.partners.meet(peer.address), Policy.AUTO)
    assert (peer.sync().code, peer.counted) == (None, 1)
    assert peer.outcomes() == [GOOD, "erased", GOOD, "erased", GOOD]
    late = rows_of(world, "partner")[0]
    assert (late["size"], late["frontier"]) == (early["size"], early["frontier"])
    # What was erased and is appended again counts no more, and is not even kept.
    assert peer.outcome_of(one, retract) == [no("duplicate")] * 2
    assert [row["envelope"] for row in rows_of(world, "foreign_entry")][-2:] == [None, None]
    assert peer.counted == 1
    # To erase it once more is no fault; and to retract it takes nothing away.
    assert peer.outcome_of(peer.erase(one), peer.retract(one)) == [GOOD] * 2


def test_an_erasure_is_whole_or_nothing(peer: Peer) -> None:
    report = peer.report()
    peer.taken(report)
    keys, later = peer.entries[0], peer.report(114)
    outcomes = peer.outcome_of(peer.erase(report, later), peer.erase(report, keys), later)
    assert outcomes == [no("not-yours"), no("unsupported"), GOOD]
    # Nor does it erase erasures, or what came after it.
    assert peer.outcome_of(peer.erase(peer.entries[-2]), peer.erase(later)) == [
        no("unsupported"), GOOD
    ]  # fmt: skip
    assert peer.counted == 1


@sqlite
def test_an_elision_is_explained_by_an_erasure_that_comes_before_the_head(peer: Peer) -> None:
    gone = [peer.report(113), peer.report(114)]
    peer.append(*map(leaf_of, gone), peer.report(115), peer.erase(*gone))
    assert (peer.sync().code, peer.counted) == (None, 1)
    assert peer.outcomes() == [GOOD, "erased", "erased", GOOD, GOOD]


@sqlite
def test_what_was_refused_can_be_erased_as_well(peer: Peer) -> None:
    bad = forged(peer.report())
    peer.taken(bad)
    assert rows_of(peer.world, "foreign_entry")[-1]["envelope"] is not None
    peer.taken(peer.erase(bad))
    assert peer.outcomes()[1:] == ["erased", GOOD]
    assert rows_of(peer.world, "foreign_entry")[1]["envelope"] is None
    # Wherever it stands: also where it was first refused, and then taken.
    late = peer.report()
    peer.taken(forged(late), late)
    peer.taken(peer.erase(late))
    assert peer.outcomes()[3:] == [no("bad-signature"), "erased", GOOD]
    assert [row["envelope"] for row in rows_of(peer.world, "foreign_entry")][3:5] == [None, None]
    # What was erased stays so, had it been refused or not.
    assert peer.outcome_of(bad, peer.report(), late) == [no("duplicate"), GOOD, no("duplicate")]


def test_many_erasures_of_nothing_cost_little(peer: Peer) -> None:
    reports = [peer.risk(113) for _ in range(64)]
    peer.world.parts.partners.set_quotas(peer.origin, 100, 100)
    peer.taken(*reports, peer.erase(*reports))
    statements = _counted_statements(peer, [peer.erase(*reports) for _ in range(30)])
    assert peer.line.reports == 0
    assert statements < 30 * 8


@sqlite
def test_what_was_said_very_often_is_found_at_once(peer: Peer) -> None:
    """One may fill its log with copies: to look for one of them must not mean to read them all."""
    with peer.world.parts.store.read() as tx:
        for condition in (
            "leaf IN ('x') AND partner = 1 AND outcome IN ('applied', 'elided')",
            "leaf = 'x' AND partner = 1 LIMIT 1",
        ):
            assert "ix_foreign_entry_leaf" in plan(
                tx, f"SELECT seq FROM foreign_entry WHERE {condition}"
            )
        elided = "partner = ? AND log = ? AND outcome = 'elided'"
        count = f"SELECT count(*) FROM foreign_entry WHERE {elided}"
        assert "ix_foreign_entry_elided" in plan(tx, count, (1, 1))


def plan(tx: Any, query: str, values: tuple[int, ...] = ()) -> str:
    connection = tx._session.connection()  # noqa: SLF001
    return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all())


def _counted_statements(peer: Peer, entries: list[Envelope]) -> int:
    engine = peer.world.parts.store._engine  # noqa: SLF001
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert set(peer.outcome_of(*entries)) == {GOOD}
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return count


def test_a_report_of_categories_that_are_shared_at_will_is_taken(peer: Peer) -> None:
    # Whether the collective had opted in is for its own instance to see to.
    shared = peer.risk(113, categories=(Category.HARASSMENT, Category.NON_PAYMENT))
    assert peer.outcome_of(shared) == [GOOD]
