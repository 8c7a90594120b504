"""The second client, written from the protocol alone, against the golden vectors."""

import ast
import base64
import hashlib
import json
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.independent import client
from tests.independent.client import CouldNotCheck, Counts, IndependentClient

VECTORS = Path(__file__).parent.parent / "vectors"
LOOKUP = json.loads((VECTORS / "lookup-v1.json").read_text())
IDENTIFIERS = json.loads((VECTORS / "identifiers.json").read_text())["cases"]
DOCUMENTS = json.loads((VECTORS / "documents-v1.json").read_text())
RFC9497 = json.loads((VECTORS / "rfc9497-ristretto255-sha512.json").read_text())
VOPRF = next(suite for suite in RFC9497 if suite["mode"] == 1)

NETWORK, EPOCH, BITS = LOOKUP["network"], LOOKUP["epoch"], LOOKUP["bits"]
BUCKET = LOOKUP["bucket"]
FILE = bytes.fromhex(BUCKET["bytes"])
SEALED = BUCKET["sealed"] * 3600


def element(scalar: int, encoded: bytes) -> bytes:
    return client.ristretto_encode(client.multiply(scalar, client.ristretto_decode(encoded)))


def scalar(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text), "little")


def public_key(secret: int) -> bytes:
    return client.ristretto_encode(client.multiply(secret, client.BASE))


def derived_key(seed: str, info: bytes) -> int:
    """DeriveKeyPair of RFC 9497."""
    message = bytes.fromhex(seed) + struct.pack(">H", len(info)) + info + b"\0"
    uniform = client.expand(message, b"DeriveKeyPair" + client.CONTEXT)
    return int.from_bytes(uniform, "little") % client.L


def proof(secret: int, blinded: list[bytes], evaluated: list[bytes], nonce: int) -> bytes:
    """GenerateProof of RFC 9497."""
    key = public_key(secret)
    m, z = client.composites(key, blinded, evaluated)
    commitments = client.multiply(nonce, client.BASE), client.multiply(nonce, m)
    c = client.challenge(key, m, z, *commitments)
    s = (nonce - c * secret) % client.L
    return c.to_bytes(32, "little") + s.to_bytes(32, "little")


