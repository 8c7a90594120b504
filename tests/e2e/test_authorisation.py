"""Who may do what: every route of the service, tried by everybody."""

import asyncio
import base64
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.crypto.bearers import bearer_letter, new_bearer
from api.services.rosters import newcomers
from api.web.site import PATHS
from schemas.base import Severity
from schemas.callers import Role
from schemas.documents import RetractReason
from schemas.moderation import Approval, QueueItem
from schemas.reports import Status, Warn
from tests.e2e.conftest import (
    Cast,
    Server,
    eventually,
    new_member,
    problem_of,
    this_month,
)
from tests.factories import Moderator, World
from tests.foreign import Partner

Cell = Callable[["Stage"], tuple[str, Any]]

NOBODY = ("no token", "malformed token", "unknown token", "ended token")
CALLERS = (*NOBODY, "member", "pending moderator", "moderator elsewhere", "moderator")
"""In the order in which they try: the one who may do it comes last."""

CODES = {401: "unauthenticated", 403: "forbidden", 404: "not-found", 409: "conflict"}


@dataclass
class Stage:
    """A server and what the requests are about."""

    server: Server
    cast: Cast
    waiting: str = ""
    partner: Partner | None = None

    @property
    def world(self) -> World:
        return self.server.world

    def report(self, **changes: Any) -> QueueItem:
        """A fresh report to the collective `rose`, by a member of whom nothing is known."""
        member = self.world.parts.callers.recognise(new_member(self.world))
        changes = {"month": this_month(self.world)} | changes
        before = {item.id for item in self.world.queue(self.cast.rose[0])}
        self.world.file(member, 200, **changes)
        (item,) = [one for one in self.world.queue(self.cast.rose[0]) if one.id not in before]
        return item

    def pending(self) -> str:
        """One who waits: the next identity announces her, and then it is another."""
        waiting = newcomers(self.world.identity, self.world.identities.draft())
        if not self.waiting or all(collective != "rose" for collective, _ in waiting):
            self.waiting = self.world.join("rose").bearer
        return self.waiting

    def approved(self, **changes: Any) -> QueueItem:
        """The same, approved."""
        item = self.report(**changes)
        self.world.approve(item, *self.cast.rose[: item.needed])
        (item,) = [
            one for one in self.world.queue(self.cast.rose[0], Status.APPROVED) if one.id == item.id
        ]
        return item


def report(stage: Stage) -> tuple[str, Any]:
    return "/v1/reports", {
        "epoch": 1,
        "identifiers": [{"kind": "email", "value": "someone@example.org"}],
        "categories": ["threats"],
        "severity": "risk",
        "month": this_month(stage.world),
        "consent": {"warn": "network", "police": "never", "research": False},
        "wait_days": 0,
        "request_id": secrets.token_hex(16),
        "account": {"text": "Synthetic account, for tests."},
    }


def evaluation(stage: Stage) -> tuple[str, Any]:
    key = stage.server.ask("GET", "/v1/network").json()["public_key"]
    return "/v1/evaluations", {"epoch": 1, "elements": [key]}


def lookup(_: Stage) -> tuple[str, Any]:
    return "/v1/lookups", {"identifiers": [{"kind": "phone", "value": "+44 7700 900113"}]}


def approve(stage: Stage) -> tuple[str, Any]:
    return f"/v1/moderation/reports/{stage.report(warn=Warn.NONE).id}/approve", {}


def reject(stage: Stage) -> tuple[str, Any]:
    return f"/v1/moderation/reports/{stage.report().id}/reject", {"reason": "too-little"}


def merge(stage: Stage) -> tuple[str, Any]:
    into = stage.report().id
    return f"/v1/moderation/reports/{stage.report().id}/merge", {"into": into}


def retract(stage: Stage) -> tuple[str, Any]:
    item = stage.approved(severity=Severity.RISK)
    document = stage.world.retract_document(item, RetractReason.ERROR)
    envelope = stage.world.envelope(document, stage.cast.rose[0])
    body = Approval(envelope=envelope).model_dump(mode="json")
    return f"/v1/moderation/reports/{item.id}/retract", body


