"""Look-ups over HTTP, byte by byte: what an answer shows, and what it must not."""

import base64
import json
import secrets
import struct
from pathlib import Path
from typing import Any

import pytest

from api.crypto.buckets import find, open_bucket
from api.crypto.oprf import blind, derive_key, unblind, verify
from api.crypto.ristretto import element
from schemas.base import CATEGORIES
from schemas.documents import Envelope, Identity
from schemas.tables import Table
from tests.e2e.conftest import (
    LISTED,
    SAFE_HEADERS,
    TWICE,
    UNLISTED,
    Cast,
    Server,
    eventually,
    new_member,
    problem_of,
    serving,
)
from tests.factories import CHEAP, NETWORK, ORIGIN, World

BUCKET = "/v1/buckets/1/0/0"


def lookup(server: Server, bearer: str, *numbers: int, **headers: str) -> Any:
    """Ask in clear about reserved numbers."""
    identifiers = [{"kind": "phone", "value": f"+44 7700 900{number:03}"} for number in numbers]
    body = {"identifiers": identifiers}
    return server.ask("POST", "/v1/lookups", bearer, json=body, headers=headers)


def shown(answer: Any) -> list[tuple[str, str]]:
    """The headers of an answer, apart from the time."""
    return [(name, value) for name, value in answer.headers.multi_items() if name != "date"]


def expected(danger: int, collectives: int) -> dict[str, Any]:
    reports = {"total": danger, "danger": danger, "risk": 0, "nuisance": 0, "recent": danger}
    return {"match": danger > 0, "reports": reports, "collectives": collectives}


# In clear (§4).


@pytest.mark.parametrize("count", [1, 2, 10])
def test_match_and_no_match_look_alike_from_outside(server: Server, cast: Cast, count: int) -> None:
    for headers in ({}, {"Accept-Encoding": "gzip, deflate, br, zstd"}, {"Accept-Encoding": "*"}):
        match = lookup(server, cast.member, *[LISTED] * count, **headers)
        none = lookup(server, cast.member, *[UNLISTED] * count, **headers)
        assert (match.status_code, none.status_code) == (200, 200)
        assert len(match.content) == len(none.content) == 256 * count
        assert match.headers["content-length"] == str(256 * count)
        assert shown(match) == shown(none)
        assert "content-encoding" not in match.headers
        assert [one["match"] for one in match.json()["results"]] == [True] * count
        assert [one["match"] for one in none.json()["results"]] == [False] * count


def test_no_match_has_the_same_keys_with_zeros(server: Server, cast: Cast) -> None:
    assert lookup(server, cast.member, UNLISTED).json() == {"results": [expected(0, 0)]}


def test_the_counts_of_several_collectives_are_added(server: Server, cast: Cast) -> None:
    for bearer in (cast.member, cast.other, cast.thorn[0].bearer):
        assert lookup(server, bearer, LISTED).json() == {"results": [expected(1, 1)]}
        assert lookup(server, bearer, TWICE).json() == {"results": [expected(2, 2)]}


def test_results_stand_in_the_order_of_the_question(server: Server, cast: Cast) -> None:
    numbers = [UNLISTED, LISTED, 998, TWICE, LISTED, UNLISTED, TWICE, 997, 996, LISTED]
    results = lookup(server, cast.member, *numbers).json()["results"]
    totals = {LISTED: 1, TWICE: 2}
    assert [one["reports"]["total"] for one in results] == [totals.get(n, 0) for n in numbers]


def test_one_person_is_found_however_the_number_is_written(server: Server, cast: Cast) -> None:
    for value, region in (
        ("07700 900113", "GB"),
        ("0044 7700 900113", None),
        ("tel:+44-7700-900-113", None),
        ("https://wa.me/447700900113?text=hi", "FR"),
        ("\u202a+44\u00a07700\u00a0900113\u202c", None),
    ):
        body = {"identifiers": [{"kind": "phone", "value": value, "region": region}]}
        answer = server.ask("POST", "/v1/lookups", cast.member, json=body)
        assert answer.json()["results"][0]["match"] is True, value


