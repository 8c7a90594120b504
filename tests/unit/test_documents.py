"""Promises of PROTOCOL.md §7 about documents, and of base64, days and closed words."""

import json
import string
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from schemas.base import (
    CATEGORIES,
    Base64,
    Category,
    Day,
    HostName,
    Identifier,
    KeyId,
    Kind,
    LogId,
    Month,
    NetworkId,
    Rid,
    Severity,
    Sharing,
    Time,
    Url,
    as_time,
    encode_base64,
)
from schemas.canonical import Document, MalformedDocument, Part
from schemas.documents import (
    DOCUMENTS,
    Argon2id,
    Checkpoint,
    Close,
    Collective,
    Envelope,
    Erase,
    EraseReason,
    Identity,
    Keys,
    Moderator,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Root,
    Signature,
    Status,
)

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "documents-v1.json").read_text("utf-8")
)
SIGNED = [VECTORS["identity"], *VECTORS["entries"], VECTORS["checkpoint"]]
TEXTS = {signed["type"]: signed["payload_text"] for signed in SIGNED}


def members(kind: type[Document]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(TEXTS[kind.payload_type])
    return loaded


def written(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def changed(kind: type[Document], **changes: object) -> bytes:
    return written({**members(kind), **changes})


def refused(kind: type[Document], payload: bytes) -> None:
    with pytest.raises(MalformedDocument):
        kind.decode(payload)


# Documents


def kinds_of(part: type[Part]) -> list[type[Part]]:
    return [part, *(one for kind in part.__subclasses__() for one in kinds_of(kind))]


@pytest.mark.parametrize("part", kinds_of(Part))
def test_members_are_declared_in_the_order_in_which_they_are_written(part: type[Part]) -> None:
    assert list(part.model_fields) == sorted(part.model_fields)


@pytest.mark.parametrize("signed", SIGNED, ids=lambda signed: signed["type"])
def test_every_vector_is_read_and_written_byte_for_byte(signed: dict[str, Any]) -> None:
    payload = signed["payload_text"].encode()
    assert DOCUMENTS[signed["type"]].decode(payload).encode() == payload


@pytest.mark.parametrize("signed", SIGNED, ids=lambda signed: signed["type"])
def test_an_envelope_is_read_and_written_alike(signed: dict[str, Any]) -> None:
    envelope = Envelope.model_validate(signed["envelope"])
    assert envelope.payload == signed["payload_text"].encode()
    assert envelope.payload_type == signed["type"]
    assert envelope.model_dump(mode="json") == signed["envelope"]
    assert Envelope.model_validate_json(json.dumps(signed["envelope"])) == envelope


def test_a_document_is_put_in_an_envelope() -> None:
    envelope = Envelope.model_validate(VECTORS["checkpoint"]["envelope"])
    assert Envelope.around(Checkpoint.decode(envelope.payload), envelope.signatures) == envelope


def test_an_envelope_takes_only_the_names_on_the_wire() -> None:
    envelope = dict(VECTORS["checkpoint"]["envelope"])
    envelope["payload_type"] = envelope.pop("payloadType")
    with pytest.raises(ValidationError):
        Envelope.model_validate(envelope)


@given(
    payload=st.binary(max_size=99),
    payload_type=st.text(st.characters(codec="utf-8"), max_size=100),
    signatures=st.lists(st.binary(min_size=64, max_size=64), min_size=1, max_size=3),
)
def test_an_envelope_is_written_by_hand_as_pydantic_reads_it(
    payload: bytes, payload_type: str, signatures: list[bytes]
) -> None:
    keyid = f"{'A' * 43}="
    envelope = Envelope(
        payload=payload,
        payloadType=payload_type,
        signatures=tuple(Signature(keyid=keyid, sig=one) for one in signatures),
    )
    assert Envelope.model_validate_json(envelope.text()) == envelope
    assert json.loads(envelope.text()) == json.loads(envelope.model_dump_json())


def test_an_envelope_without_signatures_is_refused() -> None:
    with pytest.raises(ValidationError):
        Envelope.model_validate({**VECTORS["checkpoint"]["envelope"], "signatures": []})


def test_an_envelope_has_a_json_schema_of_text() -> None:
    described = Envelope.model_json_schema()["properties"]["payload"]
    assert (described["type"], described["contentEncoding"]) == ("string", "base64")


MALFORMED: dict[str, type[Document]] = {
    "a float": Checkpoint,
    "a list that repeats": ReportDocument,
    "five identifiers": ReportDocument,
}


@pytest.mark.parametrize("name", VECTORS["malformed_payloads"])
def test_every_malformed_vector_is_refused(name: str) -> None:
    refused(MALFORMED.get(name, Retract), VECTORS["malformed_payloads"][name].encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 4000,
        b'{"size":' * 500,
        b'{"size":' + b"9" * 4000 + b"}",
        b"\xff",
        b"\xef\xbb\xbf" + TEXTS[Checkpoint.payload_type].encode(),
    ],
    ids=["empty", "null", "a list", "deep", "deeper", "huge", "not UTF-8", "byte order mark"],
)
def test_what_is_no_object_is_refused(payload: bytes) -> None:
    refused(Checkpoint, payload)


@pytest.mark.parametrize(
    "size", ["NaN", "Infinity", "-1", "-0", "4e0", "true", '"4"', "null", str(2**53), "04"]
)
def test_what_is_no_plain_integer_is_refused(size: str) -> None:
    text = TEXTS[Checkpoint.payload_type]
    assert Checkpoint.decode(text.encode()).size == 4
    refused(Checkpoint, text.replace('"size":4', f'"size":{size}').encode())


def test_the_largest_integer_is_accepted() -> None:
    assert Checkpoint.decode(changed(Checkpoint, size=2**53 - 1)).size == 2**53 - 1


def test_an_absent_member_is_left_out_not_null() -> None:
    refused(ReportDocument, changed(ReportDocument, replaces=None))


def test_an_optional_member_is_kept() -> None:
    target = encode_base64(bytes(32))
    report = ReportDocument.decode(changed(ReportDocument, replaces=target))
    assert report.replaces == bytes(32)


def test_a_refusal_repeats_nothing_of_the_payload() -> None:
    with pytest.raises(MalformedDocument) as caught:
        Checkpoint.decode(b'{"secret":"swordfish"}')
    assert "swordfish" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_payload_over_4_kib_is_not_read() -> None:
    erase = {"issued": "2026-11-21", "origin": "alpha.example", "reason": "legal"}
    targets = [encode_base64(bytes([n] * 32)) for n in range(65)]
    payload = written({**erase, "rid": "00" * 16, "targets": targets[:64]})
    assert len(Erase.decode(payload).targets) == 64
    refused(Erase, payload + b" " * (4097 - len(payload)))
    refused(Erase, written({**erase, "rid": "00" * 16, "targets": targets}))


def listing(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"collective-{n:05}", "moderators": [], "status": "active"} for n in range(count)
    ]


