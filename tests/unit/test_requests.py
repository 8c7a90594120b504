"""Promises of PROTOCOL.md §8 about signed requests: exactly one form is taken."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from hypothesis import given
from hypothesis import strategies as st

from api.crypto.envelopes import key_id, public_key, sign_bytes
from api.crypto.failures import InvalidInput
from api.crypto.requests import (
    CLOCK_SKEW,
    LIFETIME,
    Claim,
    _Ed25519,
    _Message,
    read_request,
    sign_request,
    verify_request,
)

RFC = json.loads((Path(__file__).parent.parent / "vectors" / "rfc9421-ed25519.json").read_text())
SEED = b"a seed that is used in tests onl"
PUBLIC = public_key(SEED)
URL = "https://a.example/feed/v1/entries?from=0&limit=256"
NOW = 1_770_000_000
NONCE = "AAECAwQFBgcICQoLDA0ODw"
COMPONENTS = '("@method" "@target-uri")'
PARAMETERS = {
    "created": str(NOW),
    "expires": str(NOW + 300),
    "nonce": f'"{NONCE}"',
    "keyid": f'"{key_id(PUBLIC)}"',
    "tag": '"parasol-feed"',
    "alg": '"ed25519"',
}

Pairs = Iterable[tuple[str, str]]


def base(parameters: str, components: str = COMPONENTS) -> bytes:
    """What is signed, by RFC 9421 §2.5, written by hand."""
    values = {'"@method"': "GET", '"@target-uri"': URL, '"@path"': "/feed/v1/entries"}
    lines = [f"{name}: {values[name]}" for name in components.strip("()").split()]
    return "\n".join([*lines, f'"@signature-params": {components}{parameters}']).encode()


def handmade(
    *,
    components: str = COMPONENTS,
    label: str = "sig1",
    drop: str | None = None,
    **changes: str,
) -> list[tuple[str, str]]:
    """Headers that are signed as they stand, whatever that is."""
    named = {**PARAMETERS, **changes}
    text = "".join(f";{name}={value}" for name, value in named.items() if name != drop)
    return handmade_of(text, components=components, label=label)


def handmade_of(
    parameters: str, *, components: str = COMPONENTS, label: str = "sig1"
) -> list[tuple[str, str]]:
    signature = base64.b64encode(sign_bytes(SEED, base(parameters, components))).decode()
    return [
        ("signature-input", f"{label}={components}{parameters}"),
        ("signature", f"{label}=:{signature}:"),
    ]


def accept(headers: Pairs, *, public: bytes = PUBLIC, now: int = NOW, url: str = URL) -> Claim:
    claim = read_request(headers)
    verify_request(claim, public, "GET", url, now=now)
    return claim


def refused(headers: Pairs, **options: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        accept(headers, **options)
    assert caught.value.__cause__ is None
    return caught.value.code


# The standard.


class TheirKey(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> bytes:
        assert key_id == RFC["key"]["id"]
        return base64.urlsafe_b64decode(RFC["key"]["d"] + "=")


def test_the_example_of_the_standard_is_signed_to_the_byte() -> None:
    request = RFC["request"]
    message = _Message(request["method"], request["url"], dict(request["headers"]))
    signer = HTTPMessageSigner(signature_algorithm=_Ed25519, key_resolver=TheirKey())
    options: dict[str, Any] = {
        "key_id": RFC["key"]["id"],
        "created": datetime.fromtimestamp(RFC["created"], UTC),
        "label": RFC["label"],
        "include_alg": False,
        "covered_component_ids": RFC["components"],
        "use_existing_digest": True,
    }
    prepared = signer.prepare(message, **options)
    assert prepared.signature_base.decode() == "\n".join(RFC["base"])
    signer.sign(message, **options)
    assert {name: message.headers[name] for name in RFC["signed"]} == RFC["signed"]


def test_the_example_of_the_standard_is_none_of_ours() -> None:
    assert refused(RFC["signed"].items()) == "bad-signature"


def test_what_is_signed_is_the_base_of_the_standard() -> None:
    headers = sign_request(SEED, "GET", URL, now=NOW, nonce=NONCE)
    label, _, rest = headers["Signature-Input"].partition("=")
    assert set(rest.removeprefix(COMPONENTS).split(";")[1:]) == {
        f"{name}={value}" for name, value in PARAMETERS.items()
    }
    signature = base64.b64decode(headers["Signature"].removeprefix(f"{label}=:").removesuffix(":"))
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(
        signature, base(rest.removeprefix(COMPONENTS))
    )


# What is taken.

SAFE = "abcxyzABCXYZ0189._~-"
PATHS = st.lists(st.text(SAFE, min_size=1), max_size=4).map("/".join)


@given(
    seed=st.binary(min_size=32, max_size=32),
    path=PATHS,
    query=st.text(SAFE + "=&:"),
    now=st.integers(1, 10**11),
    nonce=st.text(SAFE + "+/=", min_size=16, max_size=64),
)
def test_what_is_signed_is_accepted(
    seed: bytes, path: str, query: str, now: int, nonce: str
) -> None:
    url = f"https://b.example:8443/{path}?{query}"
    claim = read_request(sign_request(seed, "GET", url, now=now, nonce=nonce).items())
    assert (claim.keyid, claim.nonce) == (key_id(public_key(seed)), nonce)
    assert (claim.created, claim.expires, claim.until) == (now, now + 300, now + 600)
    verify_request(claim, public_key(seed), "GET", url, now=now)


@given(st.permutations(sorted(PARAMETERS)), st.sampled_from(["sig1", "parasol", "*", "a.b_c-1"]))
def test_the_order_of_the_parameters_and_the_label_are_the_signers(
    order: list[str], label: str
) -> None:
    text = "".join(f";{name}={PARAMETERS[name]}" for name in order)
    assert accept(handmade_of(text, label=label)).nonce == NONCE


def test_other_headers_do_not_matter() -> None:
    others = [("host", "evil.example"), *handmade(), ("accept", "*/*"), ("accept", "a/b")]
    assert accept(others) == accept(handmade())


@pytest.mark.parametrize("now", [NOW - CLOCK_SKEW, NOW, NOW + LIFETIME + CLOCK_SKEW])
def test_honest_clocks_may_be_apart(now: int) -> None:
    assert accept(handmade(), now=now).until == NOW + LIFETIME + CLOCK_SKEW


# What is not: each of these is signed as it stands.


@pytest.mark.parametrize("now", [NOW - CLOCK_SKEW - 1, NOW + LIFETIME + CLOCK_SKEW + 1])
def test_a_signature_of_another_time_is_refused(now: int) -> None:
    assert refused(handmade(), now=now) == "clock-skew"


def test_a_forgery_of_another_time_is_not_told_about_clocks() -> None:
    assert refused(handmade(), now=NOW + 10_000, url=URL + "0") == "bad-signature"


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_is_missing_is_refused(name: str) -> None:
    assert refused(handmade(drop=name)) == "bad-signature"


@pytest.mark.parametrize(
    "components",
    [
        "()", '("@method")', '("@target-uri")', '("@target-uri" "@method")',
        '("@method" "@target-uri" "@path")', '("@method" "@path")',
    ],
)  # fmt: skip
def test_other_components_are_refused(components: str) -> None:
    assert refused(handmade(components=components)) == "bad-signature"


@pytest.mark.parametrize(
    "changes",
    [
        {"tag": '"parasol-fee"'},
        {"tag": '"web-bot-auth"'},
        {"tag": "parasol-feed"},
        {"alg": '"rsa-v1_5-sha256"'},
        {"alg": '"hmac-sha256"'},
        {"alg": '"Ed25519"'},
        {"nonce": '""'},
        {"nonce": '"short"'},
        {"nonce": f'"{"a" * 65}"'},
        {"nonce": '"with a blank in it, and more"'},
        {"nonce": r'"with\\an\"escape----"'},
        {"nonce": "1234567890123456"},
        {"keyid": '"a.example"'},
        {"keyid": f'"{key_id(public_key(bytes(32)))}"'},
        {"keyid": '"//////////////////////////////////////////9="'},
        {"created": "0"},
        {"created": f"-{NOW}"},
        {"created": f"0{NOW}"},
        {"created": f"{NOW}.0"},
        {"created": f'"{NOW}"'},
        {"created": f"{NOW + 301}"},
        {"created": "9" * 15},
        {"expires": f"{NOW + 301}"},
        {"expires": f"{NOW - 1}"},
        {"expires": "999999999999"},
        {"expires": f"{NOW}"[:-1] + "\u0665"},
        {"more": '"1"'},
    ],
    ids=str,
)
def test_other_parameters_are_refused(changes: dict[str, str]) -> None:
    assert refused(handmade(**changes)) == "bad-signature"


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_is_there_twice_is_refused(name: str) -> None:
    named = "".join(f";{one}={value}" for one, value in PARAMETERS.items())
    assert refused(handmade_of(f"{named};{name}={PARAMETERS[name]}")) == "bad-signature"
    others = named.replace(f";{name}={PARAMETERS[name]}", "")
    assert refused(handmade_of(f"{others};{name}=" * 2)) == "bad-signature"
    replaced = named.replace(";nonce=", ";tag=").replace(f'"{NONCE}"', '"parasol-feed"')
    assert refused(handmade_of(replaced)) == "bad-signature"


@pytest.mark.parametrize("name", [0, 1])
def test_a_header_that_is_missing_or_repeated_is_refused(name: int) -> None:
    headers = handmade()
    assert refused(headers[name : name + 1]) == "bad-signature"
    assert refused([*headers, headers[name]]) == "bad-signature"
    assert refused([*headers, (headers[name][0].title(), "")]) == "bad-signature"
    assert refused([]) == "bad-signature"


def test_two_signatures_are_refused() -> None:
    both = [
        (name, f"{one}, {other}")
        for (name, one), (_, other) in zip(handmade(label="a"), handmade(label="b"), strict=True)
    ]
    assert refused(both) == "bad-signature"


@pytest.mark.parametrize(
    ("old", "new"),
    [("sig1=", "sig2="), ("sig1=", "Sig1="), ("sig1=", "="), ("sig1", f"a{'b' * 32}")],
)
def test_a_label_that_is_none_or_another_is_refused(old: str, new: str) -> None:
    (name, value), signature = handmade()
    assert refused([(name, value.replace(old, new)), signature]) == "bad-signature"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(", "( "), (")", " )"), (";", "; "), (" ", "  "), (";", " ;"), ("sig1", " sig1"),
        ('"@method"', '"@method";req'), ('"@method"', '"@METHOD"'), ("sig1=", "sig1=?1"),
    ],
)  # fmt: skip
def test_another_spelling_is_refused(old: str, new: str) -> None:
    (name, value), signature = handmade()
    assert refused([(name, value.replace(old, new, 1)), signature]) == "bad-signature"
    assert refused([(name, value + "\n"), signature]) == "bad-signature"


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_the_wrong_length_is_refused(length: int) -> None:
    given_input, (name, value) = handmade()
    signature = (base64.b64decode(value[6:-1]) + b"x")[:length]
    encoded = base64.b64encode(signature).decode()
    assert refused([given_input, (name, f"sig1=:{encoded}:")]) == "bad-signature"


def test_unused_bits_of_a_signature_are_refused() -> None:
    given_input, (name, value) = handmade()
    head, last = value[:-4], value[-4]
    other = {"A": "B", "Q": "R", "g": "h", "w": "x"}[last]
    assert refused([given_input, (name, f"{head}{other}==:")]) == "bad-signature"


# Whom and what it is for.


@given(place=st.integers(0, 63), flip=st.integers(1, 255))
def test_a_changed_signature_is_refused(place: int, flip: int) -> None:
    given_input, (name, value) = handmade()
    signature = bytearray(base64.b64decode(value[6:-1]))
    signature[place] ^= flip
    encoded = base64.b64encode(signature).decode()
    assert refused([given_input, (name, f"sig1=:{encoded}:")]) == "bad-signature"


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("from=0", "from=1"),
        URL.replace("a.example", "b.example"),
        URL.replace("https", "http"),
        URL.replace("entries", "witness"),
        URL.partition("?")[0],
        "not a url",
    ],
)
def test_a_signature_is_for_one_target_only(url: str) -> None:
    assert refused(handmade(), url=url) == "bad-signature"


def test_a_signature_is_for_one_method_only() -> None:
    claim = read_request(handmade())
    for method in ("HEAD", "POST", "get"):
        with pytest.raises(InvalidInput, match="bad-signature"):
            verify_request(claim, PUBLIC, method, URL, now=NOW)


def test_a_signature_by_another_key_is_refused() -> None:
    other = public_key(bytes(32))
    assert refused(handmade(), public=other) == "bad-signature"
    assert refused(handmade(keyid=f'"{key_id(other)}"'), public=other) == "bad-signature"


@pytest.mark.parametrize(
    "public",
    [
        bytes([1]) + bytes(31),  # the identity: any message has a signature by it
        b"\xff" * 32,
        b"",
        PUBLIC + b"x",
    ],
)
def test_a_key_that_is_no_sound_point_is_refused(public: bytes) -> None:
    # R = identity and S = 0 satisfy the equation of RFC 8032 for the identity as the key.
    forged = base64.b64encode(bytes([1]) + bytes(63)).decode()
    (name, value), (other, _) = handmade(keyid=f'"{key_id(public)}"')
    assert refused([(name, value), (other, f"sig1=:{forged}:")], public=public) == "bad-signature"


# What is left behind.


def test_a_claim_prints_no_signature() -> None:
    (_, value), (_, signature) = handmade()
    printed = repr(read_request(handmade()))
    assert value not in printed
    assert signature not in printed


def test_nothing_that_opens_connections_comes_with_it() -> None:
    code = "import sys, api.crypto.requests; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert loaded.isdisjoint({"requests", "httpx2", "httpcore2", "aiohttp", "urllib3"})
