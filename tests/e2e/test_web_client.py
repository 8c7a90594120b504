"""The pages' client, run in Node against a real server: what it finds, what it sends, and that
nothing which is no answer reads as *no warning*.
"""

import base64
import gzip
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.client import Client, Profile, ReceiptAction, ask_receipt, join
from api.crypto.buckets import Layout, seal_bucket
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.sealing import open_box
from api.crypto.stretching import Cost, stretch
from api.moderating import Desk, ModeratorKeys
from api.moderating.checks import box_key, plaintext
from api.trust import root_fingerprint
from schemas.base import encode_base64
from schemas.callers import Role
from schemas.reports import Status
from tests.browser import WireTap
from tests.e2e.conftest import (
    HERE,
    LISTED,
    TWICE,
    UNLISTED,
    Cast,
    Server,
    eventually,
    this_month,
)
from tests.e2e.test_traces import traces
from tests.factories import Moderator, World
from tests.services import free_port

DRIVER = HERE / "tests/web/client-driver.js"
NODE = HERE / "api/web/with-node"
HOUR = 3600
EVALUATIONS, BUCKETS = "/v1/evaluations", "/v1/buckets/"


class Failed(Exception):  # noqa: N818  (the word of worker and page)
    """A failure that the worker told its page."""

    def __init__(self, code: str, members: dict[str, Any]) -> None:
        super().__init__(code)
        self.code = code
        self.members = members


class Driver:
    """The process in which all devices live."""

    def __init__(self) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([NODE, "node", DRIVER], text=True, **pipes)
        self._last = 0

    def ask(self, device: int | None, method: str, **params: Any) -> tuple[Any, list[Any]]:
        """Return what a method gives, and the steps of which it told meanwhile."""
        self._last += 1
        message = {"id": self._last, "device": device, "method": method, "params": params}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        steps = []
        for line in self._process.stdout:
            answer = json.loads(line)
            assert answer["id"] == self._last
            if "progress" in answer:
                steps.append(answer["progress"])
            elif "failure" in answer:
                raise Failed(**answer["failure"])
            else:
                return answer["value"], steps
        raise AssertionError("the driver ended")

    def close(self) -> None:
        """End the process."""
        with self._process as process:
            if process.stdin is not None:
                process.stdin.close()
        assert process.returncode == 0


class Device:
    """A phone with the page open."""

    def __init__(self, driver: Driver, address: str) -> None:
        self._driver = driver
        self._device, _ = driver.ask(None, "device.new", address=address)
        self.steps: list[Any] = []

    def __call__(self, method: str, **params: Any) -> Any:
        """Call a method of the worker; raise Failed as the page would be told."""
        value, self.steps = self._driver.ask(self._device, method, **params)
        return value

    def check(self, *identifiers: Identifier) -> Any:
        return self("check", identifiers=[plain(one) for one in identifiers])

    def refusal(self, *identifiers: Identifier) -> str:
        """Return why a check, by default of somebody who is listed, can't be made."""
        with pytest.raises(Failed) as failed:
            self.check(*(identifiers or (number(LISTED),)))
        return failed.value.code

    def rules(self, *rules: dict[str, Any]) -> None:
        """Interfere with what is sent, as `client-driver.js` says."""
        self("device.rules", rules=rules)

    def sent(self) -> list[dict[str, Any]]:
        """The requests sent since this was asked last."""
        sent: list[dict[str, Any]] = self("device.sent")
        return sent

    def asked(self) -> list[str]:
        return [f"{one['method']} {urlsplit(one['url']).path}" for one in self.sent()]


def number(last: int) -> Identifier:
    return parse_identifier("phone", f"07700 900{last:03}", "GB")


def plain(identifier: Identifier) -> dict[str, str]:
    return {"kind": identifier.kind, "canonical": identifier.canonical}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture
def stranger(driver: Driver, server: Server) -> Device:
    """A device that nobody has signed in on."""
    return Device(driver, server.address)


