"""The pages' cryptography: its own tests in Node, and against ours, both ways, refusals too."""

import base64
import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings
from pydantic import ValidationError

from api import trust
from api.crypto import keyfiles, oprf
from api.crypto.bearers import parse_invitation
from api.crypto.buckets import (
    Counts,
    Layout,
    bucket_index,
    bucket_word,
    find,
    open_bucket,
    seal_bucket,
)
from api.crypto.envelopes import (
    entry_id,
    key_id,
    public_key,
    sign,
    sign_bytes,
    verify_bytes,
)
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier
from api.crypto.joining import check_join, prove_join
from api.crypto.ristretto import ORDER, Scalar, element, scalar_from_uniform
from api.crypto.sealing import (
    SealedParts,
    open_account,
    open_box,
    open_box_key,
    seal_account,
    seal_box_key,
)
from api.crypto.stretching import Cost, stretch
from api.crypto.words import key_words
from api.moderating.keys import ModeratorKeys
from schemas.base import Kind, Severity, as_time
from schemas.canonical import MalformedDocument
from schemas.documents import DOCUMENTS, Envelope, Identity

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/vectors/documents-v1.json").read_text("utf-8"))
LOOKUP = json.loads((ROOT / "tests/vectors/lookup-v1.json").read_text("utf-8"))
WITH_NODE = [str(ROOT / "api/web/with-node"), "node"]
# Each example is an answer of another process.
alike = settings(deadline=None, max_examples=60)


