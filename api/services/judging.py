"""What can be said of a page by itself, before anything is written (PROTOCOL.md §8).

Verification is most of the work with a log. Done here, it holds up nobody who writes meanwhile.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date

from api.crypto.failures import InvalidInput
from api.trust import OpenedPage, open_report, signers
from schemas.base import CATEGORIES, Category, Sharing
from schemas.documents import Identity, ReportDocument
from schemas.feed import FeedEntry, SignedEntry

KEPT_HERE = frozenset(one for one in Category if CATEGORIES[one].shared is Sharing.NEVER)


class Step:
    """An entry of a page, with its leaf hash."""

    __slots__ = ("entry", "leaf")

    def __init__(self, entry: FeedEntry, leaf: bytes) -> None:
        """Hold the two together."""
        self.entry, self.leaf = entry, leaf


class Candidate(Step):
    """A report on the way to being taken or refused."""

    __slots__ = ("refusal", "report", "signed", "tokens", "words")

    entry: SignedEntry
    refusal: str | None
    report: ReportDocument
    signed: frozenset[str]
    tokens: list[bytes]
    words: list[int]

    def attempt(self, step: Callable[["Candidate"], None]) -> None:
        """Take one step further, unless a former one has ended in a refusal."""
        if self.refusal is None:
            self.refuse_first(step)

    def refuse_first(self, step: Callable[["Candidate"], None]) -> None:
        """Take a step whose refusal goes before any other."""
        try:
            step(self)
        except InvalidInput as refused:
            self.refusal = refused.code


@dataclass(frozen=True, slots=True)
class JudgedPage:
    """A verified page, whose reports are judged by the identity `by` (None before the first)."""

    opened: OpenedPage
    checkpoint: str
    """As it was signed."""
    steps: Sequence[Step]
    by: Identity | None

    def reports(self) -> list[Candidate]:
        """Return those of its steps that are reports."""
        return [one for one in self.steps if isinstance(one, Candidate)]


def opened_by(opened: OpenedPage, checkpoint: str, by: Identity | None, today: date) -> JudgedPage:
    """Return a page with its reports opened as if `by` were in force for all of it.

    Who signed them is still to be checked: `check_signers` does.
    """
    steps = [
        Candidate(entry, leaf) if _is_report(entry) else Step(entry, leaf)
        for entry, leaf in zip(opened.entries, opened.leaves, strict=True)
    ]
    page = JudgedPage(opened, checkpoint, steps, by)
    open_all(page.reports(), by, today)
    return page


# Each step is taken for all: repeated, it stays fast.


def open_all(candidates: Sequence[Candidate], by: Identity | None, today: date) -> None:
    """Open reports, whatever came of them before."""

    def open_one(one: Candidate) -> None:
        if by is None:
            raise InvalidInput("unknown-key")
        one.report = open_report(one.entry, by, today=today, earlier_epochs=True)
        if not KEPT_HERE.isdisjoint(one.report.categories):
            raise InvalidInput("malformed")

    for one in candidates:
        one.refusal = None
        one.attempt(open_one)


def check_signers(
    candidates: Sequence[Candidate], by: Identity | None, helpers: Executor | None = None
) -> None:
    """Check who signed opened reports: here, and by `helpers` on the other cores meanwhile.

    A verification leaves the interpreter free.
    """
    left = iter(candidates)

    def check(one: Candidate) -> None:
        assert by is not None
        one.signed = signers(one.entry, by, one.report.collective)

    def check_what_is_left() -> None:
        for one in left:
            one.attempt(check)

    others = range(1, os.cpu_count() or 1)
    helping = [helpers.submit(check_what_is_left) for _ in others] if helpers else []
    check_what_is_left()
    for one in helping:
        one.result()


def _is_report(entry: FeedEntry) -> bool:
    return isinstance(entry, SignedEntry) and entry.payload_type == ReportDocument.payload_type