def ed25519_key(seed: bytes) -> tuple[int, bytes, bytes]:
    digest = hashlib.sha512(seed).digest()
    secret = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    return secret, digest[32:], client.edwards_encode(client.multiply(secret, client.BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    secret, prefix, key = ed25519_key(seed)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % client.L
    commitment = client.edwards_encode(client.multiply(r, client.BASE))
    k = int.from_bytes(hashlib.sha512(commitment + key + message).digest(), "little")
    return commitment + ((r + k * secret) % client.L).to_bytes(32, "little")


def encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(CouldNotCheck) as refused:
        call()
    return refused.value.reason


# The group and the signatures.


def test_the_generator_and_its_double_are_encoded_as_in_rfc_9496() -> None:
    assert public_key(1).hex() == "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"
    assert public_key(2).hex() == "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919"


@pytest.mark.parametrize(
    "encoded",
    [
        "00" * 32,  # the identity
        "00" * 31,
        "00" + "ff" * 31,  # not reduced
        "ed" + "ff" * 30 + "7f",
        "01" + "00" * 31,  # negative
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",  # no square
        "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",  # negative x·y
        "ec" + "ff" * 30 + "7f",  # s = -1
    ],
)
def test_a_bad_element_is_refused(encoded: str) -> None:
    assert reason(lambda: client.ristretto_decode(bytes.fromhex(encoded))) == "invalid-element"


def test_a_signature_of_rfc_8032_holds_and_its_variations_do_not() -> None:
    key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e397"
        "01cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert client.ed25519_verify(key, b"", signature)
    assert not client.ed25519_verify(key, b"x", signature)
    assert not client.ed25519_verify(key, b"", signature[:-1])
    larger = int.from_bytes(signature[32:], "little") + client.L
    assert not client.ed25519_verify(key, b"", signature[:32] + larger.to_bytes(32, "little"))
    neutral = (1).to_bytes(32, "little")
    assert not client.ed25519_verify(neutral, b"", neutral + bytes(32))


@pytest.mark.parametrize("encoded", [b"\xff" * 32, b"\x02" + bytes(31), b"\x01" * 31])
def test_a_bad_key_is_refused(encoded: bytes) -> None:
    assert reason(lambda: client.ed25519_verify(encoded, b"", bytes(64))) == "invalid-key"


# RFC 9497, mode 1.


def test_the_keys_of_rfc_9497_are_derived() -> None:
    secret = derived_key(VOPRF["seed"], bytes.fromhex(VOPRF["keyInfo"]))
    assert secret == scalar(VOPRF["skSm"])
    assert public_key(secret).hex() == VOPRF["pkSm"]


@pytest.mark.parametrize("vector", VOPRF["vectors"], ids=["one", "longer", "batch"])
def test_rfc_9497(vector: dict[str, Any]) -> None:
    names = ("Input", "Blind", "BlindedElement", "EvaluationElement", "Output")
    columns = [[bytes.fromhex(text) for text in vector[name].split(",")] for name in names]
    inputs, blinds, blinded, evaluated, outputs = columns
    secret, key = scalar(VOPRF["skSm"]), bytes.fromhex(VOPRF["pkSm"])
    assert [client.blind(x, r) for x, r in zip(inputs, blinds, strict=True)] == blinded
    assert [element(secret, b) for b in blinded] == evaluated
    stated = bytes.fromhex(vector["Proof"]["proof"])
    client.verify_proof(key, blinded, evaluated, stated)
    assert proof(secret, blinded, evaluated, scalar(vector["Proof"]["r"])) == stated
    for x, r, after, output in zip(inputs, blinds, evaluated, outputs, strict=True):
        token = client.unblind(after, r)
        assert token == element(secret, client.hash_to_group(x))
        message = struct.pack(">H", len(x)) + x + b"\0\x20" + token + b"Finalize"
        assert hashlib.sha512(message).digest() == output


@pytest.mark.parametrize("bad", [bytes(32), client.L.to_bytes(32, "little"), b"\1" * 31])
def test_a_bad_blind_is_refused(bad: bytes) -> None:
    assert reason(lambda: client.blind(b"x", bad)) == "invalid-scalar"
    assert reason(lambda: client.unblind(public_key(1), bad)) == "invalid-scalar"


# Identifiers.


@pytest.mark.parametrize("case", IDENTIFIERS)
def test_an_identifier_is_written_in_its_one_form(case: dict[str, Any]) -> None:
    form = client.canonical(case["kind"], case["value"], case["region"])
    assert form == case["canonical"]
    if form is not None:
        assert client.canonical(case["kind"], form, None) == form


def test_another_kind_is_refused() -> None:
    assert client.canonical("name", "someone@example.org", None) is None


# The look-up vectors.


def test_the_network_key_of_the_vectors() -> None:
    secret = derived_key(LOOKUP["seed"], LOOKUP["info"].encode())
    assert secret == scalar(LOOKUP["secret_key"])
    assert public_key(secret).hex() == LOOKUP["public_key"]


@pytest.mark.parametrize("item", LOOKUP["items"], ids=lambda item: item["canonical"])
def test_an_item_of_the_vectors(item: dict[str, Any]) -> None:
    cost, secret = LOOKUP["argon2id"], scalar(LOOKUP["secret_key"])
    form = client.canonical(item["kind"], item["value"], item["region"])
    assert form is not None
    assert form == item["canonical"]
    assert client.labelled(item["kind"], form).hex() == item["identifier"]
    salt = hashlib.sha256(b"parasol/v1 argon2 salt\0" + NETWORK.encode()).hexdigest()[:32]
    assert salt == cost["salt"]
    x = client.stretch(item["kind"], form, NETWORK, cost["m_kib"], cost["t"])
    assert x.hex() == item["stretched"]
    r = bytes.fromhex(item["blind"])
    blinded = client.blind(x, r)
    assert blinded.hex() == item["blinded"]
    evaluated = element(secret, blinded)
    assert evaluated.hex() == item["evaluated"]
    stated = bytes.fromhex(item["proof"])
    client.verify_proof(bytes.fromhex(LOOKUP["public_key"]), [blinded], [evaluated], stated)
    assert proof(secret, [blinded], [evaluated], scalar(item["proof_scalar"])) == stated
    token = client.unblind(evaluated, r)
    assert token.hex() == item["token"]
    assert client.bucket_index(token, NETWORK, EPOCH, 32) == item["bucket_word"]
    assert client.bucket_index(token, NETWORK, EPOCH, BITS) == item["bucket_index"]
    assert client.bucket_index(token, NETWORK, EPOCH, 0) == 0
    entry, seal = bytes.fromhex(item["entry"]), bytes.fromhex(LOOKUP["bucket_salt"])
    found = client.find(client.Bucket(EPOCH, seal, bytes(12) + entry), NETWORK, token)
    assert found == Counts(**{name: min(n, 255) for name, n in item["counts"].items()})
    assert found is not None
    assert bytes(found).hex() == item["counts_bytes"]


def batch() -> tuple[bytes, list[bytes], list[bytes], bytes]:
    blinded, evaluated = (
        [bytes.fromhex(item[name]) for item in LOOKUP["items"]] for name in ("blinded", "evaluated")
    )
    stated = bytes.fromhex(LOOKUP["batch"]["proof"])
    return bytes.fromhex(LOOKUP["public_key"]), blinded, evaluated, stated


def test_the_proof_over_the_batch() -> None:
    key, blinded, evaluated, stated = batch()
    client.verify_proof(key, blinded, evaluated, stated)
    nonce = scalar(LOOKUP["batch"]["proof_scalar"])
    assert proof(scalar(LOOKUP["secret_key"]), blinded, evaluated, nonce) == stated


def test_a_proof_about_anything_else_is_refused() -> None:
    key, blinded, evaluated, stated = batch()
    swapped = [evaluated[1], evaluated[0], *evaluated[2:]]
    for arguments in (
        (public_key(2), blinded, evaluated, stated),
        (key, blinded, swapped, stated),
        (key, blinded[:3], evaluated[:3], stated),
        (key, blinded, evaluated[:3], stated),
        (key, [], [], stated),
        (key, blinded, evaluated, stated[:63]),
        (key, blinded, evaluated, stated[:63] + bytes([stated[63] ^ 1])),
    ):
        assert reason(lambda given=arguments: client.verify_proof(*given)) == "bad-proof"  # type: ignore[misc]
    unreduced = stated[:32] + b"\xff" * 32
    assert reason(lambda: client.verify_proof(key, blinded, evaluated, unreduced)) == (
        "invalid-scalar"
    )


def test_shares_of_the_key_give_the_same_element() -> None:
    quorum = LOOKUP["quorum"]
    shares = {int(number): scalar(share) for number, share in quorum["shares"].items()}
    elements: dict[int, client.Point] = {}
    for number, share in shares.items():
        assert public_key(share).hex() == quorum["share_public_keys"][str(number)]
        evaluated = element(share, bytes.fromhex(quorum["blinded"]))
        assert evaluated.hex() == quorum["evaluated"][str(number)]
        elements[number] = client.ristretto_decode(evaluated)
    for a, b in ((1, 2), (1, 3), (3, 2)):
        weight_a = b * pow(b - a, -1, client.L) % client.L
        weight_b = a * pow(a - b, -1, client.L) % client.L
        parts = client.multiply(weight_a, elements[a]), client.multiply(weight_b, elements[b])
        joined = client.ristretto_encode(client.add(*parts))
        assert joined.hex() == LOOKUP["items"][0]["evaluated"]


def test_a_token_moves_to_the_next_key() -> None:
    rotation = LOOKUP["rotation"]
    delta = scalar(rotation["delta"])
    before = bytes.fromhex(rotation["token_before"])
    assert element(delta, before).hex() == rotation["token_after"]
    assert element(delta, bytes.fromhex(LOOKUP["public_key"])).hex() == rotation["public_key"]


# The bucket file.


def opened(file: bytes = FILE, **other: Any) -> client.Bucket:
    arguments: dict[str, Any] = {
        "log_key": bytes.fromhex(BUCKET["log_public_key"]),
        "network": NETWORK,
        "epoch": EPOCH,
        "bits": BITS,
        "index": LOOKUP["items"][0]["bucket_index"],
        "now": float(SEALED),
    }
    return client.open_bucket(file, **(arguments | other))


def sealed(file: bytes, network: str = NETWORK) -> bytes:
    """Sign a changed file anew."""
    message = client.labelled("bucket file", network, file[:-64])
    return file[:-64] + sign(bytes.fromhex(BUCKET["log_secret_seed"]), message)


def test_the_bucket_of_the_vectors() -> None:
    assert sealed(FILE) == FILE
    bucket = opened()
    assert bucket.salt.hex() == LOOKUP["bucket_salt"]
    assert len(bucket.entries) == BUCKET["slots"] * 12
    for item in LOOKUP["items"]:
        found = client.find(bucket, NETWORK, bytes.fromhex(item["token"]))
        held = item["canonical"] == BUCKET["holds"]
        assert found == (Counts(**item["counts"]) if held else None)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"network": "test-other"}, "bucket-signature"),
        ({"log_key": bytes([2]) + bytes(31)}, "invalid-key"),
        ({"epoch": 2}, "bucket-header"),
        ({"bits": 3}, "bucket-header"),
        ({"index": 9}, "bucket-header"),
        ({"now": SEALED + 48 * 3600 + 1.0}, "bucket-age"),
        ({"now": SEALED - 3600 - 1.0}, "bucket-age"),
        ({"file": FILE[:-1] + b"\0"}, "bucket-signature"),
        ({"file": FILE[:107]}, "bucket-length"),
        ({"file": sealed(b"PARASOL2" + FILE[8:])}, "bucket-header"),
        ({"file": sealed(FILE[:15] + b"\1" + FILE[16:])}, "bucket-header"),
        ({"file": sealed(FILE[:23] + b"\7" + FILE[24:])}, "bucket-length"),
        ({"file": sealed(FILE[:12] + b"\x09" + FILE[13:]), "bits": 9}, "bucket-layout"),
        ({"file": sealed(FILE, "demo"), "network": "demo"}, "bucket-layout"),
    ],
)
def test_a_bucket_that_is_not_what_was_asked_for_is_refused(
    changed: dict[str, Any], why: str
) -> None:
    assert reason(lambda: opened(**changed)) == why


