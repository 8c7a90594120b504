"""Promises about a change of the network key: nothing is lost, and nothing mixed."""

import secrets
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.crypto.buckets import bucket_word
from api.crypto.oprf import public_key as network_key
from api.crypto.ristretto import Scalar, element, multiply, scalar_from_uniform, scalar_mul
from api.errors import Conflict, Refusal, StaleEpoch, Unavailable
from api.keyring import KeyFileError, Keyring, read_key
from api.parts import Parts
from api.services import rotation as work
from api.services.drafts import signed
from api.store.engine import Store
from api.trust import follow_chain, root_fingerprint
from schemas.base import Severity
from schemas.documents import Identity, ReportDocument, RetractReason
from schemas.documents import Status as Standing
from schemas.feed import Policy
from schemas.lookups import EvaluationRequest
from schemas.moderation import Dispute, Retraction
from schemas.reports import Status, Warn
from tests.e2e.conftest import eventually
from tests.factories import NETWORK, Clock, World, refused, submission
from tests.foreign import Partner
from tests.hostile import Sent, as_json, followed
from tests.pairs import befriend, copied, listening, pair

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def quiet(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def rotate(world: World, parts: Parts | None = None) -> Identity:
    """Change the network key, as the operator's command does."""
    rotation = (parts or world.parts).rotation
    delta = rotation.choose()
    rotation.convert(delta, quiet)
    return rotation.switch(signed(rotation.draft(delta), [read_key(world.root)]), delta)


def tokens(world: World) -> set[bytes]:
    with world.parts.store.read() as tx:
        return {
            one.token for row in tx.reports.all_published() for one in tx.reports.identifiers(row)
        }


def converted(world: World) -> int:
    with world.parts.store.read() as tx:
        return tx.conversion.done()


class StoppedError(Exception):
    """As if somebody had pressed Ctrl-C."""


# ---- What stays, and what changes ----


def test_every_number_gives_the_same_answer_under_the_next_key(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    partner = Partner(world, policy=Policy.AUTO)
    world.publish(member, moderators, 1, 2)
    world.publish(member, moderators, 3, severity=Severity.RISK)
    partner.report(2, 4)
    world.round()
    before = {number: world.look_up(number, member) for number in range(6)}
    old = tokens(world)
    identity = rotate(world)
    world.round()
    assert (identity.epoch, world.identity) == (2, identity)
    assert {number: world.look_up(number, member) for number in range(6)} == before
    assert before[2].reports.total == 2
    assert old.isdisjoint(tokens(world))
    assert world.token(1) in tokens(world)
    assert converted(world) == 0


def test_a_token_and_its_place_are_of_the_next_key(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    (before,) = tokens(world)
    rotate(world)
    ring = Keyring.load(world.settings.keys)
    (after,) = tokens(world)
    assert after == multiply(ring.delta(1), element(before)) == world.token(1)
    with world.parts.store.read() as tx:
        (row,) = tx.reports.identifiers(tx.reports.all_published()[0])
    assert row.word == bucket_word(after, NETWORK, 2)
    assert world.identity.public_key == network_key(ring.network_key(1, 2))
    assert ring.network_key(1, 2) == scalar_mul(Scalar(ring.epoch), ring.delta(1))


def test_an_open_report_can_be_approved_after_it(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    receipt = world.file(member, 1)
    rotate(world)
    item = world.item(moderators[0])
    assert (item.epoch, item.identifiers[0].token) == (2, world.token(1))
    world.approve(item, *moderators)
    world.round()
    assert world.status(receipt) is Status.PUBLISHED
    assert world.look_up(1, member).match


def test_an_unfinished_approval_starts_again(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.file(member, 1)
    first = world.item(moderators[0])
    assert world.approve(first, moderators[0]).status is Status.IN_REVIEW
    rotate(world)
    item = world.item(moderators[1])
    assert (item.envelope, item.approvals, item.needed) == (None, 0, 2)
    with refused("wrong-epoch"):
        world.approve(first, moderators[1])
    assert world.approve(item, *moderators).status is Status.APPROVED
    trail = [row["reason"] for row in world.rows("audit") if row["subject"] == item.id]
    assert "key changed" in trail


def test_what_was_approved_stays_as_it_was_signed(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.file(member, 1, severity=Severity.RISK)
    world.approve(world.item(moderators[0]), moderators[0])
    rotate(world)
    world.clock.pass_(hours=49)
    world.round()
    (item,) = world.queue(moderators[0], Status.PUBLISHED)
    assert item.envelope is not None
    assert ReportDocument.decode(item.envelope.payload).epoch == 1
    assert item.epoch == 2
    assert world.look_up(1, member).match


def test_a_first_retraction_still_counts_after_it(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    receipt = world.publish(member, moderators, 1)
    (item,) = world.queue(moderators[0], Status.PUBLISHED)
    document = world.retract_document(item, RetractReason.ERROR)

    def retract(*signers: Any) -> Any:
        retraction = Retraction(envelope=world.envelope(document, *signers))
        caller = world.caller(signers[-1])
        return world.parts.moderation.retract(item.id, retraction, caller)

    assert retract(moderators[0]).approvals == 1
    rotate(world)
    assert retract(*moderators).status is Status.REMOVED
    assert world.status(receipt) is Status.REMOVED
    world.round()
    assert not world.look_up(1, member).match


def test_a_disputed_report_is_approved_anew_in_the_next_epoch(world: World) -> None:
    moderators, member = world.collective("rose", 1), world.member("rose")
    world.publish(member, moderators, 1, warn=Warn.LOCAL)
    (item,) = world.queue(moderators[0], Status.PUBLISHED)
    caller = world.caller(moderators[0])
    world.parts.moderation.dispute(item.id, Dispute(), caller)
    rotate(world)
    world.parts.moderation.release(item.id, caller)
    again = world.item(moderators[0])
    assert (again.epoch, again.replaces is None) == (2, False)
    assert world.approve(again, *moderators).status is Status.APPROVED


def test_withdrawing_goes_on_working(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    receipt = world.publish(member, moderators, 1)
    rotate(world)
    assert world.withdraw(receipt) is Status.WITHDRAWN
    world.round()
    assert not world.look_up(1, member).match


def test_keys_can_change_again_and_again(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    first = world.token(1)
    for _ in range(3):
        rotate(world)
        world.round()
    assert world.look_up(1, member).match
    assert world.parts.instance.convert(first, 1, 4) == world.token(1)
    assert world.parts.instance.convert(first, 1, 1) == first
    envelopes = [
        world.parts.instance.envelope(version) for version in range(1, world.identity.version + 1)
    ]
    assert follow_chain(envelopes, root_sha256=root_fingerprint(world.identity.root)).epoch == 4
    keys = {
        one.epoch: one.public_key for one in map(Identity.decode, (e.payload for e in envelopes))
    }
    for epoch, key in keys.items():
        assert world.parts.instance.network_public_key(epoch) == key


def test_the_log_says_when_the_next_key_came(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    rotate(world)
    world.publish(member, moderators, 2, epoch=2)
    entries = world.rows("entry")
    kinds = [one["envelope"].split("vnd.parasol.")[1].split(".")[0] for one in entries]
    assert kinds == ["keys", "keys", "report", "keys", "report"]


# ---- Stopped, interrupted, overtaken ----


def test_a_stopped_conversion_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1, 2, 3, 4)
    world.publish(member, moderators, 5, 6, 7, 8)
    rotation = world.parts.rotation
    delta = rotation.choose()
    monkeypatch.setattr(work, "AT_ONCE", 2)

    def stop(done: int, _total: int) -> None:
        if done >= 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        rotation.convert(delta, stop)
    assert converted(world) == 4
    seen: list[tuple[int, int]] = []
    with world.another() as parts:
        assert parts.rotation.choose() == delta
        parts.rotation.convert(delta, lambda done, total: seen.append((done, total)))
    assert (seen[0], seen[-1]) == ((4, 8), (8, 8))
    rotate(world)
    world.round()
    assert all(world.look_up(number, member).match for number in range(1, 9))


def test_what_is_not_signed_changes_nothing(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    before, rows = tokens(world), world.dump()
    rotation = world.parts.rotation
    delta = rotation.choose()
    rotation.convert(delta, quiet)
    for envelope in (
        signed(rotation.draft(delta), [secrets.token_bytes(32)]),
        signed(world.identities.draft(), [read_key(world.root)]),
        signed(
            rotation.draft(scalar_from_uniform(bytes(64 - 1) + b"\x01")), [read_key(world.root)]
        ),
    ):
        with refused("identity-refused"):
            rotation.switch(envelope, delta)
    assert (tokens(world), world.dump()) == (before, rows)
    assert world.look_up(1, member).match
    assert converted(world) == 1


def test_a_report_that_arrives_in_between_is_converted_too(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    partner = Partner(world, policy=Policy.AUTO)
    world.publish(member, moderators, 1)
    rotation = world.parts.rotation
    delta = rotation.choose()
    rotation.convert(delta, quiet)
    world.publish(member, moderators, 2)
    world.file(member, 3)
    partner.report(4)
    rotation.switch(signed(rotation.draft(delta), [read_key(world.root)]), delta)
    world.round()
    assert [world.look_up(number, member).match for number in (1, 2, 3, 4)] == [
        True, True, False, True,
    ]  # fmt: skip
    assert world.item(moderators[0]).identifiers[0].token == world.token(3)


def test_a_report_that_ended_in_between_leaves_nothing(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    receipt = world.publish(member, moderators, 1)
    rotation = world.parts.rotation
    rotation.convert(rotation.choose(), quiet)
    assert converted(world) == 1
    world.withdraw(receipt)
    assert converted(world) == 0


def test_another_delta_begins_anew(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    rotation = world.parts.rotation
    rotation.convert(rotation.choose(), quiet)
    given = scalar_from_uniform(secrets.token_bytes(64))
    with pytest.raises(KeyFileError):
        rotation.choose(given)
    (world.settings.keys / "delta-1.key").unlink()
    assert rotation.choose(given) == given
    rotation.convert(given, quiet)
    rotation.switch(signed(rotation.draft(given), [read_key(world.root)]), given)
    world.round()
    assert world.look_up(1, member).match


def test_moderators_who_came_meanwhile_keep_it_from_nothing(world: World) -> None:
    world.collective("rose")
    rotation = world.parts.rotation
    delta = rotation.choose()
    draft = rotation.draft(delta)
    late = world.join("rose")
    rotation.switch(signed(draft, [read_key(world.root)]), delta)
    assert world.sign_identity().epoch == 2
    assert late.kid


def test_an_ending_in_between_is_not_signed_over(world: World) -> None:
    world.collective("rose")
    rotation = world.parts.rotation
    delta = rotation.choose()
    draft = rotation.draft(delta)
    world.identities.end_moderator(draft.collectives[0].moderators[0].id, Standing.REVOKED)
    with pytest.raises(Conflict):
        rotation.switch(signed(draft, [read_key(world.root)]), delta)
    assert world.identity.epoch == 1


def test_reports_filed_during_the_change_are_in_one_epoch_or_refused(world: World) -> None:
    """Eight members file while the key changes: each report can be approved, or was refused."""
    moderators = world.collective("rose")
    members = [world.member("rose") for _ in range(8)]
    rotation = world.parts.rotation
    delta = rotation.choose()
    envelope = signed(rotation.draft(delta), [read_key(world.root)])

    def file(number: int) -> str:
        try:
            return world.file(members[number % 8], number)
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(9) as pool:
        first = [pool.submit(file, number) for number in range(24)]
        change = pool.submit(rotation.switch, envelope, delta)
        later = [pool.submit(file, number) for number in range(24, 48)]
        outcomes = [one.result() for one in (*first, *later)]
        assert change.result().epoch == 2
    filed = [n for n, code in enumerate(outcomes) if code.isdecimal()]
    assert {code for code in outcomes if not code.isdecimal()} <= {"stale-epoch", "unavailable"}
    items = world.queue(moderators[0])
    assert {item.epoch for item in items} <= {2}
    assert {item.identifiers[0].token for item in items} == {world.token(n) for n in filed}


def test_several_epochs_can_be_passed_at_once(world: World) -> None:
    """As after a restore, of an instance whose partners have seen it go on."""
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    (before,) = tokens(world)
    factor = scalar_from_uniform(secrets.token_bytes(64))
    token = multiply(factor, element(before))

    def pass_and_stop() -> None:
        with world.parts.store.begin() as tx:
            tx.collectives.hold_identity(alone=True)
            work.carry_over(tx, NETWORK, 4, factor, world.clock.now)
            (report,) = tx.reports.all_published()
            (row,) = tx.reports.identifiers(report)
            assert (row.token, row.word) == (token, bucket_word(token, NETWORK, 4))
            raise StoppedError

    with pytest.raises(StoppedError):
        pass_and_stop()
    assert tokens(world) == {before}


def test_a_change_that_is_done_is_not_called_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the operator would do it again, and change the key twice."""
    world.collective("rose")

    def full(_: Store) -> None:
        raise Unavailable

    monkeypatch.setattr(Store, "tidy", full)
    assert rotate(world).epoch == 2


# ---- In the middle of a sync ----


def test_a_partners_log_is_read_to_its_end_though_our_key_changes_meanwhile(world: World) -> None:
    """Some pages are of before the change, some of after: none is lost, or in the former key."""
    world.collective("rose")
    member = world.member("rose")
    with followed(world) as peer:
        last, asked = peer.report(41), list[str]()
        peer.append(*[peer.report(number) for number in range(1, 41)])

        def page(query: dict[str, str]) -> Sent:
            asked.append(query["from"])
            if len(asked) == 3:
                rotate(world)
            return Sent(as_json(peer.page(int(query["from"]), 8)))

        peer.answers["/entries"] = page
        assert peer.sync().code is None
        assert len(asked) > 5
        assert (world.identity.epoch, peer.counted) == (2, 40)
        world.round()
        assert {b64decode(one["token"]) for one in world.rows("foreign_identifier")} == {
            world.token(n) for n in range(1, 41)
        }
        assert all(world.look_up(number, member).match for number in (1, 20, 40))
        peer.answers.clear()
        peer.taken(last)
        world.round()
        assert world.look_up(41, member).match


def test_a_partner_that_changes_its_key_meanwhile_is_waited_for_and_nothing_is_lost(
    database_url: str, sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says in the next epoch is read when we were given what leads there."""
    other_url, clock = copied(sqlite_template, tmp_path), Clock()
    with pair(tmp_path, other_url, database_url, clock) as (alpha, beta), listening(alpha, beta):
        moderators, member = alpha.collective("rose"), alpha.member("rose")
        beta.collective("lily")
        reader, true, asked = beta.member("lily"), beta.parts.remote.get, list[str]()
        befriend(alpha, beta)

        def publish(number: int, epoch: int) -> None:
            receipt = alpha.file(member, number, epoch=epoch)
            alpha.approve(alpha.item(moderators[0]), *moderators)
            eventually(lambda: alpha.status(receipt) is Status.PUBLISHED)  # by its server

        publish(1, 1)

        def get(url: str, **rest: Any) -> bytes:
            if "/entries" in url and not asked:
                asked.append(url)
                rotate(alpha)
                publish(2, 2)
            return true(url, **rest)

        with monkeypatch.context() as patch:
            patch.setattr(beta.parts.remote, "get", get)
            assert beta.parts.following.sync(alpha.origin).code == "wrong-epoch"
        (before,) = beta.parts.partners.all()
        assert (before.state, before.refused) == ("following", {})
        delta = beta.parts.rotation.take(alpha.shared())
        beta.parts.rotation.switch(
            signed(beta.parts.rotation.draft(delta), [read_key(beta.root)]), delta
        )
        beta.round()  # which serves the next epoch
        assert beta.parts.following.sync(alpha.origin).code is None
        (after,) = beta.parts.partners.all()
        assert (after.counted, after.refused) == (2, {})

        def found() -> list[bool]:
            beta.round()  # what its server has sealed is read
            return [beta.look_up(number, reader).match for number in (1, 2, 3)]

        eventually(lambda: found() == [True, True, False])


# ---- What is served meanwhile ----


def test_a_process_goes_over_at_one_stroke(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    with world.another() as server:
        server.round()
        before = server.instance.serving
        rotate(world)
        # Neither its key nor its list nor its identity has moved.
        assert server.instance.serving is before
        assert server.lookups.network().epoch == 1
        assert server.lookups.bucket(1, 0, 0).file
        server.round()
        after = server.instance.serving
        assert (after.held.identity.epoch, after.fresh(world.clock.now).epoch) == (2, 2)
        assert after.held.evaluator.public_key == server.lookups.network().public_key
        with pytest.raises(StaleEpoch) as stale:
            server.lookups.bucket(1, 0, 0)
        assert stale.value.members["epoch"] == 2
        point = element(world.token(1))
        with pytest.raises(StaleEpoch):
            server.lookups.evaluate(EvaluationRequest(epoch=1, elements=[point]), member)
        answer = server.lookups.evaluate(EvaluationRequest(epoch=2, elements=[point]), member)
        assert answer.epoch == 2


def test_whoever_is_told_of_the_next_epoch_can_go_on_in_it_at_once(world: World) -> None:
    """A client retries once: the process that refuses it must not serve the old epoch then."""
    world.collective("rose")
    member = world.member("rose")
    with world.another() as server:
        server.round()
        rotate(world)
        report = submission(5)
        with refused("stale-epoch"):
            server.reports.submit(report, b"1", member)
        assert server.instance.identity.epoch == 2
        assert Identity.decode(server.instance.envelope(None).payload).epoch == 2
        assert server.lookups.network().epoch == 2
        again = submission(5, epoch=2)
        assert server.reports.submit(again, b"2", member).receipt


def test_a_transaction_that_sees_the_next_epoch_has_its_key(world: World) -> None:
    world.collective("rose")
    with world.another() as server:
        server.round()
        rotate(world)
        with server.store.read() as tx:
            held = server.instance.held(tx)
        assert held.identity.epoch == 2
        assert held.evaluator.public_key == held.identity.public_key


def test_without_its_delta_a_process_serves_what_it_has(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    with world.another() as server:
        server.round()
        rotate(world)
        key = world.settings.keys / "delta-1.key"
        held = key.read_text()
        key.unlink()
        with pytest.raises(KeyFileError):
            server.round()
        assert server.lookups.network().epoch == 1
        with pytest.raises(KeyFileError):
            Parts(world.settings, world.clock)
        key.write_text(held)
        key.chmod(0o600)
        server.round()
        assert server.lookups.network().epoch == 2


@on_sqlite
def test_a_list_is_never_sealed_with_the_former_key_again(world: World) -> None:
    moderators, member = world.collective("rose"), world.member("rose")
    world.publish(member, moderators, 1)
    with world.another() as server:
        server.round()
        rotate(world)
        world.clock.pass_(hours=30)
        server.round()
        world.round()
        assert {
            one.instance.serving.fresh(world.clock.now).epoch for one in (server, world.parts)
        } == {2}
        assert world.look_up(1, member).match


def test_a_converted_token_needs_a_delta(world: World) -> None:
    with pytest.raises(KeyFileError):
        world.parts.instance.convert(world.token(1), 1, 2)
    with pytest.raises(Unavailable):
        world.parts.instance.serving.fresh(world.clock.now)
