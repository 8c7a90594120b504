"""Promises about two at once: what a colleague's signature is good for, and who comes second."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import pytest
from pydantic import SecretStr

from api.crypto.failures import InvalidInput
from api.errors import Refusal
from api.keyring import read_key
from api.services.drafts import signed
from api.store.engine import Store
from api.store.transaction import Transaction
from schemas.callers import JoinAnswer, JoinRequest, Role
from schemas.canonical import Document
from schemas.documents import Envelope, RetractReason
from schemas.documents import Status as Standing
from schemas.moderation import (
    Approval,
    ApprovalAnswer,
    Dispute,
    QueueItem,
    Rejection,
    RejectReason,
    Retraction,
)
from schemas.reports import Status
from tests.factories import Moderator, World, refused

RACES = range(10)
"""A race that is lost only now and then is run more than once."""
BLOCKED = 0.3
"""Seconds after which whoever has not come back is taken to wait for somebody else's lock."""

Call = Callable[[], Any]


# ---- A request adds the signature of whoever sends it ----


@dataclass(frozen=True)
class Proposal:
    """A danger report with two of three moderators needed for `kind`, and what they would sign."""

    world: World
    kind: str
    item: QueueItem
    document: Document
    moderators: list[Moderator]

    def send(self, sender: Moderator, *signing: Moderator) -> ApprovalAnswer:
        """Send the document, signed by `signing`, as `sender`."""
        return self.send_envelope(sender, self.world.envelope(self.document, *signing))

    def send_envelope(self, sender: Moderator, envelope: Envelope) -> ApprovalAnswer:
        moderation, caller = self.world.parts.moderation, self.world.caller(sender)
        match self.kind:
            case "approve":
                return moderation.approve(self.item.id, Approval(envelope=envelope), caller)
            case "retract":
                return moderation.retract(self.item.id, Retraction(envelope=envelope), caller)
            case _:
                return moderation.dispute(self.item.id, Dispute(envelope=envelope), caller)

    def refuse(self, sender: Moderator, *signing: Moderator) -> None:
        """Expect the document, signed by `signing`, to be refused, and nothing to be changed."""
        before = self.world.dump()
        with pytest.raises((Refusal, InvalidInput)) as caught:
            self.send(sender, *signing)
        assert isinstance(caught.value, Refusal | InvalidInput)
        assert caught.value.code in {"too-few-signatures", "conflict"}
        assert self.world.dump() == before

    def release(self) -> None:
        self.world.parts.moderation.release(self.item.id, self.world.caller(self.moderators[0]))


DECIDED = {
    "approve": Status.APPROVED,
    "retract": Status.REMOVED,
    "dispute": Status.DISPUTED,
}
REASONS = {"retract": RetractReason.ERROR, "dispute": RetractReason.DISPUTED}


@pytest.fixture(params=DECIDED)
def proposal(world: World, request: pytest.FixtureRequest) -> Proposal:
    moderators, member = world.collective("rose", 3), world.member("rose")
    if request.param == "approve":
        world.file(member, 113)
        item = world.item(moderators[0])
        return Proposal(world, "approve", item, world.document(item, "rose"), moderators)
    world.publish(member, moderators, 113)
    (item,) = world.queue(moderators[0], Status.PUBLISHED)
    document = world.retract_document(item, REASONS[request.param])
    return Proposal(world, request.param, item, document, moderators)


def test_nobody_sends_a_colleagues_signature_that_she_has_not_sent_herself(
    proposal: Proposal,
) -> None:
    first, second, third = proposal.moderators
    proposal.refuse(first, first, second)
    proposal.refuse(first, first, second, third)
    assert proposal.send(first, first).approvals == 1


def test_a_second_signature_brings_no_third_that_was_not_sent(proposal: Proposal) -> None:
    first, second, third = proposal.moderators
    proposal.send(first, first)
    proposal.refuse(second, second, third)
    proposal.refuse(second, first, second, third)
    proposal.refuse(third, first, second)
    assert proposal.send(second, second).status is DECIDED[proposal.kind]


@pytest.mark.parametrize("with_the_first", [False, True])
def test_the_second_moderator_may_send_the_first_ones_signature_along_or_not(
    proposal: Proposal, *, with_the_first: bool
) -> None:
    first, second, _ = proposal.moderators
    assert proposal.send(first, first).approvals == 1
    signing = (first, second) if with_the_first else (second,)
    answer = proposal.send(second, *signing)
    assert (answer.status, answer.approvals) == (DECIDED[proposal.kind], 2)


def test_a_signature_that_was_released_is_not_used_against_her_will(proposal: Proposal) -> None:
    first, second, third = proposal.moderators
    proposal.send(first, first)
    kept = proposal.world.envelope(proposal.document, first, second)
    proposal.release()
    before = proposal.world.dump()
    with pytest.raises((Refusal, InvalidInput)):
        proposal.send_envelope(second, kept)
    assert proposal.world.dump() == before
    assert proposal.send(second, second).approvals == 1
    proposal.refuse(third, first, second, third)
    proposal.refuse(third, first, third)
    assert proposal.send(first, first, second).status is DECIDED[proposal.kind]


