"""Whatever an instance answers: only an honest, fresh list without an entry is *no match*."""

import gzip
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from api.client import (
    Client,
    CouldNotCheck,
    Profile,
    ReceiptAction,
    Refused,
    Report,
    Unreachable,
    ask_receipt,
    default_profile_path,
    explain,
    join,
)
from api.client.failures import NO_INSTANCE, OFFLINE, TOO_LARGE
from api.crypto.buckets import SMALL, Counts, Layout
from api.crypto.envelopes import key_id
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.joining import check_join, prove_join
from api.crypto.sealing import SealedParts, open_account
from api.keyring import KeyFileError
from api.trust import root_fingerprint
from schemas.base import Category, Severity
from schemas.documents import Argon2id, Collective, Identity
from schemas.documents import Status as Standing
from schemas.lookups import EvaluationRequest
from schemas.reports import Account, Consent, Flag, Police, SealedSubmission, Status, Warn
from tests.unit.miniature import (
    ADDRESS,
    CODE,
    LISTED,
    MAIL,
    NOW,
    RECEIPT,
    SEEN,
    TOKEN,
    UNLISTED,
    Instance,
    box_of,
    bucket_answer,
    encode,
    evaluator,
    first_identity,
    following,
    moderator,
    problem,
    public,
    root,
    seed,
    signed,
)

HOUR = timedelta(hours=1)
FINE = "The list is cut so finely that reading it would show who is asked about."
UNSIGNED = "This instance's identity is not signed by the keys you were given."
NO_PROOF = "The instance did not prove that it answered with the network's key."
OUT_OF_DATE = "The list that was sent is out of date."
CHANGED = "The list changed while it was read: try again."


@pytest.fixture
def instance() -> Instance:
    return Instance()


def reason(instance: Instance, *identifiers: Identifier, profile: Profile | None = None) -> str:
    """Return why a look-up of someone who is not listed could not be made."""
    with instance.client(profile) as client, pytest.raises(CouldNotCheck) as caught:
        client.check(identifiers or (UNLISTED,))
    return caught.value.reason


# What an honest instance answers.


def test_a_look_up_finds_what_is_listed_and_nothing_else(instance: Instance) -> None:
    with instance.client() as client:
        assert client.check([LISTED, UNLISTED, MAIL]) == [SEEN, None, None]
    assert instance.asked == [
        "GET /v1/identity",
        "GET /v1/network",
        "POST /v1/evaluations",
        "GET /v1/buckets/1/0/0",
    ]


def test_nothing_that_is_sent_names_whom_it_is_about(instance: Instance) -> None:
    with instance.client() as client:
        client.check([LISTED])
    token = instance.token(LISTED)
    for request in instance.requests:
        sent = str(request.url).encode() + request.content + repr(request.headers).encode()
        assert b"900113" not in sent
        assert encode(token).encode() not in sent


def test_a_blind_is_never_used_twice(instance: Instance) -> None:
    with instance.client() as client:
        client.check([LISTED])
        client.check([LISTED])
    sent = [request.content for request in instance.requests if request.content]
    assert len(set(sent)) == 2


def test_tokens_are_those_that_the_network_key_gives(instance: Instance) -> None:
    with instance.client() as client:
        assert client.tokens([LISTED, MAIL, LISTED]) == [
            instance.token(one) for one in (LISTED, MAIL, LISTED)
        ]
    (request,) = [one for one in instance.requests if one.method == "POST"]
    assert len(json.loads(request.content)["elements"]) == 2


def test_a_request_holds_ten_elements_at_most(instance: Instance) -> None:
    many = [parse_identifier("phone", f"07700 9000{n}", "GB") for n in range(10, 31)]
    with instance.client() as client:
        assert client.check(many) == [None] * 21
    assert instance.asked.count("POST /v1/evaluations") == 3
    assert instance.asked.count("GET /v1/buckets/1/0/0") == 1


def test_each_bucket_of_a_cut_list_is_asked_for_once(instance: Instance) -> None:
    instance.layout = Layout(3, 300)
    many = [LISTED, *(parse_identifier("phone", f"07700 9000{n}", "GB") for n in range(10, 19))]
    with instance.client() as client:
        assert client.check(many) == [SEEN] + [None] * 9
    buckets = [path for path in instance.asked if "buckets" in path]
    assert 1 < len(buckets) == len(set(buckets))
    assert buckets == sorted(buckets)