@pytest.fixture
def device(stranger: Device, server: Server) -> Device:
    """A member's device that has loaded identity and network."""
    stranger("signIn", line=server.invitation("rose"))
    stranger("categories")
    stranger.sent()
    return stranger


# What is found.


def test_an_invitation_in_a_pasted_message_signs_in(stranger: Device, server: Server) -> None:
    line = server.invitation("rose")
    text = f"hi! here is your access:\n\u200e {line}. only for you"
    assert stranger("signIn", line=text) == {"role": "member", "collective": "rose"}
    state = stranger("state")
    assert state == {"signedIn": True, "role": "member", "collective": "rose", "kept": False}
    # What the first check will need is there already.
    eventually(lambda: stranger.asked()[-1:] == ["GET /v1/network"] or None)


def test_both_clients_find_the_same(device: Device, server: Server) -> None:
    mail = parse_identifier("email", "nobody@example.org", None)
    asked = [number(LISTED), number(TWICE), number(UNLISTED), mail, number(LISTED)]
    once = {"total": 1, "danger": 1, "risk": 0, "nuisance": 0, "collectives": 1, "recent": 1}
    twice = {"total": 2, "danger": 2, "risk": 0, "nuisance": 0, "collectives": 2, "recent": 2}
    assert device.check(*asked) == [once, twice, None, None, once]
    assert device.steps == [
        *({"stage": "stretching", "done": done, "of": 4} for done in range(4)),
        {"stage": "asking"},
        {"stage": "reading"},
    ]
    with Client(join(server.invitation("rose"))) as client:
        theirs = client.check(asked)
    assert [one and {**vars_of(one), "total": one.total} for one in theirs] == [
        once, twice, None, None, once,
    ]  # fmt: skip


def vars_of(counts: Any) -> dict[str, int]:
    names = ("danger", "risk", "nuisance", "collectives", "recent")
    return {name: getattr(counts, name) for name in names}


def test_more_than_ten_are_asked_in_batches(device: Device) -> None:
    many = [number(last) for last in range(960, 971)]
    assert device.check(*many, number(LISTED))[-1]["total"] == 1
    sent = device.sent()
    elements = [len(json.loads(one["body"])["elements"]) for one in sent if one["body"]]
    assert elements == [10, 2]
    assert len(sent) == 3


def test_a_check_is_two_requests_and_neither_holds_the_number(
    driver: Driver, server: Server, shared_world: World
) -> None:
    """Every byte that leaves the device is read."""
    identifier = number(TWICE)
    cost = Cost(shared_world.identity.argon2id.m_kib, shared_world.identity.argon2id.t)
    secrets = {
        "number": "+44 7700 900114",
        "national": "07700900114",
        "stretched": stretch(identifier, shared_world.identity.network, cost).hex(),
        "token": shared_world.token(TWICE).hex(),
    }
    raw = [bytes.fromhex(secrets[name]) for name in ("stretched", "token")]
    with WireTap(urlsplit(server.address).port or 0) as tap:
        address = f"http://127.0.0.1:{tap.port}"
        device = Device(driver, address)
        device("signIn", line=server.invitation("rose").replace(server.address, address))
        device.check(number(UNLISTED))
        tap.clear()
        assert device.check(identifier)[0]["total"] == 2
        first = tap.sent
        device.check(identifier)
        everything = tap.sent
    assert re.findall(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n", first) == [
        (b"POST", b"/v1/evaluations"),
        (b"GET", b"/v1/buckets/1/0/0"),
    ]
    assert traces(everything, secrets) == set()
    for value in raw:
        assert value not in everything
        assert encode_base64(value).rstrip("=").encode() not in everything


def test_a_blind_is_never_used_twice(device: Device) -> None:
    device.check(number(LISTED))
    device.check(number(LISTED))
    first, _, second, _ = [one["body"] for one in device.sent()]
    assert first != second