def test_an_identity_may_be_larger_but_not_over_256_kib() -> None:
    large = changed(Identity, collectives=listing(4000))
    assert len(Identity.decode(large).collectives) == 4000
    refused(Identity, changed(Identity, collectives=listing(5000)))


def test_what_nobody_would_read_is_not_written() -> None:
    identity = Identity.decode(changed(Identity, collectives=listing(4000)))
    with pytest.raises(MalformedDocument):
        identity.model_copy(update={"collectives": identity.collectives * 2}).encode()


# Rules of single members


@pytest.mark.parametrize(
    "changes",
    [
        {"categories": ["sexual_violence", "condom_violation"]},
        {"categories": []},
        {"categories": ["robbery", "scam", "stalking", "theft", "threats"]},
        {"categories": ["murder"]},
        {"identifiers": []},
        {
            "identifiers": [
                {"kind": "phone", "token": encode_base64(bytes([n] * 32))} for n in range(5)
            ]
        },
        {"identifiers": [{"kind": "name", "token": encode_base64(bytes(32))}]},
        {"identifiers": [{"kind": "phone", "token": encode_base64(bytes(31))}]},
        {
            "identifiers": [
                {"kind": "phone", "token": encode_base64(bytes(32))},
                {"kind": "email", "token": encode_base64(bytes(32))},
            ]
        },
        {"severity": "grave"},
        {"month": "2026-13"},
        {"month": "2026-09-01"},
        {"expires": "2031-02-29"},
        {"issued": "2026-11-20T00:00:00Z"},
        {"rid": "60ACE22AC2AF2984EBAE37D6218CC5FA"},
        {"rid": "60ace22ac2af2984ebae37d6218cc5f"},
        {"epoch": 0},
        {"origin": "alpha.example\n"},
        {"origin": "Alpha.example"},
        {"network": "ab"},
        {"collective": "Rose"},
        {"replaces": "AA=="},
    ],
    ids=repr,
)
def test_a_report_with_one_wrong_member_is_refused(changes: dict[str, Any]) -> None:
    refused(ReportDocument, changed(ReportDocument, **changes))


