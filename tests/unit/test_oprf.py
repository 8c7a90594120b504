"""The oblivious function: RFC 9497 to the byte, checked against another implementation."""

import hashlib
import json
import secrets
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voprf import ristretto as other

from api.crypto import oprf
from api.crypto.failures import InvalidInput
from api.crypto.oprf import Evaluator, KeyEvaluator, Part
from api.crypto.ristretto import (
    GENERATOR,
    ORDER,
    Element,
    Scalar,
    add,
    element,
    multiply,
    scalar,
    scalar_invert,
    scalar_mul,
    scalar_sub,
)

VECTORS = Path(__file__).parents[1] / "vectors"
LOOKUP: dict[str, Any] = json.loads((VECTORS / "lookup-v1.json").read_text())
RFC: dict[str, Any] = next(
    suite
    for suite in json.loads((VECTORS / "rfc9497-ristretto255-sha512.json").read_text())
    if suite["mode"] == 1
)

K = scalar(bytes.fromhex(LOOKUP["secret_key"]))
PUBLIC = element(bytes.fromhex(LOOKUP["public_key"]))
NUMBERS = st.integers(min_value=1, max_value=ORDER - 1)


def number(n: int) -> Scalar:
    return Scalar((n % ORDER).to_bytes(32, "little"))


def elements(text: str) -> list[Element]:
    return [element(bytes.fromhex(part)) for part in text.split(",")]


def pinned(r: Scalar) -> Callable[[int], bytes]:
    """The chance that makes an evaluator choose `r`."""
    return lambda n: r + bytes(n - len(r))


def finalize(x: bytes, token: Element) -> bytes:
    """RFC 9497 §3.3.1: what the RFC puts out where we keep the token."""
    return hashlib.sha512(
        len(x).to_bytes(2) + x + len(token).to_bytes(2) + token + b"Finalize"
    ).digest()


def bad_proof(
    public: Element, blinded: list[Element], evaluated: list[Element], proof: bytes
) -> None:
    with pytest.raises(InvalidInput) as caught:
        oprf.verify(public, blinded, evaluated, proof)
    assert caught.value.code == "bad-proof"


def batch(size: int, k: Scalar = K) -> tuple[list[Element], list[Element], bytes]:
    blinded = [oprf.blind(bytes([i]), number(i + 2)) for i in range(size)]
    (part,) = KeyEvaluator(k, secrets.token_bytes).evaluate(blinded)
    return blinded, list(part.elements), part.proof


def test_the_vectors_of_the_rfc_are_those_of_our_mode() -> None:
    assert (RFC["identifier"], RFC["mode"]) == ("ristretto255-SHA512", 1)
    assert [vector["Batch"] for vector in RFC["vectors"]] == [1, 1, 2]


def test_a_key_is_derived_as_in_the_rfc() -> None:
    k = oprf.derive_key(bytes.fromhex(RFC["seed"]), bytes.fromhex(RFC["keyInfo"]))
    assert k.hex() == RFC["skSm"]
    assert oprf.public_key(k).hex() == RFC["pkSm"]


@pytest.mark.parametrize("vector", RFC["vectors"], ids=["one", "other", "batch"])
def test_the_vectors_of_the_rfc_hold(vector: dict[str, Any]) -> None:
    k = scalar(bytes.fromhex(RFC["skSm"]))
    public = element(bytes.fromhex(RFC["pkSm"]))
    inputs = [bytes.fromhex(part) for part in vector["Input"].split(",")]
    blinds = [scalar(bytes.fromhex(part)) for part in vector["Blind"].split(",")]
    outputs = vector["Output"].split(",")
    assert len(inputs) == len(blinds) == len(outputs) == vector["Batch"]

    blinded = [oprf.blind(x, r) for x, r in zip(inputs, blinds, strict=True)]
    assert blinded == elements(vector["BlindedElement"])
    r = scalar(bytes.fromhex(vector["Proof"]["r"]))
    (part,) = KeyEvaluator(k, pinned(r)).evaluate(blinded)
    assert list(part.elements) == elements(vector["EvaluationElement"])
    assert part.proof.hex() == vector["Proof"]["proof"]
    oprf.verify(public, blinded, part.elements, part.proof)
    tokens = [oprf.unblind(e, s) for e, s in zip(part.elements, blinds, strict=True)]
    assert [finalize(*pair).hex() for pair in zip(inputs, tokens, strict=True)] == outputs


