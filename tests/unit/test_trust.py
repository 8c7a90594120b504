"""Promises of PROTOCOL.md §7 about who may sign what."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import trust
from api.crypto.envelopes import key_id, public_key, sign
from api.crypto.failures import InvalidInput
from schemas.base import Category, Kind, Severity
from schemas.canonical import Document
from schemas.documents import (
    Argon2id,
    Checkpoint,
    Close,
    Collective,
    Envelope,
    Erase,
    EraseReason,
    Identity,
    Keys,
    Moderator,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Root,
    Signature,
    Status,
)

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "documents-v1.json").read_text("utf-8")
)
TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Any two valid points: the tokens of the vectors.
TOKEN, OTHER_TOKEN = (
    one.token
    for one in ReportDocument.decode(VECTORS["entries"][1]["payload_text"].encode()).identifiers
)


def seed(name: str) -> bytes:
    return sha256(name.encode()).digest()


def public(name: str) -> bytes:
    return public_key(seed(name))


def signed(document: Document, *names: str) -> Envelope:
    payload = document.encode()
    return Envelope.around(
        document,
        [
            Signature(
                keyid=key_id(public(name)), sig=sign(seed(name), document.payload_type, payload)
            )
            for name in names
        ],
    )


def root(*names: str, threshold: int = 1) -> Root:
    return Root(keys=tuple(sorted(public(name) for name in names)), threshold=threshold)


def moderator(name: str, status: Status = Status.ACTIVE) -> Moderator:
    return Moderator(id=name, sign=public(name), box=sha256(public(name)).digest(), status=status)


def collective(name: str, *moderators: Moderator, status: Status = Status.ACTIVE) -> Collective:
    return Collective(id=name, moderators=moderators, status=status)


def identity(**changes: Any) -> Identity:
    members: dict[str, Any] = {
        "version": 1,
        "origin": "alpha.example",
        "log": "alpha.example:1",
        "issued": "2026-11-22T00:00:00Z",
        "expires": "2027-12-27T00:00:00Z",
        "root": root("root"),
        "log_key": public("log"),
        "http_keys": (public("http"),),
        "network": "test-network",
        "epoch": 1,
        "public_key": TOKEN,
        "argon2id": Argon2id(m_kib=8, t=1),
        "collectives": (
            collective("rose", moderator("rose-a"), moderator("rose-b")),
            collective("iris", moderator("iris-a")),
        ),
        "feed": "https://alpha.example/feed/v1/",
    }
    return Identity(**{**members, **changes})


FIRST = identity()
HELD = trust.root_fingerprint(FIRST.root)


def following(old: Identity = FIRST, **changes: Any) -> Identity:
    previous = sha256(old.encode()).digest()
    return identity(**{"version": old.version + 1, "previous": previous, **changes})


def accept(old: Identity, new: Identity, *names: str) -> Identity:
    return trust.next_identity(old, signed(new, *(names or ("root",))))


def refuse(old: Identity, new: Identity, *names: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        accept(old, new, *names)
    assert str(caught.value) == "identity-refused"


# The start of a chain


def test_the_identity_of_the_vectors_is_accepted() -> None:
    envelope = Envelope.model_validate(VECTORS["identity"]["envelope"])
    fingerprint = bytes.fromhex(VECTORS["root_sha256"])
    opened = trust.open_identity(envelope, root_sha256=fingerprint)
    assert trust.root_fingerprint(opened.root) == fingerprint
    assert [one.id for one in trust.active_moderators(opened, "rose")] == ["rose-a", "rose-b"]
    trust.check_current(opened, NOW)


def refuse_start(envelope: Envelope, fingerprint: bytes = HELD) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.open_identity(envelope, root_sha256=fingerprint)
    assert str(caught.value) == "identity-refused"


def test_an_identity_with_the_held_root_starts_a_chain() -> None:
    assert trust.open_identity(signed(FIRST, "root"), root_sha256=HELD) == FIRST


def test_another_root_than_the_held_one_is_refused() -> None:
    refuse_start(signed(identity(root=root("mallory")), "mallory"))


def test_the_threshold_is_part_of_the_fingerprint() -> None:
    keys = ("root", "root-2")
    fingerprints = {trust.root_fingerprint(root(*keys, threshold=n)) for n in (1, 2)}
    assert len(fingerprints) == 2


def test_an_identity_signed_by_nobody_known_is_refused() -> None:
    refuse_start(signed(FIRST, "mallory"))


TWO_OF_THREE = identity(root=root("root", "root-2", "root-3", threshold=2))
HELD_BY_THREE = trust.root_fingerprint(TWO_OF_THREE.root)


def with_signatures(envelope: Envelope, signatures: Sequence[Signature]) -> Envelope:
    return envelope.model_copy(update={"signatures": tuple(signatures)})


def test_two_of_three_root_keys_suffice() -> None:
    envelope = signed(TWO_OF_THREE, "root-3", "root")
    assert trust.open_identity(envelope, root_sha256=HELD_BY_THREE) == TWO_OF_THREE


def test_one_of_three_root_keys_does_not() -> None:
    refuse_start(signed(TWO_OF_THREE, "root"), HELD_BY_THREE)


def test_one_root_key_twice_counts_once() -> None:
    refuse_start(signed(TWO_OF_THREE, "root", "root"), HELD_BY_THREE)


def test_a_threshold_counts_keys_and_not_key_ids() -> None:
    envelope = signed(TWO_OF_THREE, "root", "root")
    one, other = envelope.signatures
    renamed = other.model_copy(update={"keyid": key_id(public("root-2"))})
    refuse_start(with_signatures(envelope, [one, renamed]), HELD_BY_THREE)


def test_signatures_of_strangers_neither_count_nor_harm() -> None:
    refuse_start(signed(TWO_OF_THREE, "root", "mallory"), HELD_BY_THREE)
    envelope = signed(TWO_OF_THREE, "mallory", "root", "root-2")
    assert trust.open_identity(envelope, root_sha256=HELD_BY_THREE) == TWO_OF_THREE


def test_an_envelope_of_another_type_is_no_identity() -> None:
    envelope = signed(FIRST, "root")
    refuse_start(envelope.model_copy(update={"payload_type": Checkpoint.payload_type}))


def test_a_malformed_identity_is_refused() -> None:
    envelope = signed(FIRST, "root")
    refuse_start(envelope.model_copy(update={"payload": envelope.payload + b"\n"}))


def test_a_network_key_that_is_no_point_is_refused() -> None:
    refuse_start(signed(identity(public_key=b"\xff" * 32), "root"))


@pytest.mark.parametrize(
    ("network", "m_kib", "t"),
    [("demo", 19455, 2), ("demo", 19456, 1), ("demo", 2**40, 2), ("test-network", 8, 10**6)],
)
def test_a_cost_too_low_or_ruinous_is_refused(network: str, m_kib: int, t: int) -> None:
    refuse_start(signed(identity(network=network, argon2id=Argon2id(m_kib=m_kib, t=t)), "root"))


def test_the_least_cost_is_accepted() -> None:
    least = identity(network="demo", argon2id=Argon2id(m_kib=19456, t=2))
    assert trust.open_identity(signed(least, "root"), root_sha256=HELD) == least


# Succession


def test_the_next_version_is_accepted() -> None:
    new = following()
    assert accept(FIRST, new) == new


@pytest.mark.parametrize("version", [1, 3])
def test_a_version_that_is_not_the_next_is_refused(version: int) -> None:
    refuse(FIRST, following(version=version))


@pytest.mark.parametrize("previous", [None, bytes(32)])
def test_an_identity_that_names_another_predecessor_is_refused(previous: bytes | None) -> None:
    refuse(FIRST, following(previous=previous))


def test_new_root_keys_need_the_signatures_of_the_old_and_the_new() -> None:
    new = following(root=root("new root"))
    assert accept(FIRST, new, "root", "new root") == new
    refuse(FIRST, new, "root")
    refuse(FIRST, new, "new root")


def test_a_lowered_threshold_needs_the_old_one() -> None:
    new = following(TWO_OF_THREE, root=root("root"))
    assert accept(TWO_OF_THREE, new, "root", "root-2") == new
    refuse(TWO_OF_THREE, new, "root")


def test_a_raised_threshold_needs_the_new_one() -> None:
    new = following(root=root("root", "root-2", threshold=2))
    assert accept(FIRST, new, "root", "root-2") == new
    refuse(FIRST, new, "root")


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "beta.example", "log": "beta.example:1"},
        {"network": "test-other"},
        {"argon2id": Argon2id(m_kib=16, t=1)},
        {"public_key": OTHER_TOKEN},
    ],
    ids=str,
)
def test_what_never_changes_may_not_change(changes: dict[str, Any]) -> None:
    refuse(FIRST, following(**changes))


def test_a_new_epoch_brings_a_new_key() -> None:
    new = following(epoch=2, public_key=OTHER_TOKEN)
    assert accept(FIRST, new) == new


def test_an_epoch_does_not_come_back() -> None:
    second = following(epoch=2)
    refuse(second, following(second, epoch=1))


def test_a_new_log_has_the_next_number_and_a_new_key() -> None:
    new = following(log="alpha.example:2", log_key=public("new log"))
    assert accept(FIRST, new) == new


@pytest.mark.parametrize(
    "changes",
    [
        {"log": "alpha.example:2"},
        {"log_key": public("new log")},
        {"log": "alpha.example:3", "log_key": public("new log")},
    ],
    ids=["log alone", "key alone", "a number left out"],
)
def test_log_and_log_key_change_only_together(changes: dict[str, Any]) -> None:
    refuse(FIRST, following(**changes))


def test_http_keys_come_and_go() -> None:
    new = following(http_keys=(public("new http"),))
    assert accept(FIRST, new) == new
    assert accept(FIRST, following(http_keys=())).http_keys == ()


IRIS = collective("iris", moderator("iris-a"))


def with_rose(*moderators: Moderator, status: Status = Status.ACTIVE) -> dict[str, Any]:
    return {"collectives": (collective("rose", *moderators, status=status), IRIS)}


def test_moderators_and_collectives_may_join() -> None:
    more = with_rose(moderator("rose-a"), moderator("rose-b"), moderator("rose-c"))
    more["collectives"] += (collective("lily"),)
    new = following(**more)
    assert accept(FIRST, new) == new


def test_a_moderator_who_vanished_makes_the_identity_refused() -> None:
    refuse(FIRST, following(**with_rose(moderator("rose-a"))))


def test_a_collective_that_vanished_makes_the_identity_refused() -> None:
    refuse(FIRST, following(collectives=(IRIS,)))


def test_a_moderator_may_not_move_to_another_collective() -> None:
    moved = collective("iris", moderator("iris-a"), moderator("rose-b"))
    refuse(FIRST, following(collectives=(collective("rose", moderator("rose-a")), moved)))


@pytest.mark.parametrize("key", ["sign", "box"])
def test_a_moderator_may_not_change_a_key(key: str) -> None:
    changed = moderator("rose-b").model_copy(update={key: public("mallory")})
    refuse(FIRST, following(**with_rose(moderator("rose-a"), changed)))


def test_a_key_may_not_go_to_another_moderator() -> None:
    renamed = moderator("rose-b").model_copy(update={"id": "rose-c"})
    refuse(FIRST, following(**with_rose(moderator("rose-a"), renamed)))


@pytest.mark.parametrize("was", Status)
@pytest.mark.parametrize("now", Status)
def test_a_status_only_goes_from_active_to_another(was: Status, now: Status) -> None:
    allowed = was in (Status.ACTIVE, now)
    for old, new in (
        (with_rose(moderator("rose-a", was)), with_rose(moderator("rose-a", now))),
        (with_rose(status=was), with_rose(status=now)),
    ):
        first = identity(**old)
        second = following(first, **new)
        if allowed:
            assert accept(first, second) == second
        else:
            refuse(first, second)


def test_a_chain_is_followed_to_its_newest_identity() -> None:
    second = following(root=root("new root"))
    third = following(second, root=root("new root"), feed="https://beta.example/")
    chain = [signed(FIRST, "root"), signed(second, "root", "new root"), signed(third, "new root")]
    assert trust.follow_chain(chain, root_sha256=HELD) == third
    for broken in ([], chain[1:], [chain[0], chain[2]], chain[::-1], [chain[0], chain[0]]):
        with pytest.raises(InvalidInput) as caught:
            trust.follow_chain(broken, root_sha256=HELD)
        assert caught.value.code == "identity-refused"


# Time


def refuse_time(one: Identity, now: datetime, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.check_current(one, now)
    assert str(caught.value) == code


def test_an_identity_is_in_force_until_it_expires() -> None:
    expires = datetime(2027, 12, 27, tzinfo=UTC)
    trust.check_current(FIRST, expires - timedelta(seconds=1))
    refuse_time(FIRST, expires, "identity-expired")


def test_an_identity_from_the_future_is_refused() -> None:
    issued = datetime(2026, 11, 22, tzinfo=UTC)
    trust.check_current(FIRST, issued - timedelta(hours=1))
    refuse_time(FIRST, issued - timedelta(hours=1, seconds=1), "clock-skew")


@pytest.mark.parametrize("expires", ["2027-12-27T00:00:01Z", "2026-11-22T00:00:00Z"])
def test_an_identity_lasts_at_most_400_days(expires: str) -> None:
    refuse_time(identity(expires=expires), NOW, "identity-refused")


# Moderators


def test_only_active_moderators_of_an_active_collective_may_sign() -> None:
    rose = (moderator("rose-a"), moderator("rose-b", Status.ENDED))
    assert trust.active_moderators(identity(**with_rose(*rose)), "rose") == rose[:1]
    for status in (Status.ENDED, Status.REVOKED):
        ended = identity(**with_rose(*rose, status=status))
        assert trust.active_moderators(ended, "rose") == ()
    assert trust.active_moderators(FIRST, "lily") == ()


def test_danger_needs_two_unless_there_is_only_one() -> None:
    assert trust.signatures_needed(FIRST, "rose", danger=True) == 2
    assert trust.signatures_needed(FIRST, "rose", danger=False) == 1
    assert trust.signatures_needed(FIRST, "iris", danger=True) == 1
    left = identity(**with_rose(moderator("rose-a"), moderator("rose-b", Status.ENDED)))
    assert trust.signatures_needed(left, "rose", danger=True) == 1


# Before the start of a chain


def history(count: int) -> list[Identity]:
    """Return `count` versions, newest first."""
    versions = [FIRST]
    for number in range(1, count):
        versions.append(following(versions[-1], root=root(f"root-{number}")))
    return versions[::-1]


def refuse_history(known: Identity, *older: Envelope) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.verify_backwards(known, older)
    assert str(caught.value) == "identity-refused"


def test_an_older_identity_is_known_by_its_hash_in_the_newer_whoever_signed_it() -> None:
    third, second, first = history(3)
    older = [signed(second, "mallory"), signed(first, "mallory")]
    assert trust.verify_backwards(third, older) == (second, first)
    assert trust.verify_backwards(third, older[:1]) == (second,)
    assert trust.verify_backwards(third, []) == ()


def test_an_older_identity_that_the_newer_does_not_name_is_refused() -> None:
    third, second, first = history(3)
    forged = second.model_copy(update={"expires": "2027-12-26T00:00:00Z"})
    refuse_history(third, signed(forged, "root-1"))
    refuse_history(third, signed(second, "root-1"), signed(forged, "root"))
    refuse_history(third, signed(first, "root"))
    refuse_history(second, signed(first, "root"), signed(first, "root"))


def test_the_versions_of_a_history_have_no_gap() -> None:
    refuse_history(following(version=3), signed(FIRST, "root"))


@pytest.mark.parametrize(
    "changes",
    [{"origin": "beta.example", "log": "beta.example:1"}, {"network": "test-other"}],
    ids=str,
)
def test_a_history_is_of_one_origin_and_network(changes: dict[str, Any]) -> None:
    refuse_history(following(**changes), signed(FIRST, "root"))


def test_nobody_vanishes_from_a_history() -> None:
    refuse_history(following(collectives=()), signed(FIRST, "root"))


def test_an_older_envelope_that_holds_no_identity_is_refused() -> None:
    envelope = signed(FIRST, "root")
    refuse_history(following(), envelope.model_copy(update={"payload": envelope.payload + b" "}))
    refuse_history(following(), signed(report(), "rose-a"))


# Revocations


def test_whoever_is_revoked_now_and_was_not_before_is_named() -> None:
    a, b = moderator("rose-a"), moderator("rose-b")
    gone = moderator("rose-b", Status.REVOKED)
    old, new = identity(**with_rose(a, b)), identity(**with_rose(a, gone))
    assert trust.revocations(old, new) == {("rose", "rose-b")}
    assert trust.revocations(new, new) == frozenset()
    assert trust.revocations(old, identity(**with_rose(a, moderator("rose-b", Status.ENDED)))) == (
        frozenset()
    )


def test_a_revoked_collective_takes_its_moderators_with_it() -> None:
    a, b = moderator("rose-a", Status.ENDED), moderator("rose-b", Status.REVOKED)
    old, new = identity(**with_rose(a, b)), identity(**with_rose(a, b, status=Status.REVOKED))
    assert trust.revocations(old, new) == {("rose", "rose-a")}
    assert trust.revocations(FIRST, new) == {("rose", "rose-a"), ("rose", "rose-b")}


def report(**changes: Any) -> ReportDocument:
    members: dict[str, Any] = {
        "origin": "alpha.example",
        "collective": "rose",
        "rid": "00" * 16,
        "issued": "2026-11-20",
        "expires": "2031-09-30",
        "categories": (Category.ROBBERY,),
        "severity": Severity.DANGER,
        "month": "2026-09",
        "network": "test-network",
        "epoch": 1,
        "identifiers": (ReportedIdentifier(kind=Kind.PHONE, token=TOKEN),),
    }
    return ReportDocument(**{**members, **changes})


def retract(**changes: Any) -> Retract:
    members: dict[str, Any] = {
        "origin": "alpha.example",
        "collective": "rose",
        "rid": "00" * 16,
        "target": bytes(32),
        "reason": RetractReason.ERROR,
        "issued": "2026-11-20",
    }
    return Retract(**{**members, **changes})


def refuse_signers(envelope: Envelope, code: str, one: Identity = FIRST) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.signers(envelope, one, "rose")
    assert str(caught.value) == code


def test_the_moderators_who_signed_are_named() -> None:
    assert trust.signers(signed(report(), "rose-b"), FIRST, "rose") == {"rose-b"}
    both = signed(report(), "rose-b", "rose-a")
    assert trust.signers(both, FIRST, "rose") == {"rose-a", "rose-b"}


@pytest.mark.parametrize("name", ["iris-a", "mallory", "log", "root"])
def test_nobody_else_may_sign(name: str) -> None:
    refuse_signers(signed(report(), name), "unknown-key")
    refuse_signers(signed(report(), "rose-a", name), "unknown-key")


@pytest.mark.parametrize("status", [Status.ENDED, Status.REVOKED])
def test_a_former_moderator_may_not_sign(status: Status) -> None:
    former = identity(**with_rose(moderator("rose-a"), moderator("rose-b", status)))
    refuse_signers(signed(report(), "rose-a", "rose-b"), "unknown-key", former)


def test_an_identity_is_never_taken_for_another_of_its_version() -> None:
    envelope, other = signed(report(), "rose-b"), identity(**with_rose(moderator("rose-a")))
    assert hash(FIRST) == hash(other)
    assert trust.signers(envelope, FIRST, "rose") == {"rose-b"}
    refuse_signers(envelope, "unknown-key", other)


def test_a_bad_signature_beside_a_good_one_is_refused() -> None:
    envelope = signed(report(), "rose-a", "rose-b")
    one, other = envelope.signatures
    bad = other.model_copy(update={"sig": one.sig})
    refuse_signers(with_signatures(envelope, [one, bad]), "bad-signature")


def test_a_signature_over_another_payload_is_refused() -> None:
    envelope = signed(report(), "rose-a")
    other = report(month="2026-08").encode()
    refuse_signers(envelope.model_copy(update={"payload": other}), "bad-signature")


def test_one_moderator_cannot_sign_for_two() -> None:
    refuse_signers(signed(report(), "rose-a", "rose-a"), "malformed")


# Reports


def refuse_report(envelope: Envelope, code: str, today: date = TODAY) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.open_report(envelope, FIRST, today=today)
    assert str(caught.value) == code


def test_the_entries_of_the_vectors_are_accepted() -> None:
    known = Identity.decode(VECTORS["identity"]["payload_text"].encode())
    for entry in VECTORS["entries"][1:]:
        envelope = Envelope.model_validate(entry["envelope"])
        opened: ReportDocument | Retract
        if entry["type"] == Retract.payload_type:
            opened = trust.open_retract(envelope, known, today=TODAY)
            needed = 1
        else:
            opened = trust.open_report(envelope, known, today=TODAY)
            danger = opened.severity is Severity.DANGER
            needed = trust.signatures_needed(known, opened.collective, danger=danger)
        signed_by = trust.signers(envelope, known, opened.collective)
        assert signed_by == set(entry["signers"])
        assert len(signed_by) == needed


def test_a_good_report_is_opened() -> None:
    assert trust.open_report(signed(report(), "rose-a"), FIRST, today=TODAY) == report()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"origin": "beta.example"}, "foreign-origin"),
        ({"network": "test-other"}, "wrong-network"),
        ({"epoch": 2}, "wrong-epoch"),
        ({"collective": "lily"}, "unknown-key"),
        ({"categories": (Category.OTHER, Category.ROBBERY)}, "malformed"),
        (
            {"identifiers": (ReportedIdentifier(kind=Kind.PHONE, token=b"\xff" * 32),)},
            "malformed",
        ),
        ({"identifiers": (ReportedIdentifier(kind=Kind.PHONE, token=bytes(32)),)}, "malformed"),
        ({"issued": "2026-11-24"}, "future-dated"),
        ({"month": "2026-12", "expires": "2027-12-31"}, "future-dated"),
        ({"month": "9999-12"}, "future-dated"),
        ({"expires": "2031-10-01"}, "expiry-too-long"),
        ({"severity": Severity.RISK, "expires": "2028-10-01"}, "expiry-too-long"),
        ({"severity": Severity.NUISANCE, "expires": "2027-10-01"}, "expiry-too-long"),
        ({"expires": "2026-11-21"}, "expired"),
    ],
    ids=str,
)
def test_a_report_with_one_fault_is_refused(changes: dict[str, Any], code: str) -> None:
    refuse_report(signed(report(**changes), "rose-a"), code)


def test_a_report_counts_through_its_last_day() -> None:
    envelope = signed(report(expires="2026-11-22"), "rose-a")
    assert trust.open_report(envelope, FIRST, today=TODAY).expires == "2026-11-22"
    refuse_report(envelope, "expired", TODAY + timedelta(days=1))


def test_a_clock_may_be_a_day_ahead() -> None:
    envelope = signed(report(issued="2026-12-01", month="2026-12"), "rose-a")
    last = date(2026, 11, 30)
    assert trust.open_report(envelope, FIRST, today=last).month == "2026-12"
    refuse_report(envelope, "future-dated", last - timedelta(days=1))


def test_a_report_may_be_of_an_earlier_epoch_where_that_is_asked_for() -> None:
    second = identity(epoch=2)
    for epoch in (1, 2):
        envelope = signed(report(epoch=epoch), "rose-a")
        opened = trust.open_report(envelope, second, today=TODAY, earlier_epochs=True)
        assert opened.epoch == epoch
    for epoch, earlier in ((1, False), (3, True)):
        envelope = signed(report(epoch=epoch), "rose-a")
        with pytest.raises(InvalidInput) as caught:
            trust.open_report(envelope, second, today=TODAY, earlier_epochs=earlier)
        assert str(caught.value) == "wrong-epoch"


def test_an_unknown_type_is_unsupported() -> None:
    envelope = signed(report(), "rose-a")
    unknown = envelope.model_copy(update={"payload_type": "application/vnd.parasol.x.v1+json"})
    refuse_report(unknown, "unsupported")


def test_a_retract_is_no_report() -> None:
    refuse_report(signed(retract(), "rose-a"), "malformed")


def test_a_malformed_report_is_refused() -> None:
    envelope = signed(report(), "rose-a")
    refuse_report(envelope.model_copy(update={"payload": envelope.payload + b" "}), "malformed")


def test_a_good_retract_is_opened() -> None:
    assert trust.open_retract(signed(retract(), "rose-a"), FIRST, today=TODAY) == retract()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"origin": "beta.example"}, "foreign-origin"),
        ({"collective": "lily"}, "unknown-key"),
        ({"issued": "2026-11-24"}, "future-dated"),
    ],
    ids=str,
)
def test_a_retract_with_one_fault_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.open_retract(signed(retract(**changes), "rose-a"), FIRST, today=TODAY)
    assert str(caught.value) == code


@pytest.mark.parametrize(
    ("month", "severity", "last"),
    [
        ("2026-09", Severity.DANGER, date(2031, 9, 30)),
        ("2026-02", Severity.RISK, date(2028, 2, 29)),
        ("2024-02", Severity.NUISANCE, date(2025, 2, 28)),
    ],
)
def test_a_report_ends_with_its_month_years_later(
    month: str, severity: Severity, last: date
) -> None:
    assert trust.latest_expiry(month, severity) == last


@given(day=st.dates(date(2000, 1, 1), date(2100, 1, 1)), severity=st.sampled_from(Severity))
def test_the_last_day_is_the_last_of_the_incident_month(day: date, severity: Severity) -> None:
    last = trust.latest_expiry(str(day)[:7], severity)
    assert (last + timedelta(days=1)).day == 1
    assert (last.year - day.year, last.month) == (trust.YEARS[severity], day.month)


# What the log says itself

ERASE = Erase(
    origin="alpha.example",
    rid="00" * 16,
    targets=(bytes(32),),
    reason=EraseReason.LEGAL,
    issued="2026-11-22",
)
KEYS = Keys(
    origin="alpha.example",
    rid="00" * 16,
    identity_version=1,
    identity_sha256=sha256(FIRST.encode()).digest(),
    issued="2026-11-22",
)
CLOSE = Close(origin="alpha.example", rid="00" * 16, issued="2026-11-22")
CHECKPOINT = Checkpoint(
    origin="alpha.example",
    log="alpha.example:1",
    size=4,
    root=bytes(32),
    issued="2026-11-22T12:00:00Z",
)
LOG_DOCUMENTS = [ERASE, KEYS, CLOSE, CHECKPOINT]


def opened_by_log(envelope: Envelope) -> Document:
    if envelope.payload_type == Checkpoint.payload_type:
        return trust.open_checkpoint(envelope, FIRST.log_key)
    return trust.open_log_entry(envelope, FIRST)


def refuse_by_log(envelope: Envelope, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        opened_by_log(envelope)
    assert str(caught.value) == code


@pytest.mark.parametrize("document", LOG_DOCUMENTS, ids=lambda one: type(one).__name__)
def test_the_log_key_alone_speaks_for_the_log(document: Document) -> None:
    envelope = signed(document, "log")
    assert opened_by_log(envelope) == document
    for name in ("rose-a", "root", "http", "mallory"):
        refuse_by_log(signed(document, name), "unknown-key")
    for names in (("log", "log"), ("log", "root"), ("rose-a", "log")):
        refuse_by_log(signed(document, *names), "malformed")


@pytest.mark.parametrize("document", LOG_DOCUMENTS, ids=lambda one: type(one).__name__)
def test_what_the_log_says_is_signed_as_it_is(document: Document) -> None:
    envelope = signed(document, "log")
    refuse_by_log(envelope.model_copy(update={"payload": envelope.payload + b" "}), "malformed")
    issued = "2026-11-21T12:00:00Z" if isinstance(document, Checkpoint) else "2026-11-21"
    other = document.model_copy(update={"issued": issued})
    refuse_by_log(envelope.model_copy(update={"payload": other.encode()}), "bad-signature")


@pytest.mark.parametrize("document", [ERASE, KEYS, CLOSE], ids=lambda one: type(one).__name__)
def test_a_log_says_nothing_for_another_origin(document: Document) -> None:
    foreign = document.model_copy(update={"origin": "beta.example"})
    refuse_by_log(signed(foreign, "log"), "foreign-origin")


@pytest.mark.parametrize("document", [FIRST, CHECKPOINT, report(), retract()], ids=type)
def test_what_is_no_entry_of_the_log_itself_is_unsupported(document: Document) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.open_log_entry(signed(document, "log"), FIRST)
    assert str(caught.value) == "unsupported"


def test_what_is_no_checkpoint_is_malformed() -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.open_checkpoint(signed(KEYS, "log"), FIRST.log_key)
    assert str(caught.value) == "malformed"


def test_the_log_of_the_vectors_is_accepted() -> None:
    known = Identity.decode(VECTORS["identity"]["payload_text"].encode())
    announced = trust.open_log_entry(
        Envelope.model_validate(VECTORS["entries"][0]["envelope"]), known
    )
    assert isinstance(announced, Keys)
    assert announced.identity_sha256 == sha256(known.encode()).digest()
    head = trust.open_checkpoint(
        Envelope.model_validate(VECTORS["checkpoint"]["envelope"]), known.log_key
    )
    assert head.size == len(VECTORS["entries"])


@pytest.mark.parametrize(
    "age", [timedelta(days=7), timedelta(0), -timedelta(minutes=5)], ids=["oldest", "now", "ahead"]
)
def test_a_recent_checkpoint_can_be_the_head(age: timedelta) -> None:
    trust.check_head(CHECKPOINT, log="alpha.example:1", now=NOW + age)


@pytest.mark.parametrize(
    ("log", "age", "code"),
    [
        ("alpha.example:2", timedelta(0), "wrong-log"),
        ("beta.example:1", timedelta(0), "wrong-log"),
        ("alpha.example:1", timedelta(days=7, seconds=1), "stale-head"),
        ("alpha.example:1", -timedelta(minutes=5, seconds=1), "clock-skew"),
    ],
)
def test_a_checkpoint_that_cannot_be_the_head_is_refused(
    log: str, age: timedelta, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        trust.check_head(CHECKPOINT, log=log, now=NOW + age)
    assert str(caught.value) == code