def test_what_did_not_change_is_not_sent_again(device: Device) -> None:
    device.check(number(LISTED))
    device.check(number(LISTED), number(UNLISTED))
    asked, tagged = device.sent()[1::2]
    assert asked["headers"].keys() == {"Authorization"}
    assert tagged["headers"].keys() == {"Authorization", "If-None-Match"}
    # Held or not: two days later it says nothing about today.
    device.rules({"path": BUCKETS, "headers": {"date": dated(hours=49)}})
    device("device.clock", seconds=49 * HOUR)
    assert device.refusal() == "bucket-stale"


def dated(hours: float = 0) -> str:
    """The Date header of a server whose clock is so far ahead."""
    return format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)


def test_categories_are_those_of_the_instance(device: Device, server: Server) -> None:
    said = device("categories")
    assert said["categories"] == server.ask("GET", "/v1/network").json()["categories"]
    assert said["collective"] == "rose"
    assert said["today"] == f"{datetime.now(UTC):%Y-%m-%d}"


# What is no answer.


def problem(status: int, code: str, **headers: str) -> dict[str, Any]:
    body = base64.b64encode(json.dumps({"code": code, "status": status}).encode()).decode()
    return {
        "status": status,
        "headers": {"Content-Type": "application/problem+json", **headers},
        "body": body,
    }


OTHER_KEY = "aGFnbwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
HTML = base64.b64encode(b"<h1>Sign in</h1>").decode()
PORTAL = {"status": 200, "headers": {"Content-Type": "text/html"}, "body": HTML}
REDIRECT = {"status": 302, "headers": {"Location": "https://elsewhere.example/"}}


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"path": EVALUATIONS, "set": {"parts.0.proof": encode_base64(bytes(64))}}, "bad-proof"),
        ({"path": EVALUATIONS, "set": {"parts.0.elements": []}}, "bad-proof"),
        (
            {"path": EVALUATIONS, "set": {"parts.0.elements.0": encode_base64(bytes(32))}},
            "bad-proof",
        ),
        ({"path": EVALUATIONS, "set": {"parts.0.share": 1}}, "bad-proof"),
        ({"path": EVALUATIONS, "set": {"parts": []}}, "bad-proof"),
        ({"path": EVALUATIONS, "set": {"epoch": 2}}, "bad-proof"),
        ({"path": EVALUATIONS, "set": {"more": 1}}, "no-instance"),
        ({"path": BUCKETS, "flip": -1}, "bucket-signature"),
        ({"path": BUCKETS, "flip": 30}, "bucket-signature"),
        ({"path": BUCKETS, "flip": 0}, "bucket-malformed"),
        ({"path": BUCKETS, "answer": {"status": 304}}, "bucket-malformed"),
        ({"path": EVALUATIONS, "offline": True}, "offline"),
        ({"path": BUCKETS, "lost": True}, "offline"),
        ({"path": EVALUATIONS, "answer": PORTAL}, "no-instance"),
        ({"path": BUCKETS, "answer": PORTAL}, "no-instance"),
        ({"path": BUCKETS, "answer": REDIRECT}, "no-instance"),
        ({"path": BUCKETS, "answer": {**PORTAL, "status": 502}}, "no-instance"),
        ({"path": BUCKETS, "answer": problem(409, "\x1b[2Jstale-layout")}, "no-instance"),
        ({"path": EVALUATIONS, "answer": problem(503, "unavailable")}, "unavailable"),
        ({"path": BUCKETS, "answer": problem(409, "stale-layout")}, "stale-layout"),
        ({"path": EVALUATIONS, "answer": problem(409, "stale-epoch")}, "stale-epoch"),
    ],
)
def test_what_is_no_answer_is_not_no_warning(
    device: Device, rule: dict[str, Any], code: str
) -> None:
    device.rules(rule)
    assert device.refusal(number(UNLISTED)) == code
    device.rules()
    assert device.check(number(LISTED))[0]["total"] == 1