def test_a_report_that_is_not_published_is_not_revealed(
    server: Server, cast: Cast, shared_world: World
) -> None:
    before = lookup(server, cast.member, 500)
    member = shared_world.parts.callers.recognise(new_member(shared_world))
    month = f"{shared_world.clock.now:%Y-%m}"
    shared_world.file(member, 500, month=month)
    after = lookup(server, cast.member, 500)
    assert (after.content, shown(after)) == (before.content, shown(before))


def test_an_operator_can_switch_plain_look_ups_off(
    shared_world: World, cast: Cast, tmp_path: Path
) -> None:
    with serving(shared_world, tmp_path, PLAIN_LOOKUPS="false") as server:
        problem_of(lookup(server, cast.member, LISTED), 403, "plain-lookups-disabled")
        report = {
            "epoch": 1,
            "identifiers": [{"kind": "phone", "value": "+44 7700 900113"}],
            "categories": ["robbery"],
            "severity": "danger",
            "month": f"{shared_world.clock.now:%Y-%m}",
            "consent": {"warn": "network", "police": "never", "research": False},
            "wait_days": 0,
            "request_id": secrets.token_hex(16),
            "account": {},
        }
        answer = server.ask("POST", "/v1/reports", cast.member, json=report)
        problem_of(answer, 403, "plain-lookups-disabled")
        assert server.ask("GET", "/v1/network").json()["plain_lookups"] is False
        assert server.ask("GET", BUCKET, cast.member).status_code == 200


# Private (§3).


def test_an_evaluation_is_what_the_protocol_says(
    server: Server, cast: Cast, shared_world: World
) -> None:
    key = base64.b64encode(shared_world.identity.public_key).decode()
    for count in (1, 10):
        body = {"epoch": 1, "elements": [key] * count}
        answer = server.ask("POST", "/v1/evaluations", cast.member, json=body)
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
        assert set(document) == {"epoch", "parts"}
        (part,) = document["parts"]
        assert set(part) == {"share", "elements", "proof"}
        assert (document["epoch"], part["share"]) == (1, 0)
        assert len(part["elements"]) == count
        assert len(set(part["elements"])) == 1
        assert [len(base64.b64decode(one)) for one in part["elements"]] == [32] * count
        assert len(base64.b64decode(part["proof"])) == 64


def test_blinding_hides_whom_it_is_about_and_changes_no_answer(
    server: Server, cast: Cast, shared_world: World
) -> None:
    identity = shared_world.identity
    evaluator = shared_world.parts.instance.serving.held.evaluator
    x = secrets.token_bytes(32)
    sent, tokens = set(), set()
    for _ in range(2):
        r = derive_key(secrets.token_bytes(32), b"blind")
        blinded = blind(x, r)
        body = {"epoch": 1, "elements": [base64.b64encode(blinded).decode()]}
        answer = server.ask("POST", "/v1/evaluations", cast.member, json=body).json()
        part = answer["parts"][0]
        evaluated = [element(base64.b64decode(one)) for one in part["elements"]]
        verify(element(identity.public_key), [blinded], evaluated, base64.b64decode(part["proof"]))
        sent.add(blinded)
        tokens.add(bytes(unblind(evaluated[0], r)))
    assert len(sent) == 2
    assert tokens == {bytes(evaluator.token(x))}


def test_a_bucket_is_a_signed_file_of_its_own_type(
    server: Server, cast: Cast, shared_world: World
) -> None:
    answer = server.ask("GET", BUCKET, cast.member)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.parasol.bucket"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["etag"].endswith('"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in answer.headers
    magic, epoch, bits, reserved, index, slots, hour = struct.unpack_from(
        ">8sIB3sIII", answer.content
    )
    assert (magic, epoch, bits, reserved, index, slots) == (b"PARASOL1", 1, 0, bytes(3), 0, 256)
    assert len(answer.content) == 44 + 12 * slots + 64
    identity = shared_world.identity
    bucket = open_bucket(
        answer.content, network=NETWORK, epoch=1, bits=0, index=0, log_key=identity.log_key,
        now=hour * 3_600,
    )  # fmt: skip
    assert find(bucket, secrets.token_bytes(32)) is None