A, B, C, D = (encode_base64(bytes([n] * 32)) for n in (1, 2, 3, 4))


def collective(**changes: Any) -> dict[str, Any]:
    one = {"id": "rose-a", "sign": A, "box": B, "status": "active"}
    return {"id": "rose", "moderators": [{**one, **changes}], "status": "active"}


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"log": "beta.example:1"},
        {"log": "alpha.example:0"},
        {"log": "alpha.example"},
        {"expires": "2027-12-27"},
        {"expires": "2027-02-30T00:00:00Z"},
        {"issued": "2026-11-22T24:00:00Z"},
        {"root": {"keys": [A], "threshold": 0}},
        {"root": {"keys": [A], "threshold": 2}},
        {"root": {"keys": [], "threshold": 1}},
        {"root": {"keys": [B, A], "threshold": 1}},
        {"root": {"keys": [A, A], "threshold": 1}},
        {"http_keys": [B, A]},
        {"http_keys": [A, A]},
        {"feed": "https://user@alpha.example/"},
        {"feed": "https://alpha.example/?x"},
        {"argon2id": {"m_kib": 8192, "t": 0}},
        {"argon2id": {"m_kib": 8192}},
        {"collectives": [collective(status="pending")]},
        {"collectives": [collective(box=A)]},
        {"collectives": [collective(), collective(sign=C)]},
        {"collectives": [collective(), {**collective(), "id": "iris"}]},
        {"root": {"keys": [A], "threshold": 1}, "collectives": [collective()]},
        {"http_keys": [A], "collectives": [collective()]},
        {"log_key": A, "collectives": [collective()]},
    ],
    ids=repr,
)
def test_an_identity_with_one_wrong_member_is_refused(changes: dict[str, Any]) -> None:
    refused(Identity, changed(Identity, **changes))


def test_a_moderator_twice_in_a_collective_is_refused() -> None:
    twice = collective()
    twice["moderators"].append({"id": "rose-b", "sign": C, "box": D, "status": "active"})
    assert Identity.decode(changed(Identity, collectives=[twice])).collectives[0].moderators[1:]
    twice["moderators"][1]["id"] = "rose-a"
    refused(Identity, changed(Identity, collectives=[twice]))


def test_the_order_of_collectives_is_kept() -> None:
    turned = members(Identity)["collectives"][::-1]
    identity = Identity.decode(changed(Identity, collectives=turned))
    assert [one.id for one in identity.collectives] == ["rose", "iris"]


@pytest.mark.parametrize("changes", [{"reason": "expired"}, {"target": A[1:]}, {"issued": ""}])
def test_a_retract_with_one_wrong_member_is_refused(changes: dict[str, Any]) -> None:
    refused(Retract, changed(Retract, **changes))


@pytest.mark.parametrize("changes", [{"targets": []}, {"targets": [A, A]}, {"reason": "error"}])
def test_an_erase_with_one_wrong_member_is_refused(changes: dict[str, Any]) -> None:
    right = {
        "issued": "2026-11-21",
        "origin": "alpha.example",
        "reason": "expired",
        "rid": "00" * 16,
        "targets": [B, A],
    }
    assert Erase.decode(written(right)).targets == (bytes([2] * 32), bytes([1] * 32))
    refused(Erase, written({**right, **changes}))


def test_a_close_may_name_the_log_that_goes_on() -> None:
    right = {"issued": "2026-11-21", "origin": "alpha.example", "rid": "00" * 16}
    assert Close.decode(written(right)).successor is None
    assert Close.decode(written({**right, "successor": "alpha.example:2"})).successor
    refused(Close, written({**right, "successor": "soon"}))


def test_a_checkpoint_of_a_foreign_log_is_refused() -> None:
    refused(Checkpoint, changed(Checkpoint, log="beta.example:1"))


# Properties