def test_a_released_signature_does_not_count_beside_the_next_proposal(proposal: Proposal) -> None:
    first, second, third = proposal.moderators
    proposal.send(first, first)
    proposal.release()
    other = proposal.document.model_copy(update={"rid": secrets.token_hex(16)})
    later = Proposal(proposal.world, proposal.kind, proposal.item, other, proposal.moderators)
    assert later.send(third, third).approvals == 1
    proposal.refuse(second, first, second)
    assert later.send(second, second, third).status is DECIDED[proposal.kind]


@pytest.mark.parametrize("ended_by", ["retract", "withdraw", "reject"])
def test_what_two_signed_for_an_ended_report_is_not_enough_for_the_next_one(
    world: World, ended_by: str
) -> None:
    first, second = world.collective("rose")
    member = world.member("rose")
    receipt = world.file(member, 113)
    item = world.item(first)
    document = world.document(item, "rose")
    both = world.envelope(document, first, second)
    former = Proposal(world, "approve", item, document, [first, second])
    former.send(first, first)
    if ended_by == "reject":
        rejection = Rejection(reason=RejectReason.NOT_CREDIBLE)
        world.parts.moderation.reject(item.id, rejection, world.caller(second))
    else:
        former.send(second, first, second)
        world.round()
    if ended_by == "retract":
        (listed,) = world.queue(first, Status.PUBLISHED)
        retraction = world.retract_document(listed, RetractReason.ERROR)
        for one in (first, second):
            Proposal(world, "retract", listed, retraction, []).send(one, one)
    elif ended_by == "withdraw":
        world.withdraw(receipt)
    world.file(world.caller(second), 113)
    again = world.item(second)
    before = world.dump()
    with pytest.raises((Refusal, InvalidInput)):
        world.parts.moderation.approve(again.id, Approval(envelope=both), world.caller(second))
    assert world.dump() == before
    world.round()
    assert not world.look_up(113, member).match


# ---- Who is left alone ----


def end(world: World, moderator: Moderator, status: Standing) -> None:
    identifier = world.caller(moderator).moderator
    assert identifier is not None
    world.identities.end_moderator(identifier, status)
    world.sign_identity()


@pytest.mark.parametrize("standing", [Standing.ENDED, Standing.REVOKED])
def test_who_signed_first_and_is_left_alone_signs_again_and_that_is_enough(
    world: World, standing: Standing
) -> None:
    first, second = world.collective("rose")
    world.file(world.member("rose"), 113)
    item = world.item(first)
    document = world.document(item, "rose")
    approval = Approval(envelope=world.envelope(document, first))
    caller = world.caller(first)
    assert world.parts.moderation.approve(item.id, approval, caller).status is Status.IN_REVIEW
    end(world, second, standing)
    answer = world.parts.moderation.approve(item.id, approval, world.caller(first))
    assert (answer.status, answer.approvals, answer.needed) == (Status.APPROVED, 1, 1)
    world.round()
    assert world.look_up(113, caller).match


def test_who_is_left_alone_with_a_retraction_that_she_began_ends_it(world: World) -> None:
    first, second = world.collective("rose")
    world.publish(world.member("rose"), [first, second], 113)
    (item,) = world.queue(first, Status.PUBLISHED)
    document = world.retract_document(item, RetractReason.ERROR)
    proposal = Proposal(world, "retract", item, document, [first, second])
    assert proposal.send(first, first).status is Status.PUBLISHED
    end(world, second, Standing.ENDED)
    assert proposal.send(first, first).status is Status.REMOVED


# ---- Two at once ----


def outcome(call: Call) -> Any:
    """What `call` returned, or the code of its refusal."""
    try:
        return call()
    except (Refusal, InvalidInput) as refusal:
        return refusal.code