def test_a_bucket_is_never_compressed(server: Server, cast: Cast) -> None:
    whole = server.ask("GET", BUCKET, cast.member, headers={"Accept-Encoding": "identity"})
    packed = server.ask("GET", BUCKET, cast.member, headers={"Accept-Encoding": "gzip, br"})
    assert (packed.content, shown(packed)) == (whole.content, shown(whole))


@pytest.mark.parametrize(
    "header", ["{}", "W/{}", '"a", {}', '{},"b"', '"a" ,W/{} , "b"', '"a",\t{}']
)
def test_a_bucket_that_the_client_has_is_not_sent_again(
    server: Server, cast: Cast, header: str
) -> None:
    etag = server.ask("GET", BUCKET, cast.member).headers["etag"]
    headers = {"If-None-Match": header.format(etag)}
    answer = server.ask("GET", BUCKET, cast.member, headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("header", ["", '""', '"a"', "{bare}", '"{bare}', 'W/"a", "{bare}x"'])
def test_a_bucket_that_the_client_lacks_is_sent(server: Server, cast: Cast, header: str) -> None:
    etag = server.ask("GET", BUCKET, cast.member).headers["etag"]
    headers = {"If-None-Match": header.format(bare=etag.strip('"'))}
    answer = server.ask("GET", BUCKET, cast.member, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["etag"] == etag


def test_what_the_client_has_is_told_to_nobody_without_a_token(server: Server, cast: Cast) -> None:
    etag = server.ask("GET", BUCKET, cast.member).headers["etag"]
    answer = server.ask("GET", BUCKET, headers={"If-None-Match": etag})
    problem_of(answer, 401, "unauthenticated")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/buckets/2/0/0", "stale-epoch"),
        ("/v1/buckets/0/0/0", "stale-epoch"),
        ("/v1/buckets/4294967295/9/9", "stale-epoch"),
        ("/v1/buckets/1/1/0", "stale-layout"),
        ("/v1/buckets/1/8/255", "stale-layout"),
        ("/v1/buckets/1/32/4294967295", "stale-layout"),
    ],
)
def test_a_layout_that_is_no_longer_current_is_stale(
    server: Server, cast: Cast, path: str, code: str
) -> None:
    answer = server.ask("GET", path, cast.member)
    document = problem_of(answer, 409, code, "epoch", "bits", "slots")
    assert [document[name] for name in ("epoch", "bits", "slots")] == [1, 0, 256]


def test_an_evaluation_in_another_epoch_is_stale(server: Server, cast: Cast) -> None:
    key = server.ask("GET", "/v1/network").json()["public_key"]
    for epoch in (2, 2**32, 2**53 - 1):
        body = {"epoch": epoch, "elements": [key]}
        answer = server.ask("POST", "/v1/evaluations", cast.member, json=body)
        problem_of(answer, 409, "stale-epoch", "epoch", "bits", "slots")


def test_there_is_no_bucket_beyond_the_last(server: Server, cast: Cast) -> None:
    for index in (1, 255, 2**32 - 1):
        answer = server.ask("GET", f"/v1/buckets/1/0/{index}", cast.member)
        problem_of(answer, 404, "not-found")


# About the instance (§§5, 7).


def test_the_network_is_described_exactly_as_the_protocol_says(
    server: Server, shared_world: World
) -> None:
    identity = shared_world.identity
    answer = server.ask("GET", "/v1/network")
    assert answer.json() == {
        "network": NETWORK,
        "epoch": 1,
        "suite": "ristretto255-SHA512",
        "public_key": base64.b64encode(identity.public_key).decode(),
        "log_public_key": base64.b64encode(identity.log_key).decode(),
        "argon2id": {"m_kib": CHEAP.m_kib, "t": CHEAP.t, "p": 1},
        "buckets": {"bits": 0, "slots": 256},
        "limits": {"elements": 10, "identifiers": 10, "per_hour": 100_000, "per_day": 100_000},
        "plain_lookups": True,
        "categories": [
            {"id": name, "severity": rule.severity, "shared": rule.shared}
            for name, rule in CATEGORIES.items()
        ],
    }
    assert list(answer.json()) == [
        "network", "epoch", "suite", "public_key", "log_public_key", "argon2id", "buckets",
        "limits", "plain_lookups", "categories",
    ]  # fmt: skip