class Pages:
    """The pages' code in one Node process; a refusal is an InvalidInput of its code."""

    def __init__(self, node: "subprocess.Popen[str]") -> None:
        self._node = node

    def __call__(self, method: str, *params: Any) -> Any:
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps([method, *params], default=text) + "\n")
        self._node.stdin.flush()
        answer = json.loads(self._node.stdout.readline())
        if "failure" in answer:
            raise InvalidInput(answer["failure"])
        return answer["value"]


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    command = [*WITH_NODE, "tests/web/crypto-server.js"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        yield Pages(node)
        assert node.stdin is not None
        node.stdin.close()
        assert node.wait(timeout=30) == 0


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def data_of(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def outcome(action: Callable[[], object]) -> object:
    """What an action returns, or the code with which it refuses."""
    try:
        return action()
    except InvalidInput as refused:
        return ("refused", refused.code)
    except (MalformedDocument, ValidationError):
        return ("refused", "malformed")


keys = st.binary(min_size=32, max_size=32)
uniforms = st.binary(min_size=64, max_size=64).filter(lambda n: int.from_bytes(n, "little") % ORDER)


# The look-up


@alike
@given(
    kind=st.sampled_from(Kind), canonical=st.text(max_size=40), network=st.text("ab-", max_size=9)
)
def test_an_identifier_is_stretched_alike(
    pages: Pages, kind: Kind, canonical: str, network: str
) -> None:
    network = f"test-{network}"
    stretched = stretch(Identifier(kind.value, canonical), network, Cost(8, 1))
    asked = {"kind": kind, "canonical": canonical}
    assert data_of(pages("stretch", asked, network, {"m_kib": 8, "t": 1})) == stretched


@alike
@given(st.lists(st.tuples(st.binary(), uniforms), min_size=1, max_size=4), uniforms)
def test_a_token_that_the_pages_asked_for_is_the_one_that_is_kept(
    pages: Pages, asked: list[tuple[bytes, bytes]], k: bytes
) -> None:
    evaluator = oprf.KeyEvaluator(scalar_from_uniform(k), secrets.token_bytes)
    blinded = [data_of(pages("blind", x, r)) for x, r in asked]
    assert blinded == [oprf.blind(x, scalar_from_uniform(r)) for x, r in asked]
    (part,) = evaluator.evaluate([element(one) for one in blinded])
    pages("verifyProof", evaluator.public_key, blinded, part.elements, part.proof)
    for (x, r), evaluated in zip(asked, part.elements, strict=True):
        assert data_of(pages("unblind", evaluated, r)) == evaluator.token(x)


@alike
@given(data=st.data(), place=st.integers(0, 63), flip=st.integers(1, 255))
def test_a_proof_is_judged_alike(pages: Pages, data: st.DataObject, place: int, flip: int) -> None:
    public = oprf.public_key(Scalar(bytes.fromhex(LOOKUP["secret_key"])))
    item = data.draw(st.sampled_from(LOOKUP["items"]))
    blinded, evaluated, proof = (
        bytearray.fromhex(item[name]) for name in ("blinded", "evaluated", "proof")
    )
    changed = data.draw(st.sampled_from([blinded, evaluated, proof]))
    changed[place % len(changed)] ^= flip
    with pytest.raises(InvalidInput) as caught:
        pages("verifyProof", public, [bytes(blinded)], [bytes(evaluated)], bytes(proof))
    assert caught.value.code == "bad-proof"


@alike
@given(
    data=keys | keys.map(lambda one: bytes([one[0] & 0xFE]) + one[1:31] + bytes([one[31] & 0x7F]))
)
def test_an_element_is_one_for_both(pages: Pages, data: bytes) -> None:
    theirs = outcome(lambda: data_of(pages("element", data)))
    assert theirs == outcome(lambda: element(data))


counts = st.builds(Counts, *[st.integers(0, 300)] * 5)
LOG_SEED = bytes(range(32))


@alike
@given(
    listed=st.dictionaries(keys, counts, min_size=1, max_size=20),
    stranger=keys,
    bits=st.integers(0, 8),
    epoch=st.integers(1, 2**32 - 1),
)
def test_what_is_sealed_in_a_bucket_is_found_in_the_pages(
    pages: Pages, listed: dict[bytes, Counts], stranger: bytes, bits: int, epoch: int
) -> None:
    file = seal_bucket(
        list(listed.items()),
        network="test-pages",
        epoch=epoch,
        layout=Layout(bits, 24),
        index=0,
        sealed=500_000,
        salt=secrets.token_bytes(16),
        log_seed=LOG_SEED,
        chance=secrets.token_bytes,
    )
    asked = {
        "network": "test-pages",
        "epoch": epoch,
        "bits": bits,
        "index": 0,
        "logKey": public_key(LOG_SEED),
        "now": 500_000 * 3600,
        "small": True,
    }
    for token, expected in listed.items():
        assert Counts(**pages("find", file, asked, token)).encode() == expected.encode()
        word = bucket_word(token, "test-pages", epoch)
        assert pages("bucketIndex", token, "test-pages", epoch, bits) == bucket_index(word, bits)
    assert stranger in listed or pages("find", file, asked, stranger) is None


@settings(alike, max_examples=200)
@given(
    place=st.sampled_from([*range(44), 44, 45, 56, 115]),
    byte=st.integers(0, 255),
    bits=st.sampled_from([LOOKUP["bits"], 0, 9]),
    age=st.sampled_from([0, 48 * 3600, 48 * 3600 + 1, -3600, -3601]),
    small=st.booleans(),
    signed=st.booleans(),
)
def test_a_bucket_is_judged_alike(
    pages: Pages, *, place: int, byte: int, bits: int, age: int, small: bool, signed: bool
) -> None:
    bucket, network = LOOKUP["bucket"], LOOKUP["network"]
    (held,) = (item for item in LOOKUP["items"] if item["canonical"] == bucket["holds"])
    content = bytearray.fromhex(bucket["bytes"])[:-64]
    content[place] = byte
    signature = bytes.fromhex(bucket["bytes"])[-64:]
    if signed:
        label = b"parasol/v1\0bucket file\0" + network.encode() + b"\0"
        signature = sign_bytes(bytes.fromhex(bucket["log_secret_seed"]), label + content)
    file, token = bytes(content) + signature, bytes.fromhex(held["token"])
    log_key = bytes.fromhex(bucket["log_public_key"])
    now = bucket["sealed"] * 3600 + age
    asked = {"network": network, "epoch": 1, "bits": bits, "index": held["bucket_index"]}

    def ours() -> object:
        opened = open_bucket(file, **asked, log_key=log_key, now=now, small=small)
        found = find(opened, token)
        return None if found is None else list(found.encode())

    def theirs() -> object:
        found = pages("find", file, {**asked, "logKey": log_key, "now": now, "small": small}, token)
        return None if found is None else list(Counts(**found).encode())

    assert outcome(theirs) == outcome(ours)


# Accounts


def chance(n: int) -> bytes:
    return secrets.token_bytes(n)


@alike
@given(
    account=st.binary(max_size=9000).filter(lambda one: not one.endswith(b" ")),
    owners=st.lists(keys, min_size=1, max_size=3, unique=True),
)
def test_an_account_is_read_whoever_sealed_it(
    pages: Pages, account: bytes, owners: list[bytes]
) -> None:
    publics = {str(i): bindings.crypto_scalarmult_base(one) for i, one in enumerate(owners)}
    made = pages("seal", account, [{"kid": kid, "box": box} for kid, box in publics.items()])
    sealed = {key["kid"]: data_of(key["sealed"]) for key in made["keys"]}
    theirs = SealedParts(nonce=data_of(made["nonce"]), box=data_of(made["box"]), keys=sealed)
    ours = seal_account(account, publics, chance)
    for i, secret in enumerate(owners):
        assert data_of(pages("boxPublic", secret)) == publics[str(i)]
        assert open_account(theirs, str(i), secret) == account
        key = pages("openBoxKey", ours.keys[str(i)], secret)
        assert data_of(pages("openBox", ours.nonce, ours.box, key)) == account


@alike
@given(box_key=keys, secret=keys, place=st.integers(0, 79), flip=st.integers(0, 255))
def test_a_box_key_is_sealed_again_and_judged_alike(
    pages: Pages, box_key: bytes, secret: bytes, place: int, flip: int
) -> None:
    public = bindings.crypto_scalarmult_base(secret)
    assert open_box_key(data_of(pages("sealBoxKey", box_key, public)), secret) == box_key
    sealed = bytearray(seal_box_key(box_key, public))
    sealed[place] ^= flip
    theirs = outcome(lambda: data_of(pages("openBoxKey", bytes(sealed), secret)))
    assert theirs == outcome(lambda: open_box_key(bytes(sealed), secret))


@alike
@given(plain=st.binary(max_size=40), blocks=st.integers(0, 2), size=st.integers(-20, 20))
def test_a_box_is_judged_alike(pages: Pages, plain: bytes, blocks: int, size: int) -> None:
    nonce, key = bytes(24), bytes(32)
    length = max(0, blocks * 4096 + size)
    box = bindings.crypto_secretbox(plain.ljust(length)[:length], nonce, key)
    theirs = outcome(lambda: data_of(pages("openBox", nonce, box, key)))
    assert theirs == outcome(lambda: open_box(nonce, box, key))


# Key files


@alike
@given(content=st.binary(max_size=200), passphrase=st.text(min_size=1))
def test_a_key_file_opens_whoever_locked_it(pages: Pages, content: bytes, passphrase: str) -> None:
    theirs = pages("lock", content, passphrase)
    assert keyfiles.unlock(theirs.encode(), passphrase) == content
    ours = keyfiles.lock(content, passphrase, chance, m_kib=8, t=1)
    assert len(ours) == len(theirs)
    assert data_of(pages("unlock", ours.decode(), passphrase)) == content


def test_a_moderators_keys_go_both_ways(pages: Pages) -> None:
    made = ModeratorKeys.generate(chance)
    contents = data_of(
        pages("unlock", made.lock("correct horse", chance).decode(), "correct horse")
    )
    brought = pages("lock", contents, "battery staple")
    back = ModeratorKeys.unlock(f"{brought}\n".encode(), "battery staple")
    assert (back.sign, back.box) == (made.sign, made.box)
    assert pages("keyId", pages("publicKey", made.sign)) == made.kid
    words = pages("keyWords", pages("publicKey", made.sign), pages("boxPublic", made.box))
    assert words == made.words == key_words(made.public_sign, made.public_box)


LOCKED = keyfiles.lock(b"secret", "correct horse", bytes, m_kib=8, t=1).decode()


@settings(alike, max_examples=300)
@given(
    place=st.integers(0, len(LOCKED)),
    new=st.sampled_from([*'09AB=",:{}e.- \n', "0a", '"t":1,']),
    length=st.integers(0, 1),
)
def test_a_key_file_is_judged_alike(pages: Pages, place: int, new: str, length: int) -> None:
    file = LOCKED[:place] + new + LOCKED[place + length :]
    if '"m_kib":8,' not in file:
        return  # up to 1 GiB takes its time
    theirs = outcome(lambda: data_of(pages("unlock", file, "correct horse")))
    assert theirs == outcome(lambda: keyfiles.unlock(file.encode(), "correct horse"))


# Signatures


@alike
@given(seed=keys, kind=st.text(max_size=30), payload=st.binary(max_size=300))
def test_a_signature_is_the_same(pages: Pages, seed: bytes, kind: str, payload: bytes) -> None:
    assert data_of(pages("publicKey", seed)) == public_key(seed)
    assert data_of(pages("sign", seed, kind, payload)) == sign(seed, kind, payload)
    assert data_of(pages("entryId", kind, payload)) == entry_id(kind, payload)
    assert pages("keyId", public_key(seed)) == key_id(public_key(seed))


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
]
torsion = st.none() | st.sampled_from(SMALL_ORDER).map(bytes.fromhex)


def add(point: bytes, other: bytes | None) -> bytes:
    return point if other is None else bindings.crypto_core_ed25519_add(point, other)


def reduced(data: bytes) -> int:
    return int.from_bytes(data, "little") % ORDER


@settings(alike, max_examples=200)
@given(
    seed=keys,
    message=st.binary(max_size=20),
    nonce=st.one_of(st.just(0), st.integers(1, ORDER - 1)),
    added=st.tuples(torsion, torsion),
    over=st.booleans(),
)
def test_a_signature_is_judged_alike(
    pages: Pages,
    *,
    seed: bytes,
    message: bytes,
    nonce: int,
    added: tuple[bytes | None, bytes | None],
    over: bool,
) -> None:
    """Signatures that hold but for one doubtful thing: where implementations part."""
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    half = bindings.crypto_hash_sha512(secret[:32])[:32]
    scalar = (int.from_bytes(half, "little") & ((1 << 254) - 8)) | (1 << 254)
    point = (
        bindings.crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
        if nonce
        else bytes.fromhex(SMALL_ORDER[0])
    )
    public, r = add(public_key(seed), added[0]), add(point, added[1])
    challenge = reduced(bindings.crypto_hash_sha512(r + public + message))
    s = (nonce + challenge * scalar) % ORDER + (ORDER if over else 0)
    signature = r + s.to_bytes(32, "little")
    theirs = outcome(lambda: pages("verify", public, message, signature))
    assert theirs == outcome(lambda: verify_bytes(public, message, signature))


@alike
@given(seed=keys, secret=keys, code=st.text("abcXYZ019_-", min_size=43, max_size=43))
def test_a_proof_of_joining_is_accepted(
    pages: Pages, seed: bytes, secret: bytes, code: str
) -> None:
    box = bindings.crypto_scalarmult_base(secret)
    proof = data_of(pages("proveJoin", seed, code, box))
    assert proof == prove_join(seed, code, box)
    check_join(public_key(seed), box, code, proof)


# Invitations

labels = st.sampled_from(
    [
        "alpha",
        "example",
        "localhost",
        "onion",
        "127",
        "0",
        "1",
        "01",
        "256",
        "a-b",
        "-",
        "",
        "é",
        "K",
    ]
)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.sampled_from(
        ["127.0.0.1", "127.255.255.254", "127.0.0", "localhost", "x.onion", "10.0.0.1"]
    ),
    st.text("0123456789abcdf:.", max_size=12).map(lambda one: f"[{one}]"),
    st.sampled_from(
        ["[::1]", "[0::1]", "[::0.0.0.1]", "[::ffff:127.0.0.1]", "[::1%25lo]", "[1::1]"]
    ),
    st.ip_addresses(v=6).map(lambda one: f"[{one.exploded}]"),
)
schemes = st.sampled_from(["https://", "http://", "HTTPS://", "Http://", "ftp://", "//", ""])
tails = st.sampled_from(
    ["", ":1", ":65535", ":65536", ":0", ":080", ":", "/", "/x", "?", "\n", " "]
)
secret_parts = st.sampled_from(["A" * 43, "_-" * 21 + "0", "A" * 42, "A" * 44, "A" * 42 + "="])
roots = st.sampled_from(["0f" * 32, "0F" * 32, "0f" * 31, "0f" * 33, "xx" * 32])
around = st.sampled_from(["", " ", "\t", "\r\n", "x"])