def test_our_key_is_derived_as_in_the_vectors() -> None:
    k = oprf.derive_key(bytes.fromhex(LOOKUP["seed"]), LOOKUP["info"].encode())
    assert k == K
    assert oprf.public_key(k) == PUBLIC


@pytest.mark.parametrize("item", LOOKUP["items"], ids=lambda item: str(item["canonical"]))
def test_the_look_up_vectors_hold(item: dict[str, Any]) -> None:
    x = bytes.fromhex(item["stretched"])
    r = scalar(bytes.fromhex(item["blind"]))
    blinded = oprf.blind(x, r)
    assert blinded.hex() == item["blinded"]
    evaluator = KeyEvaluator(K, pinned(scalar(bytes.fromhex(item["proof_scalar"]))))
    (part,) = evaluator.evaluate([blinded])
    evaluated = bytes.fromhex(item["evaluated"])
    assert part == Part(0, (Element(evaluated),), bytes.fromhex(item["proof"]))
    oprf.verify(PUBLIC, [blinded], part.elements, part.proof)
    assert oprf.unblind(part.elements[0], r).hex() == item["token"]
    assert evaluator.token(x).hex() == item["token"]


def test_the_batch_of_the_vectors_has_one_proof() -> None:
    blinded = [element(bytes.fromhex(item["blinded"])) for item in LOOKUP["items"]]
    evaluated = tuple(element(bytes.fromhex(item["evaluated"])) for item in LOOKUP["items"])
    assert len(blinded) == 4
    r = scalar(bytes.fromhex(LOOKUP["batch"]["proof_scalar"]))
    proof = bytes.fromhex(LOOKUP["batch"]["proof"])
    assert KeyEvaluator(K, pinned(r)).evaluate(blinded) == (Part(0, evaluated, proof),)
    oprf.verify(PUBLIC, blinded, evaluated, proof)


@settings(max_examples=40)
@given(st.binary(max_size=64), NUMBERS, NUMBERS, NUMBERS)
def test_asking_blindly_finds_the_same_token_as_asking_openly(
    x: bytes, key: int, blind: int, chance: int
) -> None:
    evaluator = KeyEvaluator(number(key), pinned(number(chance)))
    blinded = oprf.blind(x, number(blind))
    (part,) = evaluator.evaluate([blinded])
    oprf.verify(evaluator.public_key, [blinded], part.elements, part.proof)
    assert oprf.unblind(part.elements[0], number(blind)) == evaluator.token(x)


@settings(max_examples=20)
@given(st.integers(min_value=2, max_value=10), st.data())
def test_a_proof_is_for_its_elements_in_their_order(size: int, data: st.DataObject) -> None:
    blinded, evaluated, proof = batch(size)
    oprf.verify(PUBLIC, blinded, evaluated, proof)
    order = data.draw(st.permutations(range(size)).filter(lambda p: p != list(range(size))))
    bad_proof(PUBLIC, [blinded[i] for i in order], [evaluated[i] for i in order], proof)
    bad_proof(PUBLIC, blinded, [evaluated[i] for i in order], proof)