def dispute(stage: Stage) -> tuple[str, Any]:
    item = stage.approved(warn=Warn.LOCAL, severity=Severity.RISK)
    return f"/v1/moderation/reports/{item.id}/dispute", {}


def release(stage: Stage) -> tuple[str, Any]:
    path, body = dispute(stage)
    disputed = stage.server.ask("POST", path, stage.cast.rose[0].bearer, json=body)
    assert disputed.json()["status"] == "disputed"
    return path.replace("/dispute", "/release"), None


def reseal(stage: Stage) -> tuple[str, Any]:
    path = f"/v1/moderation/reports/{stage.report().id}/reseal"
    colleague = stage.world.join("rose")
    stage.world.sign_identity()
    return path, {"kid": colleague.kid, "sealed": base64.b64encode(bytes(80)).decode()}


def held(decision: str) -> Cell:
    def cell(stage: Stage) -> tuple[str, Any]:
        if stage.partner is None:
            stage.partner = Partner(stage.world)
        entry = stage.partner.report(200, month=this_month(stage.world))
        return f"/v1/moderation/held/{entry}/{decision}", {"kind": "report"}

    return cell


def at(path: str, body: Any = None) -> Cell:
    """The same request for everybody."""
    return lambda _: (path, body)


def icon(stage: Stage) -> tuple[str, Any]:
    document = stage.server.ask("GET", "/").text
    return document.partition('<link rel="icon" type="image/svg+xml" href="')[2].split('"')[0], None


def member_of_rose(stage: Stage) -> tuple[str, Any]:
    issued = stage.world.parts.callers.invite("rose", Role.MEMBER, 1)
    return f"/v1/moderation/members/{issued.invitations[0].id}", None


def public(status: int) -> tuple[int, ...]:
    """What everybody is told alike."""
    return (status,) * len(CALLERS)


def members(status: int) -> tuple[int, ...]:
    """What is for everybody who has joined."""
    return (401,) * len(NOBODY) + (status,) * 4


def moderators(status: int, elsewhere: int = 404) -> tuple[int, ...]:
    """What is for moderators, and mostly for those of one collective."""
    return (401,) * len(NOBODY) + (403, 403, elsewhere, status)


def decided_once() -> tuple[int, ...]:
    """What is for moderators of every collective, the first of whom decides for all."""
    return (401,) * len(NOBODY) + (403, 403, 200, 409)


