"""Promises of PROTOCOL.md §6 about sealed accounts."""

import base64
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from api.crypto.failures import InvalidInput
from api.crypto.sealing import (
    PADDING,
    SealedParts,
    open_account,
    open_box,
    open_box_key,
    seal_account,
    seal_box_key,
)

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "documents-v1.json").read_text("utf-8")
)
SEALED = VECTORS["sealed"]
BOX_KEY = bytes.fromhex(SEALED["box_key"])
PARTS = SealedParts(
    nonce=base64.b64decode(SEALED["value"]["nonce"]),
    box=base64.b64decode(SEALED["value"]["box"]),
    keys={key["kid"]: base64.b64decode(key["sealed"]) for key in SEALED["value"]["keys"]},
)
SECRETS = {name: bytes.fromhex(pair["secret"]) for name, pair in VECTORS["box_keys"].items()}
PUBLICS = {name: base64.b64decode(pair["public"]) for name, pair in VECTORS["box_keys"].items()}
KIDS = {name: VECTORS["keys"][name]["keyid"] for name in SECRETS}
ROSE = ["rose-a", "rose-b"]


def chance(length: int) -> bytes:
    return {32: BOX_KEY, 24: PARTS.nonce}[length]


def unreadable(parts: SealedParts, name: str = "rose-a") -> None:
    with pytest.raises(InvalidInput) as caught:
        open_account(parts, KIDS[name], SECRETS[name])
    assert caught.value.code == "sealed-unreadable"


@pytest.mark.parametrize("name", SECRETS)
def test_every_box_key_of_the_vectors_is_derived(name: str) -> None:
    assert sha256(f"parasol test box:{name}".encode()).digest() == SECRETS[name]
    assert bindings.crypto_scalarmult_base(SECRETS[name]) == PUBLICS[name]


@pytest.mark.parametrize("name", ROSE)
def test_every_moderator_of_the_collective_reads_the_vector(name: str) -> None:
    assert open_box_key(PARTS.keys[KIDS[name]], SECRETS[name]) == BOX_KEY
    account = open_account(PARTS, KIDS[name], SECRETS[name])
    assert account == SEALED["plaintext"].encode()


def test_the_vector_is_reproduced_byte_for_byte() -> None:
    boxes = {KIDS[name]: PUBLICS[name] for name in ROSE}
    parts = seal_account(SEALED["plaintext"].encode(), boxes, chance)
    assert (parts.nonce, parts.box) == (PARTS.nonce, PARTS.box)
    assert len(parts.box) == SEALED["padded_length"] + 16
    for name in ROSE:
        assert open_box_key(parts.keys[KIDS[name]], SECRETS[name]) == BOX_KEY


@given(plaintext=st.binary(max_size=2 * PADDING).filter(lambda text: not text.endswith(b" ")))
def test_what_is_sealed_is_read_again(plaintext: bytes) -> None:
    parts = seal_account(plaintext, {"kid": PUBLICS["iris-a"]}, chance)
    assert open_account(parts, "kid", SECRETS["iris-a"]) == plaintext


@pytest.mark.parametrize(
    ("length", "blocks"), [(0, 1), (1, 1), (PADDING, 1), (PADDING + 1, 2), (3 * PADDING, 3)]
)
def test_the_length_tells_whole_blocks_only(length: int, blocks: int) -> None:
    parts = seal_account(b"x" * length, {"kid": PUBLICS["iris-a"]}, chance)
    assert len(parts.box) == blocks * PADDING + 16


def test_another_collective_cannot_read_it() -> None:
    unreadable(PARTS, "iris-a")
    unreadable(replace(PARTS, keys={KIDS["iris-a"]: PARTS.keys[KIDS["rose-a"]]}), "iris-a")


@pytest.mark.parametrize("place", [0, 15, 16, 4111])
def test_a_changed_box_is_unreadable(place: int) -> None:
    box = bytearray(PARTS.box)
    box[place] ^= 1
    unreadable(replace(PARTS, box=bytes(box)))


@pytest.mark.parametrize("length", [0, 15, 16, 17, 4111])
def test_a_box_of_another_length_is_unreadable(length: int) -> None:
    unreadable(replace(PARTS, box=PARTS.box[:length]))


def test_a_box_that_is_not_padded_is_unreadable() -> None:
    unreadable(replace(PARTS, box=bindings.crypto_secretbox(b"short", PARTS.nonce, BOX_KEY)))


@pytest.mark.parametrize("nonce", [bytes(24), b"", bytes(25)])
def test_another_nonce_makes_it_unreadable(nonce: bytes) -> None:
    unreadable(replace(PARTS, nonce=nonce))


@pytest.mark.parametrize("sealed", [b"", bytes(47), bytes(80)])
def test_a_changed_box_key_is_unreadable(sealed: bytes) -> None:
    unreadable(replace(PARTS, keys={KIDS["rose-a"]: sealed}))


def test_a_box_key_of_another_length_is_unreadable() -> None:
    short = bindings.crypto_box_seal(bytes(31), PUBLICS["rose-a"])
    with pytest.raises(InvalidInput):
        open_box_key(short, SECRETS["rose-a"])


def test_a_secret_of_the_wrong_length_opens_nothing() -> None:
    with pytest.raises(InvalidInput):
        open_box_key(PARTS.keys[KIDS["rose-a"]], bytes(31))


@pytest.mark.parametrize("public", [bytes(32), bytes(31), b""])
def test_nothing_is_sealed_to_an_unusable_key(public: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        seal_account(b"x", {"kid": public}, chance)
    assert caught.value.code == "sealed-unreadable"


def test_nothing_is_sealed_to_nobody() -> None:
    with pytest.raises(InvalidInput):
        seal_account(b"x", {}, chance)


def test_a_colleague_who_joined_later_can_be_let_in() -> None:
    box_key = open_box_key(PARTS.keys[KIDS["rose-a"]], SECRETS["rose-a"])
    sealed = seal_box_key(box_key, PUBLICS["iris-a"])
    opened = open_box_key(sealed, SECRETS["iris-a"])
    assert open_box(PARTS.nonce, PARTS.box, opened) == SEALED["plaintext"].encode()
