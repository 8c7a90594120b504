import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from nacl.public import PrivateKey
from pydantic import SecretStr

from api.crypto.envelopes import public_key, sign_bytes
from api.crypto.joining import prove_join
from api.errors import RateLimited, Unauthenticated
from api.settings import Settings
from schemas.callers import Caller, JoinAnswer, JoinKeys, JoinRequest, Role
from schemas.documents import Status as Standing
from schemas.lookups import EvaluationRequest, LookupQuery
from tests.factories import Moderator, World, awaited, phone, refused

MakeWorld = Callable[..., World]


def code_for(world: World, role: Role, collective: str = "rose") -> str:
    return world.parts.callers.invite(collective, role, 1).invitations[0].code


def redeem(world: World, code: str, keys: JoinKeys | None = None) -> JoinAnswer:
    return world.parts.callers.redeem(JoinRequest(code=SecretStr(code), keys=keys))


def keys_for(code: str, seed: bytes | None = None, box: bytes | None = None) -> JoinKeys:
    seed = seed or secrets.token_bytes(32)
    box = box or bytes(PrivateKey.generate().public_key)
    return JoinKeys(sign=public_key(seed), box=box, proof=prove_join(seed, code, box))


# ---- Invitations ----


def test_a_code_becomes_a_token_once(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MEMBER)
    answer = redeem(world, code)
    assert (answer.role, answer.collective) == (Role.MEMBER, "rose")
    assert answer.token.startswith("psl_m_")
    with refused("not-found"):
        redeem(world, code)
    assert world.rows("invitation") == []


def test_a_moderators_token_tells_her_role(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MODERATOR)
    answer = redeem(world, code, keys_for(code))
    assert answer.role is Role.MODERATOR
    assert answer.token.startswith("psl_d_")


def test_neither_code_nor_token_is_stored(world: World) -> None:
    world.collective("rose", 1)
    unused, used = code_for(world, Role.MEMBER), code_for(world, Role.MEMBER)
    token = redeem(world, used).token
    text = json.dumps(world.dump())
    assert not [one for one in (unused, used, token, token[6:]) if one in text]


def test_a_code_is_good_for_7_days(world: World) -> None:
    world.collective("rose", 1)
    early, late = code_for(world, Role.MEMBER), code_for(world, Role.MEMBER)
    world.clock.pass_(days=7, seconds=-1)
    redeem(world, early)
    world.clock.pass_(seconds=1)
    with refused("not-found"):
        redeem(world, late)


def test_a_wrong_code_is_not_found(world: World) -> None:
    world.collective("rose", 1)
    code_for(world, Role.MEMBER)
    with refused("not-found"):
        redeem(world, "A" * 43)


def test_wrong_codes_however_many_keep_nobody_from_joining(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MEMBER)
    for number in range(130):
        with refused("not-found"):
            redeem(world, f"{number:043}")
    assert redeem(world, code).role is Role.MEMBER


def test_a_wrong_code_waits_for_nobody_who_writes(world: World) -> None:
    world.collective("rose", 1)
    with ThreadPoolExecutor(1) as pool, world.parts.store.begin() as tx:
        # SQLite has one place for those who write, and with its first statement this has it.
        assert tx.collectives.status("rose") == Standing.ACTIVE
        answer = pool.submit(redeem, world, "A" * 43)
        with refused("not-found"):
            answer.result(timeout=5)


def test_a_members_code_with_keys_is_refused_and_stays_usable(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MEMBER)
    with refused("invalid-request"):
        redeem(world, code, keys_for(code))
    assert redeem(world, code).role is Role.MEMBER


def test_a_moderators_code_without_keys_is_refused_and_stays_usable(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MODERATOR)
    with refused("invalid-request"):
        redeem(world, code)
    assert redeem(world, code, keys_for(code)).role is Role.MODERATOR


def test_a_proof_over_another_code_is_refused_and_the_code_stays_usable(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MODERATOR)
    with refused("bad-signature"):
        redeem(world, code, keys_for("A" * 43))
    assert redeem(world, code, keys_for(code)).role is Role.MODERATOR


def test_a_proof_over_another_box_key_is_refused(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MODERATOR)
    other = bytes(PrivateKey.generate().public_key)
    with refused("bad-signature"):
        redeem(world, code, keys_for(code).model_copy(update={"box": other}))