def test_flipping_any_bit_of_a_proof_refuses_it() -> None:
    blinded, evaluated, proof = batch(2)
    oprf.verify(PUBLIC, blinded, evaluated, proof)
    for position in range(512):
        flipped = bytearray(proof)
        flipped[position // 8] ^= 1 << position % 8
        bad_proof(PUBLIC, blinded, evaluated, bytes(flipped))


def test_one_wrong_element_spoils_a_batch() -> None:
    blinded, evaluated, proof = batch(3)
    for i in range(3):
        wrong = list(evaluated)
        wrong[i] = add(wrong[i], GENERATOR)
        bad_proof(PUBLIC, blinded, wrong, proof)


def test_another_key_can_not_pass_for_the_announced_one() -> None:
    blinded, evaluated, proof = batch(2, number(99))
    oprf.verify(oprf.public_key(number(99)), blinded, evaluated, proof)
    bad_proof(PUBLIC, blinded, evaluated, proof)


def test_a_batch_that_does_not_fit_its_proof_is_refused() -> None:
    blinded, evaluated, proof = batch(2)
    bad_proof(PUBLIC, [], [], proof)
    bad_proof(PUBLIC, blinded[:1], evaluated, proof)
    bad_proof(PUBLIC, blinded, evaluated[:1], proof)
    bad_proof(PUBLIC, blinded[:1], evaluated[:1], proof)
    bad_proof(PUBLIC, blinded * 40_000, evaluated * 40_000, proof)


@pytest.mark.parametrize("length", [0, 32, 63, 65, 128])
def test_a_proof_of_another_length_is_refused(length: int) -> None:
    blinded, evaluated, proof = batch(1)
    bad_proof(PUBLIC, blinded, evaluated, (proof * 2)[:length])


def test_a_proof_whose_scalars_are_not_reduced_is_refused() -> None:
    blinded, evaluated, proof = batch(1)
    for half in (0, 1):
        parts = [proof[:32], proof[32:]]
        larger = int.from_bytes(parts[half], "little") + ORDER
        parts[half] = larger.to_bytes(32, "little")
        bad_proof(PUBLIC, blinded, evaluated, b"".join(parts))


def test_a_proof_that_meets_the_identity_on_its_way_is_refused_and_no_more() -> None:
    k = number(99)
    blinded, evaluated, _ = batch(1, k)
    public = oprf.public_key(k)
    c = number(12345)
    cancelling = c + scalar_sub(number(0), scalar_mul(c, k))
    for proof in (bytes(64), cancelling, c + bytes(32), bytes(32) + c):
        bad_proof(public, blinded, evaluated, proof)


def test_elements_that_are_none_never_verify() -> None:
    blinded, evaluated, proof = batch(1)
    for bad in (bytes(32), b"\xff" * 32, b"", bytes(31) + b"\1"):
        wrong = Element(bad)
        bad_proof(wrong, blinded, evaluated, proof)
        bad_proof(PUBLIC, [wrong], evaluated, proof)
        bad_proof(PUBLIC, blinded, [wrong], proof)


@pytest.mark.parametrize("bad", [bytes(32), b"\xff" * 32, b"", b"\1" + bytes(31)])
def test_an_evaluator_refuses_what_is_no_element(bad: bytes) -> None:
    evaluator = KeyEvaluator(K, secrets.token_bytes)
    with pytest.raises(InvalidInput, match="invalid-element"):
        evaluator.evaluate([GENERATOR, Element(bad)])


def test_an_evaluator_refuses_an_empty_batch() -> None:
    with pytest.raises(InvalidInput, match="invalid-element"):
        KeyEvaluator(K, secrets.token_bytes).evaluate([])


@pytest.mark.parametrize("bad", [bytes(32), b"\xff" * 32, b"", ORDER.to_bytes(32, "little")])
def test_an_evaluator_refuses_a_key_that_is_none(bad: bytes) -> None:
    with pytest.raises(InvalidInput, match="invalid-scalar"):
        KeyEvaluator(Scalar(bad), secrets.token_bytes)


def test_an_evaluator_never_prints_its_key() -> None:
    evaluator: Evaluator = KeyEvaluator(K, secrets.token_bytes)
    for text in (repr(evaluator), str(evaluator), f"{evaluator}"):
        assert text == "KeyEvaluator()"
    assert not hasattr(evaluator, "__dict__")


def test_a_proof_takes_fresh_chance_each_time() -> None:
    asked: list[int] = []

    def chance(n: int) -> bytes:
        asked.append(n)
        return secrets.token_bytes(n)

    evaluator = KeyEvaluator(K, chance)
    proofs = {evaluator.evaluate([GENERATOR])[0].proof for _ in range(5)}
    assert len(proofs) == 5
    assert asked == [64] * 5


def test_a_blind_of_zero_is_refused() -> None:
    with pytest.raises(InvalidInput, match="invalid-element"):
        oprf.blind(b"x", number(0))
    with pytest.raises(InvalidInput, match="invalid-scalar"):
        oprf.unblind(GENERATOR, number(0))


@pytest.mark.parametrize(("seed", "info"), [(31, 0), (33, 0), (0, 0), (32, 65536)])
def test_a_seed_or_info_of_another_length_is_refused(seed: int, info: int) -> None:
    with pytest.raises(InvalidInput, match="invalid-seed"):
        oprf.derive_key(bytes(seed), bytes(info))


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40), st.binary(min_size=1))
def test_another_implementation_derives_and_evaluates_alike(
    seed: bytes, info: bytes, x: bytes
) -> None:
    theirs = other.Evaluator.from_seed(seed, info)
    ours = KeyEvaluator(oprf.derive_key(seed, info), secrets.token_bytes)
    assert theirs.public_key.serialize() == ours.public_key
    assert theirs.evaluate_known_input(x) == finalize(x, ours.token(x))


