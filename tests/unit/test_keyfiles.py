"""Promises about files under a passphrase, and about fingerprints as words."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mnemonic import Mnemonic

from api.crypto.failures import InvalidInput
from api.crypto.keyfiles import lock, unlock
from api.crypto.words import fingerprint_words

PASSPHRASE = "correct horse"


def chance(length: int) -> bytes:
    return bytes(range(length))


FILE = lock(b"secret", PASSPHRASE, chance, m_kib=8, t=1)


def altered(**changes: object) -> bytes:
    whole: dict[str, Any] = json.loads(FILE)
    for name, value in changes.items():
        part = whole["argon2id"] if name in whole["argon2id"] else whole
        part[name] = value
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def refused(data: bytes, code: str, passphrase: str = PASSPHRASE) -> None:
    with pytest.raises(InvalidInput) as caught:
        unlock(data, passphrase)
    assert str(caught.value) == code
    assert caught.value.__cause__ is None


@settings(deadline=None)
@given(plaintext=st.binary(max_size=300), passphrase=st.text())
def test_what_is_locked_is_unlocked(plaintext: bytes, passphrase: str) -> None:
    assert unlock(lock(plaintext, passphrase, chance, m_kib=8, t=1), passphrase) == plaintext


def test_the_usual_cost_is_64_mib() -> None:
    data = lock(b"secret", PASSPHRASE, chance)
    cost = json.loads(data)["argon2id"]
    assert (cost["m_kib"], cost["t"], cost["p"]) == (65536, 3, 1)
    assert unlock(data, PASSPHRASE) == b"secret"


def test_a_wrong_passphrase_opens_nothing() -> None:
    refused(FILE, "wrong-passphrase", "correct house")


def test_a_passphrase_is_the_same_on_every_keyboard() -> None:
    data = lock(b"secret", "caf\u00e9 \ufb01", chance, m_kib=8, t=1)
    assert unlock(data, "cafe\u0301 fi") == b"secret"


def test_a_passphrase_that_a_terminal_could_not_decode_works() -> None:
    assert unlock(lock(b"secret", "\udce9", chance, m_kib=8, t=1), "\udce9") == b"secret"


def test_white_space_around_a_file_is_ignored() -> None:
    assert unlock(b"\n" + FILE + b"\r\n", PASSPHRASE) == b"secret"


def test_an_altered_box_is_not_opened() -> None:
    box = json.loads(FILE)["box"]
    refused(altered(box=("B" if box[0] == "A" else "A") + box[1:]), "wrong-passphrase")


@pytest.mark.parametrize("changes", [{"m_kib": 9}, {"t": 2}, {"nonce": "A" * 32}])
def test_an_altered_cost_or_nonce_opens_nothing(changes: dict[str, object]) -> None:
    refused(altered(**changes), "wrong-passphrase")


@pytest.mark.parametrize(
    "changes",
    [
        {"m_kib": 1024 * 1024 + 1},
        {"m_kib": 10**12},
        {"m_kib": 7},
        {"m_kib": 8.0},
        {"m_kib": "8"},
        {"m_kib": None},
        {"t": 17},
        {"t": 0},
        {"t": True},
        {"p": 2},
        {"v": 2},
        {"v": True},
        {"salt": ""},
        {"salt": "AAAAAAAAAAAAAAAAAAAAAAA="},
        {"nonce": "AAAA"},
        {"nonce": 1},
        {"box": "A"},
        {"box": "é"},
        {"argon2id": []},
        {"extra": 1},
    ],
    ids=repr,
)
def test_a_file_of_another_shape_or_price_is_malformed(changes: dict[str, object]) -> None:
    refused(altered(**changes), "malformed")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"1", b"\xff", b"[" * 100_000, b"9" * 5000, FILE + FILE, FILE + b" " * 2**20],
    ids=["empty", "list", "number", "bytes", "deep", "huge", "twice", "large"],
)
def test_what_is_no_file_is_malformed(data: bytes) -> None:
    refused(data, "malformed")


def test_a_member_twice_is_malformed() -> None:
    refused(FILE.replace(b'"v":1', b'"v":2,"v":1'), "malformed")


def test_a_fingerprint_is_twelve_words_in_groups_of_three() -> None:
    words = fingerprint_words(bytes(32))
    assert words.split(" / ") == ["abandon abandon abandon"] * 3 + ["abandon abandon about"]


@given(digest=st.binary(min_size=32, max_size=32))
def test_the_words_tell_the_first_16_bytes(digest: bytes) -> None:
    words = fingerprint_words(digest).replace(" / ", " ")
    assert Mnemonic("english").to_entropy(words) == digest[:16]
    assert (
        fingerprint_words(digest[:16] + sha256(digest).digest()[:16]).replace(" / ", " ") == words
    )