FEED = {
    "/.well-known/parasol": ("", 200),
    "/feed/v1/checkpoint": ("", 401),
    "/feed/v1/entries": ("?from=0", 401),
    "/feed/v1/witness": ("?log=alpha.example:1", 401),
    "/feed/v1/returns": ("?from=0", 401),
    "/feed/v1/returns/identity": ("?version=1", 401),
}
"""What partners ask, by signatures of their own: no token is good for it."""
CODE = "A" * 43
READING = ("GET", "HEAD")
RECEIPT = {"receipt": "0" * 16}
MATRIX: dict[tuple[str, str], tuple[Cell, tuple[int, ...]]] = {
    ("GET", "/livez"): (at("/livez"), public(204)),
    ("GET", "/readyz"): (at("/readyz"), public(204)),
    ("GET", "/openapi.json"): (at("/openapi.json"), public(200)),
    ("HEAD", "/openapi.json"): (at("/openapi.json"), public(200)),
    **{(method, path): (at(path), public(200)) for method in READING for path in PATHS},
    **{(method, "/static/{name}"): (icon, public(200)) for method in READING},
    ("GET", "/v1/network"): (at("/v1/network"), public(200)),
    **{("GET", path): (at(path + query), public(status)) for path, (query, status) in FEED.items()},
    ("POST", "/v1/tokens"): (at("/v1/tokens", {"code": CODE}), public(404)),
    ("POST", "/v1/receipts/status"): (at("/v1/receipts/status", RECEIPT), public(404)),
    ("POST", "/v1/receipts/withdraw"): (at("/v1/receipts/withdraw", RECEIPT), public(404)),
    ("GET", "/v1/identity"): (at("/v1/identity"), members(200)),
    ("GET", "/v1/buckets/{epoch}/{bits}/{index}"): (at("/v1/buckets/1/0/0"), members(200)),
    ("POST", "/v1/evaluations"): (evaluation, members(200)),
    ("POST", "/v1/lookups"): (lookup, members(200)),
    ("POST", "/v1/reports"): (report, members(201)),
    ("DELETE", "/v1/tokens/current"): (at("/v1/tokens/current"), members(204)),
    ("GET", "/v1/moderation/reports"): (at("/v1/moderation/reports"), moderators(200, 200)),
    ("POST", "/v1/moderation/reports/{report_id}/approve"): (approve, moderators(200)),
    ("POST", "/v1/moderation/reports/{report_id}/reject"): (reject, moderators(200)),
    ("POST", "/v1/moderation/reports/{report_id}/merge"): (merge, moderators(200)),
    ("POST", "/v1/moderation/reports/{report_id}/retract"): (retract, moderators(200)),
    ("POST", "/v1/moderation/reports/{report_id}/dispute"): (dispute, moderators(200)),
    ("POST", "/v1/moderation/reports/{report_id}/release"): (release, moderators(200)),
    ("POST", "/v1/moderation/reports/{report_id}/reseal"): (reseal, moderators(200)),
    ("GET", "/v1/moderation/held"): (at("/v1/moderation/held"), moderators(200, 200)),
    # Moderators of every collective decide; of two, the second is too late.
    ("POST", "/v1/moderation/held/{entry}/accept"): (held("accept"), decided_once()),
    ("POST", "/v1/moderation/held/{entry}/refuse"): (held("refuse"), decided_once()),
    ("POST", "/v1/moderation/invitations"): (
        at("/v1/moderation/invitations", {"count": 1}),
        moderators(200, 200),
    ),
    ("DELETE", "/v1/moderation/members/{member}"): (member_of_rose, moderators(204)),
}
"""Every route: a request that succeeds for those who may, and what each caller is answered."""


@pytest.fixture(scope="module")
def stage(server: Server, cast: Cast) -> Stage:
    return Stage(server, cast)


@pytest.fixture(scope="module")
def lasting(stage: Stage) -> dict[str, str | None]:
    """A bearer token of each kind of caller."""
    return callers(stage) | {"moderator": stage.cast.rose[0].bearer}


@pytest.fixture
def bearers(
    request: pytest.FixtureRequest, stage: Stage, lasting: dict[str, str | None]
) -> Iterator[dict[str, str | None]]:
    """A bearer token of each kind of caller; fresh ones for the row that ends them."""
    if "/v1/tokens/current" not in request.getfixturevalue("operation"):
        yield lasting
        return
    stage.waiting = ""
    yield callers(stage)
    stage.waiting = ""


def callers(stage: Stage) -> dict[str, str | None]:
    world = stage.world
    ended = new_member(world)
    world.parts.callers.leave(world.parts.callers.recognise(ended))
    rose, thorn = world.join("rose"), world.join("thorn")
    world.sign_identity()
    return {
        "no token": None,
        "malformed token": "psl_m_short",
        "unknown token": new_bearer("d", secrets.token_bytes),
        "ended token": ended,
        "member": new_member(world),
        "moderator elsewhere": thorn.bearer,
        "moderator": rose.bearer,
    }


def operations(app: FastAPI) -> set[tuple[str, str]]:
    """Every method and path that the application answers, as it was put together."""

    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            included = getattr(route, "original_router", None)
            if included is not None:
                yield from walk(included.routes)
                continue
            for method in route.methods:
                yield method, route.path

    return set(walk(app.routes))


def test_every_route_has_a_row_and_every_row_a_route(shared_world: World) -> None:
    app = create_app(shared_world.settings)

    async def start_and_stop() -> None:
        async with app.router.lifespan_context(app):
            pass

    # In a thread of its own: where a browser is running, this one has a loop already.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(start_and_stop())).result()
    assert operations(app) == set(MATRIX)