def test_a_proof_is_the_signature_of_section_5(world: World) -> None:
    world.collective("rose", 1)
    code, seed = code_for(world, Role.MODERATOR), secrets.token_bytes(32)
    sign, box = public_key(seed), bytes(PrivateKey.generate().public_key)
    proof = sign_bytes(seed, b"parasol/v1\0join\0" + code.encode() + b"\0" + sign + box)
    assert redeem(world, code, JoinKeys(sign=sign, box=box, proof=proof)).token


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("which", ["sign", "box", "sign as box"])
def test_a_key_belongs_to_one_moderator_for_ever(world: World, which: str, *, ended: bool) -> None:
    first, _ = world.collective("rose")
    world.collective("lily", 1)
    if ended:
        moderator = world.caller(first).moderator
        assert moderator is not None
        world.identities.end_moderator(moderator, Standing.ENDED)
        world.sign_identity()
    code = code_for(world, Role.MODERATOR, "lily")
    keys = {
        "sign": keys_for(code, seed=first.seed),
        "box": keys_for(code, box=bytes(first.box.public_key)),
        "sign as box": keys_for(code, box=public_key(first.seed)),
    }[which]
    with refused("conflict"):
        redeem(world, code, keys)
    assert redeem(world, code, keys_for(code)).collective == "lily"


def test_one_key_for_both_uses_is_refused(world: World) -> None:
    world.collective("rose", 1)
    code, seed = code_for(world, Role.MODERATOR), secrets.token_bytes(32)
    with refused("conflict"):
        redeem(world, code, keys_for(code, seed, box=public_key(seed)))


def test_a_key_of_the_instance_is_refused_so_that_the_next_identity_can_be_signed(
    world: World,
) -> None:
    world.collective("rose", 1)
    identity = world.identity
    for taken in (identity.root.keys[0], identity.log_key, identity.http_keys[0]):
        code = code_for(world, Role.MODERATOR)
        with refused("conflict"):
            redeem(world, code, keys_for(code, box=taken))
    world.sign_identity()


def test_a_collective_that_has_ended_invites_nobody(world: World) -> None:
    world.collective("rose", 1)
    code = code_for(world, Role.MEMBER)
    world.identities.end_collective("rose", Standing.ENDED)
    with refused("not-found"):
        redeem(world, code)
    with refused("not-found"):
        code_for(world, Role.MEMBER)


def test_an_unknown_collective_invites_nobody(world: World) -> None:
    with refused("not-found"):
        code_for(world, Role.MEMBER)


# ---- Recognition ----


def test_a_token_is_recognised_as_its_exact_text_only(world: World) -> None:
    world.collective("rose", 1)
    bearer = world.member("rose").bearer.get_secret_value()
    assert world.parts.callers.recognise(bearer).collective == "rose"
    for wrong in (bearer.swapcase(), f"{bearer} ", bearer[:-1], "", f"psl_d_{bearer[6:]}"):
        with refused("unauthenticated"):
            world.parts.callers.recognise(wrong)


def test_a_moderator_whom_no_identity_announces_yet_is_a_member(world: World) -> None:
    world.collective("rose", 1)
    pending = world.join("rose")
    caller = world.caller(pending)
    assert (caller.role, caller.moderator) == (Role.MEMBER, None)
    world.sign_identity()
    caller = world.caller(pending)
    assert caller.role is Role.MODERATOR
    assert caller.moderator is not None


def test_a_moderator_whom_the_identity_no_longer_lists_as_active_is_not_recognised(
    world: World,
) -> None:
    first, _ = world.collective("rose")
    moderator = world.caller(first).moderator
    assert moderator is not None
    world.identities.end_moderator(moderator, Standing.REVOKED)
    with refused("unauthenticated"):
        world.caller(first)


def test_a_member_may_not_end_members(world: World) -> None:
    world.collective("rose", 1)
    member, other = world.member("rose"), world.member("rose")
    with refused("forbidden"):
        world.parts.callers.end_member(member, other.member)


# ---- The end of a token ----


def is_known(world: World, caller: Caller) -> bool:
    try:
        world.parts.callers.recognise(caller.bearer.get_secret_value())
    except Unauthenticated:
        return False
    return True


