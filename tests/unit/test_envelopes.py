"""Promises of PROTOCOL.md §7 about signatures."""

import base64
import json
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings
from nacl.exceptions import BadSignatureError

from api.crypto.envelopes import (
    entry_id,
    key_id,
    pae,
    public_key,
    sign,
    sign_bytes,
    verify,
    verify_bytes,
)
from api.crypto.failures import InvalidInput

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "documents-v1.json").read_text("utf-8")
)
KEYS = VECTORS["keys"]
SIGNED = [VECTORS["identity"], *VECTORS["entries"], VECTORS["checkpoint"]]
SEED = bytes.fromhex(KEYS["log"]["seed"])
PUBLIC = base64.b64decode(KEYS["log"]["public"])
TYPE, PAYLOAD = "application/vnd.parasol.x.v1+json", b"{}"


def refused(public: bytes, message: bytes, signature: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        verify_bytes(public, message, signature)
    assert caught.value.code == "bad-signature"


@pytest.mark.parametrize("name", KEYS)
def test_every_key_of_the_vectors_is_derived(name: str) -> None:
    seed = bytes.fromhex(KEYS[name]["seed"])
    assert seed == sha256(f"parasol test key:{name}".encode()).digest()
    assert base64.b64encode(public_key(seed)).decode() == KEYS[name]["public"]
    assert key_id(public_key(seed)) == KEYS[name]["keyid"]


@pytest.mark.parametrize("signed", SIGNED, ids=lambda signed: signed["type"])
def test_every_signature_of_the_vectors_is_made_and_accepted(signed: dict[str, Any]) -> None:
    payload = signed["payload_text"].encode()
    assert len(signed["signers"]) == len(signed["envelope"]["signatures"]) > 0
    for name, signature in zip(signed["signers"], signed["envelope"]["signatures"], strict=True):
        expected = base64.b64decode(signature["sig"])
        assert signature["keyid"] == KEYS[name]["keyid"]
        assert sign(bytes.fromhex(KEYS[name]["seed"]), signed["type"], payload) == expected
        verify(base64.b64decode(KEYS[name]["public"]), signed["type"], payload, expected)


@pytest.mark.parametrize("signed", SIGNED, ids=lambda signed: signed["type"])
def test_every_leaf_of_the_vectors_is_the_entry_id(signed: dict[str, Any]) -> None:
    payload = signed["payload_text"].encode()
    assert sha256(pae(signed["type"], payload)).hexdigest() == signed["pae_sha256"]
    assert base64.b64encode(entry_id(signed["type"], payload)).decode() == signed["leaf"]


def test_the_encoding_is_that_of_dsse() -> None:
    # The example of the DSSE specification, protocol.md.
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_two_documents_never_have_one_encoding(
    one: tuple[str, bytes], other: tuple[str, bytes]
) -> None:
    assert (pae(*one) == pae(*other)) == (one == other)


@given(data=st.data(), signed=st.sampled_from(SIGNED))
def test_a_changed_byte_changes_the_entry_id(data: st.DataObject, signed: dict[str, Any]) -> None:
    payload = bytearray(signed["payload_text"].encode())
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    assert base64.b64encode(entry_id(signed["type"], bytes(payload))).decode() != signed["leaf"]


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary())
def test_what_is_signed_is_accepted(seed: bytes, message: bytes) -> None:
    verify_bytes(public_key(seed), message, sign_bytes(seed, message))


@given(place=st.integers(0, 63), flip=st.integers(1, 255))
def test_a_changed_signature_is_refused(place: int, flip: int) -> None:
    signature = bytearray(sign_bytes(SEED, PAYLOAD))
    signature[place] ^= flip
    refused(PUBLIC, PAYLOAD, bytes(signature))


def test_a_signature_of_another_type_is_refused() -> None:
    signature = sign(SEED, TYPE, PAYLOAD)
    verify(PUBLIC, TYPE, PAYLOAD, signature)
    with pytest.raises(InvalidInput):
        verify(PUBLIC, TYPE + "x", PAYLOAD, signature)


def test_a_signature_by_another_key_is_refused() -> None:
    refused(public_key(bytes(32)), PAYLOAD, sign_bytes(SEED, PAYLOAD))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_the_wrong_length_is_refused(length: int) -> None:
    refused(PUBLIC, PAYLOAD, (sign_bytes(SEED, PAYLOAD) + b"x")[:length])


def test_the_end_of_a_signature_is_not_the_start_of_the_message() -> None:
    refused(PUBLIC, PAYLOAD[1:], sign_bytes(SEED, PAYLOAD) + PAYLOAD[:1])


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_the_wrong_length_is_refused(length: int) -> None:
    refused((PUBLIC + b"x")[:length], PAYLOAD, sign_bytes(SEED, PAYLOAD))


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_key_for_which_anybody_can_sign_is_refused(key: str) -> None:
    # R = A's multiple, S = 0: good for many messages where such keys are accepted.
    refused(bytes.fromhex(key), PAYLOAD, bytes.fromhex(SMALL_ORDER[0]) + bytes(32))


def test_a_key_with_a_torsion_part_is_refused() -> None:
    public = bindings.crypto_core_ed25519_add(PUBLIC, bytes.fromhex(SMALL_ORDER[1]))
    # One challenge in two cancels the torsion, and then libsodium by itself accepts.
    held = [one for one in (signed_as(public, bytes([n])) for n in range(64)) if opens(public, one)]
    assert held
    for signed in held:
        refused(public, signed[64:], signed[:64])


def signed_as(public: bytes, message: bytes) -> bytes:
    """Sign by SEED's scalar but with `public` in the challenge (RFC 8032 §5.1.6)."""
    scalar = int.from_bytes(sha512(SEED).digest()[:32], "little")
    scalar = (scalar & ((1 << 254) - 8)) | (1 << 254)
    nonce = bindings.crypto_core_ed25519_scalar_reduce(sha512(message).digest())
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = bindings.crypto_core_ed25519_scalar_reduce(
        sha512(point + public + message).digest()
    )
    reduced = bindings.crypto_core_ed25519_scalar_reduce(scalar.to_bytes(64, "little"))
    product = bindings.crypto_core_ed25519_scalar_mul(challenge, reduced)
    return point + bindings.crypto_core_ed25519_scalar_add(product, nonce) + message


def opens(public: bytes, signed: bytes) -> bool:
    try:
        bindings.crypto_sign_open(signed, public)
    except BadSignatureError:
        return False
    return True