def test_the_identity_is_a_chain_of_signed_versions(
    server: Server, cast: Cast, shared_world: World
) -> None:
    eventually(lambda: server.serves_newest(cast.member))
    newest = server.ask("GET", "/v1/identity", cast.member).json()
    assert set(newest) == {"payload", "payloadType", "signatures"}
    assert newest["payloadType"] == "application/vnd.parasol.identity.v1+json"
    assert {frozenset(one) for one in newest["signatures"]} == {frozenset({"keyid", "sig"})}
    version = Identity.decode(Envelope.model_validate(newest).payload).version
    assert version == shared_world.identity.version
    for number in range(1, version + 1):
        answer = server.ask("GET", f"/v1/identity?version={number}", cast.member)
        identity = Identity.decode(Envelope.model_validate(answer.json()).payload)
        assert (identity.version, identity.origin) == (number, ORIGIN)
        assert (identity.previous is None) == (number == 1)
        if number == version:
            assert answer.json() == newest
    for number in (version + 1, 2**31 - 1):
        answer = server.ask("GET", f"/v1/identity?version={number}", cast.member)
        problem_of(answer, 404, "not-found")


def test_a_new_identity_is_served_within_seconds(server: Server, shared_world: World) -> None:
    member = new_member(shared_world)
    shared_world.sign_identity()
    eventually(lambda: server.serves_newest(member), seconds=5)


def test_the_process_says_whether_it_lives_and_is_ready(server: Server) -> None:
    for path in ("/livez", "/readyz"):
        answer = server.ask("GET", path)
        assert (answer.status_code, answer.content) == (204, b"")


def test_answers_are_kept_by_nobody_and_name_no_software(server: Server, cast: Cast) -> None:
    answers = [
        server.ask("GET", path, cast.member)
        for path in ("/livez", "/readyz", "/v1/network", "/v1/identity", "/openapi.json", "/x")
    ]
    answers.append(lookup(server, cast.member, LISTED))
    answers.append(server.ask("GET", "/v1/moderation/reports", cast.rose[0].bearer))
    body = {"receipt": "0" * 16}
    answers.append(server.ask("POST", "/v1/receipts/status", json=body))
    known = {"date", "content-length", "content-type", *SAFE_HEADERS}
    for answer in answers:
        assert SAFE_HEADERS.items() <= dict(answer.headers).items()
        assert set(answer.headers) <= known, set(answer.headers) - known


def test_nothing_is_traced(server: Server, cast: Cast) -> None:
    headers = {"Traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "Origin": "https://evil.example"}
    answer = server.ask("GET", "/v1/identity", cast.member, headers=headers)
    assert {"traceparent", "tracestate", "x-request-id", "set-cookie"}.isdisjoint(answer.headers)
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_description_of_the_service_names_no_column_and_every_refusal(server: Server) -> None:
    description = server.ask("GET", "/openapi.json").json()
    schemas = description["components"]["schemas"]
    assert set(schemas["Problem"]["required"]) == {"type", "title", "status", "code"}
    assert "HTTPValidationError" not in schemas
    names = {name for one in schemas.values() for name in one.get("properties", {})}
    columns = {column.name for table in Table.metadata.tables.values() for column in table.columns}
    spoken = {
        # What messages and tables both call by its name.
        "id", "status", "collective", "role", "sign", "box", "epoch", "categories", "severity",
        "month", "wait_days", "request_id", "sealed", "research", "police", "warn", "envelope",
        "kind", "token", "retraction", "replaces", "reason", "bits", "slots", "actor", "former",
        "checkpoint", "code", "decision", "entries", "entry", "expires", "feed", "issued", "kid",
        "leaf", "log", "needed", "origin", "seq",
    }  # fmt: skip
    assert names & columns <= spoken, names & columns - spoken
    assert not [name for name in schemas if name.endswith("Row")]
    text = json.dumps(description)
    for word in ("reporter_tag", '"tag"', '"word"', '"digest"', '"live"', "sqlalchemy", "sqlite"):
        assert word not in text
    for operations in description["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/problem+json"]["schema"]
                    assert schema["$ref"].endswith("/Problem")
            assert {"400", "413", "500", "503"} <= set(operation["responses"])
            if "security" in operation:
                assert {"401", "429"} <= set(operation["responses"])
