"""What a seized server holds of those who used it: nothing, wherever one looks."""

import base64
import json
import re
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text

from schemas.callers import Role
from tests.e2e.conftest import (
    Cast,
    Server,
    eventually,
    new_member,
    people,
    serving,
    this_month,
)
from tests.factories import World

ADDRESS = "203.0.113.77"
"""Of a network reserved for documentation."""


def forms(secret: str) -> set[bytes]:
    """How a secret may look where it was left: as it is, as digits, in base64, in hexadecimal."""
    texts = {secret}
    digits = re.sub(r"\D", "", secret)
    if len(digits) >= 9 and len(digits) * 2 > len(secret):
        texts |= {digits, f"+{digits}", digits.removeprefix("44")}
    found: set[bytes] = set()
    for one in texts:
        raw = one.encode()
        found |= {raw, one.encode("utf-16-le"), quote(one).encode(), json.dumps(one)[1:-1].encode()}
        found |= {raw.hex().encode(), raw.hex().upper().encode()}
        for shift in range(3):
            # What base64 shows of it wherever it begins, without what its neighbours decide.
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                text_ = encode(bytes(shift) + raw)
                first = (shift * 8 + 5) // 6
                found.add(text_[first : (len(raw) + shift) * 8 // 6])
    return found


def traces(haystack: bytes, planted: Mapping[str, str]) -> set[str]:
    """Return the names of the secrets that are found in any form, whatever the case."""
    lower = haystack.lower()
    return {
        name
        for name, secret in planted.items()
        for form in forms(secret)
        if form in haystack or form.lower() in lower
    }


PLANTED = {
    "phone": "+44 7700 900587",
    "email": "kanarienvogel.587@kaefig.example",
    "account": "The canary sang at a quarter past three behind the green door.",
    "agent": "Kanarienvogel/587",
    "query": "kanarienfrage587",
    "path": "kanarienpfad587",
    "body": "kanarienrumpf587",
    "address": ADDRESS,
    "area": "GB-ZZK",
}


@dataclass
class Trail:
    """A traced caller: what was planted, and what came back."""

    server: Server
    cast: Cast
    planted: dict[str, str] = field(default_factory=lambda: dict(PLANTED))
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    allowed: dict[int, set[str]] = field(default_factory=dict)
    stored: str = ""
    """What the database does hold: a request's id, to see that the search works."""

    def ask(self, method: str, path: str, bearer: str | None = None, **rest: Any) -> Any:
        """Send a request that is full of canaries; keep the answer."""
        headers = {
            "User-Agent": self.planted["agent"],
            "X-Forwarded-For": ADDRESS,
            "Forwarded": f"for={ADDRESS}",
            "Referer": f"https://{self.planted['query']}.example",
            "Cookie": self.planted["query"],
        } | dict(rest.pop("headers", {}))
        mark = "&" if "?" in path else "?"
        path = f"{path}{mark}q={self.planted['query']}"
        answer = self.server.ask(method, path, bearer, headers=headers, **rest)
        shown = repr(answer.headers.multi_items()).encode() + answer.content
        self.answers.append((f"{method} {path} {answer.status_code}", shown))
        return answer

    def may_hold(self, *names: str) -> None:
        """The last answer is meant to hold these secrets."""
        self.allowed[len(self.answers) - 1] = set(names)


@contextmanager
def quiet() -> Iterator[None]:
    """Whatever happens inside is the server's to survive."""
    try:
        yield
    except OSError:
        return


def plain_report(trail: Trail, **changes: Any) -> dict[str, Any]:
    return {
        "epoch": 1,
        "identifiers": [
            {"kind": "phone", "value": trail.planted["phone"], "region": "GB"},
            {"kind": "email", "value": trail.planted["email"]},
        ],
        "categories": ["robbery"],
        "severity": "danger",
        "month": this_month(trail.server.world),
        "consent": {"warn": "network", "police": "never", "research": False},
        "wait_days": 0,
        "request_id": secrets.token_hex(16),
        "account": {
            "text": trail.planted["account"],
            "flags": ["weapon"],
            "actor": "client",
            "area": trail.planted["area"],
        },
    } | changes


def walk_through(trail: Trail) -> None:
    """Use every endpoint, as it is meant and otherwise."""
    server, planted = trail.server, trail.planted
    for name in ("code", "moderators code"):
        role = Role.MEMBER if name == "code" else Role.MODERATOR
        issued = server.world.parts.callers.invite("rose", role, 1)
        planted[name] = issued.invitations[0].code
    joined = trail.ask("POST", "/v1/tokens", json={"code": planted["code"]})
    planted["bearer"] = bearer = joined.json()["token"]
    trail.may_hold("bearer")
    planted["moderators bearer"] = moderator = trail.cast.rose[0].bearer
    planted["unknown bearer"] = "psl_m_" + secrets.token_urlsafe(32)
    trail.ask("POST", "/v1/tokens", json={"code": planted["code"]})
    trail.ask("POST", "/v1/tokens", json={"code": planted["moderators code"]})
    for path in ("/livez", "/readyz", "/v1/network", "/v1/identity", "/v1/buckets/1/0/0"):
        for one in (bearer, planted["unknown bearer"], planted["body"], None):
            trail.ask("GET", path, one)
    key = server.ask("GET", "/v1/network").json()["public_key"]
    trail.ask("POST", "/v1/evaluations", bearer, json={"epoch": 1, "elements": [key]})
    trail.ask("POST", "/v1/evaluations", bearer, json={"epoch": 1, "elements": [planted["body"]]})
    identifiers = plain_report(trail)["identifiers"]
    trail.ask("POST", "/v1/lookups", bearer, json={"identifiers": identifiers})
    reports = plain_report(trail)
    trail.stored = reports["request_id"]
    filed = trail.ask("POST", "/v1/reports", bearer, json=reports)
    planted["receipt"] = filed.json()["receipt"]
    trail.may_hold("receipt")
    trail.ask("POST", "/v1/reports", bearer, json=reports)
    trail.may_hold("receipt")
    trail.ask("POST", "/v1/reports", bearer, json=reports | {"wait_days": 1})
    trail.ask("POST", "/v1/receipts/status", json={"receipt": planted["receipt"]})
    page = trail.ask("GET", "/v1/moderation/reports", moderator).json()
    held = page["items"][0]["id"]
    invited = trail.ask("POST", "/v1/moderation/invitations", moderator, json={"count": 1}).json()
    planted["invited code"] = invited["invitations"][0]["code"]
    trail.may_hold("invited code")
    gone = invited["invitations"][0]["id"]
    trail.ask("DELETE", f"/v1/moderation/members/{gone}", moderator)
    approve_and_look(trail, held)
    fail_everywhere(trail, held)
    second = trail.ask("POST", "/v1/reports", bearer, json=plain_report(trail))
    planted["second receipt"] = second.json()["receipt"]
    trail.may_hold("second receipt")
    trail.ask("POST", "/v1/receipts/withdraw", json={"receipt": planted["second receipt"]})
    lost = new_member(server.world)
    planted["lost bearer"] = lost
    trail.ask("GET", "/v1/identity", lost)
    trail.ask("DELETE", "/v1/tokens/current", lost)


def approve_and_look(trail: Trail, report: str) -> None:
    """Publish the report, and find it."""
    (item,) = [one for one in trail.server.world.queue(trail.cast.rose[0]) if one.id == report]
    trail.server.world.approve(item, *trail.cast.rose)
    identifiers = plain_report(trail)["identifiers"]
    until = time.monotonic() + 10
    body = {"identifiers": identifiers}
    while not trail.ask("POST", "/v1/lookups", trail.planted["bearer"], json=body).json()[
        "results"
    ][0]["match"]:
        assert time.monotonic() < until
        time.sleep(0.3)


def fail_everywhere(trail: Trail, report: str) -> None:
    """Be refused in every way there is."""
    bearer, moderator = trail.planted["bearer"], trail.planted["moderators bearer"]
    planted = trail.planted
    noise = {planted["body"]: planted["phone"], "identifiers": [planted["email"]]}
    cut = json.dumps(plain_report(trail))[:-9].encode()
    for path in (
        "/v1/tokens", "/v1/lookups", "/v1/evaluations", "/v1/reports", "/v1/receipts/status",
        "/v1/receipts/withdraw", "/v1/moderation/invitations", f"/v1/{planted['path']}",
        *(
            f"/v1/moderation/reports/{name}/{verb}"
            for name in (report, planted["path"])
            for verb in ("approve", "reject", "merge", "retract", "dispute", "release", "reseal")
        ),
    ):  # fmt: skip
        for one in (bearer, moderator, planted["unknown bearer"]):
            if path.endswith("/release") and one == moderator:
                continue
            trail.ask("POST", path, one, json=noise)
            as_json = {"Content-Type": "application/json"}
            trail.ask("POST", path, one, content=cut, headers=as_json)
            trail.ask("POST", path, one, content=cut, headers={"Content-Type": planted["body"]})
        trail.ask("PUT", path, moderator, json=noise)
    long = {"receipt": planted["body"] * 6_000}
    trail.ask("POST", "/v1/receipts/status", json=long)
    trail.ask("DELETE", f"/v1/moderation/members/{planted['path']}", moderator)
    trail.ask("GET", f"/v1/moderation/reports?status={planted['query']}", moderator)
    trail.ask("GET", f"/v1/buckets/1/0/{planted['path']}", bearer)
    for identifier in (planted["phone"] + "x", planted["email"] + "@"):
        wrong = {"identifiers": [{"kind": "phone", "value": identifier}]}
        trail.ask("POST", "/v1/lookups", bearer, json=wrong)
        trail.ask("POST", "/v1/reports", bearer, json=plain_report(trail) | wrong)
    address = urlsplit(trail.server.address)
    for sent in (
        f"GET /{planted['path']} HTTP/7.0\r\n\r\n",
        f"{planted['body']}\r\n\r\n",
        (
            f"POST /v1/lookups HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {bearer}\r\n"
            f"Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{json.dumps(noise)}"
        ),
        (
            f"GET /{planted['path']} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {planted['body']}\r\n\r\n"
        ),
    ):
        with quiet(), socket.create_connection((address.hostname, address.port), 2) as peer:
            peer.sendall(sent.encode())
            peer.shutdown(socket.SHUT_WR)
            trail.answers.append(("raw", peer.recv(65_536)))


def crash(trail: Trail) -> None:
    """Break the database under the running server; then ask again."""
    world = trail.server.world
    engine = create_engine(world.settings.url, hide_parameters=True)
    with engine.begin() as connection:
        for name in ("audit", "receipt", "bearer"):
            connection.execute(text(f"ALTER TABLE {name} RENAME TO broken_{name}"))
    time.sleep(2.2)  # until nobody is remembered any more
    statuses = set()
    body = {"identifiers": plain_report(trail)["identifiers"]}
    receipt = {"receipt": trail.planted["receipt"]}
    for method, path, sent in (
        ("POST", "/v1/lookups", body),
        ("POST", "/v1/reports", plain_report(trail)),
        ("POST", "/v1/receipts/status", receipt),
        ("POST", "/v1/receipts/withdraw", receipt),
        ("POST", "/v1/tokens", {"code": trail.planted["moderators code"]}),
        ("GET", f"/v1/moderation/reports?status={trail.planted['query']}", None),
        ("DELETE", "/v1/tokens/current", None),
    ):
        rest = {} if sent is None else {"json": sent}
        answer = trail.ask(method, path, trail.planted["bearer"], **rest)
        statuses.add(answer.status_code)
    with engine.begin() as connection:
        for name in ("audit", "receipt", "bearer"):
            connection.execute(text(f"ALTER TABLE broken_{name} RENAME TO {name}"))
    engine.dispose()
    assert max(statuses) >= 500


def stored(world: World) -> bytes:
    """Every byte of the database: SQLite's files, or the rows of all of PostgreSQL's tables."""
    url = world.settings.url
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        files = sorted(file.parent.glob(f"{file.name}*"))
        assert file in files
        return b"".join(path.read_bytes() for path in files)
    found = b""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        for (name,) in connection.execute(query).fetchall():
            for layout in ("text", "binary"):
                copying = sql.SQL("COPY {} TO STDOUT (FORMAT {})").format(
                    sql.Identifier(name), sql.SQL(layout)
                )
                with connection.cursor().copy(copying) as rows:
                    found += b"".join(bytes(row) for row in rows)
    return found


def below(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_the_search_finds_a_secret_in_every_form() -> None:
    """Without this, finding nothing would mean nothing."""
    noise = secrets.token_bytes(1_000)
    planted = PLANTED | {"receipt": "5873400921166205", "bearer": "psl_m_" + "aB3-_" * 8 + "xyz"}
    for name, secret in planted.items():
        raw = secret.encode()
        for form in (
            raw,
            raw.upper(),
            raw.hex().encode(),
            raw.hex().upper().encode(),
            *(base64.b64encode(noise[:i] + raw + noise[i:90]) for i in range(3)),
            *(base64.urlsafe_b64encode(noise[:i] + raw + noise[i:90]) for i in range(3)),
            secret.encode("utf-16-le"),
        ):
            assert name in traces(noise + form + noise, planted), (name, form)
    for number in ("+447700900587", "447700900587", "7700900587", "\\u002b447700900587"):
        assert traces(noise + number.encode() + noise, PLANTED) == {"phone"}
    assert traces(noise, planted) == set()


@pytest.fixture
def trail(own_world: World, tmp_path: Path) -> Iterator[Trail]:
    cast = people(own_world)
    with serving(own_world, tmp_path) as server:
        yield Trail(server, cast)


def test_nobody_who_used_the_service_is_found_in_what_it_leaves(
    trail: Trail, own_world: World
) -> None:
    walk_through(trail)
    crash(trail)
    planted = trail.planted
    assert len(planted) > 15

    for place, (request, shown) in enumerate(trail.answers):
        allowed = trail.allowed.get(place, set())
        assert traces(shown, planted) <= allowed, request

    assert any(trail.stored.encode() in shown for _, shown in trail.answers)

    log = trail.server.log()
    assert b'"event": "fault"' in log or b"round failed" in log
    assert traces(log, planted) == set()

    database = stored(own_world)
    assert traces(database, {"stored": trail.stored}) == {"stored"}
    assert own_world.identity.network.encode() in base64.b64decode(_envelope(database))
    assert traces(database, planted) == set()

    files = list(below(own_world.settings.data))
    assert any(path.name == "epoch.key" for path in files)
    for path in files:
        assert traces(path.read_bytes(), planted) == set(), path.name
    for path in below(trail.server.output.parent):
        assert traces(path.read_bytes(), planted) == set(), path.name
    assert list(trail.server.temporary.iterdir()) == []


def _envelope(database: bytes) -> bytes:
    """A signed payload as it lies in the database: what is stored in clear can be found there."""
    found = re.search(rb'\\*"payload\\*":\\*"([A-Za-z0-9+/=]+)\\*"', database)
    assert found is not None
    return found[1][: len(found[1]) // 4 * 4]


def test_requests_leave_no_line_and_no_file(server: Server, cast: Cast) -> None:
    trail = Trail(server, cast)
    data = server.world.settings.data
    before = lines(server)
    files = set(below(data))
    bearer = trail.cast.member
    trail.planted["unknown bearer"] = "psl_m_" + secrets.token_urlsafe(32)
    body = {"identifiers": [{"kind": "phone", "value": trail.planted["phone"]}]}
    for _ in range(40):
        trail.ask("GET", "/v1/identity", bearer)
        trail.ask("GET", "/v1/identity", trail.planted["unknown bearer"])
        trail.ask("GET", f"/v1/{trail.planted['path']}", bearer)
        trail.ask("POST", "/v1/lookups", bearer, json=body)
        trail.ask("POST", "/v1/lookups", bearer, json={trail.planted["body"]: 1})
        trail.ask("POST", "/v1/tokens", json={"code": "A"})
        trail.ask("PUT", "/v1/lookups", bearer)
    assert lines(server) == before
    assert set(below(data)) == files
    assert list(server.temporary.iterdir()) == []


def lines(server: Server) -> list[bytes]:
    """What was written, but for what the clock alone brought about."""
    return [line for line in server.log().splitlines() if b'"event": "round"' not in line]


def test_a_look_up_writes_nothing(server: Server, cast: Cast) -> None:
    trail = Trail(server, cast)
    eventually(lambda: _is_settled(server.world))
    before = _rows(server.world)
    body = {"identifiers": [{"kind": "phone", "value": trail.planted["phone"]}]}
    key = trail.server.ask("GET", "/v1/network").json()["public_key"]
    for _ in range(5):
        assert trail.ask("POST", "/v1/lookups", trail.cast.member, json=body).status_code == 200
        sent = {"epoch": 1, "elements": [key]}
        assert trail.ask("POST", "/v1/evaluations", trail.cast.member, json=sent).status_code == 200
        assert trail.ask("GET", "/v1/buckets/1/0/0", trail.cast.member).status_code == 200
    assert _rows(server.world) == before


def _is_settled(world: World) -> bool:
    """Whether all that other tests approved is published, and all that is published sealed."""
    engine = create_engine(world.settings.url)
    with engine.connect() as connection:
        due = "SELECT count(*) FROM report WHERE status = 'approved' AND publish_at <= :now"
        waiting = connection.execute(text(due), {"now": int(time.time())}).scalar_one()
        unsealed = connection.execute(text("SELECT count(*) FROM unsealed")).scalar_one()
    engine.dispose()
    return bool(waiting + unsealed == 0)


def _rows(world: World) -> dict[str, list[Any]]:
    """All rows of all tables, but for the lease, which is renewed all the time."""
    engine = create_engine(world.settings.url)
    with engine.connect() as connection:
        names = engine.dialect.get_table_names(connection)
        rows = {
            name: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{name}"'))))
            for name in names
            if name != "lease"
        }
    engine.dispose()
    return rows