def test_a_bucket_that_has_not_changed_is_not_sent_again(instance: Instance) -> None:
    with instance.client() as client:
        assert client.check([LISTED]) == [SEEN]
        assert client.check([LISTED, UNLISTED]) == [SEEN, None]
        assert "if-none-match" in instance.requests[-1].headers
        instance.listed = {}
        instance.sealed += HOUR
        assert client.check([LISTED]) == [None]
    assert instance.asked.count("GET /v1/identity") == 1


def test_a_bucket_that_has_not_changed_for_too_long_is_refused(instance: Instance) -> None:
    with instance.client() as client:
        client.check([LISTED])
        instance.now += 49 * HOUR
        with pytest.raises(CouldNotCheck, match=OUT_OF_DATE):
            client.check([LISTED])


def test_not_changed_is_no_answer_about_a_bucket_never_seen(instance: Instance) -> None:
    instance.broken["/v1/buckets/1/0/0"] = lambda _: httpx2.Response(304)
    assert reason(instance) == "The list that was sent is damaged."


@pytest.mark.parametrize("code", ["stale-epoch", "stale-layout"])
def test_a_list_that_changed_is_read_again_once(instance: Instance, code: str) -> None:
    instance.stale = [code]
    with instance.client() as client:
        assert client.check([LISTED]) == [SEEN]
    assert instance.asked.count("GET /v1/identity") == 2
    assert instance.asked.count("GET /v1/network") == 2
    instance.stale = [code, code]
    assert reason(instance) == CHANGED


def test_a_newer_epoch_is_followed(instance: Instance) -> None:
    with instance.client() as client:
        client.identity()
        second = evaluator("next network key")
        instance.show(following(instance.identity, epoch=2, public_key=second.public_key), "root")
        instance.evaluator = second
        instance.listed = {}
        assert client.check([LISTED]) == [None]
    assert instance.asked[-1] == "GET /v1/buckets/2/0/0"


# Lists that must not be believed.


def tampered(file: bytes, position: int) -> bytes:
    return file[:position] + bytes([file[position] ^ 1]) + file[position + 1 :]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sealed": int((NOW - 49 * HOUR).timestamp()) // 3600}, OUT_OF_DATE),
        (
            {"sealed": int((NOW + 2 * HOUR).timestamp()) // 3600},
            "The list that was sent is dated in the future.",
        ),
        ({"log_seed": seed("another")}, "The list that was sent is not signed by this instance."),
        ({"network": "test-another"}, "The list that was sent is not signed by this instance."),
        ({"epoch": 2}, "Another part of the list was sent than the one asked for."),
        ({"index": 1}, "Another part of the list was sent than the one asked for."),
        ({"layout": Layout(1, 256)}, "Another part of the list was sent than the one asked for."),
    ],
)
def test_a_stale_foreign_or_swapped_list_is_not_no_match(
    instance: Instance, change: dict[str, Any], why: str
) -> None:
    instance.bucket_changes = change
    assert reason(instance) == why


@pytest.mark.parametrize("position", [0, 8, 13, 30, 44, 1000, -1])
def test_a_tampered_list_is_not_no_match(instance: Instance, position: int) -> None:
    file = instance.bucket(1, 0, 0)
    changed = tampered(file, position % len(file))
    instance.broken["/v1/buckets/1/0/0"] = lambda _: bucket_answer(changed)
    assert reason(instance) in {
        "The list that was sent is damaged.",
        "The list that was sent is not signed by this instance.",
    }


@pytest.mark.parametrize("length", [0, 44, 107, 3000])
def test_a_list_cut_short_is_not_no_match(instance: Instance, length: int) -> None:
    file = instance.bucket(1, 0, 0)[:length]
    instance.broken["/v1/buckets/1/0/0"] = lambda _: bucket_answer(file)
    assert reason(instance) == "The list that was sent is damaged."


def test_an_entry_without_reports_is_not_understood(instance: Instance) -> None:
    instance.listed = {LISTED: Counts(danger=0, risk=0, nuisance=0, collectives=1, recent=0)}
    assert reason(instance, LISTED).startswith("The list says something")


