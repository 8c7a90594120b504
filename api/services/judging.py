"""What can be said of a page by itself, before anything is written (PROTOCOL.md §8).

Verification is most of the work with a log. Done here, it holds up nobody who writes meanwhile.
"""

from collections.abc import Callable, Sequence
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


def judged(opened: OpenedPage, checkpoint: str, by: Identity | None, today: date) -> JudgedPage:
    """Return a page with its reports judged as if `by` were in force for all of it."""
    steps = [
        Candidate(entry, leaf) if _is_report(entry) else Step(entry, leaf)
        for entry, leaf in zip(opened.entries, opened.leaves, strict=True)
    ]
    judge([one for one in steps if isinstance(one, Candidate)], by, today)
    return JudgedPage(opened, checkpoint, steps, by)


def judge(candidates: Sequence[Candidate], by: Identity | None, today: date) -> None:
    """Open reports and check who signed them, each step for all: repeated, it stays fast."""

    def open_one(one: Candidate) -> None:
        if by is None:
            raise InvalidInput("unknown-key")
        one.report = open_report(one.entry, by, today=today, earlier_epochs=True)
        if not KEPT_HERE.isdisjoint(one.report.categories):
            raise InvalidInput("malformed")

    def check_signers(one: Candidate) -> None:
        assert by is not None
        one.signed = signers(one.entry, by, one.report.collective)

    for one in candidates:
        one.refusal = None
        one.attempt(open_one)
    for one in candidates:
        one.attempt(check_signers)


def _is_report(entry: FeedEntry) -> bool:
    return isinstance(entry, SignedEntry) and entry.payload_type == ReportDocument.payload_type