@settings(max_examples=25)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=10), NUMBERS)
def test_our_client_understands_another_evaluator(inputs: list[bytes], r: int) -> None:
    theirs = other.Evaluator.from_seed(bytes(32), b"theirs")
    blinded = [oprf.blind(x, number(r)) for x in inputs]
    asked = [other.BlindedInput.deserialize(b) for b in blinded]
    answer = theirs.evaluate_batch(asked).serialize()
    proof, rest = answer[:64], answer[64:]
    evaluated = [element(rest[i : i + 32]) for i in range(0, len(rest), 32)]
    oprf.verify(element(theirs.public_key.serialize()), blinded, evaluated, proof)
    outputs = [
        finalize(x, oprf.unblind(e, number(r))) for x, e in zip(inputs, evaluated, strict=True)
    ]
    assert outputs == [theirs.evaluate_known_input(x) for x in inputs]


@settings(max_examples=25)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=10))
def test_another_client_understands_our_evaluator(inputs: list[bytes]) -> None:
    ours = KeyEvaluator(K, secrets.token_bytes)
    public = other.PublicKey.deserialize(ours.public_key)
    clients, blinded = zip(*(other.Client.blind(x) for x in inputs), strict=True)
    (part,) = ours.evaluate([element(b.serialize()) for b in blinded])
    answer = other.VerifiableBatchOutput.deserialize(part.proof + b"".join(part.elements))
    outputs = other.Client.finalize_batch(clients, answer, public)
    assert outputs == [finalize(x, ours.token(x)) for x in inputs]


def test_another_client_refuses_our_answer_under_another_key() -> None:
    client, blinded = other.Client.blind(b"x")
    asked = [element(blinded.serialize())]
    (part,) = KeyEvaluator(K, secrets.token_bytes).evaluate(asked)
    answer = other.VerifiableOutput.deserialize(part.proof + part.elements[0])
    with pytest.raises(ValueError, match="proof"):
        client.finalize(answer, other.PublicKey.deserialize(GENERATOR))


def lagrange(i: int, chosen: tuple[int, ...]) -> Scalar:
    """The weight at zero of share `i` among the `chosen` ones."""
    weight = number(1)
    for j in chosen:
        if j != i:
            ratio = scalar_mul(number(j), scalar_invert(number(j - i)))
            weight = scalar_mul(weight, ratio)
    return weight


@pytest.mark.parametrize("share", ["1", "2", "3"])
def test_a_share_evaluates_and_proves_like_a_key(share: str) -> None:
    quorum = LOOKUP["quorum"]
    blinded = element(bytes.fromhex(quorum["blinded"]))
    holder = KeyEvaluator(scalar(bytes.fromhex(quorum["shares"][share])), secrets.token_bytes)
    assert holder.public_key.hex() == quorum["share_public_keys"][share]
    (part,) = holder.evaluate([blinded])
    assert part.elements[0].hex() == quorum["evaluated"][share]
    oprf.verify(holder.public_key, [blinded], part.elements, part.proof)


@pytest.mark.parametrize("chosen", list(combinations((1, 2, 3), 2)))
def test_any_quorum_gives_what_the_key_gives(chosen: tuple[int, int]) -> None:
    quorum = LOOKUP["quorum"]
    assert quorum["threshold"] == len(chosen)
    weighted = [
        multiply(lagrange(i, chosen), element(bytes.fromhex(quorum["evaluated"][str(i)])))
        for i in chosen
    ]
    whole = multiply(K, element(bytes.fromhex(quorum["blinded"])))
    assert add(*weighted) == whole
    assert whole.hex() == LOOKUP["items"][0]["evaluated"]


def test_one_share_is_no_key() -> None:
    quorum = LOOKUP["quorum"]
    assert LOOKUP["items"][0]["evaluated"] not in quorum["evaluated"].values()


def test_a_rotation_moves_key_and_tokens_alike() -> None:
    rotation = LOOKUP["rotation"]
    delta = scalar(bytes.fromhex(rotation["delta"]))
    rotated = KeyEvaluator(scalar_mul(delta, K), secrets.token_bytes)
    assert rotated.public_key.hex() == rotation["public_key"]
    assert multiply(delta, PUBLIC) == rotated.public_key
    before = element(bytes.fromhex(rotation["token_before"]))
    assert multiply(delta, before).hex() == rotation["token_after"]
    x = bytes.fromhex(LOOKUP["items"][0]["stretched"])
    assert rotated.token(x).hex() == rotation["token_after"]
    assert KeyEvaluator(K, secrets.token_bytes).token(x) == before
