"""What is refused is refused in one form, says nothing of what was sent, and is never a fault."""

import base64
import gzip
import json
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, text

from api.crypto.buckets import MAX_AGE
from tests.e2e.conftest import (
    LISTED,
    UNLISTED,
    Cast,
    Server,
    eventually,
    found_world,
    new_member,
    people,
    problem_of,
    serving,
)
from tests.factories import World

CANARY = "kanarienvogel"
BODY_LIMIT = 65_536
LONG = 10_000
STALE = {"stale-epoch", "stale-layout"}
NUMBER = {"identifiers": [{"kind": "phone", "value": f"+44 7700 900{LISTED}"}]}
SAMPLES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "number": 1.5,
    "string": CANARY,
    "array": [CANARY],
    "object": {CANARY: CANARY},
}
"""One value of each JSON type."""

RAW = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e400": "1e400",
    "-1e400": "-1e400",
    "-0": "-0",
    "-0.0": "-0.0",
    "10^5000": "1" + "0" * 5000,
    "-10^5000": "-1" + "0" * 5000,
    "a fraction of 5000 digits": "0." + "1" * 5000,
    "2^64": str(2**64),
    "2^63": str(2**63),
    "-2^63-1": str(-(2**63) - 1),
    "2^53": str(2**53),
    "2^31": str(2**31),
    "a lone surrogate": r'"\ud800"',
    "a reversed pair": r'"\udc00\ud800"',
    "NUL": r'"\u0000"',
    "an empty text": '""',
    "a long text": '"' + "x" * 40_000 + '"',
    "a long list": "[" + "0," * 20_000 + "0]",
    "a bare word": "undefined",
    "a text with a canary": f'"{CANARY}"',
    "a canary as name": f'{{"{CANARY}": 1}}',
    "a surrogate as name": r'{"\ud800": 1}',
    "deep lists": "[" * 20_000 + "]" * 20_000,
    "deep objects": '{"a":' * 8_000 + "1" + "}" * 8_000,
}
"""What may stand in the place of any value, as text."""


