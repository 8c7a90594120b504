"""Promises about refusals and words (PROTOCOL.md §§10, 11)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import errors
from api.errors import (
    ENTRY_CODES,
    FEED_CODES,
    RateLimited,
    Refusal,
    RefusedEntry,
    RefusedFeed,
)
from api.routes import problems

ROOT = Path(__file__).parents[2]
PROTOCOL = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
FORBIDDEN = re.compile("offender|perpetrator|blacklist|victim", re.IGNORECASE)
SPOKEN = {".py", ".md", ".toml", ".js", ".ts", ".html", ".css", ".json", ".yml", ".mako", ""}

# What HTTP itself brings along stands where it is answered.
BY_HTTP = "method-not-allowed"


def kinds(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    yield kind
    for one in kind.__subclasses__():
        yield from kinds(one)


def promised(line: str) -> dict[str, set[int]]:
    """The codes of a line of §10, with their statuses."""
    found = re.search(rf"^{line}: `([^`]+)`", PROTOCOL, re.MULTILINE)
    assert found
    codes = {}
    for one in found[1].split(", "):
        code, _, statuses = one.partition(" ")
        codes[code] = {int(status) for status in re.findall(r"\d+", statuses)}
    return codes


SERVICE = promised("Service")
OF_MANY_CODES = {RefusedEntry, RefusedFeed}
OURS = {kind.code: kind for kind in kinds() if kind not in OF_MANY_CODES}


def test_every_code_of_the_service_is_there_with_its_status() -> None:
    assert set(OURS) == set(SERVICE) - {BY_HTTP}
    for code, kind in OURS.items():
        assert kind.status in SERVICE[code], code


def test_what_http_brings_along_is_promised_too() -> None:
    assert f'"{BY_HTTP}"' in Path(problems.__file__).read_text(encoding="utf-8")
    assert BY_HTTP in SERVICE


def test_entry_codes_are_those_of_the_protocol() -> None:
    assert set(promised("Entry codes")) == ENTRY_CODES
    for code in ENTRY_CODES:
        assert (RefusedEntry(code).code, RefusedEntry(code).status) == (code, 422)
    with pytest.raises(AssertionError):
        RefusedEntry("invented")


def test_feed_codes_are_those_of_the_protocol() -> None:
    assert {code: {status} for code, status in FEED_CODES.items()} == promised("Feed")
    for code, status in FEED_CODES.items():
        assert (RefusedFeed(code).code, RefusedFeed(code).status) == (code, status)


def test_the_tree_in_the_module_is_the_tree() -> None:
    tree = errors.__doc__ or ""
    drawn = re.findall(r"[├└]── (\w+) +(\d+)  ([\w-]+|an entry code)", tree)
    listed = {name: int(status) for name, status, _ in drawn}
    one_status = {kind for kind in kinds() if kind not in {Refusal, RefusedFeed}}
    assert listed == {kind.__name__: kind.status for kind in one_status}
    assert "RefusedFeed            4xx  a feed code" in tree
    for name, _, code in drawn:
        if name != "RefusedEntry":
            assert getattr(errors, name).code == code


def test_a_refusal_says_its_code_and_nothing_else() -> None:
    for code, kind in OURS.items():
        refusal = kind(60) if kind is RateLimited else kind()
        assert str(refusal) == code
        assert refusal.members == {}
    assert Refusal(epoch=2).members == {"epoch": 2}
    assert RateLimited(60).retry_after == 60


def test_every_title_is_a_plain_sentence() -> None:
    for kind in kinds():
        assert re.fullmatch(r"[A-Z][a-z' ,\-]+(: [a-z ]+)?\.", kind.title.replace("e-mail", "mail"))
        assert not FORBIDDEN.search(kind.title)


def test_nobody_is_called_what_we_do_not_call_people() -> None:
    found = []
    for place in ("api", "schemas", "alembic", "docs", "README.md", "SECURITY.md", "Makefile"):
        files = [ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*")
        for file in files:
            if "node_modules" in file.parts or not file.is_file() or file.suffix not in SPOKEN:
                continue
            lines = file.read_text(encoding="utf-8").splitlines()
            found += [(file, line) for line in lines if FORBIDDEN.search(line)]
    assert [line.partition("; ")[2].partition(". ")[0] for _, line in found] == [
        "never offender, perpetrator, blacklist, victim"
    ]