@pytest.mark.parametrize("bits", [9, 31, 32, -1])
def test_a_list_cut_to_single_one_member_out_is_never_fetched(
    instance: Instance, bits: int
) -> None:
    instance.network = {"buckets": {"bits": bits, "slots": 256}}
    assert reason(instance) == FINE
    assert not any("buckets" in path for path in instance.asked)


def test_small_buckets_are_for_tests_only() -> None:
    small, large = Layout(2, 256), Layout(2, SMALL // 12)
    instance = Instance(first_identity(network="real", argon2id=Argon2id(m_kib=19_456, t=2)))
    instance.layout = small
    assert reason(instance) == FINE
    instance.layout = large
    with instance.client() as client:
        assert client.check([LISTED, UNLISTED]) == [SEEN, None]


# Keys that were put in the place of others.


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"public_key": encode(evaluator("another").public_key)}, "a network key"),
        ({"log_public_key": encode(public("another"))}, "a log key"),
        ({"network": "test-another"}, "another network"),
        ({"epoch": 2}, "another network"),
        ({"argon2id": {"m_kib": 9, "t": 1, "p": 1}}, "another network"),
        ({"argon2id": {"m_kib": 8, "t": 1, "p": 2}}, "another network"),
    ],
)
def test_a_key_that_the_signed_identity_does_not_name_is_reported(
    instance: Instance, change: dict[str, Any], what: str
) -> None:
    instance.network = change
    why = f"The instance names {what} "
    assert reason(instance).startswith(why + ("than" if what == "another network" else "that"))
    assert "POST /v1/evaluations" not in instance.asked


def other_key(instance: Instance, asked: EvaluationRequest) -> Any:
    instance.evaluator = evaluator("another")
    return instance.evaluated(asked)


def swapped(_: Instance, answer: Any) -> None:
    answer["parts"][0]["elements"].reverse()


def one_less(_: Instance, answer: Any) -> None:
    answer["parts"][0]["elements"].pop()


def no_element(_: Instance, answer: Any) -> None:
    answer["parts"][0]["elements"][0] = encode(bytes(32))


def share_one(_: Instance, answer: Any) -> None:
    answer["parts"][0]["share"] = 1


def two_parts(_: Instance, answer: Any) -> None:
    answer["parts"] *= 2


def no_parts(_: Instance, answer: Any) -> None:
    answer["parts"] = []


def later_epoch(_: Instance, answer: Any) -> None:
    answer["epoch"] = 2


def no_proof(_: Instance, answer: Any) -> None:
    answer["parts"][0]["proof"] = encode(bytes(64))


def foreign_key(instance: Instance, answer: Any) -> None:
    asked = EvaluationRequest.model_validate_json(instance.requests[-1].content)
    answer.update(other_key(instance, asked))


@pytest.mark.parametrize(
    "harm",
    [
        swapped, one_less, no_element, share_one, two_parts, no_parts, later_epoch, no_proof,
        foreign_key,
    ],
)  # fmt: skip
def test_without_a_good_proof_nothing_was_checked(
    instance: Instance, harm: Callable[[Instance, Any], None]
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        honest = instance.evaluated(EvaluationRequest.model_validate_json(request.content))
        harm(instance, honest)
        return httpx2.Response(200, json=honest)

    instance.broken["/v1/evaluations"] = answer
    assert reason(instance, UNLISTED, MAIL) == NO_PROOF


# Identities.


def held(instance: Instance, *, pin: Identity | None = None) -> Profile:
    profile = instance.profile
    if pin is None:
        return profile
    sha256 = hashlib.sha256(pin.encode()).digest()
    return replace(profile, version=pin.version, sha256=sha256, root=root_fingerprint(pin.root))


def test_an_identity_of_another_root_is_refused(instance: Instance) -> None:
    instance.identities = [signed(first_identity(root=root("another")), "another")]
    assert reason(instance) == UNSIGNED
    instance.identities = [signed(first_identity(), "another")]
    assert reason(instance) == UNSIGNED


def test_a_moderator_whom_the_root_did_not_sign_is_refused(instance: Instance) -> None:
    (envelope,) = instance.identities
    rose = Collective(id="rose", moderators=(moderator("mallory"),), status=Standing.ACTIVE)
    forged = first_identity(collectives=(rose,)).encode()
    instance.identities = [envelope.model_copy(update={"payload": forged})]
    assert reason(instance) == UNSIGNED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"issued": "2025-09-01T00:00:00Z", "expires": "2026-09-01T00:00:00Z"},
            "This instance's identity has expired: its operator must renew it.",
        ),
        (
            {"issued": "2026-12-01T00:00:00Z"},
            "This instance's identity is dated in the future.",
        ),
        ({"expires": "2029-01-01T00:00:00Z"}, UNSIGNED),
        ({"epoch": 2**32}, UNSIGNED),
    ],
)
def test_an_identity_that_is_not_in_force_is_refused(changes: dict[str, Any], why: str) -> None:
    assert reason(Instance(first_identity(**changes))) == why