days = st.dates().map(str)
digests = st.binary(min_size=32, max_size=32)
hosts = st.just("alpha.example")
rids = st.binary(min_size=16, max_size=16).map(bytes.hex)
names = st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True)
reports = st.builds(
    ReportDocument,
    origin=hosts,
    collective=names,
    rid=rids,
    issued=days,
    expires=days,
    categories=st.sets(st.sampled_from(Category), min_size=1, max_size=4).map(
        lambda chosen: tuple(sorted(chosen))
    ),
    severity=st.sampled_from(Severity),
    month=st.dates().map(lambda day: str(day)[:7]),
    network=st.just("test-network"),
    epoch=st.integers(1, 2**53 - 1),
    identifiers=st.lists(
        st.builds(ReportedIdentifier, kind=st.sampled_from(Kind), token=digests),
        min_size=1,
        max_size=4,
        unique_by=lambda identifier: identifier.token,
    ).map(tuple),
    replaces=st.none() | digests,
)
retracts = st.builds(
    Retract,
    origin=hosts,
    collective=names,
    rid=rids,
    target=digests,
    reason=st.sampled_from(RetractReason),
    issued=days,
)
erases = st.builds(
    Erase,
    origin=hosts,
    rid=rids,
    targets=st.lists(digests, min_size=1, max_size=64, unique=True).map(tuple),
    reason=st.sampled_from(EraseReason),
    issued=days,
)
announcements = st.builds(
    Keys,
    origin=hosts,
    rid=rids,
    identity_version=st.integers(1, 2**53 - 1),
    identity_sha256=digests,
    issued=days,
)


closes = st.builds(
    Close,
    origin=hosts,
    rid=rids,
    issued=days,
    successor=st.none() | st.integers(1, 10**9 - 1).map(lambda number: f"alpha.example:{number}"),
)
moments = st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='seconds')}Z")
checkpoints = st.builds(
    Checkpoint,
    origin=hosts,
    log=st.just("alpha.example:1"),
    size=st.integers(0, 2**53 - 1),
    root=digests,
    issued=moments,
)


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    made = iter(draw(st.lists(digests, min_size=20, max_size=20, unique=True)))
    moderators = [
        Moderator(id=name, sign=next(made), box=next(made), status=draw(st.sampled_from(Status)))
        for name in draw(st.lists(names, max_size=4, unique=True))
    ]
    collectives = [
        Collective(
            id=name,
            moderators=tuple(moderators) if not place else (),
            status=draw(st.sampled_from(Status)),
        )
        for place, name in enumerate(draw(st.lists(names, max_size=3, unique=True)))
    ]
    root = sorted(next(made) for _ in range(draw(st.integers(1, 3))))
    return Identity(
        version=draw(st.integers(1, 2**53 - 1)),
        origin="alpha.example",
        log="alpha.example:1",
        issued=draw(moments),
        expires=draw(moments),
        root=Root(keys=tuple(root), threshold=draw(st.integers(1, len(root)))),
        log_key=next(made),
        http_keys=tuple(sorted(next(made) for _ in range(draw(st.integers(0, 2))))),
        network="test-network",
        epoch=draw(st.integers(1, 2**53 - 1)),
        public_key=next(made),
        argon2id=Argon2id(m_kib=draw(st.integers(1, 99)), t=draw(st.integers(1, 99))),
        collectives=tuple(collectives),
        feed="https://alpha.example/feed/v1/",
        previous=draw(st.none() | digests),
    )


documents = reports | retracts | erases | announcements | closes | checkpoints | identities()


@given(document=documents)
def test_what_is_written_is_read_again(document: Document) -> None:
    assert type(document).decode(document.encode()) == document


@given(document=documents)
def test_what_is_written_is_the_one_spelling(document: Document) -> None:
    assert document.encode() == written(document.model_dump(mode="json", exclude_none=True))


@given(data=st.data(), document=documents)
def test_no_other_payload_is_the_same_document(data: st.DataObject, document: Document) -> None:
    payload = bytearray(document.encode())
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = type(document).decode(bytes(payload))
    except MalformedDocument:
        return
    assert read != document


@given(data=st.data(), signed=st.sampled_from(SIGNED))
def test_a_changed_payload_is_refused_or_another_document(
    data: st.DataObject, signed: dict[str, Any]
) -> None:
    kind, payload = DOCUMENTS[signed["type"]], bytearray(signed["payload_text"].encode())
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    try:
        document = kind.decode(bytes(payload))
    except MalformedDocument:
        return
    assert document.encode() == payload
    assert document != kind.decode(signed["payload_text"].encode())


# Base64, days, words

BYTES: TypeAdapter[bytes] = TypeAdapter(Annotated[bytes, Base64()])
KEY_IDS: TypeAdapter[str] = TypeAdapter(KeyId)


