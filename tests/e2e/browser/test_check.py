"""Checking in a browser: what is answered, what is sent, and what is not."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from api.client import Client, Profile
from api.crypto.bearers import parse_invitation
from api.crypto.identifiers import parse_identifier
from api.crypto.stretching import Cost, stretch
from schemas.base import encode_base64
from tests.browser import WireTap
from tests.e2e.browser.acts import MESSAGE, button, check, paste, sign_in, submit
from tests.e2e.browser.conftest import Phone
from tests.e2e.conftest import LISTED, TWICE, UNLISTED, Cast, Server

pytestmark = pytest.mark.usefixtures("cast")

DANGER = "danger: do not meet"
ONE = f"1 report from 1 collective, most serious: {DANGER}"
TWO = f"2 reports from 2 collectives, most serious: {DANGER}"
NONE = "No warning found. This does not mean safe."


@pytest.fixture
def signed_in(make_phone: Callable[..., Phone], server: Server) -> Phone:
    phone = make_phone(server.address)
    sign_in(phone, server.invitation("rose"))
    return phone


def test_a_pasted_message_is_checked(signed_in: Phone) -> None:
    page = signed_in.page
    assert check(page, MESSAGE.format(TWICE)) == [TWO]
    assert page.get_by_role("main").get_by_text(f"+44 7700 900{TWICE}").is_visible()
    expect(page.locator("#live")).to_contain_text(TWO)
    assert check(page, f"+44 7700 900{LISTED}", None) == [ONE]
    assert check(page, MESSAGE.format(UNLISTED)) == [NONE]


def test_several_in_one_message_are_answered_each(signed_in: Phone) -> None:
    text = f"call 07700 900{LISTED} or +44 7700 900{UNLISTED}, mail someone@example.org"
    assert check(signed_in.page, text) == [ONE, NONE, NONE]


def test_a_country_is_asked_for_and_never_guessed(signed_in: Phone) -> None:
    page = signed_in.page
    paste(page, MESSAGE.format(LISTED), None)
    country = page.get_by_label("Which country is this number from?")
    country.wait_for()
    assert country.input_value() == ""
    sent = len(signed_in.requests)
    submit(page)
    expect(page.get_by_role("main").get_by_text("Choose the country").first).to_be_visible()
    assert len(signed_in.requests) == sent
    # In another country the same digits are another number, or none.
    country.select_option("FR")
    submit(page)
    page.locator("#main .error, #main .verdict").first.wait_for()
    assert page.locator(".verdict").all_inner_texts() in ([], [NONE])


def test_a_check_is_two_requests_and_none_of_their_bytes_tells_whom_it_is_about(
    make_phone: Callable[..., Phone], server: Server, cast: Cast
) -> None:
    with WireTap(urlsplit(server.address).port or 0) as tap:
        invitation = parse_invitation(server.invitation("rose"))
        access = Profile(
            address=server.address, token=cast.member, root=invitation.root, collective="rose"
        )
        phone = make_phone(f"http://127.0.0.1:{tap.port}")
        page = sign_in(phone, f"{cast.member}.rose.{invitation.root.hex()}")
        assert check(page, MESSAGE.format(UNLISTED)) == [NONE]
        button(page, "Check another").click()
        paste(page, MESSAGE.format(TWICE))
        tap.clear()
        submit(page)
        page.locator(".verdict").wait_for()
        sent = tap.sent
    lines = re.findall(rb"(GET|POST|PUT|DELETE|HEAD) (/\S+) HTTP/1\.1\r\n", sent)
    assert [(method, path.partition(b"/1/")[0]) for method, path in lines] == [
        (b"POST", b"/v1/evaluations"),
        (b"GET", b"/v1/buckets"),
    ]
    body = json.loads(re.search(rb"\r\n\r\n(\{.*?\})", sent)[1])  # type: ignore[index]
    assert set(body) == {"epoch", "elements"}
    identifier = parse_identifier("phone", f"+44 7700 900{TWICE}", None)
    with Client(access) as client:
        identity = client.identity()
        (token,) = client.tokens([identifier])
    cost = Cost(identity.argon2id.m_kib, identity.argon2id.t)
    stretched = stretch(identifier, identity.network, cost)
    spellings = [identifier.canonical, f"7700 900{TWICE}", f"7700900{TWICE}", f"900{TWICE}"]
    secrets = [one.encode() for one in spellings]
    for raw in (token, stretched, identifier.encoded()):
        secrets += [raw, raw.hex().encode(), encode_base64(raw).encode()]
    assert [one for one in secrets if one in sent] == []


def test_pressing_twice_checks_once(signed_in: Phone) -> None:
    page = signed_in.page
    paste(page, MESSAGE.format(TWICE))
    page.evaluate("() => { const f = document.forms[0]; f.requestSubmit(); f.requestSubmit(); }")
    page.locator(".verdict").wait_for()
    asked = [one for one in signed_in.requests if "/v1/evaluations" in one.url]
    assert (page.locator(".verdict").all_inner_texts(), len(asked)) == ([TWO], 1)


def test_one_that_was_switched_off_is_checked_where_it_is_the_only_one(signed_in: Phone) -> None:
    page = signed_in.page
    paste(page, f"+44 7700 900{UNLISTED} or +44 7700 900{TWICE}", None)
    page.get_by_label(f"+44 7700 900{TWICE}").uncheck()
    assert check(page, f"+44 7700 900{TWICE}", None) == [TWO]


def test_an_invitation_in_the_address_is_taken_out_of_it_at_once(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address)
    line = server.invitation("rose")
    phone.page.goto(line)
    phone.ready()
    assert urlsplit(phone.page.url)[2:] == ("/", "", "")
    assert "join" not in json.dumps(phone.page.evaluate("() => history.state"))
    submit(phone.page)
    phone.page.get_by_role("heading", name="You are signed in").wait_for()


def answering(
    status: int, body: Any, kind: str = "application/problem+json", **headers: str
) -> Any:
    def answer(route: Route) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        route.fulfill(status=status, body=text, headers={"Content-Type": kind} | headers)

    return answer


def problem(status: int, code: str, **members: Any) -> dict[str, Any]:
    return {
        "type": f"urn:parasol:problem:{code}", "title": "T", "status": status, "code": code,
    } | members  # fmt: skip


def altered(route: Route) -> None:
    headers = {k: v for k, v in route.request.headers.items() if k != "if-none-match"}
    answer = route.fetch(headers=headers)
    body = bytearray(answer.body())
    body[60] ^= 1
    route.fulfill(response=answer, body=bytes(body))


def disproved(route: Route) -> None:
    answer = route.fetch()
    body = answer.json()
    proof = body["parts"][0]["proof"]
    body["parts"][0]["proof"] = ("A" if proof[0] != "A" else "B") + proof[1:]
    route.fulfill(response=answer, json=body)


BUCKETS, EVALUATIONS = "**/v1/buckets/**", "**/v1/evaluations"
STATES = {
    "offline": (EVALUATIONS, lambda route: route.abort(), "Are you online?"),
    "too many": (
        EVALUATIONS,
        answering(429, problem(429, "rate-limited"), **{"Retry-After": "1800"}),
        "Try again at",
    ),
    "no valid proof": (EVALUATIONS, disproved, "without a valid proof"),
    "an altered list": (BUCKETS, altered, "not used"),
    "no list": (BUCKETS, answering(503, problem(503, "unavailable")), "Try again later"),
    "a portal": (EVALUATIONS, answering(200, "<p>Welcome", "text/html"), "sign in first"),
    "a changed layout, again and again": (
        BUCKETS,
        answering(409, problem(409, "stale-layout", epoch=1, bits=0, slots=256)),
        "changed while it was read",
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_what_could_not_be_checked_is_never_no_warning(signed_in: Phone, state: str) -> None:
    path, answer, sentence = STATES[state]
    page = signed_in.page
    assert check(page, MESSAGE.format(UNLISTED)) == [NONE]
    signed_in.context.route(path, answer)
    button(page, "Check another").click()
    paste(page, MESSAGE.format(TWICE))
    submit(page)
    page.get_by_role("heading", name="Could not check").wait_for()
    said = page.get_by_role("main").inner_text()
    assert sentence in said
    assert "No warning" not in said
    expect(page.locator("#live")).to_contain_text("Could not check")
    assert signed_in.axe() == []
    signed_in.context.unroute(path)
    again = button(page, "Try again")
    if again.is_visible():
        again.click()
        assert page.locator(".verdict").inner_text() == TWO
    if state == "offline":
        signed_in.complaints.clear()  # Chromium notes that it was offline


def test_a_changed_layout_is_retried_by_itself(signed_in: Phone) -> None:
    once = iter([answering(409, problem(409, "stale-layout", epoch=1, bits=0, slots=256))])

    def answer(route: Route) -> None:
        next(once, Route.continue_)(route)

    signed_in.context.route(BUCKETS, answer)
    assert check(signed_in.page, MESSAGE.format(TWICE)) == [TWO]


@pytest.mark.parametrize(("hours", "word"), [(72, "ahead"), (-72, "behind")])
def test_a_wrong_clock_is_named(
    make_phone: Callable[..., Phone], server: Server, cast: Cast, hours: int, word: str
) -> None:
    # The clock of the worker is the one that counts; it is moved where its script is answered.
    def shifted(route: Route) -> None:
        answer = route.fetch()
        moved = f"const o=Date.now;Date.now=()=>o()+{hours * 3_600_000};"
        route.fulfill(response=answer, body=moved + answer.text())

    phone = make_phone(server.address)
    phone.context.route("**/static/worker-*.js", shifted)
    page = phone.open()
    root = parse_invitation(server.invitation("rose")).root.hex()
    page.get_by_label("Paste the line you were given").fill(f"{cast.member}.rose.{root}")
    submit(page)
    if hours > 0:  # else the identity is already dated in the future
        page.get_by_label("Not at all", exact=True).check()
        submit(page)
        paste(page, MESSAGE.format(TWICE))
        submit(page)
        page.get_by_role("heading", name="Could not check").wait_for()
    expect(page.get_by_role("main")).to_contain_text(f"is {word} by about")