def test_who_leaves_is_no_longer_known_nor_remembered(world: World) -> None:
    world.collective("rose", 1)
    member, other = world.member("rose"), world.member("rose")
    world.parts.callers.leave(member)
    assert world.parts.callers.remembered(member.bearer.get_secret_value()) is None
    assert (is_known(world, member), is_known(world, other)) == (False, True)


def test_the_operator_ends_one_member(world: World) -> None:
    world.collective("rose", 1)
    member, other = world.member("rose"), world.member("rose")
    assert world.parts.callers.revoke("rose", member.member) == 1
    assert (is_known(world, member), is_known(world, other)) == (False, True)


def test_the_operator_ends_all_of_one_collective(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    world.collective("lily", 1)
    rose, lily = world.member("rose"), world.member("lily")
    code = code_for(world, Role.MEMBER)
    caller = world.caller(moderator)
    assert world.parts.callers.revoke("rose", None) == 3
    assert [is_known(world, one) for one in (rose, caller, lily)] == [False, False, True]
    with refused("not-found"):
        redeem(world, code)


def test_the_operator_ends_nobody_under_another_collectives_name(world: World) -> None:
    world.collective("rose", 1)
    world.collective("lily", 1)
    member = world.member("rose")
    assert world.parts.callers.revoke("lily", member.member) == 0
    assert is_known(world, member)


def test_a_moderator_ends_a_member_of_her_collective(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    caller = world.caller(moderator)
    world.parts.callers.end_member(caller, member.member)
    assert not is_known(world, member)
    row = world.rows("audit")[-1]
    assert (row["actor"], row["subject"], row["after"]) == (
        caller.moderator,
        member.member,
        "ended",
    )


def test_a_moderator_ends_a_code_that_nobody_used_yet(world: World) -> None:
    (moderator,) = world.collective("rose", 1)
    issued = world.parts.callers.invite("rose", Role.MEMBER, 1).invitations[0]
    world.parts.callers.end_member(world.caller(moderator), issued.id)
    with refused("not-found"):
        redeem(world, issued.code)


def test_a_moderator_ends_nobody_of_another_collective(world: World) -> None:
    world.collective("rose", 1)
    (lily,) = world.collective("lily", 1)
    member = world.member("rose")
    with refused("not-found"):
        world.parts.callers.end_member(world.caller(lily), member.member)
    assert is_known(world, member)


class Watch:
    """A clock for the memory of who was recognised."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


def end_by_leaving(world: World, member: Caller, _: Moderator) -> None:
    world.parts.callers.leave(member)


def end_by_moderator(world: World, member: Caller, moderator: Moderator) -> None:
    world.parts.callers.end_member(world.caller(moderator), member.member)


def end_by_operator(world: World, member: Caller, _: Moderator) -> None:
    world.parts.callers.revoke("rose", member.member)


@pytest.mark.parametrize("end", [end_by_leaving, end_by_moderator, end_by_operator])
def test_the_end_of_a_token_is_felt_within_5_seconds_in_every_process(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[World, Caller, Moderator], None],
) -> None:
    watch = Watch()
    clock = SimpleNamespace(monotonic=watch.monotonic)
    monkeypatch.setattr("api.services.callers.time", clock)
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    bearer = member.bearer.get_secret_value()
    with world.another() as other:
        for parts in (world.parts, other):
            assert parts.callers.recognise(bearer) == member
            assert parts.callers.remembered(bearer) == member
        end(world, member, moderator)
        watch.seconds += 5
        for parts in (world.parts, other):
            assert parts.callers.remembered(bearer) is None
            with refused("unauthenticated"):
                parts.callers.recognise(bearer)


def test_a_moderator_announced_by_one_process_is_one_in_every_process(world: World) -> None:
    world.collective("rose", 1)
    with world.another() as other:
        late = world.join("rose")
        assert other.callers.recognise(late.bearer).role is Role.MEMBER
        world.sign_identity()
        assert other.callers.recognise(late.bearer).role is Role.MODERATOR


# ---- How much one may ask for ----


def look_up(world: World, caller: Caller, number: int) -> None:
    query = LookupQuery(identifiers=[phone(one) for one in range(number)])
    awaited(world.parts.lookups.answer(query, caller))


def evaluate(world: World, caller: Caller, number: int) -> None:
    request = EvaluationRequest(epoch=1, elements=[world.identity.public_key] * number)
    world.parts.lookups.evaluate(request, caller)


def test_the_quotas_are_those_of_the_protocol(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert (settings.per_hour, settings.per_day, settings.collective_per_day) == (20, 100, 5_000)
    assert (settings.moderator_per_hour, settings.reports_per_day) == (400, 10)


@pytest.mark.parametrize("ask", [look_up, evaluate])
def test_a_member_asks_about_20_an_hour_and_what_is_over_costs_nothing(
    make_world: MakeWorld, ask: Callable[[World, Caller, int], None]
) -> None:
    world = make_world(per_hour=20)
    world.collective("rose", 1)
    member = world.member("rose")
    world.round()
    ask(world, member, 10)
    ask(world, member, 5)
    with pytest.raises(RateLimited) as caught:
        ask(world, member, 6)
    assert 1 <= caught.value.retry_after <= 3_600
    ask(world, member, 5)
    with refused("rate-limited"):
        ask(world, member, 1)
    ask(world, world.member("rose"), 1)


def test_evaluations_and_plain_look_ups_share_one_budget(make_world: MakeWorld) -> None:
    world = make_world(per_hour=20)
    world.collective("rose", 1)
    member = world.member("rose")
    world.round()
    look_up(world, member, 10)
    evaluate(world, member, 10)
    for ask in (look_up, evaluate):
        with refused("rate-limited"):
            ask(world, member, 1)


def test_a_member_asks_about_100_a_day(make_world: MakeWorld) -> None:
    world = make_world(per_hour=1_000, per_day=100)
    world.collective("rose", 1)
    member = world.member("rose")
    for _ in range(10):
        evaluate(world, member, 10)
    with pytest.raises(RateLimited) as caught:
        evaluate(world, member, 1)
    assert 3_600 < caught.value.retry_after <= 86_400


def test_all_members_of_a_collective_share_a_budget_a_day(make_world: MakeWorld) -> None:
    world = make_world(collective_per_day=15)
    world.collective("rose", 1)
    world.collective("lily", 1)
    first, second, other = world.member("rose"), world.member("rose"), world.member("lily")
    evaluate(world, first, 10)
    with pytest.raises(RateLimited) as caught:
        evaluate(world, second, 6)
    assert 3_600 < caught.value.retry_after <= 86_400
    evaluate(world, second, 5)
    evaluate(world, other, 10)


def test_what_the_collective_refuses_costs_the_member_nothing(make_world: MakeWorld) -> None:
    world = make_world(collective_per_day=15, per_hour=10)
    world.collective("rose", 1)
    first, second = world.member("rose"), world.member("rose")
    evaluate(world, first, 10)
    with refused("rate-limited"):
        evaluate(world, second, 10)
    evaluate(world, second, 5)


def test_moderators_have_a_budget_of_their_own(make_world: MakeWorld) -> None:
    world = make_world(moderator_per_hour=20, per_hour=1, per_day=1, collective_per_day=1)
    (moderator,) = world.collective("rose", 1)
    caller = world.caller(moderator)
    for _ in range(2):
        evaluate(world, caller, 10)
    with pytest.raises(RateLimited) as caught:
        evaluate(world, caller, 1)
    assert 1 <= caught.value.retry_after <= 3_600
    evaluate(world, world.member("rose"), 1)


def test_a_moderator_whom_no_identity_announces_yet_has_a_members_budget(
    make_world: MakeWorld,
) -> None:
    world = make_world(per_hour=5)
    world.collective("rose", 1)
    caller = world.caller(world.join("rose"))
    with refused("rate-limited"):
        evaluate(world, caller, 6)


def test_what_is_refused_for_another_reason_costs_nothing(make_world: MakeWorld) -> None:
    world = make_world(per_hour=1)
    world.collective("rose", 1)
    member = world.member("rose")
    with refused("invalid-element"):
        world.parts.lookups.evaluate(EvaluationRequest(epoch=1, elements=[bytes(32)]), member)
    with refused("unavailable"):
        look_up(world, member, 1)
    evaluate(world, member, 1)