@pytest.mark.parametrize(("wait", "seconds"), [("720", 720), ("99999999", 2592000), ("soon", None)])
def test_over_the_quota_the_time_to_wait_is_said(
    device: Device, wait: str, seconds: int | None
) -> None:
    device.rules(
        {"path": EVALUATIONS, "answer": problem(429, "rate-limited", **{"Retry-After": wait})}
    )
    with pytest.raises(Failed) as failed:
        device.check(number(LISTED))
    assert (failed.value.code, failed.value.members) == ("rate-limited", {"seconds": seconds})


class Nuisance(BaseHTTPRequestHandler):
    """What may stand between a phone and its instance; the path says which."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "redirect":
            self._answer(307, b"", {"Location": "/portal/"})
        elif kind == "portal":
            self._answer(200, b"<h1>Sign in</h1>", {"Content-Type": "text/html"})
        elif kind == "bomb":
            body = gzip.compress(bytes(33 * 1024 * 1024), 9)
            self._answer(
                200, body, {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            )
        elif kind == "cut":
            self._answer(200, b"PARASOL1", {"Content-Length": "3180"})
            self.close_connection = True

    do_POST = do_GET  # noqa: N815  (the library's name)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def nuisance() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Nuisance) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("redirect", "no-instance"),
        ("portal", "no-instance"),
        ("bomb", "too-large"),
        ("cut", "offline"),
    ],
)
def test_what_stands_in_between_is_not_believed(
    device: Device, nuisance: str, kind: str, code: str
) -> None:
    device.rules({"path": BUCKETS, "via": f"{nuisance}/{kind}"})
    assert device.refusal() == code


def test_without_a_network_nothing_was_checked(device: Device) -> None:
    device.rules({"path": "/", "via": f"http://127.0.0.1:{free_port()}"})
    assert device.refusal() == "offline"


@pytest.mark.parametrize(
    ("code", "path"), [("stale-epoch", EVALUATIONS), ("stale-layout", BUCKETS)]
)
def test_a_list_that_changed_is_read_again_once(device: Device, code: str, path: str) -> None:
    device.rules({"path": path, "times": 1, "answer": problem(409, code)})
    assert device.check(number(LISTED))[0]["total"] == 1
    asked = device.asked()
    assert [asked.count(f"GET /v1/{one}") for one in ("identity", "network")] == [1, 1]


@pytest.mark.parametrize(("hours", "code"), [(-49, "bucket-stale"), (2, "bucket-future")])
def test_a_list_of_another_time_is_not_no_warning(
    device: Device, shared_world: World, hours: int, code: str
) -> None:
    """Signed by the instance itself, but not of today."""
    sealed = datetime.now(UTC) + timedelta(hours=hours)  # not of when the world was made
    file = seal_bucket(
        [], network=shared_world.identity.network, epoch=1, layout=Layout(0, 256), index=0,
        sealed=int(sealed.timestamp()) // HOUR, salt=os.urandom(16),
        log_seed=shared_world.parts.instance.log_seed(shared_world.identity), chance=os.urandom,
    )  # fmt: skip
    headers = {"Content-Type": "application/vnd.parasol.bucket"}
    body = base64.b64encode(file).decode()
    device.rules({"path": BUCKETS, "answer": {"status": 200, "headers": headers, "body": body}})
    assert device.refusal() == code


@pytest.mark.parametrize("hours", [100, -3])
def test_a_wrong_clock_is_named_as_the_cause(stranger: Device, server: Server, hours: int) -> None:
    stranger("device.clock", seconds=hours * HOUR)
    stranger("signIn", line=server.invitation("rose"))
    with pytest.raises(Failed) as failed:
        stranger.check(number(LISTED))
    assert failed.value.code == "wrong-clock"
    assert abs(failed.value.members["minutes"] - hours * 60) <= 1
    stranger("device.clock", seconds=0)
    assert stranger.check(number(LISTED))[0]["total"] == 1


def test_an_ended_access_can_not_check(device: Device, server: Server) -> None:
    token = device("access")["line"].partition(".")[0]
    server.ask("DELETE", "/v1/tokens/current", token)
    assert device.refusal() == "unauthenticated"


# Keys that were put in the place of others.


def test_a_key_that_the_signed_identity_does_not_name_is_refused(
    stranger: Device, server: Server
) -> None:
    stranger.rules({"path": "/v1/network", "set": {"public_key": OTHER_KEY}})
    stranger("signIn", line=server.invitation("rose"))
    assert stranger.refusal() == "substituted"
    assert f"POST {EVALUATIONS}" not in stranger.asked()
    # An identity that was signed meanwhile is looked for once.
    stranger.rules({"path": "/v1/network", "set": {"public_key": OTHER_KEY}, "times": 1})
    assert stranger.check(number(LISTED))[0]["total"] == 1
    asked = stranger.asked()
    assert [asked.count(f"GET /v1/{one}") for one in ("identity", "network")] == [1, 2]


def test_another_root_is_not_believed_and_its_token_ended(stranger: Device, server: Server) -> None:
    with pytest.raises(Failed, match="identity-refused"):
        stranger("signIn", line=server.invitation("rose")[:-64] + "0" * 64)
    sent = stranger.sent()
    assert sent[0]["url"].endswith("/v1/tokens")
    assert (sent[-1]["method"], sent[-1]["url"]) == (
        "DELETE",
        f"{server.address}/v1/tokens/current",
    )
    assert not stranger("state")["signedIn"]
    token = sent[-1]["headers"]["Authorization"].removeprefix("Bearer ")
    assert server.ask("GET", "/v1/identity", token).status_code == 401


def test_an_identity_that_could_not_be_fetched_is_verified_later(
    stranger: Device, server: Server
) -> None:
    """A code is used up by the first request: a bad connection must not cost the invitation."""
    stranger.rules({"path": "/v1/identity", "offline": True})
    stranger("signIn", line=server.invitation("rose"))
    assert stranger.refusal() == "offline"
    stranger.rules()
    assert stranger.check(number(LISTED))[0]["total"] == 1


# Signing in.


def test_a_line_that_is_none_is_refused_unsent(stranger: Device, server: Server) -> None:
    line = server.invitation("rose")
    for text in ("", "hello", line[:-1], line + "0", line.replace("/join", ""), line[-64:]):
        with pytest.raises(Failed, match="invalid-invitation"):
            stranger("signIn", line=text)
    elsewhere = line.replace(server.address, "https://other.example")
    with pytest.raises(Failed, match="other-address") as failed:
        stranger("signIn", line=elsewhere)
    assert failed.value.members == {"address": "https://other.example"}
    assert stranger.sent() == []
    stranger("signIn", line=line)


def test_an_invitation_works_once(driver: Driver, server: Server) -> None:
    line = server.invitation("rose")
    Device(driver, server.address)("signIn", line=line)
    with pytest.raises(Failed, match="not-found"):
        Device(driver, server.address)("signIn", line=line)


def test_a_moderators_invitation_is_not_spent(stranger: Device, server: Server) -> None:
    line = server.invitation("rose", Role.MODERATOR)
    with pytest.raises(Failed, match="moderator-invitation"):
        stranger("signIn", line=line)
    keys = ModeratorKeys.generate(os.urandom)
    assert join(line, keys.prove).token.startswith("psl_d_")


def test_an_access_is_taken_to_another_device(
    driver: Driver, device: Device, server: Server
) -> None:
    line = device("access")["line"]
    other = Device(driver, server.address)
    assert other("signIn", line=f"my access: {line}.")["role"] == "member"
    assert other.check(number(LISTED))[0]["total"] == 1
    device("leave")
    assert other.refusal() == "unauthenticated"
    with pytest.raises(Failed, match="unauthenticated"):
        Device(driver, server.address)("signIn", line=line)


def test_a_moderator_checks_with_her_access(
    stranger: Device, cast: Cast, shared_world: World
) -> None:
    root = root_fingerprint(shared_world.identity.root).hex()
    signed_in = stranger("signIn", line=f"{cast.rose[0].bearer}.rose.{root}")
    assert signed_in["role"] == "moderator"
    assert stranger.check(number(LISTED))[0]["total"] == 1


def test_who_leaves_is_signed_out_everywhere(device: Device, server: Server) -> None:
    token = device("access")["line"].partition(".")[0]
    device.rules({"path": "/v1/tokens", "offline": True})
    with pytest.raises(Failed, match="offline"):
        device("leave")
    assert device("state")["signedIn"]
    device.rules()
    device("leave")
    assert not device("state")["signedIn"]
    assert server.ask("GET", "/v1/identity", token).status_code == 401
    with pytest.raises(Failed, match="signed-out"):
        device.check(number(LISTED))


# Reporting.

STORY = (
    "He said “ok” — and then\n\tlocked \\ the door.\x7f\u2028\u0633\u0644\u0627\u0645, 你好 \x00"
)


def written(world: World, *identifiers: Identifier, **changes: object) -> dict[str, Any]:
    return {
        "identifiers": [plain(one) for one in identifiers],
        "categories": ["threats", "robbery"],
        "severity": "danger",
        "month": this_month(world),
        "consent": {"warn": "network", "police": "anonymous", "research": True},
        "wait_days": 0,
        "account": {
            "text": f"  {STORY}\n",
            "flags": ["weapon", "repeat"],
            "actor": "posing_as_client",
            "area": "GB-LND",
        },
    } | changes


def keys_of(moderator: Moderator) -> ModeratorKeys:
    return ModeratorKeys(sign=moderator.seed, box=bytes(moderator.box))


@contextmanager
def desk_of(moderator: Moderator, server: Server) -> Iterator[Desk]:
    profile = Profile(
        address=server.address,
        token=moderator.bearer,
        root=root_fingerprint(server.world.identity.root),
        collective=moderator.collective,
    )
    with Client(profile) as client:
        yield Desk(client, keys_of(moderator))


def test_a_report_reaches_the_moderators_and_then_everybody(
    device: Device, server: Server, cast: Cast, shared_world: World
) -> None:
    number_, mail = number(721), parse_identifier("email", "someone.721@example.org", None)
    report = written(shared_world, number_, mail, number_)
    receipt = device("report", **report)["receipt"]
    assert device("receiptStatus", receipt=receipt) == {"status": "submitted"}
    with desk_of(cast.rose[0], server) as first, desk_of(cast.rose[1], server) as second:
        (item,) = first.find(number_)
        opened = first.open(item)
        assert opened.identifiers == (number_, mail)
        key = box_key(item, keys_of(cast.rose[0]))
        sealed = open_box(item.sealed.nonce, item.sealed.box, key).rstrip(b" ")
        assert sealed == plaintext(item, key).encode()
        account = opened.account
        assert account.text.get_secret_value() == STORY
        assert account.area is not None
        assert account.area.get_secret_value() == "GB-LND"
        assert (list(account.flags), account.actor) == (["weapon", "repeat"], "posing_as_client")
        assert item.consent.model_dump(mode="json") == report["consent"]
        assert (item.categories, item.severity, item.month, item.wait_days) == (
            report["categories"], "danger", report["month"], 0,
        )  # fmt: skip
        first.approve(opened)
        (again,) = second.find(number_)
        assert second.approve(second.open(again)).status is Status.APPROVED
    eventually(lambda: device.check(mail)[0] is not None, 20)
    expected = {"total": 1, "danger": 1, "risk": 0, "nuisance": 0, "collectives": 1, "recent": 1}
    assert device.check(number_, mail) == [expected, expected]
    with Client(join(server.invitation("thorn"))) as client:
        assert [vars_of(one)["danger"] for one in client.check([number_, mail]) if one] == [1, 1]


def test_a_report_without_an_account_can_be_opened(
    device: Device, server: Server, cast: Cast, shared_world: World
) -> None:
    account: dict[str, Any] = {"text": "", "flags": [], "actor": "unknown", "area": None}
    device("report", **written(shared_world, number(722), account=account))
    with desk_of(cast.rose[0], server) as desk:
        (item,) = desk.find(number(722))
        assert desk.open(item).account.text.get_secret_value() == ""


@pytest.mark.parametrize("lost", [1, 2])
def test_a_report_whose_answer_was_lost_is_stored_once(
    device: Device, server: Server, cast: Cast, shared_world: World, lost: int
) -> None:
    """Once it is sent again by itself; after that by whoever calls again."""
    identifier = number(722 + lost)
    report = written(shared_world, identifier)
    device.rules({"path": "/v1/reports", "lost": True, "times": lost})
    if lost > 1:
        with pytest.raises(Failed, match="offline"):
            device("report", **report)
    receipt = device("report", **report)["receipt"]
    bodies = [one["body"] for one in device.sent() if one["url"].endswith("/v1/reports")]
    assert len(bodies) == lost + 1
    assert len(set(bodies)) == 1
    with desk_of(cast.rose[0], server) as desk:
        assert len(list(desk.find(identifier))) == 1
    assert device("receiptStatus", receipt=receipt)["status"] in {"submitted", "in_review"}


def test_a_report_of_a_stale_epoch_is_written_again(device: Device, shared_world: World) -> None:
    answer = problem(409, "stale-epoch")
    device.rules({"path": "/v1/reports", "times": 1, "answer": answer})
    assert device("report", **written(shared_world, number(725)))["receipt"]
    assert device.asked().count("GET /v1/identity") == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"month": "2099-01"}, "future-dated"),
        ({"month": "2020-01"}, "expired"),
        ({"month": "2020-01", "severity": "nuisance"}, "expired"),
        (
            {"account": {"text": "", "flags": [], "actor": "unknown", "area": "here"}},
            "invalid-request",
        ),
        (
            {"account": {"text": "x" * 20001, "flags": [], "actor": "unknown", "area": None}},
            "account-too-long",
        ),
        ({"identifiers": [{"kind": "phone", "canonical": "07700 900113"}]}, "invalid-identifier"),
    ],
)
def test_a_report_that_can_not_stand_is_refused_unsent(
    device: Device, shared_world: World, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(Failed, match=code):
        device("report", **written(shared_world, number(726), **changes))
    assert device.sent() == []


def test_an_account_that_can_not_be_sealed_whole_is_refused(
    device: Device, shared_world: World
) -> None:
    account: dict[str, Any] = {
        "text": "\u20ac" * 20000,
        "flags": [],
        "actor": "unknown",
        "area": None,
    }
    with pytest.raises(Failed, match="account-too-long"):
        device("report", **written(shared_world, number(726), account=account))
    assert "POST /v1/reports" not in device.asked()


def test_a_receipt_needs_no_account(device: Device, server: Server, shared_world: World) -> None:
    receipt = device("report", **written(shared_world, number(727)))["receipt"]
    device.sent()
    spaced = " ".join(receipt[i : i + 4] for i in range(0, 16, 4))
    arabic = spaced.translate({ord("0") + i: 0x660 + i for i in range(10)})
    for text in (receipt, spaced, arabic):
        assert device("receiptStatus", receipt=text) == {"status": "submitted"}
    assert all("Authorization" not in one["headers"] for one in device.sent())
    assert device("receiptWithdraw", receipt=receipt) == {"status": "withdrawn"}
    assert ask_receipt(server.address, ReceiptAction.STATUS, receipt) is Status.WITHDRAWN
    for text, code in (("1234", "invalid-receipt"), ("0" * 16, "not-found")):
        with pytest.raises(Failed, match=code):
            device("receiptStatus", receipt=text)