@given(data=st.binary())
def test_bytes_are_text_in_json_both_ways(data: bytes) -> None:
    text = encode_base64(data)
    assert BYTES.validate_python(text) == BYTES.validate_python(data) == data
    assert BYTES.validate_json(f'"{text}"') == data
    assert BYTES.dump_json(data) == f'"{text}"'.encode()


@pytest.mark.parametrize(
    "text", ["AA", "AB==", "AAE", "AAB=", "AA==\n", " AA==", "A A=", "_-==", "AA==AA==", "é", "="]
)
def test_base64_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        BYTES.validate_python(text)


def accepts(kind: TypeAdapter[Any], value: object) -> bool:
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


@given(data=st.binary(min_size=31, max_size=34))
def test_a_key_id_is_base64_of_32_bytes(data: bytes) -> None:
    assert accepts(KEY_IDS, encode_base64(data)) == (len(data) == 32)


@pytest.mark.parametrize("last", string.ascii_letters + string.digits + "+/_-")
def test_a_key_id_is_canonical_base64(last: str) -> None:
    text = f"{A[:42]}{last}="
    assert accepts(KEY_IDS, text) == accepts(BYTES, text)


@given(text=st.text(alphabet="AB/+=_-\n ", max_size=9))
def test_no_two_texts_are_the_same_bytes(text: str) -> None:
    try:
        data = BYTES.validate_python(text)
    except ValidationError:
        return
    assert encode_base64(data) == text


@pytest.mark.parametrize("value", [1, None, ["AA=="], bytearray(b"a")])
def test_bytes_come_from_text_alone(value: object) -> None:
    with pytest.raises(ValidationError):
        BYTES.validate_python(value)


class Everything(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    day: Day = "2026-01-01"
    month: Month = "2026-01"
    time: Time = "2026-01-01T00:00:00Z"
    host: HostName = "alpha.example"
    log: LogId = "alpha.example:1"
    url: Url = "https://alpha.example/feed/v1/"
    rid: Rid = "00" * 16
    name: Identifier = "rose"
    network: NetworkId = "demo"
    keyid: KeyId = "A" * 43 + "="


@pytest.mark.parametrize("name", Everything.model_fields)
@pytest.mark.parametrize("tail", ["\n", " ", '"', "\\", "é", "\0"])
def test_nothing_may_follow_a_value(name: str, tail: str) -> None:
    value = Everything.model_fields[name].default
    assert getattr(Everything.model_validate({name: value}), name) == value
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate({name: value + tail})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("day", "2026-02-29"),
        ("day", "0000-01-01"),
        ("day", "2026-1-01"),
        ("day", "٢٠٢٦-01-01"),
        ("month", "2026-00"),
        ("month", "0000-01"),
        ("time", "2026-01-01T23:60:00Z"),
        ("time", "2026-01-01T24:00:00Z"),
        ("time", "2026-02-29T00:00:00Z"),
        ("time", "2026-01-01T00:00:00+00:00"),
        ("host", "-alpha.example"),
        ("host", "alpha..example"),
        ("host", "alpha.example."),
        ("host", "alpha.example:1"),
        ("host", "a." * 127 + "b"),
        ("log", "alpha.example:01"),
        ("url", "ftp://alpha.example/"),
        ("keyid", "A" * 40),
        ("keyid", "A" * 43 + "B"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate({name: value})
    assert value not in str(caught.value)


def test_a_leap_second_is_refused_since_not_every_language_knows_it() -> None:
    with pytest.raises(ValidationError):
        Everything.model_validate({"time": "2016-12-31T23:59:60Z"})


def test_a_time_is_utc() -> None:
    assert as_time("2026-01-01T00:00:00Z").isoformat() == "2026-01-01T00:00:00+00:00"


def test_every_category_has_its_rule() -> None:
    assert set(CATEGORIES) == set(Category)
    never = {category for category, rule in CATEGORIES.items() if rule.shared is Sharing.NEVER}
    assert never == {Category.TIME_WASTING, Category.OTHER}
    opt_in = {category for category, rule in CATEGORIES.items() if rule.shared is Sharing.OPT_IN}
    assert opt_in == {
        Category.AUTHORITY_ABUSE,
        Category.HARASSMENT,
        Category.NON_PAYMENT,
        Category.SCAM,
    }
    danger = [one for one, rule in CATEGORIES.items() if rule.severity is Severity.DANGER]
    assert len(danger) == 9