def test_an_identity_is_remembered_and_an_older_one_refused(instance: Instance) -> None:
    kept: list[Profile] = []
    first = instance.identity
    instance.show(following(first), "root")
    with instance.client(remember=kept.append) as client:
        client.check([LISTED])
    assert kept == [held(instance, pin=instance.identity)]
    with instance.client(kept[0], remember=kept.append) as client:
        client.check([LISTED])
    assert len(kept) == 1
    instance.identities.pop()
    assert reason(instance, profile=kept[0]) == (
        "This instance shows an older identity than it did before."
    )


def test_another_identity_in_the_place_of_the_pinned_one_is_refused(instance: Instance) -> None:
    profile = held(instance, pin=instance.identity)
    changed = first_identity(http_keys=(public("another"),))
    instance.identities = [signed(changed, "root")]
    another = "This instance shows another identity than it did before."
    assert reason(instance, profile=profile) == another
    instance.identities = [signed(changed, "root"), signed(following(changed), "root")]
    assert reason(instance, profile=profile) == another


def test_a_change_of_root_keys_is_followed_and_then_held(instance: Instance) -> None:
    second = following(instance.identity, root=root("root-2"))
    instance.show(second, "root", "root-2")
    instance.show(following(second), "root-2")
    with instance.client() as client:
        assert client.check([LISTED]) == [SEEN]
        pinned = client.profile
    assert instance.asked[:3] == [
        "GET /v1/identity",
        "GET /v1/identity?version=2",
        "GET /v1/identity?version=1",
    ]
    assert pinned.root == root_fingerprint(second.root)
    instance.asked.clear()
    with instance.client(pinned) as client:
        assert client.check([LISTED]) == [SEEN]
    assert instance.asked[1] == "GET /v1/network"


def test_replaced_root_keys_start_no_chain(instance: Instance) -> None:
    second = following(instance.identity, root=root("root-2"))
    instance.show(second, "root", "root-2")
    profile = held(instance, pin=second)
    stolen = following(second, root=root("root"))
    instance.identities = [instance.identities[0], signed(stolen, "root"), signed(stolen, "root")]
    assert reason(instance, profile=profile) == UNSIGNED


@pytest.mark.parametrize("signers", [("root-2",), ("root",), ("another",)])
def test_a_change_of_root_needs_old_and_new_keys(
    instance: Instance, signers: tuple[str, ...]
) -> None:
    instance.show(following(instance.identity, root=root("root-2")), *signers)
    assert reason(instance) == UNSIGNED


def test_a_chain_without_an_end_is_left(instance: Instance) -> None:
    far = first_identity(version=10**9, root=root("another"), previous=bytes(32))
    envelope = signed(far, "another").model_dump(mode="json")
    instance.broken["/v1/identity"] = lambda _: httpx2.Response(200, json=envelope)
    assert reason(instance) == UNSIGNED
    assert len(instance.asked) == 257


def test_a_client_that_is_kept_sees_its_identity_expire(instance: Instance) -> None:
    with instance.client() as client:
        client.identity()
        instance.now = datetime(2027, 11, 2, tzinfo=UTC)
        with pytest.raises(CouldNotCheck, match="expired"):
            client.identity()


# Clocks.


@pytest.mark.parametrize(
    ("ahead", "hours"), [(-100 * HOUR, 100), (2 * HOUR, 2), (400 * 24 * HOUR, 9600)]
)
def test_a_wrong_clock_is_named_as_the_cause(
    instance: Instance, ahead: timedelta, hours: int
) -> None:
    """The server's clock is `ahead` of this device's, or behind it."""
    instance.sealed = NOW
    instance.now, instance.ahead = NOW - ahead, ahead
    assert reason(instance) == (
        f"This device's clock is wrong: it differs from the server's by about {hours} hours."
    )