@settings(alike, max_examples=500)
@given(st.tuples(around, schemes, hosts, tails, secret_parts, roots, around))
def test_an_invitation_is_read_or_refused_alike(pages: Pages, parts: tuple[str, ...]) -> None:
    before, scheme, host, tail, code, root, after = parts
    line = f"{before}{scheme}{host}{tail}/join#{code}.{root}{after}"

    def ours() -> object:
        invitation = parse_invitation(line)
        return {
            "address": invitation.address,
            "code": invitation.code,
            "root": invitation.root.hex(),
        }

    assert outcome(lambda: pages("invitation", line)) == outcome(ours)


# Documents

SIGNED = [VECTORS["identity"], *VECTORS["entries"], VECTORS["checkpoint"]]
PAYLOADS = [(one["type"].split(".")[2], one["payload_text"]) for one in SIGNED]
DAYS = {"issued": "2026-11-21", "origin": "alpha.example", "rid": "00" * 16}
PAYLOADS += [
    ("erase", json.dumps({**DAYS, "reason": "legal", "targets": [text(bytes(32))]})),
    ("close", json.dumps({**DAYS, "successor": "alpha.example:2"})),
]
B64 = [text(bytes([n]) * size) for n, size in [(0, 32), (1, 32), (255, 32), (1, 31), (1, 33)]]
VALUES: list[Any] = [
    *[None, True, False, 0, 1, -1, 2, 8, 32, 1.5, 1.0, -0.0, 2**53 - 1, 2**53, 2**64, 1e300],
    *[[], {}, [[]], {"id": "x"}, "", "x", "ab", "a" * 40, "a" * 41, "A", "-", "é", "\ud800", '"'],
    *["2026-02-28", "2026-02-29", "2024-02-29", "0000-01-01", "9999-12-31", "2026-11-31"],
    *["2026-13", "2026-12", "2026-00", "0001-01", "2026-1", "٢٠٢٦-01", "2026-01-01\n"],
    *["2026-01-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "1-1-1T0:0:0Z"],
    *["alpha.example", "alpha.example:1", "alpha.example:0", "alpha.example:999999999", "a" * 63],
    *["alpha.example:1000000000", "beta.example:2", "a" * 64, "a." * 126 + "a", "a." * 127],
    *["https://alpha.example", "http://[::1]:8/a/b/", "https://a/?b", "https://a//", "HTTPS://a/"],
    *["https://" + "a" * 260, "https://" + "a" * 261],
    *["https://a/" + "b" * 490, "https://a/" + "b" * 491],
    *["active", "ended", "revoked", "danger", "risk", "nuisance", "phone", "email", "disputed"],
    *["robbery", "scam", "other", "murder", "00" * 16, "0F" * 16, "error", "expired", "legal"],
    *[*B64, B64[0][:-1], B64[0] + "\n", B64[0].replace("A=", "B="), "AA==AA==", "-" * 43 + "="],
]  # fmt: skip


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all that stands in parsed JSON."""
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [(*here,), *(path for key, one in inside for path in paths(one, (*here, key)))]


def changed(data: st.DataObject, value: Any) -> Any:
    """Parsed JSON with one thing in it replaced, repeated, turned, added or left out."""
    value = json.loads(json.dumps(value))
    path = data.draw(st.sampled_from(paths(value)[1:]))
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    last, how = path[-1], data.draw(st.sampled_from(["replace", "drop", "add", "list"]))
    inside = holder[last]
    if how == "drop":
        del holder[last]
    elif how == "add" and isinstance(inside, dict):
        inside[data.draw(st.sampled_from(["more", "previous", "replaces", "successor"]))] = (
            data.draw(st.sampled_from(VALUES))
        )
    elif how == "list" and isinstance(inside, list):
        turn = data.draw(st.sampled_from(["reverse", "repeat", "empty", "many"]))
        holder[last] = {
            "reverse": inside[::-1],
            "repeat": inside + inside[:1],
            "empty": [],
            "many": inside * 40,
        }[turn]
    else:
        holder[last] = data.draw(st.sampled_from(VALUES))
    return value


def strict(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def documents_alike(pages: Pages, kind: str, payload: bytes) -> None:
    document = DOCUMENTS[f"application/vnd.parasol.{kind}.v1+json"]
    theirs = outcome(lambda: data_of(pages("document", kind, payload)))
    assert theirs == outcome(lambda: document.decode(payload).encode())


@settings(alike, max_examples=1000)
@given(data=st.data(), which=st.sampled_from(PAYLOADS), times=st.integers(0, 2))
def test_a_document_with_another_member_is_judged_alike(
    pages: Pages, data: st.DataObject, which: tuple[str, str], times: int
) -> None:
    kind, value = which[0], json.loads(which[1])
    for _ in range(times):
        value = changed(data, value) if len(paths(value)) > 1 else value
    documents_alike(pages, kind, strict(value))


@settings(alike, max_examples=500)
@given(
    data=st.data(),
    which=st.sampled_from(PAYLOADS),
    new=st.binary(max_size=2)
    | st.sampled_from([b" ", b",", b'"', b"\\u0061", b"0", b"1e0", b"\n"]),
    length=st.integers(0, 2),
)
def test_a_document_with_other_bytes_is_judged_alike(
    pages: Pages, data: st.DataObject, which: tuple[str, str], new: bytes, length: int
) -> None:
    kind, payload = which[0], strict(json.loads(which[1]))
    place = data.draw(st.integers(0, len(payload)))
    documents_alike(pages, kind, payload[:place] + new + payload[place + length :])


@settings(alike, max_examples=300)
@given(data=st.data(), signed=st.sampled_from(SIGNED))
def test_an_envelope_is_judged_alike(
    pages: Pages, data: st.DataObject, signed: dict[str, Any]
) -> None:
    written = json.dumps(changed(data, signed["envelope"]))
    if "\\ud800" in written:
        return  # Python's JSON refuses what no document's type could be

    def ours() -> object:
        return Envelope.model_validate_json(written).model_dump(mode="json")

    assert outcome(lambda: pages("envelope", written)) == outcome(ours)


# Trust


def seed(name: str) -> bytes:
    return sha256(name.encode()).digest()


def enveloped(kind: str, value: Any, *names: str) -> dict[str, Any]:
    payload, kind = strict(value), f"application/vnd.parasol.{kind}.v1+json"
    return {
        "payload": text(payload),
        "payloadType": kind,
        "signatures": [
            {"keyid": key_id(public_key(seed(name))), "sig": text(sign(seed(name), kind, payload))}
            for name in names
        ],
    }


def public(name: str) -> str:
    return text(public_key(seed(name)))


def moderator(name: str, status: str = "active") -> dict[str, str]:
    return {"id": name, "sign": public(name), "box": public(f"box {name}"), "status": status}


FIRST: dict[str, Any] = {
    **json.loads(VECTORS["identity"]["payload_text"]),
    "root": {"keys": [public("root")], "threshold": 1},
    "collectives": [
        {
            "id": "rose",
            "moderators": [moderator("rose-a"), moderator("rose-b"), moderator("rose-c", "ended")],
            "status": "active",
        },
        {"id": "iris", "moderators": [moderator("iris-a", "revoked")], "status": "ended"},
    ],
}
KNOWN = Identity.decode(strict(FIRST))
LAST = date(2100, 1, 1)
HELD = trust.root_fingerprint(KNOWN.root)


@settings(alike, max_examples=500)
@given(
    data=st.data(),
    times=st.integers(0, 2),
    names=st.lists(st.sampled_from(["root", "mallory", "root-2"]), min_size=1, max_size=3),
    pin=st.booleans(),
)
def test_a_succession_is_judged_alike(
    pages: Pages, *, data: st.DataObject, times: int, names: list[str], pin: bool
) -> None:
    second = {**FIRST, "version": 2, "previous": text(sha256(strict(FIRST)).digest())}
    for _ in range(times):
        second = changed(data, second)
    chain = [enveloped("identity", FIRST, "root"), enveloped("identity", second, *names)]
    chain = chain if pin else chain[1:]

    def ours() -> object:
        envelopes = [Envelope.model_validate(one) for one in chain]
        return trust.follow_chain(envelopes, root_sha256=HELD).encode()

    assert outcome(lambda: data_of(pages("followChain", chain, HELD))) == outcome(ours)


@settings(alike, max_examples=200)
@given(
    issued=st.integers(1_793_000_000, 1_794_000_000),
    days=st.integers(-1, 401),
    second=st.sampled_from([-1, 0, 1]),
    off=st.sampled_from([-3601, -3600, -3599, 0, 400 * 86400]),
)
def test_a_time_is_judged_alike(
    pages: Pages, issued: int, days: int, second: int, off: int
) -> None:
    written = [
        datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for moment in (issued, issued + days * 86400 + second)
    ]
    payload = strict({**FIRST, "issued": written[0], "expires": written[1]})
    known = Identity.decode(payload)
    now = datetime.fromtimestamp(issued + off, UTC)
    theirs = outcome(lambda: pages("checkCurrent", payload, issued + off))
    assert theirs == outcome(lambda: trust.check_current(known, now))
    assert as_time(written[0]).timestamp() == issued


@settings(alike, max_examples=500)
@given(
    data=st.data(),
    which=st.sampled_from(VECTORS["entries"][1:]),
    times=st.integers(0, 2),
    today=st.dates(date(2026, 11, 15), date(2026, 11, 25)) | st.dates(date(2020, 1, 1), LAST),
    method=st.sampled_from(["openReport", "openRetract"]),
)
def test_a_report_or_retraction_is_judged_alike(
    pages: Pages,
    *,
    data: st.DataObject,
    which: dict[str, Any],
    times: int,
    today: date,
    method: str,
) -> None:
    kind, value = which["type"].split(".")[2], json.loads(which["payload_text"])
    for _ in range(times):
        value = changed(data, value)
    identity = VECTORS["identity"]["payload_text"].encode()
    known, signed = Identity.decode(identity), enveloped(kind, value, "rose-a")

    def ours() -> object:
        envelope = Envelope.model_validate(signed)
        if method == "openReport":
            return trust.open_report(envelope, known, today=today).encode()
        return trust.open_retract(envelope, known, today=today).encode()

    assert outcome(lambda: data_of(pages(method, signed, identity, str(today)))) == outcome(ours)


@settings(alike, max_examples=200)
@given(
    names=st.lists(
        st.sampled_from(["rose-a", "rose-b", "rose-c", "iris-a", "mallory"]),
        min_size=1,
        max_size=3,
    ),
    collective=st.sampled_from(["rose", "iris", "lily"]),
    spoiled=st.booleans(),
)
def test_signers_are_named_alike(
    pages: Pages, *, names: list[str], collective: str, spoiled: bool
) -> None:
    signed = enveloped("report", {"any": "thing"}, *names)
    if spoiled:
        signed["signatures"][-1]["sig"] = text(bytes(64))
    theirs = outcome(lambda: frozenset(pages("signers", signed, strict(FIRST), collective)))
    ours = outcome(lambda: trust.signers(Envelope.model_validate(signed), KNOWN, collective))
    assert theirs == ours


@alike
@given(day=st.dates(date(1, 1, 1), date(9990, 1, 1)), severity=st.sampled_from(Severity))
def test_a_report_ends_on_the_same_day(pages: Pages, day: date, severity: Severity) -> None:
    month = str(day)[:7]
    assert pages("latestExpiry", month, severity) == str(trust.latest_expiry(month, severity))