@pytest.mark.parametrize("now", [SEALED + 48 * 3600, SEALED - 3600])
def test_a_bucket_is_accepted_up_to_its_limits_of_age(now: int) -> None:
    assert opened(now=now)


# The signed identity.

PAYLOAD: str = DOCUMENTS["identity"]["payload_text"]
FIELDS: dict[str, Any] = json.loads(PAYLOAD)


def signers(*names: str) -> list[bytes]:
    return [bytes.fromhex(DOCUMENTS["keys"][name]["seed"]) for name in names]


def envelope(payload: str, seeds: list[bytes]) -> bytes:
    kind = DOCUMENTS["identity"]["type"]
    message = client.pae(kind, payload.encode())
    signatures = [
        {"keyid": encode(hashlib.sha256(ed25519_key(seed)[2]).digest()), "sig": encode(s)}
        for seed, s in ((seed, sign(seed, message)) for seed in seeds)
    ]
    value = {"payload": encode(payload.encode()), "payloadType": kind, "signatures": signatures}
    return json.dumps(value).encode()


def written(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def test_the_identity_of_the_vectors() -> None:
    stated = DOCUMENTS["identity"]
    identity = client.read_identity(json.dumps(stated["envelope"]).encode())
    assert identity.payload.decode() == PAYLOAD
    assert identity.fields == FIELDS
    assert client.root_fingerprint(identity).hex() == DOCUMENTS["root_sha256"]
    assert json.loads(envelope(PAYLOAD, signers("root-1", "root-3"))) == stated["envelope"]


@pytest.mark.parametrize(
    "document",
    [DOCUMENTS["identity"], *DOCUMENTS["entries"], DOCUMENTS["checkpoint"]],
    ids=lambda document: document["type"].split(".")[2],
)
def test_every_signature_of_the_vectors_holds(document: dict[str, Any]) -> None:
    message = client.pae(document["type"], document["payload_text"].encode())
    assert hashlib.sha256(message).hexdigest() == document["pae_sha256"]
    assert encode(hashlib.sha256(b"\0" + message).digest()) == document["leaf"]
    for name, signature in zip(
        document["signers"], document["envelope"]["signatures"], strict=True
    ):
        key = base64.b64decode(DOCUMENTS["keys"][name]["public"])
        assert encode(hashlib.sha256(key).digest()) == signature["keyid"]
        assert client.ed25519_verify(key, message, base64.b64decode(signature["sig"]))


MODERATOR = FIELDS["collectives"][0]["moderators"][0]


@pytest.mark.parametrize(
    "payload",
    [
        PAYLOAD.replace(",", ", ", 1),
        PAYLOAD[:-1] + ',"version":1}',
        '{"version":1,' + PAYLOAD[1:].replace(',"version":1', ""),
        PAYLOAD + "\n",
        PAYLOAD.replace("alpha", "\\u0061lpha", 1),
        PAYLOAD.replace('"epoch":1', '"epoch":1.0'),
        PAYLOAD.replace('"epoch":1', '"epoch":true'),
        PAYLOAD.replace('"epoch":1', '"epoch":-1'),
        PAYLOAD.replace('="', '"', 1),
        PAYLOAD.replace("9CVQ=", "9CVR=", 1),
        written(FIELDS | {"zz": 1}),
        written({name: value for name, value in FIELDS.items() if name != "feed"}),
        written(FIELDS | {"http_keys": FIELDS["http_keys"] * 2}),
        written(FIELDS | {"root": {"keys": FIELDS["root"]["keys"][::-1], "threshold": 2}}),
        written(FIELDS | {"root": FIELDS["root"] | {"threshold": 4}}),
        written(FIELDS | {"root": FIELDS["root"] | {"threshold": 0}}),
        written(FIELDS | {"expires": "2027-02-30T00:00:00Z"}),
        written(FIELDS | {"expires": "2027-02-20"}),
        written(FIELDS | {"version": 0}),
        written(FIELDS | {"epoch": 0}),
        written(FIELDS | {"network": "Test-network"}),
        written(FIELDS | {"log_key": FIELDS["log_key"].replace("k=", "l=")}),
        written(FIELDS | {"argon2id": {"m_kib": 7, "t": 1}}),
        written(FIELDS | {"feed": "x" * 256 * 1024}),
        written(FIELDS | {"log": "beta.example:1"}),
        written(FIELDS | {"feed": "caf\u00e9"}),
        written(
            FIELDS
            | {
                "collectives": [
                    {"id": c, "status": "active", "moderators": [MODERATOR]} for c in "ab"
                ]
            }
        ),
    ],
)
def test_an_identity_that_is_not_written_strictly_is_refused(payload: str) -> None:
    body = envelope(payload, signers("root-1", "root-3"))
    assert reason(lambda: client.read_identity(body)) == "malformed"


def test_one_moderator_is_listed_once() -> None:
    rose = FIELDS["collectives"][1]
    same = [moderator | {"id": "rose-a"} for moderator in rose["moderators"]]
    fields = FIELDS | {"collectives": [rose | {"moderators": same}]}
    body = envelope(written(fields), signers("root-1", "root-3"))
    assert reason(lambda: client.read_identity(body)) == "malformed"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"public_key": encode(bytes(32))}, "invalid-element"),
        ({"network": "demo", "argon2id": {"m_kib": 19455, "t": 2}}, "identity-refused"),
        ({"network": "demo", "argon2id": {"m_kib": 65536, "t": 1}}, "identity-refused"),
    ],
)
def test_an_identity_that_would_endanger_is_refused(changed: dict[str, Any], why: str) -> None:
    body = envelope(written(FIELDS | changed), signers("root-1", "root-3"))
    assert reason(lambda: client.read_identity(body)) == why


