"""Promises of PROTOCOL.md §6 about partners' reports on hold, on the moderator's own device."""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from api.cli.reading import held_lines, held_table
from api.client import Client, Profile, Refused
from api.crypto.bearers import new_bearer
from api.moderating import Docket, Mismatch
from schemas.base import Category, Kind, Severity
from schemas.held import Decision, HeldItem, HeldKind, HeldPage, Why
from schemas.reports import TokenIdentifier


def item(number: int = 1, **changes: Any) -> HeldItem:
    fields: dict[str, Any] = {
        "entry": f"{number:064x}",
        "kind": HeldKind.REPORT,
        "why": Why.POLICY,
        "origin": "beta.example",
        "collective": "lily",
        "issued": "2026-11-23",
        "expires": "2031-10-31",
        "categories": [Category.ROBBERY, Category.THREATS],
        "severity": Severity.DANGER,
        "month": "2026-10",
        "identifiers": [TokenIdentifier(kind=Kind.PHONE, token=bytes(32))],
        "known": 2,
    }
    return HeldItem(**fields | changes)


class Instance:
    """Answers with one page after the other, and remembers what it was sent."""

    def __init__(self, *pages: HeldPage, status: int = 200) -> None:
        self.pages, self.status = pages, status
        self.asked: list[str] = []
        self.sent: list[tuple[str, Any]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            self.asked.append(str(request.url))
            page = self.pages[min(len(self.asked), len(self.pages)) - 1]
            body: Any = page.model_dump(mode="json", exclude_none=True)
        else:
            self.sent.append((request.url.path, json.loads(request.content)))
            body = {"decision": "accepted"} if self.status == 200 else {"code": "conflict"}
        kind = "application/json" if self.status == 200 else "application/problem+json"
        stream = httpx2.ByteStream(json.dumps(body).encode())
        return httpx2.Response(self.status, headers={"Content-Type": kind}, stream=stream)


@contextmanager
def docket(instance: Callable[[httpx2.Request], httpx2.Response]) -> Iterator[Docket]:
    profile = Profile(
        address="https://alpha.example",
        token=new_bearer("d", secrets.token_bytes),
        root=bytes(32),
        collective="rose",
    )
    with Client(profile, transport=httpx2.MockTransport(instance)) as client:
        yield Docket(client)


def test_all_that_is_held_is_given_page_by_page() -> None:
    first, second = item(1), item(2, kind=HeldKind.ERASURE, why=Why.QUOTA)
    pages = HeldPage(items=[first], next="0.1.1.7"), HeldPage(items=[second])
    instance = Instance(*pages)
    with docket(instance) as mine:
        assert list(mine.held()) == [first, second]
    path = "https://alpha.example/v1/moderation/held?limit=100"
    assert instance.asked == [path, f"{path}&after=0.1.1.7"]


@pytest.mark.parametrize(
    "page", [HeldPage(items=[], next="0.1.1.7"), HeldPage(items=[item()], next="0.1.1.7")]
)
def test_a_list_without_an_end_is_refused(page: HeldPage) -> None:
    with docket(Instance(page)) as mine, pytest.raises(Mismatch):
        list(mine.held())


@pytest.mark.parametrize(("accept", "path"), [(True, "accept"), (False, "refuse")])
def test_a_decision_names_as_what_it_was_seen(*, accept: bool, path: str) -> None:
    instance, one = Instance(), item(7, kind=HeldKind.ERASURE)
    with docket(instance) as mine:
        assert mine.decide_held(one, accept=accept).decision is Decision.ACCEPTED
    assert instance.sent == [
        (f"/v1/moderation/held/{one.entry}/{path}", {"kind": "erasure"})
    ]  # fmt: skip


def test_a_decision_that_comes_too_late_is_refused() -> None:
    with docket(Instance(status=409)) as mine, pytest.raises(Refused) as caught:
        mine.decide_held(item(), accept=True)
    assert caught.value.code == "conflict"


def test_a_moderator_reads_what_waits_and_why() -> None:
    table = held_table([item(), item(2, kind=HeldKind.ERASURE, severity=Severity.RISK)])
    assert [line.split()[0] for line in table] == ["ENTRY", "00000000", "00000000"]
    assert "DANGER (do not meet)  report" in table[1]
    assert "robbery, threats" in table[1]
    assert "lily at beta.example" in table[1]
    assert "erasure" in table[2]
    said = {
        (HeldKind.REPORT, Why.POLICY): "the operator chose",
        (HeldKind.REPORT, Why.QUOTA): "more reports came from there that day",
        (HeldKind.ERASURE, Why.QUOTA): "it is deleted here",
    }
    for (kind, why), words in said.items():
        lines = held_lines(item(kind=kind, why=why))
        assert words in lines[-1]
        assert lines[0] == "DANGER (do not meet): robbery, threats, 2026-10"
        assert "From lily at beta.example" in lines[1]
        assert lines[2].endswith(": 2")