def b64(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


RID = "0" * 32
ENVELOPE = {
    "payload": b64(8),
    "payloadType": "application/vnd.parasol.report.v1+json",
    "signatures": [{"keyid": b64(32), "sig": b64(64)}],
}
FIELDS = {
    "epoch": 1,
    "categories": ["robbery"],
    "severity": "danger",
    "month": f"{datetime.now(UTC):%Y-%m}",
    "consent": {"warn": "network", "police": "never", "research": False},
    "wait_days": 0,
    "request_id": RID,
}
PLAIN = {"kind": "phone", "value": "07700 900113", "region": "GB"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "JoinRequest": {"code": "A" * 43, "keys": {"sign": b64(32), "box": b64(32), "proof": b64(64)}},
    "EvaluationRequest": {"epoch": 1, "elements": [b64(32)]},
    "LookupQuery": {"identifiers": [PLAIN]},
    "SealedSubmission": {
        **FIELDS,
        "identifiers": [{"kind": "phone", "token": b64(32)}],
        "sealed": {
            "v": 1,
            "nonce": b64(24),
            "box": b64(4_112),
            "keys": [{"kid": b64(32), "sealed": b64(80)}],
        },
    },
    "PlainSubmission": {
        **FIELDS,
        "identifiers": [PLAIN],
        "account": {"text": "x", "flags": ["weapon"], "actor": "client", "area": "GB-LND"},
    },
    "ReceiptQuery": {"receipt": "0" * 16},
    "Approval": {"envelope": ENVELOPE},
    "Rejection": {"reason": "too-little"},
    "Merge": {"into": RID},
    "Retraction": {"envelope": ENVELOPE},
    "Dispute": {"envelope": ENVELOPE},
    "Reseal": {"kid": b64(32), "sealed": b64(80)},
    "InvitationRequest": {"count": 1},
    "HeldQuestion": {"kind": "report"},
}
"""A body of every kind, with all of its members."""


# The description of the service, and bodies that depart from it.


@pytest.fixture(scope="module")
def description(server: Server) -> dict[str, Any]:
    described: dict[str, Any] = server.ask("GET", "/openapi.json").json()
    return described


def bodies(description: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every path that takes a body, with the name of each kind of body it takes."""
    for path, operations in description["paths"].items():
        for operation in operations.values():
            if "requestBody" not in operation:
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            for kind in schema.get("anyOf", [schema]):
                if "$ref" in kind:
                    named = path.replace("{report_id}", RID).replace("{entry}", "0" * 64)
                    yield named, kind["$ref"].rpartition("/")[2]


Place = tuple[str | int, ...]


def places(
    schema: dict[str, Any], value: Any, description: dict[str, Any], place: Place = ()
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield every value inside `value`: where it is, and its schema."""
    schema = resolved(schema, value, description)
    if place:
        yield place, schema
    if isinstance(value, dict):
        assert set(value) == set(schema["properties"]), "an example lacks a member"
        for name, inner in value.items():
            yield from places(schema["properties"][name], inner, description, (*place, name))
    if isinstance(value, list):
        yield from places(schema["items"], value[0], description, (*place, 0))


def resolved(schema: dict[str, Any], value: Any, description: dict[str, Any]) -> dict[str, Any]:
    """Follow references; of alternatives take the one that is not null, and note that one is."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return resolved(description["components"]["schemas"][name], value, description)
    if "anyOf" in schema:
        chosen = next(one for one in schema["anyOf"] if one.get("type") != "null")
        return resolved(chosen, value, description) | {"nullable": True}
    return schema


def types(schema: dict[str, Any]) -> set[str]:
    """The JSON types that a schema allows."""
    allowed = {schema["type"]} if "type" in schema else set(SAMPLES)
    return allowed | ({"null"} if schema.get("nullable") else set())


def changed(body: Any, place: Place, value: Any) -> Any:
    """A copy of the body with another value in one place."""
    if not place:
        return value
    copy: Any = list(body) if isinstance(body, list) else dict(body)
    copy[place[0]] = changed(body[place[0]], place[1:], value)
    return copy


def without(body: Any, place: Place) -> Any:
    """A copy of the body that lacks one member."""
    *parents, name = place
    parent = body
    for step in parents:
        parent = parent[step]
    return changed(body, tuple(parents), {key: parent[key] for key in parent if key != name})


def fresh(kind: str) -> dict[str, Any]:
    """An example that the service has not seen yet."""
    example = EXAMPLES[kind]
    return example | {"request_id": secrets.token_hex(16)} if "request_id" in example else example


def silent(answer: Any) -> None:
    """Hold an answer to the rule that nothing repeats input."""
    shown = answer.content + repr(answer.headers.multi_items()).encode()
    assert CANARY.encode() not in shown


def refused(answer: Any, code: str = "invalid-request", *members: str) -> None:
    """Hold a refusal of what could not be understood to its form."""
    assert answer.status_code in {400, 422}, answer.text
    problem_of(answer, answer.status_code, code, *members)
    silent(answer)


def harmless(answer: Any) -> None:
    """Hold any answer to this: it is no fault, and a problem where it is a refusal."""
    assert answer.status_code < 500, f"{answer.request.url} {answer.request.content[:900]!r}"
    if answer.status_code >= 400:
        code = answer.json()["code"]
        # A look-up also learns the new layout.
        named = {"epoch", "bits", "slots"} & set(answer.json()) if code in STALE else set()
        problem_of(answer, answer.status_code, code, *named)
    silent(answer)


def test_there_is_an_example_of_every_body(description: dict[str, Any]) -> None:
    assert {kind for _, kind in bodies(description)} == set(EXAMPLES)
    for _, kind in bodies(description):
        assert list(places({"$ref": f"/{kind}"}, EXAMPLES[kind], description))


def test_a_value_of_a_wrong_type_is_refused_in_every_place(
    server: Server, cast: Cast, description: dict[str, Any]
) -> None:
    taken = []
    for path, kind in bodies(description):
        for place, schema in places({"$ref": f"/{kind}"}, EXAMPLES[kind], description):
            for name in set(SAMPLES) - types(schema):
                body = changed(EXAMPLES[kind], place, SAMPLES[name])
                answer = server.ask("POST", path, cast.rose[0].bearer, json=body)
                silent(answer)
                code = answer.json().get("code")
                if (answer.status_code, code) != (422, "invalid-request"):
                    taken.append((path, place, name, answer.status_code, code))
    assert taken == []


def test_a_value_that_only_resembles_the_right_type_is_refused_in_every_place(
    server: Server, cast: Cast, description: dict[str, Any]
) -> None:
    resembling = {"boolean": (0, 1, 1.0, "true", "yes", "1"), "integer": ("1", 1.5, "1.0")}
    taken = []
    for path, kind in bodies(description):
        for place, schema in places({"$ref": f"/{kind}"}, EXAMPLES[kind], description):
            for value in resembling.get(schema.get("type", ""), ()):
                body = changed(fresh(kind), place, value)
                answer = server.ask("POST", path, cast.rose[0].bearer, json=body)
                if answer.status_code != 422:
                    taken.append((path, place, value, answer.status_code))
    assert taken == []


@pytest.mark.parametrize("text", RAW.values(), ids=RAW)
def test_no_value_in_any_place_is_a_fault(
    server: Server, cast: Cast, description: dict[str, Any], text: str
) -> None:
    for path, kind in bodies(description):
        if path.endswith(("/status", "/dispute", "/retract")):
            continue  # the same bodies as others
        for place, _ in places({"$ref": f"/{kind}"}, EXAMPLES[kind], description):
            if len(text) > LONG and len(place) > 1:
                continue  # what is read before any form is known
            body = json.dumps(changed(fresh(kind), place, "@@")).replace('"@@"', text)
            harmless(server.send(path, body.encode(), cast.rose[0].bearer))
        harmless(server.send(path, text.encode(), cast.rose[0].bearer))


def test_a_missing_or_an_unknown_member_is_refused_in_every_place(
    server: Server, cast: Cast, description: dict[str, Any]
) -> None:
    for path, kind in bodies(description):
        example = EXAMPLES[kind]
        schema = {"$ref": f"/{kind}"}
        objects: dict[Place, dict[str, Any]] = {(): resolved(schema, example, description)}
        objects |= {
            place: one for place, one in places(schema, example, description) if "properties" in one
        }
        for place, one in objects.items():
            inner: Any = example
            for step in place:
                inner = inner[step]
            wrong = [changed(example, place, inner | {CANARY: CANARY})]
            wrong += [without(example, (*place, name)) for name in one.get("required", ())]
            for body in wrong:
                refused(server.ask("POST", path, cast.rose[0].bearer, json=body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"true",
        b"0",
        b'"kanarienvogel"',
        b"[]",
        b"{",
        b"{}x",
        b"{'kind': 1}",
        b"[" * 50_000,
        b'{"a":' * 13_000,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"identifiers":[],"identifiers":[]}',
        b'{"identifiers":[{"kind":"phone","kind":"phone","value":"+447700900113"}]}',
        b'{"identifiers":[{"kind":"phone","value":"+447700900113","value":"kanarienvogel"}]}',
        b"\xef\xbb\xbf" + json.dumps(NUMBER).encode(),
        json.dumps(NUMBER).encode("utf-16"),
        json.dumps(NUMBER).encode("utf-16-le"),
        json.dumps(NUMBER).encode("utf-32"),
        json.dumps(NUMBER).encode().replace(b"+44", b"\xff+44"),
        json.dumps(NUMBER).encode().replace(b"+44", b"\xed\xa0\x80+44"),
        json.dumps(NUMBER).encode().replace(b"+44", b"\x00+44"),
        json.dumps(NUMBER).encode() + b"\0",
        b"identifiers=kanarienvogel",
        gzip.compress(json.dumps(NUMBER).encode()),
    ],
    ids=range(26),
)
def test_a_body_that_is_not_strict_json_of_the_right_form_is_refused(
    server: Server, cast: Cast, body: bytes
) -> None:
    refused(server.send("/v1/lookups", body, cast.member))


def test_compressed_bodies_are_not_taken(server: Server, cast: Cast) -> None:
    body = gzip.compress(json.dumps(NUMBER).encode())
    refused(server.send("/v1/lookups", body, cast.member, **{"Content-Encoding": "gzip"}))


def test_of_a_report_twice_the_same_member_is_refused(server: Server, cast: Cast) -> None:
    body = json.dumps(EXAMPLES["PlainSubmission"])
    twice = body.replace('"wait_days": 0', '"wait_days": 0, "wait_days": 0')
    assert twice != body
    refused(server.send("/v1/reports", twice.encode(), cast.member))


@pytest.mark.parametrize(
    "identifier",
    [
        {"kind": "phone", "value": CANARY},
        {"kind": "phone", "value": "07700 900113"},
        {"kind": "phone", "value": "07700 900113", "region": "ZZ"},
        {"kind": "phone", "value": "+44 7700 900113 " + CANARY},
        {"kind": "phone", "value": "+" + "4" * 60_000},
        {"kind": "phone", "value": "+44\0" + "7700900113x"},
        {"kind": "email", "value": CANARY},
        {"kind": "email", "value": f"{CANARY}@{CANARY}@{CANARY}.example"},
        {"kind": "email", "value": f"{CANARY}@localhost"},
        {"kind": "email", "value": f"{CANARY}@{'a.' * 300}example"},
        {"kind": "email", "value": ""},
    ],
    ids=range(11),
)
def test_an_identifier_without_a_canonical_form_is_refused(
    server: Server, cast: Cast, identifier: dict[str, str]
) -> None:
    answer = server.ask("POST", "/v1/lookups", cast.member, json={"identifiers": [identifier]})
    problem_of(answer, 422, "invalid-identifier")
    silent(answer)


@pytest.mark.parametrize("element", [bytes(32), b"\1" + bytes(31), b"\xff" * 32])
def test_an_element_that_is_no_valid_point_is_refused(
    server: Server, cast: Cast, element: bytes
) -> None:
    body = {"epoch": 1, "elements": [base64.b64encode(element).decode()]}
    answer = server.ask("POST", "/v1/evaluations", cast.member, json=body)
    problem_of(answer, 422, "invalid-element")
    path = "/v1/moderation/reports"
    params = {"token": body["elements"]}
    problem_of(server.ask("GET", path, cast.rose[0].bearer, params=params), 422, "invalid-element")


@pytest.mark.parametrize("count", [0, 11])
def test_more_than_ten_at_once_or_none_is_refused(server: Server, cast: Cast, count: int) -> None:
    key = server.ask("GET", "/v1/network").json()["public_key"]
    evaluation = {"epoch": 1, "elements": [key] * count}
    refused(server.ask("POST", "/v1/evaluations", cast.member, json=evaluation))
    lookup = {"identifiers": NUMBER["identifiers"] * count}
    refused(server.ask("POST", "/v1/lookups", cast.member, json=lookup))


def test_a_malformed_code_or_receipt_is_refused_like_any_wrong_one(server: Server) -> None:
    for code in ("", CANARY, "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n", "é" * 43):
        refused(server.ask("POST", "/v1/tokens", json={"code": code}))
    for path in ("/v1/receipts/status", "/v1/receipts/withdraw"):
        for receipt in ("", CANARY, "0" * 15, "0" * 17, "0" * 16 + "\n", "\u0660" * 16, "0" * 16):
            answer = server.ask("POST", path, json={"receipt": receipt})
            problem_of(answer, 404, "not-found")


# Sizes and types of bodies.


def padded(length: int) -> bytes:
    return json.dumps(NUMBER).encode().ljust(length)


def test_a_body_of_65536_bytes_is_read_and_one_byte_more_is_not(server: Server, cast: Cast) -> None:
    fits, over = padded(BODY_LIMIT), padded(BODY_LIMIT + 1)
    for body in (fits, iter([fits[:1000], fits[1000:]])):
        answer = server.send("/v1/lookups", body, cast.member)
        assert answer.json()["results"][0]["match"] is True
    for body in (over, iter([over[:1000], over[1000:]])):
        problem_of(server.send("/v1/lookups", body, cast.member), 413, "too-large")


@pytest.mark.parametrize("path", ["/v1/lookups", "/v1/tokens", "/nowhere", "/livez"])
def test_an_endless_body_is_cut_off(server: Server, path: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 4_096

    problem_of(server.send(path, endless()), 413, "too-large")
    objects = b'{"a":' * 50_000
    problem_of(server.send(path, objects), 413, "too-large")


def test_who_sent_a_little_too_much_may_go_on_asking(server: Server) -> None:
    def haltingly() -> Iterator[bytes]:
        yield b" " * 66_000
        time.sleep(0.3)
        yield b" "

    connection = HTTPConnection(server.address.removeprefix("http://"), timeout=30)
    with closing(connection):
        connection.connect()
        first = connection.sock
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/lookups", haltingly(), headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (413, "too-large")
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 204
        assert connection.sock is first


@pytest.mark.parametrize(
    "length", ["65537", "9" * 19, "9" * 400, "1" + "0" * 5000], ids=["one", "i64", "long", "huge"]
)
def test_a_length_that_is_too_large_is_refused_before_anything_is_read(
    server: Server, length: str
) -> None:
    head = f"POST /v1/lookups HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    answer = raw(server, head.encode())
    status = int(answer[9:12])
    assert status == 413 or (status == 400 and len(length) > 20), answer
    if status == 413:
        assert b'"code":"too-large"' in answer


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=kanarienvogel",
        "application/jsonp",
        "application/json+kanarienvogel",
        "application/problem+json",
        "text/json",
        "json",
        "application/xml, application/json",
    ],
)
def test_a_body_that_is_not_said_to_be_json_is_not_read(
    server: Server, cast: Cast, kind: str | None
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    for path in ("/v1/lookups", "/v1/tokens", "/nowhere"):
        answer = server.ask(
            "POST", path, cast.member, content=json.dumps(NUMBER).encode(), headers=headers
        )
        problem_of(answer, 415, "unsupported-media-type")
        silent(answer)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json;charset=utf-8",
        "Application/JSON ; charset=UTF-8",
        "application/json; charset=kanarienvogel",
    ],
)
def test_json_may_name_its_charset(server: Server, cast: Cast, kind: str) -> None:
    headers = {"Content-Type": kind}
    body = json.dumps(NUMBER).encode()
    answer = server.ask("POST", "/v1/lookups", cast.member, content=body, headers=headers)
    assert answer.json()["results"][0]["match"] is True
    silent(answer)


# Paths, methods and queries.


NUMBERS = ["0", "-1", "-0", "1.0", "1e3", "x", str(2**31), str(2**32), str(2**63), str(2**64)]
TEXTS = [
    "9" * 5_000,
    "%00",
    "1%00",
    "%2e%2e",
    "%2F",
    "%FF",
    "%ED%A0%80",
    "%F0%9F%92%A9",
    "٣",
    "%0a",
    "'; drop table report",
    CANARY,
    "a" * 12_000,
]


@pytest.mark.parametrize("value", NUMBERS + TEXTS, ids=range(len(NUMBERS + TEXTS)))
def test_no_name_in_a_path_is_a_fault(server: Server, cast: Cast, value: str) -> None:
    moderator = cast.rose[0].bearer
    for path in ("/v1/buckets/{}/0/0", "/v1/buckets/1/{}/0", "/v1/buckets/1/0/{}"):
        answer = server.ask("GET", path.format(value), moderator)
        harmless(answer)
        assert answer.status_code >= 400 or value in {"0", "-0", "1.0"}, path
    for verb in ("approve", "reject", "merge", "retract", "dispute", "release", "reseal"):
        path = f"/v1/moderation/reports/{value}/{verb}"
        harmless(server.ask("POST", path, moderator, json={}))
    harmless(server.ask("DELETE", f"/v1/moderation/members/{value}", moderator))
    harmless(server.ask("GET", f"/v1/{value}", moderator))


@pytest.mark.parametrize("value", NUMBERS[1:] + TEXTS, ids=range(len(NUMBERS + TEXTS) - 1))
def test_no_value_in_a_query_is_a_fault(server: Server, cast: Cast, value: str) -> None:
    for path, name in (
        ("/v1/identity", "version"),
        ("/v1/moderation/reports", "status"),
        ("/v1/moderation/reports", "token"),
        ("/v1/moderation/reports", "after"),
        ("/v1/moderation/reports", "limit"),
    ):
        answer = server.ask("GET", f"{path}?{name}={value}", cast.rose[0].bearer)
        harmless(answer)
        assert answer.status_code in {400, 404, 422} or value == "1.0", (path, name)
        harmless(server.ask("GET", f"{path}?{name}={value}&{name}={value}", cast.rose[0].bearer))


def test_the_last_places_of_the_queue_are_no_fault(server: Server, cast: Cast) -> None:
    for after in ("2.999999999999999999", "0.0", "0.000000000000000000"):
        answer = server.ask("GET", f"/v1/moderation/reports?after={after}", cast.rose[0].bearer)
        assert answer.status_code == 200
    for after in ("3.0", "0.", ".0", "0.1234567890123456789", "0.-1", "0.1\n"):
        refused(
            server.ask(
                "GET", "/v1/moderation/reports", cast.rose[0].bearer, params={"after": after}
            )
        )


def test_a_query_that_is_unknown_or_repeated_changes_nothing(server: Server) -> None:
    plain = server.ask("GET", "/v1/network").content
    for query in (
        CANARY,
        f"{CANARY}={CANARY}",
        f"a=1&a={CANARY}",
        "%FF=%00",
        "=" * 1000,
        "&" * 999,
    ):
        answer = server.ask("GET", f"/v1/network?{query}")
        assert answer.content == plain
        silent(answer)


@pytest.mark.parametrize("path", ["/v1/network/", "/v1//network", "/V1/network", "//v1/network"])
def test_there_is_one_spelling_of_every_path_and_no_redirection(server: Server, path: str) -> None:
    answer = server.ask("GET", f"{path}?{CANARY}", headers={"Host": f"{CANARY}.example"})
    problem_of(answer, 404, "not-found")
    silent(answer)


def test_an_unknown_path_is_not_found(server: Server, cast: Cast) -> None:
    for path in (f"/{CANARY}", f"/v1/{CANARY}", "/docs", "/redoc", "/v1", "/v1/lookups/x"):
        for method in ("GET", "POST", "DELETE", "PATCH"):
            answer = server.ask(method, f"{path}?q={CANARY}", cast.member)
            problem_of(answer, 404, "not-found")
            silent(answer)


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "GET", "POST", "KANARIENVOGEL"]
)
def test_a_method_that_a_path_does_not_know_is_refused_with_those_it_does(
    server: Server, cast: Cast, description: dict[str, Any], method: str
) -> None:
    for path, operations in description["paths"].items():
        known = {name.upper() for name in operations}
        if method in known:
            continue
        target = path.replace("{report_id}", RID).replace("{member}", RID)
        target = target.format(epoch=1, bits=0, index=0, entry="0" * 64)
        answer = server.ask(method, target, cast.rose[0].bearer)
        assert {one.strip() for one in answer.headers["allow"].split(",")} == known
        silent(answer)
        if method == "HEAD":
            assert answer.status_code == 405
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.content == b""
        else:
            problem_of(answer, 405, "method-not-allowed")


def test_no_header_is_repeated_or_a_fault(server: Server, cast: Cast) -> None:
    for name in (
        "Accept", "Accept-Encoding", "Accept-Language", "Content-Language", "Cookie", "Expect",
        "Forwarded", "From", "Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
        "Link", "Origin", "Range", "Referer", "Traceparent", "User-Agent", "Via",
        "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id",
    ):  # fmt: skip
        for value in (CANARY, f"{CANARY}, {CANARY}", "é" + CANARY, "x" * 8_000, '"', ""):
            for path in ("/v1/buckets/1/0/0", f"/{CANARY}"):
                if name == "Expect" and path != f"/{CANARY}":
                    continue
                headers = {name: value.encode("latin-1"), "Authorization": f"Bearer {cast.member}"}
                answer = server.http.get(path, headers=headers)  # type: ignore[arg-type]
                assert answer.status_code < 500
                silent(answer)


def raw(server: Server, sent: bytes) -> bytes:
    """Send bytes as they are; return all that comes back within a moment."""
    address = urlsplit(server.address)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=5) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        received = b""
        while piece := peer.recv(65_536):
            received += piece
    return received


@pytest.mark.parametrize(
    "sent",
    [
        b"kanarienvogel\r\n\r\n",
        b"GET /kanarienvogel HTTP/9.9\r\n\r\n",
        b"GET /v1/network HTTP/1.1\r\nHost: a\r\nkanarienvogel\r\n\r\n",
        b"GET /v1/network HTTP/1.1\r\nHost: a\r\nX: kanarien\0vogel\r\n\r\n",
        b"GET /v1/network HTTP/1.1\r\nHost: a\r\nX: " + b"kanarienvogel" * 9_000 + b"\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: kanarienvogel\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: kanarienvogel\r\n\r\n",
        b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nkanarienvogel",
        (
            b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99\r\n\r\nkanarienvogel"
        ),
    ],
    ids=range(11),
)
def test_what_is_not_http_is_refused_without_a_word_about_it(server: Server, sent: bytes) -> None:
    before = len(server.log())
    answer = raw(server, sent)
    assert CANARY.encode() not in answer
    allowed = b"HTTP/1.1 4", b"HTTP/1.1 2" if len(sent) > BODY_LIMIT else b"HTTP/1.1 4"
    assert not answer or answer.startswith(allowed), answer
    assert CANARY.encode() not in server.log()[before:]
    assert server.ask("GET", "/livez").status_code == 204


# Each status of its own.


def test_a_used_quota_says_how_long_to_wait(
    shared_world: World, cast: Cast, tmp_path: Path
) -> None:
    few = {"PER_HOUR": "3", "REPORTS_PER_DAY": "1", "MODERATOR_PER_HOUR": "2"}
    with serving(shared_world, tmp_path, **few) as server:
        member = new_member(shared_world)
        for allowed in (2, 1):
            body = {"identifiers": NUMBER["identifiers"] * allowed}
            assert server.ask("POST", "/v1/lookups", member, json=body).status_code == 200
        key = server.ask("GET", "/v1/network").json()["public_key"]
        evaluation = {"epoch": 1, "elements": [key]}
        for answer in (
            server.ask("POST", "/v1/lookups", member, json=NUMBER),
            server.ask("POST", "/v1/evaluations", member, json=evaluation),
        ):
            problem_of(answer, 429, "rate-limited")
            assert 1 <= int(answer.headers["retry-after"]) <= 3600
        # What was refused as a whole has used nothing up.
        moderator = cast.rose[0].bearer
        for count, status in ((3, 429), (2, 200), (1, 429)):
            body = {"identifiers": NUMBER["identifiers"] * count}
            answer = server.ask("POST", "/v1/lookups", moderator, json=body)
            assert answer.status_code == status


def test_guessing_receipts_ends_soon_and_disturbs_nobody(
    shared_world: World, cast: Cast, tmp_path: Path
) -> None:
    with serving(shared_world, tmp_path) as server:
        filed = server.ask("POST", "/v1/reports", cast.member, json=fresh("PlainSubmission"))
        guesses = [{"receipt": f"{secrets.randbelow(10**16):016}"} for _ in range(125)]
        answers = [server.ask("POST", "/v1/receipts/status", json=guess) for guess in guesses]
        assert [answer.status_code for answer in answers] == [404] * 120 + [429] * 5
        problem_of(answers[-1], 429, "rate-limited")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        mine = server.ask("POST", "/v1/receipts/status", json=filed.json())
        assert mine.json() == {"status": "submitted"}


def test_the_same_request_with_another_body_is_a_conflict(server: Server, cast: Cast) -> None:
    body = fresh("PlainSubmission")
    first, again = (server.ask("POST", "/v1/reports", cast.member, json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    answer = server.ask("POST", "/v1/reports", cast.member, json=body | {"wait_days": 1})
    problem_of(answer, 409, "conflict")
    stale = body | {"request_id": secrets.token_hex(16), "epoch": 2}
    answer = server.ask("POST", "/v1/reports", cast.member, json=stale)
    assert problem_of(answer, 409, "stale-epoch", "epoch")["epoch"] == 1


# When something is broken: never "no match".


def look_up(server: Server, bearer: str, number: int = LISTED) -> Any:
    body = {"identifiers": [{"kind": "phone", "value": f"+44 7700 900{number:03}"}]}
    return server.ask("POST", "/v1/lookups", bearer, json=body)


def never_no_match(server: Server, bearer: str) -> int:
    """Ask all that a look-up asks; return the status of the plain one."""
    plain = look_up(server, bearer)
    if plain.status_code == 200:
        assert plain.json()["results"][0]["match"] is True
    else:
        problem_of(plain, 503, "unavailable")
    key = b64(32)
    for answer in (
        server.ask("GET", "/v1/network"),
        server.ask("GET", "/v1/buckets/1/0/0", bearer),
        server.ask("POST", "/v1/evaluations", bearer, json={"epoch": 1, "elements": [key]}),
    ):
        if answer.status_code not in {200, 422}:
            problem_of(answer, 503, "unavailable")
    assert server.ask("GET", "/livez").status_code == 204
    return int(plain.status_code)


@contextmanager
def gone(world: World) -> Iterator[None]:
    """Take the database away for the block."""
    url = world.settings.url
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        kept = {path: path.read_bytes() for path in file.parent.glob(f"{file.name}*")}
        for path in kept:
            path.write_bytes(b"\0" * path.stat().st_size)
        try:
            yield
        finally:
            for path, content in kept.items():
                path.write_bytes(content)
        return
    server, _, name = url.rpartition("/")
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(end), {"name": name})
        try:
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    engine.dispose()


def test_a_database_that_is_gone_is_never_no_match(own_world: World, tmp_path: Path) -> None:
    cast = people(own_world)
    own_world.parts.store.close()
    with serving(own_world, tmp_path) as server:
        assert never_no_match(server, cast.member) == 200
        with gone(own_world):
            until = time.monotonic() + 3
            seen = set()
            while time.monotonic() < until:
                seen.add(never_no_match(server, cast.member))
                time.sleep(0.2)
            assert 503 in seen
            problem_of(server.ask("GET", "/readyz"), 503, "unavailable")
            unknown = "psl_m_" + "A" * 43
            problem_of(server.ask("GET", "/v1/identity", unknown), 503, "unavailable")
            receipt = server.ask("POST", "/v1/receipts/status", json={"receipt": "0" * 16})
            problem_of(receipt, 503, "unavailable")
            code = server.ask("POST", "/v1/tokens", json={"code": "A" * 43})
            problem_of(code, 503, "unavailable")


def test_a_locked_database_keeps_nobody_from_looking_up(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "locked.db"
    path.write_bytes(sqlite_template.read_bytes())
    world = found_world(tmp_path, f"sqlite:///{path}")
    cast = people(world)
    world.close()
    with serving(world, tmp_path) as server:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answers = []
        report = threading.Thread(
            target=lambda: answers.append(
                server.ask("POST", "/v1/reports", cast.member, json=fresh("PlainSubmission"))
            )
        )
        report.start()
        until = time.monotonic() + 3  # nobody is remembered that long
        while time.monotonic() < until:
            assert never_no_match(server, cast.member) == 200
            assert look_up(server, cast.member, UNLISTED).json()["results"][0]["match"] is False
        assert answers == []
        other.rollback()
        other.close()
        report.join()
        assert answers[0].status_code == 201


def test_a_list_of_49_hours_is_unavailable_and_not_no_match(
    own_world: World, tmp_path: Path
) -> None:
    own_world.clock.now -= timedelta(seconds=MAX_AGE, hours=1)
    cast = people(own_world)
    now = int(datetime.now(UTC).timestamp())
    with own_world.parts.store.begin() as tx:
        # Another process holds the lease, and does nothing.
        assert tx.leases.take("time", "another", now, now + 100)
    with serving(own_world, tmp_path, wait_for="/livez") as server:
        for number in (LISTED, UNLISTED):
            problem_of(look_up(server, cast.member, number), 503, "unavailable")
        for path in ("/readyz", "/v1/network", "/v1/buckets/1/0/0", "/v1/buckets/2/0/0"):
            problem_of(server.ask("GET", path, cast.member), 503, "unavailable")
        assert server.ask("GET", "/v1/identity", cast.member).status_code == 200
        with own_world.parts.store.begin() as tx:
            tx.leases.release("time", "another")
        eventually(lambda: server.ask("GET", "/readyz").status_code == 204)
        assert look_up(server, cast.member).json()["results"][0]["match"] is True