def test_an_identity_needs_its_threshold_of_distinct_root_keys() -> None:
    signed = json.loads(envelope(PAYLOAD, signers("root-1", "rose-a")))
    assert reason(lambda: client.read_identity(json.dumps(signed).encode())) == "identity-signature"
    signed["signatures"][1] = {
        "keyid": DOCUMENTS["keys"]["root-3"]["keyid"],
        "sig": signed["signatures"][0]["sig"],
    }
    assert reason(lambda: client.read_identity(json.dumps(signed).encode())) == "identity-signature"


# A whole look-up, against an instance made of the vectors.

CODE = "c" * 43
BEARER = "psl_m_" + "b" * 43
ROOT = bytes.fromhex(DOCUMENTS["root_sha256"])
ITEMS: list[tuple[str, str, str | None]] = [
    (item["kind"], item["value"], item["region"]) for item in LOOKUP["items"]
]
FIRST = FIELDS | {"expires": "9999-12-31T00:00:00Z"}


def following(fields: dict[str, Any], **changed: Any) -> dict[str, Any]:
    previous = encode(hashlib.sha256(written(fields).encode()).digest())
    return fields | {"version": fields["version"] + 1, "previous": previous} | changed


class Instance:
    """Answers what the client asks; a test breaks it in one place."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.identities = [envelope(written(FIRST), signers("root-1", "root-3"))]
        self.network = {name: FIRST[name] for name in ("network", "epoch", "public_key")} | {
            "log_public_key": FIRST["log_key"],
            "suite": "ristretto255-SHA512",
            "argon2id": FIRST["argon2id"] | {"p": 1},
            "buckets": {"bits": 0, "slots": 2},
            "plain_lookups": True,
        }
        self.secret = scalar(LOOKUP["secret_key"])
        self.share = 0
        self.stale = 0
        self.seed = signers("log")[0]

    def answer(self, address: str, path: str, bearer: str | None, message: Any = None) -> bytes:
        assert address == "https://alpha.example"
        assert bearer == (None if path in {"/v1/tokens", "/v1/network"} else BEARER)
        self.asked.append(path)
        if path.startswith("/v1/identity"):
            return self.identities[int(path.partition("=")[2] or 0) - 1]
        if path == "/v1/tokens":
            assert message == {"code": CODE}
            return json.dumps({"token": BEARER, "role": "member", "collective": "rose"}).encode()
        if path == "/v1/network":
            return json.dumps(self.network).encode()
        if path == "/v1/evaluations":
            return self.evaluated(message)
        if self.stale:
            self.stale -= 1
            raise client.StaleError("stale-layout")
        return self.bucket(path)

    def evaluated(self, message: Any) -> bytes:
        blinded = [base64.b64decode(text) for text in message["elements"]]
        elements = [element(self.secret, b) for b in blinded]
        part = {
            "share": self.share,
            "elements": [encode(e) for e in elements],
            "proof": encode(proof(self.secret, blinded, elements, 7)),
        }
        return json.dumps({"epoch": message["epoch"], "parts": [part]}).encode()

    def bucket(self, path: str) -> bytes:
        epoch, bits, index = map(int, path.split("/")[3:])
        now = int(time.time()) // 3600
        salt = bytes.fromhex(LOOKUP["bucket_salt"])
        header = struct.pack(">8sIB3sIII", b"PARASOL1", epoch, bits, bytes(3), index, 2, now)
        entries = b"".join(sorted(bytes.fromhex(LOOKUP["items"][i]["entry"]) for i in (0, 3)))
        file = header + salt + entries
        return file + sign(self.seed, client.labelled("bucket file", NETWORK, file))


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Instance:
    instance = Instance()
    monkeypatch.setattr(client, "_send", instance.answer)
    return instance


@pytest.fixture
def caller(instance: Instance) -> IndependentClient:
    joined = IndependentClient.join(f"https://alpha.example/join#{CODE}.{ROOT.hex()}")
    assert instance.asked.pop() == "/v1/tokens"
    return joined


def test_an_invitation_leads_to_a_look_up(caller: IndependentClient, instance: Instance) -> None:
    assert caller.check(ITEMS) == [Counts(2, 0, 0, 2, 2), None, None, Counts(255, 1, 0, 2, 0)]
    paths = ["/v1/identity", "/v1/network", "/v1/evaluations", "/v1/buckets/1/0/0"]
    assert instance.asked == paths


def test_one_request_evaluates_all_and_each_bucket_is_fetched_once(
    caller: IndependentClient, instance: Instance
) -> None:
    instance.network["buckets"] = {"bits": 4, "slots": 2}
    caller.check(ITEMS)
    assert instance.asked.count("/v1/evaluations") == 1
    assert instance.asked[3:] == [f"/v1/buckets/1/4/{index}" for index in (0, 8, 9)]


@pytest.mark.parametrize(
    "invitation",
    [
        f"https://alpha.example/join#{CODE}",
        f"https://alpha.example/join#{CODE}.{ROOT.hex().upper()}",
        f"ftp://alpha.example/join#{CODE}.{ROOT.hex()}",
    ],
)
def test_another_line_is_no_invitation(invitation: str) -> None:
    assert reason(lambda: IndependentClient.join(invitation)) == "invalid-invitation"


@pytest.mark.parametrize("items", [[], ITEMS * 3])
def test_one_to_ten_identifiers_are_looked_up(
    caller: IndependentClient, instance: Instance, items: list[tuple[str, str, str | None]]
) -> None:
    assert reason(lambda: caller.check(items)) == "one-to-ten-identifiers"
    assert instance.asked == []


def test_a_wrong_identifier_is_never_no_match(
    caller: IndependentClient, instance: Instance
) -> None:
    items = [*ITEMS, ("phone", "07700 900113", None)]
    assert reason(lambda: caller.check(items)) == "invalid-identifier"
    assert instance.asked == []


@pytest.mark.parametrize(
    ("attribute", "value", "why"),
    [
        ("secret", 5, "bad-proof"),
        ("share", 1, "malformed"),
        ("seed", bytes(32), "bucket-signature"),
        ("stale", 2, "stale-layout"),
    ],
)
def test_a_dishonest_answer_is_refused(
    caller: IndependentClient, instance: Instance, attribute: str, value: Any, why: str
) -> None:
    setattr(instance, attribute, value)
    assert reason(lambda: caller.check(ITEMS[:1])) == why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"public_key": encode(public_key(2))}, "network-differs"),
        ({"log_public_key": FIRST["public_key"]}, "network-differs"),
        ({"epoch": 2}, "network-differs"),
        ({"argon2id": {"m_kib": 8192, "t": 1, "p": 2}}, "network-differs"),
        ({"buckets": {"bits": 9, "slots": 2}}, "bucket-layout"),
        ({"buckets": {"bits": -1, "slots": 2}}, "malformed"),
    ],
)
def test_the_public_answer_is_held_against_the_identity(
    caller: IndependentClient, instance: Instance, changed: dict[str, Any], why: str
) -> None:
    instance.network |= changed
    assert reason(lambda: caller.check(ITEMS[:1])) == why
    assert "/v1/evaluations" not in instance.asked


def test_a_stale_layout_is_tried_once_more(caller: IndependentClient, instance: Instance) -> None:
    instance.stale = 1
    assert caller.check(ITEMS[:1]) == [Counts(2, 0, 0, 2, 2)]
    assert instance.asked.count("/v1/identity") == 2


def test_an_expired_identity_is_refused(caller: IndependentClient, instance: Instance) -> None:
    fields = FIELDS | {"issued": "2020-01-01T00:00:00Z", "expires": "2021-01-01T00:00:00Z"}
    instance.identities = [envelope(written(fields), signers("root-1", "root-3"))]
    assert reason(lambda: caller.check(ITEMS[:1])) == "identity-expired"


NEW_ROOT = {"keys": [DOCUMENTS["keys"]["http"]["public"]], "threshold": 1}
ALL_ROOTS = signers("root-1", "root-3", "http")


def test_a_change_of_root_is_followed(caller: IndependentClient, instance: Instance) -> None:
    second = following(FIRST, root=NEW_ROOT)
    third = following(second)
    instance.identities += [envelope(written(second), ALL_ROOTS)]
    instance.identities += [envelope(written(third), signers("http"))]
    assert caller.check(ITEMS[:1]) == [Counts(2, 0, 0, 2, 2)]
    assert instance.asked[:3] == [
        "/v1/identity",
        "/v1/identity?version=2",
        "/v1/identity?version=1",
    ]
    instance.asked.clear()
    caller.check(ITEMS[:1])
    assert instance.asked[:2] == ["/v1/identity", "/v1/network"]


@pytest.mark.parametrize(
    ("second", "seeds", "why"),
    [
        (following(FIRST, root=NEW_ROOT), signers("http"), "identity-signature"),
        (following(FIRST, root=NEW_ROOT, version=3), ALL_ROOTS, "identity-refused"),
        (
            following(FIRST, root=NEW_ROOT, previous=MODERATOR["sign"]),
            ALL_ROOTS,
            "identity-refused",
        ),
        (following(FIRST, root=NEW_ROOT, collectives=[]), ALL_ROOTS, "identity-refused"),
        (following(FIRST, root=NEW_ROOT, network="test-other"), ALL_ROOTS, "identity-refused"),
        (following(FIRST, root=NEW_ROOT, log="alpha.example:2"), ALL_ROOTS, "identity-refused"),
        (FIRST | {"root": NEW_ROOT}, ALL_ROOTS, "identity-refused"),
    ],
)
def test_an_identity_that_may_not_follow_is_refused(
    caller: IndependentClient,
    instance: Instance,
    second: dict[str, Any],
    seeds: list[bytes],
    why: str,
) -> None:
    instance.identities += [envelope(written(second), seeds)]
    assert reason(lambda: caller.check(ITEMS[:1])) == why
    assert "/v1/evaluations" not in instance.asked


def test_a_moderators_status_may_end_but_not_return(
    caller: IndependentClient, instance: Instance
) -> None:
    def with_status(status: str) -> list[Any]:
        iris = FIRST["collectives"][0]
        moderators = [MODERATOR | {"status": status}]
        return [iris | {"moderators": moderators}, *FIRST["collectives"][1:]]

    seeds = signers("root-1", "root-3")
    caller.check(ITEMS[:1])
    second = following(FIRST, collectives=with_status("revoked"))
    instance.identities += [envelope(written(second), seeds)]
    caller.check(ITEMS[:1])
    third = following(second, collectives=with_status("active"))
    instance.identities += [envelope(written(third), seeds)]
    assert reason(lambda: caller.check(ITEMS[:1])) == "identity-refused"


def test_an_older_identity_never_comes_back(caller: IndependentClient, instance: Instance) -> None:
    instance.identities += [envelope(written(following(FIRST)), signers("root-1", "root-3"))]
    caller.check(ITEMS[:1])
    instance.identities.pop()
    assert reason(lambda: caller.check(ITEMS[:1])) == "identity-refused"


def test_the_program_says_no_match_only_when_there_is_none(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["https://alpha.example", BEARER, ROOT.hex(), "phone"]
    assert client.main([*arguments, "06 39 98 20 14", "FR"]) == 0
    assert capsys.readouterr().out == "no match\n"
    assert client.main([*arguments, "+44 7700 900113"]) == 0
    assert capsys.readouterr().out.startswith("danger 2, risk 0")
    instance.secret = 5
    assert client.main([*arguments, "+44 7700 900113"]) == 1
    assert capsys.readouterr().out == "could not check: bad-proof\n"


def test_the_client_shares_no_code_with_the_service() -> None:
    allowed = sys.stdlib_module_names | {"argon2", "email_validator", "phonenumbers"}
    for node in ast.walk(ast.parse(Path(client.__file__).read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert str(node.module).partition(".")[0] in allowed
        assert not (isinstance(node, ast.Name) and node.id in {"__import__", "importlib", "exec"})