@pytest.mark.parametrize("operation", MATRIX, ids=" ".join)
def test_everybody_may_do_what_is_theirs_and_nothing_else(
    operation: tuple[str, str], stage: Stage, bearers: dict[str, str | None]
) -> None:
    request, expected = MATRIX[operation]
    path, body = request(stage)
    bearers |= {"pending moderator": stage.pending()}
    sent = {} if body is None else {"json": body}
    for caller, status in zip(CALLERS, expected, strict=True):
        if operation == ("POST", "/v1/reports"):
            sent = {"json": report(stage)[1]}
        answer = stage.server.ask(operation[0], path, bearers[caller], **sent)
        assert answer.status_code == status, f"{caller}: {answer.text}{stage.server.log().decode()}"
        if status >= 400:
            is_feed = operation[1] in FEED
            problem_of(answer, status, "bad-signature" if is_feed else CODES[status])
            challenge = "Bearer" if status == 401 and not is_feed else None
            assert answer.headers.get("www-authenticate") == challenge


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Basic {}",
        "bearer{}",
        "Token {}",
        "{}",
        "Bearer {}x",
        "Bearer x{}",
        "Bearer {},{}",
        'Bearer "{}"',
        "Bearer\t{}",
    ],
)
def test_a_token_counts_only_as_the_exact_text(server: Server, cast: Cast, header: str) -> None:
    headers = {"Authorization": header.format(cast.member, cast.member)}
    problem_of(server.ask("GET", "/v1/identity", headers=headers), 401, "unauthenticated")


def test_a_token_in_another_place_is_none(server: Server, cast: Cast) -> None:
    places: tuple[dict[str, Any], ...] = (
        {"params": {"token": cast.member, "access_token": cast.member}},
        {"headers": {"Cookie": f"token={cast.member}"}},
        {"headers": {"X-Api-Key": cast.member}},
    )
    for rest in places:
        problem_of(server.ask("GET", "/v1/identity", **rest), 401, "unauthenticated")


def test_the_letter_of_a_token_gives_no_rights(server: Server, cast: Cast) -> None:
    assert bearer_letter(cast.member) == "m"
    forged = cast.member.replace("psl_m_", "psl_d_")
    problem_of(server.ask("GET", "/v1/moderation/reports", forged), 401, "unauthenticated")
    path = "/v1/moderation/reports"
    problem_of(server.ask("GET", path, cast.member), 403, "forbidden")


def test_a_moderator_of_another_collective_sees_no_report_of_this_one(stage: Stage) -> None:
    held = stage.report().id
    for moderator, seen in ((stage.cast.thorn[0], False), (stage.cast.rose[0], True)):
        for path in ("/v1/moderation/reports", "/v1/moderation/reports?status=in_review"):
            page = stage.server.ask("GET", path, moderator.bearer).json()
            assert (held in [item["id"] for item in page["items"]]) is seen


def test_an_ended_token_is_refused_within_five_seconds(server: Server, stage: Stage) -> None:
    moderator: Moderator = stage.world.join("rose")
    stage.world.sign_identity()
    callers = stage.world.parts.callers
    ended = {"/v1/identity": new_member(stage.world), "/v1/moderation/reports": moderator.bearer}
    for path, bearer in ended.items():
        assert server.ask("GET", path, bearer).status_code == 200
        assert callers.revoke("rose", callers.recognise(bearer).member) == 1
    until = time.monotonic() + 5
    for path, bearer in ended.items():
        left = until - time.monotonic()
        eventually(lambda: server.ask("GET", path, bearer).status_code == 401, left)  # noqa: B023


def test_a_token_that_left_is_refused_at_once(server: Server, shared_world: World) -> None:
    member = new_member(shared_world)
    assert server.ask("GET", "/v1/identity", member).status_code == 200
    assert server.ask("DELETE", "/v1/tokens/current", member).status_code == 204
    problem_of(server.ask("GET", "/v1/identity", member), 401, "unauthenticated")