def test_a_clock_that_explains_nothing_is_not_blamed(instance: Instance) -> None:
    instance.sealed, instance.ahead = NOW - 60 * HOUR, 3 * HOUR
    assert reason(instance) == OUT_OF_DATE
    instance.sealed = NOW
    with instance.client() as client:
        assert client.check([UNLISTED]) == [None]


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 01 Jan 0001 00:00:00 +9999", "\xff"])
def test_a_date_that_is_none_is_passed_over(instance: Instance, date: str) -> None:
    file = instance.bucket(1, 0, 0)
    headers = {"Date": date.encode("latin-1"), "Content-Type": "application/vnd.parasol.bucket"}
    instance.broken["/v1/buckets/1/0/0"] = lambda _: httpx2.Response(
        200, content=file, headers={name.encode(): value for name, value in _bytes(headers)}
    )
    instance.now += 49 * HOUR
    assert reason(instance) == OUT_OF_DATE


def _bytes(headers: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, value in headers.items():
        yield name, value if isinstance(value, bytes) else value.encode()


# Answers that are none.


def endless(_: httpx2.Request) -> httpx2.Response:
    class Endless(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield bytes(64 * 1024)

    headers = {"Content-Type": "application/json"}
    return httpx2.Response(200, stream=Endless(), headers=headers)


def redirect(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(307, headers={"Location": "https://elsewhere.example/"})


def page(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, html="<h1>Sign in</h1>")


def error_page(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(502, html="<h1>Bad gateway</h1>")


def compressed(_: httpx2.Request) -> httpx2.Response:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return httpx2.Response(200, content=gzip.compress(b"{}"), headers=headers)


def no_json(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, content=b"{", headers={"Content-Type": "application/json"})


def deep(_: httpx2.Request) -> httpx2.Response:
    body = b"[" * 100_000
    return httpx2.Response(200, content=body, headers={"Content-Type": "application/json"})


def empty(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(204)


def other_shape(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={"no": "match"})


def no_code(_: httpx2.Request) -> httpx2.Response:
    return problem(409, "\x1b[2Jstale-layout")


def offline(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("no route")


def slow(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("slow")


PATHS = ["/v1/identity", "/v1/network", "/v1/evaluations", "/v1/buckets/1/0/0"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (endless, TOO_LARGE),
        (redirect, NO_INSTANCE),
        (page, NO_INSTANCE),
        (error_page, NO_INSTANCE),
        (compressed, NO_INSTANCE),
        (no_json, NO_INSTANCE),
        (deep, NO_INSTANCE),
        (no_code, NO_INSTANCE),
        (offline, OFFLINE),
        (slow, OFFLINE),
    ],
)
def test_what_is_no_answer_is_not_no_match(
    instance: Instance, path: str, answer: Callable[[httpx2.Request], httpx2.Response], why: str
) -> None:
    instance.broken[path] = answer
    assert reason(instance) == why
    assert {request.url.host for request in instance.requests} == {"alpha.example"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("answer", [empty, other_shape])
def test_an_answer_of_another_shape_is_not_no_match(
    instance: Instance, path: str, answer: Callable[[httpx2.Request], httpx2.Response]
) -> None:
    instance.broken[path] = answer
    damaged = "The list that was sent is damaged."
    assert reason(instance) == (damaged if "buckets" in path else NO_INSTANCE)


@pytest.mark.parametrize(
    ("wait", "why"),
    [
        ("30", "Too many requests for now. Try again in a minute."),
        ("720", "Too many requests for now. Try again in 12 minutes."),
        ("61200", "Too many requests for now. Try again in 17 hours."),
        ("soon", "Too many requests for now. Try again later."),
        (None, "Too many requests for now. Try again later."),
    ],
)
def test_over_the_quota_the_time_to_wait_is_said(
    instance: Instance, wait: str | None, why: str
) -> None:
    instance.broken["/v1/evaluations"] = lambda _: problem(429, "rate-limited", wait)
    assert reason(instance) == why


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (
            401,
            "unauthenticated",
            "Your access has ended: ask your collective for a new invitation.",
        ),
        (503, "unavailable", "The instance cannot answer now: try again later."),
        (418, "teapot", "The instance refused this (teapot)."),
    ],
)
def test_a_refusal_is_said_in_our_own_words(
    instance: Instance, status: int, code: str, why: str
) -> None:
    instance.broken["/v1/buckets/1/0/0"] = lambda _: problem(status, code)
    assert reason(instance) == why


def test_an_etag_that_can_not_be_sent_back_is_forgotten(instance: Instance) -> None:
    file = instance.bucket(1, 0, 0)
    headers = {b"Content-Type": b"application/vnd.parasol.bucket", b"ETag": b'"\xff"'}
    instance.broken["/v1/buckets/1/0/0"] = lambda _: httpx2.Response(
        200, content=file, headers=headers
    )
    with instance.client() as client:
        assert client.check([LISTED]) == client.check([LISTED]) == [SEEN]


def test_a_call_refuses_with_code_status_and_members(instance: Instance) -> None:
    instance.broken["/v1/x"] = lambda _: problem(409, "stale-layout", "5", bits=3)
    with instance.client() as client, pytest.raises(Refused) as caught:
        client.call("GET", "/v1/x", params={"a": 1})
    refused = caught.value
    assert (refused.code, refused.status, refused.retry_after) == ("stale-layout", 409, 5)
    assert refused.members == {"bits": 3}
    request = instance.requests[-1]
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.url.query == b"a=1"


def test_a_call_takes_the_token_nowhere_else(instance: Instance) -> None:
    with instance.client() as client, pytest.raises(ValueError, match="slash"):
        client.call("GET", "https://elsewhere.example/v1/x")
    assert instance.requests == []


def test_a_proxy_does_not_see_what_goes_to_this_device(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    profile = replace(instance.profile, address="http://127.0.0.1:8000")
    with Client(profile) as client:
        mounts = client._session._http._mounts  # noqa: SLF001  (nothing else shows it)
    assert not any(mounts.values())


# In clear.


def plain(total: int, *, match: bool, **changes: int) -> dict[str, Any]:
    reports = {"total": total, "danger": total, "risk": 0, "nuisance": 0, "recent": 0}
    return {"match": match, "reports": {**reports, **changes}, "collectives": total}


def test_a_plain_look_up_is_answered_in_order(instance: Instance) -> None:
    instance.plain = [plain(2, match=True), plain(0, match=False)]
    with instance.client() as client:
        found = client.check_plainly([LISTED, MAIL])
    assert found == [Counts(danger=2, risk=0, nuisance=0, collectives=2, recent=0), None]
    assert instance.asked == ["POST /v1/lookups"]
    assert json.loads(instance.requests[0].content) == {
        "identifiers": [
            {"kind": "phone", "value": "+447700900113"},
            {"kind": "email", "value": "someone@example.org"},
        ]
    }


@pytest.mark.parametrize(
    "results",
    [
        [],
        [plain(0, match=False)] * 2,
        [plain(0, match=True)],
        [plain(2, match=False)],
        [plain(256, match=True)],
        [plain(1, match=True, recent=-1)],
    ],
)
def test_a_plain_answer_that_contradicts_itself_is_refused(
    instance: Instance, results: list[Any]
) -> None:
    instance.plain = results
    with instance.client() as client, pytest.raises(CouldNotCheck):
        client.check_plainly([LISTED])


# Joining.


def invitation(fingerprint: bytes) -> str:
    return f"{ADDRESS}/join#{CODE}.{fingerprint.hex()}"


def test_an_invitation_becomes_a_pinned_profile(instance: Instance) -> None:
    line = invitation(instance.profile.root)
    profile = join(line, clock=lambda: NOW, transport=instance.transport)
    assert profile == held(instance, pin=instance.identity)
    assert "authorization" not in instance.requests[0].headers
    assert json.loads(instance.requests[0].content) == {"code": CODE}
    assert TOKEN not in repr(profile)


def test_at_another_instance_the_new_token_is_ended(instance: Instance) -> None:
    with pytest.raises(CouldNotCheck, match="not signed"):
        join(invitation(bytes(32)), clock=lambda: NOW, transport=instance.transport)
    assert instance.asked[-1] == "DELETE /v1/tokens/current"
    instance.broken["/v1/tokens/current"] = offline
    with pytest.raises(CouldNotCheck, match="not signed"):
        join(invitation(bytes(32)), clock=lambda: NOW, transport=instance.transport)


def test_a_moderator_joins_with_proof_of_her_key(instance: Instance) -> None:
    box = bytes(box_of("ada").public_key)

    def prove(code: str) -> dict[str, Any]:
        return {"sign": public("ada"), "box": box, "proof": prove_join(seed("ada"), code, box)}

    line = invitation(instance.profile.root)
    join(line, prove, clock=lambda: NOW, transport=instance.transport)
    keys = json.loads(instance.requests[0].content)["keys"]
    assert keys == {name: encode(value) for name, value in prove(CODE).items()}
    check_join(public("ada"), box, CODE, prove(CODE)["proof"])


@pytest.mark.parametrize("line", ["", f"http://alpha.example/join#{CODE}.{'00' * 32}", "x" * 500])
def test_what_is_no_invitation_reaches_nobody(instance: Instance, line: str) -> None:
    with pytest.raises(InvalidInput, match="invalid-invitation"):
        join(line, transport=instance.transport)
    assert instance.requests == []


def test_a_token_that_is_none_is_not_kept(instance: Instance) -> None:
    answer = {"token": "a\r\nb", "role": "member", "collective": "rose"}
    instance.broken["/v1/tokens"] = lambda _: httpx2.Response(200, json=answer)
    with pytest.raises(Unreachable):
        join(invitation(instance.profile.root), transport=instance.transport)


# Profiles.


def test_a_profile_is_kept_for_its_owner_alone(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "parasol" / "profile.json"
    for profile in (instance.profile, held(instance, pin=instance.identity)):
        profile.save(path)
        assert Profile.load(path) == profile
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["profile.json"]
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="open to others"):
        Profile.load(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "\xff", '{"address":1}'])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.json"
    path.touch(mode=0o600)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(KeyFileError, match="not a profile"):
        Profile.load(path)
    with pytest.raises(KeyFileError, match="join first"):
        Profile.load(tmp_path / "absent")
    with pytest.raises(KeyFileError, match="cannot be written"):
        Instance().profile.save(path / "below")


@pytest.mark.parametrize(
    "address", ["http://alpha.example", "https://alpha.example/", "HTTPS://alpha.example", "x"]
)
def test_an_address_that_no_invitation_names_is_refused(instance: Instance, address: str) -> None:
    with pytest.raises(InvalidInput, match="invalid-invitation"):
        replace(instance.profile, address=address)


def test_the_environment_says_where_the_profile_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARASOL_PROFILE", "/there/mine.json")
    assert default_profile_path() == Path("/there/mine.json")
    monkeypatch.delenv("PARASOL_PROFILE")
    assert default_profile_path().parts[-2:] == ("parasol", "profile.json")


# Reports and receipts.


def written(**changes: Any) -> Report:
    members: dict[str, Any] = {
        "identifiers": [LISTED, MAIL],
        "categories": [Category.ROBBERY],
        "severity": Severity.DANGER,
        "month": "2026-10",
        "consent": Consent(warn=Warn.NETWORK, police=Police.NEVER, research=False),
        "wait_days": 3,
        "account": Account(text=SecretStr("He had a knife."), flags=(Flag.WEAPON,)),
    }
    return Report(**{**members, **changes})


def submitted(instance: Instance) -> list[bytes]:
    return [one.content for one in instance.requests if one.url.path == "/v1/reports"]


def test_only_active_moderators_of_ones_collective_can_read_a_report(instance: Instance) -> None:
    with instance.client() as client:
        assert client.report(written()) == RECEIPT
    (body,) = submitted(instance)
    assert b"knife" not in body
    sent = SealedSubmission.model_validate_json(body)
    keys = {key.kid: key.sealed for key in sent.sealed.keys}
    assert keys.keys() == {key_id(public("ada")), key_id(public("bo"))}
    parts = SealedParts(nonce=sent.sealed.nonce, box=sent.sealed.box, keys=keys)
    plaintext = open_account(parts, key_id(public("bo")), bytes(box_of("bo")))
    story = json.loads(plaintext)
    assert story["account"]["text"] == "He had a knife."
    assert story["canonical"] == ["+447700900113", "someone@example.org"]
    assert story["request"] == {k: v for k, v in json.loads(body).items() if k != "sealed"}
    assert [one.token for one in sent.identifiers] == [
        instance.token(one) for one in (LISTED, MAIL)
    ]


def test_a_report_whose_answer_was_lost_is_sent_again_to_the_letter(instance: Instance) -> None:
    lost = iter([True, True, False])

    def answer(_: httpx2.Request) -> httpx2.Response:
        if next(lost):
            raise httpx2.ReadTimeout("lost")
        return httpx2.Response(201, json={"receipt": RECEIPT})

    instance.broken["/v1/reports"] = answer
    with instance.client() as client:
        assert client.report(written(), again=lambda: True) == RECEIPT
    bodies = submitted(instance)
    assert len(bodies) == 3
    assert len(set(bodies)) == 1


def test_a_report_is_sent_twice_and_not_for_ever(instance: Instance) -> None:
    instance.broken["/v1/reports"] = offline
    with instance.client() as client, pytest.raises(Unreachable):
        client.report(written())
    assert len(submitted(instance)) == 2


def test_a_report_of_a_past_epoch_is_made_anew(instance: Instance) -> None:
    answers = [problem(409, "stale-epoch"), httpx2.Response(201, json={"receipt": RECEIPT})]
    instance.broken["/v1/reports"] = lambda _: answers.pop(0)
    with instance.client() as client:
        assert client.report(written()) == RECEIPT
    assert instance.asked.count("GET /v1/identity") == 2


def test_a_receipt_that_is_none_is_not_shown(instance: Instance) -> None:
    instance.broken["/v1/reports"] = lambda _: httpx2.Response(201, json={"receipt": "\x1b[2J"})
    with instance.client() as client, pytest.raises(Unreachable):
        client.report(written())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"month": "2026-12"}, "future-dated"),
        ({"month": "2021-10"}, "expired"),
        ({"account": Account(text=SecretStr("👩" * 11_000))}, "account-too-long"),
    ],
)
def test_a_report_that_can_not_be_kept_is_not_sent(
    instance: Instance, changes: dict[str, Any], code: str
) -> None:
    with instance.client() as client, pytest.raises(InvalidInput, match=code):
        client.report(written(**changes))
    assert submitted(instance) == []


@pytest.mark.parametrize("collective", [None, "lily", "ended"])
def test_without_a_reader_nothing_is_sent(collective: str | None) -> None:
    ended = Collective(id="ended", moderators=(moderator("di"),), status=Standing.ENDED)
    instance = Instance(first_identity(collectives=(ended,)))
    profile = replace(instance.profile, collective=collective)
    with instance.client(profile) as client, pytest.raises(CouldNotCheck, match="no moderator"):
        client.report(written())
    assert submitted(instance) == []


def test_a_report_does_not_print_whom_it_is_about() -> None:
    assert "900113" not in repr(written())
    assert "knife" not in repr(written())


def test_a_receipt_is_used_without_saying_whose_it_is(instance: Instance) -> None:
    with_spaces = "1234 5678 9012 3456"
    for action, status in (
        (ReceiptAction.STATUS, Status.IN_REVIEW),
        (ReceiptAction.WITHDRAW, Status.WITHDRAWN),
    ):
        assert ask_receipt(ADDRESS, action, with_spaces, transport=instance.transport) == status
        request = instance.requests[-1]
        assert request.url.path == f"/v1/receipts/{action.value}"
        assert "authorization" not in request.headers
        assert json.loads(request.content) == {"receipt": RECEIPT}


@pytest.mark.parametrize("text", ["", "123", "1" * 17, "1234-5678-9012-345x"])
def test_what_is_no_receipt_is_not_sent(instance: Instance, text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid-receipt"):
        ask_receipt(ADDRESS, ReceiptAction.STATUS, text, transport=instance.transport)
    assert instance.requests == []


def test_every_failure_has_a_sentence() -> None:
    assert explain(InvalidInput("new-code")) == "Something here is not valid (new-code)."
    assert explain(KeyFileError("x is not there")) == "x is not there"
    assert explain(Unreachable()) == OFFLINE
    assert os.linesep not in explain(CouldNotCheck("One."))