def race(*calls: Call) -> list[Any]:
    """Start all calls at once; return their outcomes."""
    line = threading.Barrier(len(calls))

    def run(call: Call) -> Any:
        line.wait(30)
        return outcome(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def interleaved(
    slow: Call, quick: Call, store: Store, monkeypatch: pytest.MonkeyPatch, *, at: int = 1
) -> list[Any]:
    """Let `slow` wait before it commits its transaction number `at`, and `quick` run meanwhile.

    `store` is the one that `slow` uses, and `quick` does not. Where `quick` waits for what `slow`
    holds, `slow` goes on first. Returns both outcomes.
    """
    began, held, go = store.begin, threading.Event(), threading.Event()
    number = count(1)

    @contextmanager
    def begin() -> Iterator[Transaction]:
        mine = next(number)
        with began() as tx:
            yield tx
            if mine == at:
                held.set()
                assert go.wait(30)

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(store, "begin", begin)
        first = pool.submit(outcome, slow)
        first.add_done_callback(lambda _: held.set())
        assert held.wait(30)
        second = pool.submit(outcome, quick)
        waited = threading.Event()
        second.add_done_callback(lambda _: waited.set())
        waited.wait(BLOCKED)
        go.set()
        return [first.result(30), second.result(30)]


def end_the_collective(world: World, _: str, moderator: Moderator) -> Call:
    return partial(world.identities.end_collective, moderator.collective, Standing.REVOKED)


def end_the_member(world: World, member: str, moderator: Moderator) -> Call:
    return partial(world.parts.callers.end_member, world.caller(moderator), member)


def end_all_members(world: World, _: str, moderator: Moderator) -> Call:
    return partial(world.parts.callers.revoke, moderator.collective, None)


Ending = Callable[[World, str, Moderator], Call]
every_ending = pytest.mark.parametrize(
    "ending", [end_the_collective, end_the_member, end_all_members]
)


def assert_nobody_joined(world: World, joined: Any) -> None:
    with world.parts.store.read() as tx:
        assert tx.callers.counts().get("member", 0) == 0
    assert isinstance(joined, JoinAnswer) or joined == "not-found"
    if isinstance(joined, JoinAnswer):
        with refused("unauthenticated"):
            world.parts.callers.recognise(joined.token)


@every_ending
def test_whoever_joins_while_she_is_ended_is_not_left_with_a_token(
    world: World, ending: Ending
) -> None:
    for number in RACES:
        name = f"rose{number}"
        (moderator,) = world.collective(name, 1)
        invited = world.parts.callers.invite(name, Role.MEMBER, 1).invitations[0]
        request = JoinRequest(code=SecretStr(invited.code))
        join = partial(world.parts.callers.redeem, request)
        joined, _ = race(join, ending(world, invited.id, moderator))
        assert_nobody_joined(world, joined)


@every_ending
@pytest.mark.parametrize("slow", ["join", "end"])
def test_an_end_waits_for_who_is_joining_and_she_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch, ending: Ending, slow: str
) -> None:
    (moderator,) = world.collective("rose", 1)
    invited = world.parts.callers.invite("rose", Role.MEMBER, 1).invitations[0]
    request = JoinRequest(code=SecretStr(invited.code))
    end = ending(world, invited.id, moderator)
    with world.another() as other:
        join = partial(other.callers.redeem, request)
        if slow == "join":
            joined, ended = interleaved(join, end, other.store, monkeypatch)
        else:
            ended, joined = interleaved(end, join, world.parts.store, monkeypatch)
    assert_nobody_joined(world, joined)
    assert ended != "unavailable"


@pytest.mark.parametrize("status", [Standing.ENDED, Standing.REVOKED])
def test_a_code_that_outlived_its_collective_is_not_found(world: World, status: Standing) -> None:
    world.collective("rose", 1)
    invited = world.parts.callers.invite("rose", Role.MEMBER, 1).invitations[0]
    with world.parts.store.begin() as tx:
        assert tx.collectives.set_status("rose", Standing.ACTIVE, status)
    with refused("not-found"):
        world.parts.callers.redeem(JoinRequest(code=SecretStr(invited.code)))
    assert_nobody_joined(world, "not-found")


@dataclass(frozen=True)
class Revocation:
    """An approved report, due at once, one of whose two signers is about to be revoked."""

    world: World
    receipt: str
    reader: Moderator
    envelope: Envelope

    @classmethod
    def of(cls, world: World, collective: str, number: int) -> "Revocation":
        first, second, third = world.collective(collective, 3)
        receipt = world.file(world.member(collective), number)
        world.approve(world.item(first), first, second)
        revoked = world.caller(second).moderator
        assert revoked is not None
        world.identities.end_moderator(revoked, Standing.REVOKED)
        envelope = signed(world.identities.draft(), [read_key(world.root)])
        return cls(world, receipt, third, envelope)

    def check(self, number: int) -> None:
        self.world.parts.callers.forget_all()
        self.world.round()
        assert self.world.status(self.receipt) is Status.IN_REVIEW
        assert not self.world.look_up(number, self.world.caller(self.reader)).match


def test_nothing_is_published_under_a_key_that_is_revoked_at_that_moment(world: World) -> None:
    world.round()
    for number in RACES:
        revocation = Revocation.of(world, f"rose{number}", number)
        accept = partial(world.identities.accept, revocation.envelope)
        _, accepted = race(world.parts.timekeeper.run_once, accept)
        assert not isinstance(accepted, str)
        revocation.check(number)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_revocation_while_a_round_goes_on_holds_what_the_round_publishes(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    revocation = Revocation.of(world, "rose", 113)
    with world.another() as other:
        accept = partial(other.identities.accept, revocation.envelope)
        keep = world.parts.timekeeper.run_once
        done, accepted = interleaved(keep, accept, world.parts.store, monkeypatch, at=at)
    assert not isinstance(accepted, str)
    assert not isinstance(done, str)
    revocation.check(113)


def test_a_round_while_a_revocation_goes_on_publishes_nothing_that_it_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    revocation = Revocation.of(world, "rose", 113)
    with world.another() as other:
        accept = partial(other.identities.accept, revocation.envelope)
        keep = world.parts.timekeeper.run_once
        accepted, done = interleaved(accept, keep, other.store, monkeypatch)
    assert not isinstance(accepted, str)
    assert not isinstance(done, str)
    revocation.check(113)
