"""Promises of PROTOCOL.md §6 about receipts and reporter tags."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.crypto.failures import InvalidInput
from api.crypto.receipts import body_digest, receipt, receipt_digest, receipt_secret, reporter_tag

VECTOR = json.loads(
    (Path(__file__).parent.parent / "vectors" / "documents-v1.json").read_text("utf-8")
)["reporter_tag"]
BEARER = VECTOR["bearer"]
OTHER = "psl_m_" + "A" * 43
TOKEN = base64.b64decode(VECTOR["token"])
KEY, REQUEST = b"k" * 32, bytes(range(16))


def test_the_reporter_tag_is_that_of_the_vector() -> None:
    assert reporter_tag(BEARER, TOKEN).hex() == VECTOR["tag"]


def test_another_reporter_or_token_has_another_tag() -> None:
    assert len({reporter_tag(b, t) for b in (BEARER, OTHER) for t in (TOKEN, bytes(32))}) == 4


def test_the_receipt_is_made_as_the_protocol_says() -> None:
    rk = hashlib.blake2b(BEARER.encode(), digest_size=32, person=b"parasol receipt").digest()
    assert receipt_secret(BEARER) == rk
    number = int(hmac.new(KEY, rk + REQUEST, "sha256").hexdigest(), 16)
    assert receipt(KEY, rk, REQUEST) == str(number % 10**16).zfill(16)


@given(key=st.binary(min_size=32, max_size=32), request_id=st.binary(min_size=16, max_size=16))
def test_a_receipt_is_sixteen_digits_and_always_the_same(key: bytes, request_id: bytes) -> None:
    made = receipt(key, receipt_secret(BEARER), request_id)
    assert len(made) == 16
    assert made.isdecimal()
    assert made == receipt(key, receipt_secret(BEARER), request_id)


def test_another_key_bearer_or_request_has_another_receipt() -> None:
    made = {
        receipt(key, receipt_secret(bearer), request)
        for key in (KEY, bytes(32))
        for bearer in (BEARER, OTHER)
        for request in (REQUEST, bytes(16))
    }
    assert len(made) == 8


def test_what_is_stored_does_not_tell_the_receipt() -> None:
    made = receipt(KEY, receipt_secret(BEARER), REQUEST)
    stored = receipt_digest(KEY, made)
    assert len(stored) == 32
    assert stored != receipt_digest(bytes(32), made)
    assert stored != hmac.digest(KEY, made.encode(), "sha256")


@pytest.mark.parametrize("text", ["", "1" * 15, "1" * 17, "1" * 16 + "\n", "\u0661" * 16, "\udc80"])
def test_what_is_no_receipt_is_not_found(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        receipt_digest(KEY, text)
    assert caught.value.code == "not-found"


def test_another_body_or_bearer_has_another_digest() -> None:
    secrets = [receipt_secret(BEARER), receipt_secret(OTHER)]
    digests = {body_digest(rk, body) for rk in secrets for body in (b"{}", b"{ }")}
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {16}


@pytest.mark.parametrize(
    "use", [receipt_secret, lambda bearer: reporter_tag(bearer, TOKEN)], ids=["receipt", "tag"]
)
def test_what_is_no_bearer_has_neither(use: Callable[[str], bytes]) -> None:
    with pytest.raises(InvalidInput) as caught:
        use(BEARER + "\n")
    assert caught.value.code == "unauthenticated"
