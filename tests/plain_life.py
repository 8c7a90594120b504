"""The life of reports as PROTOCOL.md §6 tells it, in plain sets and numbers.

No cryptography, no database, no chance: what an instance does must agree with this, move by move.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from schemas.base import CATEGORIES, Category, Severity, Sharing
from schemas.documents import RetractReason
from schemas.documents import Status as Standing
from schemas.reports import Status, Warn

OPEN = frozenset({Status.SUBMITTED, Status.IN_REVIEW})
LISTED = frozenset({Status.APPROVED, Status.PUBLISHED})
LIVE = LISTED | {Status.DISPUTED}
ERASED = frozenset({"reporter-request", "objection", "legal"})
RANKS = [Severity.DANGER, Severity.RISK, Severity.NUISANCE]
YEARS = {Severity.DANGER: 5, Severity.RISK: 2, Severity.NUISANCE: 1}
REMEMBERED = timedelta(days=90)
HOUR = timedelta(hours=1)

Counts = tuple[int, int, int, int, int]
"""Danger, risk, nuisance, collectives, recent."""
Answer = tuple[Status, int, int]
"""A decision's: status, approvals, needed."""


class Refused(Exception):  # noqa: N818  (as those of the instance)
    """The model expects a refusal with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def check(code: str, *, unless: bool) -> None:
    if not unless:
        raise Refused(code)


def last_day(month: str, severity: Severity) -> date:
    year, number = int(month[:4]) + YEARS[severity], int(month[5:])
    return date(year + number // 12, number % 12 + 1, 1) - timedelta(days=1)


@dataclass
class Signed:
    """A document on the way to its signatures: its entry id, and what it says."""

    entry: bytes
    severity: Severity = Severity.DANGER
    expires: date = date.max
    reason: RetractReason | None = None
    by: set[int] = field(default_factory=set)


@dataclass
class Report:
    number: int
    collective: str
    reporter: int
    about: tuple[int, ...]
    categories: tuple[Category, ...]
    severity: Severity
    month: str
    warn: Warn
    not_before: datetime
    status: Status = Status.SUBMITTED
    signed: Signed | None = None
    retraction: Signed | None = None
    former: bytes | None = None
    approved: datetime | None = None
    ended: date | None = None
    recorded_until: date | None = None
    """Of what is recorded, while it is."""
    forgotten: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        return RANKS.index(self.severity), self.number

    @property
    def expires(self) -> date:
        if self.status in LIVE and self.signed:
            return self.signed.expires
        return last_day(self.month, self.severity)

    @property
    def grave(self) -> bool:
        """Whether what is listed is danger."""
        return self.signed is not None and self.signed.severity is Severity.DANGER

    @property
    def window(self) -> tuple[datetime, datetime]:
        """The first moment at which it may be published, and the last at which it must be."""
        assert self.approved is not None
        full = self.approved.replace(minute=0, second=0)
        if self.grave:
            return max(full, self.not_before), max(full, self.not_before)
        following = full if full == self.approved else full + HOUR
        soonest, latest = following + HOUR, following + 47 * HOUR
        return max(soonest, self.not_before), max(latest, self.not_before)


@dataclass
class Entry:
    """A published report in the log."""

    report: Report
    expires: date
    erased: bool = False


class Life:
    """All reports and moderators, and what the log says of them."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.reports: list[Report] = []
        self.moderators: list[tuple[str, Standing]] = []
        self.members: list[tuple[str, bool]] = []
        self.opted_in: set[Category] = set()
        self.entries: dict[bytes, Entry] = {}
        self.retracted: list[bytes] = []
        self.erasures: dict[bytes, str] = {}
        self.listed: dict[int, Counts] = {}
        """What look-ups say: as of the last round."""

    def active(self, collective: str) -> set[int]:
        return self._are(collective, Standing.ACTIVE)

    def of(self, collective: str, statuses: Iterable[Status] = OPEN) -> list[Report]:
        chosen = [
            one for one in self.reports if one.collective == collective and one.status in statuses
        ]
        return sorted(chosen, key=lambda one: one.rank)

    def alike(self, report: Report) -> list[Report]:
        """Other reports by the same reporter about one of the same numbers."""
        return [
            one
            for one in self.reports
            if one is not report
            and one.reporter == report.reporter
            and one.status in OPEN | LIVE
            and not set(one.about).isdisjoint(report.about)
        ]

    def needed(self, collective: str, *, grave: bool) -> int:
        return 2 if grave and len(self.active(collective)) != 1 else 1

    def approvals(self, report: Report) -> int:
        pending = report.retraction or report.signed
        return len(pending.by & self.active(report.collective)) if pending else 0

    def file(self, report: Report) -> None:
        self._check_member(report.reporter)
        check("invalid-request", unless=report.month <= f"{self.now:%Y-%m}")
        check("invalid-request", unless=report.expires >= self.now.date())
        self.reports.append(report)

    def file_again(self, report: Report, *, same: bool) -> None:
        self._check_member(report.reporter)
        check("conflict", unless=same or report.ended is not None)

    def see(self, collective: str) -> list[Report]:
        seen = self.of(collective)
        for one in seen:
            one.status = Status.IN_REVIEW
        return seen

    def approve(self, report: Report, by: int, signed: Signed | None) -> Answer:
        self._check(report, by, OPEN)
        if report.warn in {Warn.STATISTICS, Warn.NONE}:
            check("invalid-request", unless=signed is None)
            if report.warn is Warn.STATISTICS:
                report.recorded_until = report.expires
            else:
                report.recorded_until = date.max
            self._end(report, Status.RECORDED)
            return Status.RECORDED, 1, 1
        if signed is None:
            raise Refused("invalid-request")
        check("expired", unless=signed.expires >= self.now.date())
        grave = Severity.DANGER in {report.severity, signed.severity}
        needed = self.needed(report.collective, grave=grave)
        by_now = self._with(report, report.signed, signed, by, needed)
        check("conflict", unless=all(one.status not in LIVE for one in self.alike(report)))
        signed.by |= {by} | (report.signed.by if report.signed else set())
        report.signed, report.status = signed, Status.IN_REVIEW
        if by_now >= needed:
            report.status, report.approved = Status.APPROVED, self.now
        return report.status, by_now, needed

    def reject(self, report: Report, by: int) -> Status:
        self._check(report, by, OPEN)
        return self._end(report, Status.REJECTED)

    def merge(self, report: Report, into: Report, by: int) -> Status:
        self._check(into, by, OPEN | LIVE)
        self._check(report, by, OPEN)
        apart = set(report.about).isdisjoint(into.about)
        check("conflict", unless=report is not into and not apart)
        return self._end(report, Status.MERGED)

    def retract(self, report: Report, by: int, signed: Signed) -> Answer:
        self._check(report, by, LIVE)
        check("malformed", unless=signed.reason is not RetractReason.DISPUTED)
        answer = self._take_away(report, by, signed)
        if answer[1] < answer[2]:
            return answer
        assert signed.reason is not None
        if signed.reason in ERASED:
            self._erase(report, signed.reason)
        return self._end(report, Status.REMOVED), *answer[1:]

    def dispute(self, report: Report, by: int, signed: Signed | None) -> Answer:
        self._check(report, by, LISTED)
        if signed is not None:
            check("malformed", unless=signed.reason is RetractReason.DISPUTED)
            answer = self._take_away(report, by, signed)
            if answer[1] < answer[2]:
                return answer
        else:
            alone = self.needed(report.collective, grave=report.grave) == 1
            check("too-few-signatures", unless=alone and report.warn is Warn.LOCAL)
            answer = report.status, 1, 1
        report.status, report.retraction = Status.DISPUTED, None
        return report.status, *answer[1:]

    def release(self, report: Report, by: int) -> Status:
        self._check(report, by, OPEN | LIVE)
        if report.status is Status.DISPUTED:
            self._send_back(report, published=True)
        elif report.status in LISTED and report.retraction:
            report.retraction = None
        elif report.status is Status.IN_REVIEW and report.signed:
            report.signed = None
        else:
            raise Refused("conflict")
        return report.status

    def withdraw(self, report: Report) -> Status:
        if report.ended is None:
            self._erase(report, "reporter-request")
            return self._end(report, Status.WITHDRAWN)
        if report.status is Status.RECORDED and report.recorded_until is not None:
            report.status, report.recorded_until = Status.WITHDRAWN, None
        check("conflict", unless=report.status is Status.WITHDRAWN)
        return report.status

    def end_moderator(self, number: int, standing: Standing) -> None:
        """End a moderator, and let the identity that says so come into force."""
        collective, _ = self.moderators[number]
        self.moderators[number] = collective, standing
        if standing is not Standing.REVOKED:
            return
        good = self.active(collective) | self._are(collective, Standing.ENDED)
        for one in self.of(collective, {Status.PUBLISHED}):
            assert one.signed is not None
            if len(one.signed.by & good) < self.needed(collective, grave=one.grave):
                self._send_back(one, published=True)

    def round(self, is_out: Callable[[Report], bool]) -> None:
        """Let time do what is due; `is_out` tells what chance has decided."""
        today = self.now.date()
        for one in self.reports:
            one.forgotten |= one.ended is not None and one.ended + REMEMBERED < today
            if one.recorded_until is not None and one.recorded_until < today:
                one.recorded_until = None
            if one.ended is None and one.expires < today:
                self._end(one, Status.EXPIRED)
        for one in self.reports:
            if one.status is Status.APPROVED:
                soonest, latest = one.window
                if latest <= self.now or (soonest <= self.now and is_out(one)):
                    self._publish(one)
        for entry, published in self.entries.items():
            if published.expires < today and not published.erased:
                published.erased = True
                self.erasures[entry] = "expired"
        self.listed = {}
        for number in {number for one in self.reports for number in one.about}:
            self.listed[number] = self._counts(number)

    def _are(self, collective: str, standing: Standing) -> set[int]:
        return {n for n, one in enumerate(self.moderators) if one == (collective, standing)}

    def _check_member(self, number: int) -> None:
        check("unauthenticated", unless=self.members[number][1])

    def _check(self, report: Report, by: int, statuses: Iterable[Status]) -> None:
        collective, standing = self.moderators[by]
        check("unauthenticated", unless=standing is Standing.ACTIVE)
        check("not-found", unless=collective == report.collective)
        check("conflict", unless=report.status in statuses)

    def _with(
        self, report: Report, pending: Signed | None, signed: Signed, by: int, needed: int
    ) -> int:
        """How many have signed when she has."""
        before = pending.by & self.active(report.collective) if pending else set()
        check("conflict", unless=pending is None or pending.entry == signed.entry)
        check("conflict", unless=by not in before or len(before) >= needed)
        return len(before | {by})

    def _take_away(self, report: Report, by: int, signed: Signed) -> Answer:
        needed = self.needed(report.collective, grave=report.grave)
        by_now = self._with(report, report.retraction, signed, by, needed)
        signed.by |= {by} | (report.retraction.by if report.retraction else set())
        if by_now < needed:
            report.retraction = signed
        elif report.signed and report.signed.entry in self.entries:
            self.retracted.append(report.signed.entry)
        return report.status, by_now, needed

    def _publish(self, report: Report) -> None:
        assert report.signed is not None
        grave = report.grave or report.severity is Severity.DANGER
        standing = report.signed.by & self.active(report.collective)
        if len(standing) < self.needed(report.collective, grave=grave):
            self._send_back(report, published=False)
            return
        report.status = Status.PUBLISHED
        allowed = {one for one in Category if CATEGORIES[one].shared is Sharing.YES}
        if report.warn is Warn.NETWORK and allowed | self.opted_in >= set(report.categories):
            self.entries[report.signed.entry] = Entry(report, report.expires)

    def _send_back(self, report: Report, *, published: bool) -> None:
        assert report.signed is not None
        if published:
            report.former = report.signed.entry
        report.signed = report.retraction = report.approved = None
        report.status = Status.IN_REVIEW

    def _erase(self, report: Report, reason: str) -> None:
        for entry, published in self.entries.items():
            if published.report is report and not published.erased:
                published.erased = True
                self.erasures[entry] = reason

    def _end(self, report: Report, status: Status) -> Status:
        report.status, report.ended = status, self.now.date()
        report.signed = report.retraction = None
        return status

    def _counts(self, number: int) -> Counts:
        held = [r for r in self.reports if r.status is Status.PUBLISHED and number in r.about]
        first = (self.now.year * 12 + self.now.month - 1) - 11
        recent = sum(int(r.month[:4]) * 12 + int(r.month[5:]) - 1 >= first for r in held)
        by = [sum(r.signed is not None and r.signed.severity is s for r in held) for s in RANKS]
        return by[0], by[1], by[2], len({r.collective for r in held}), recent
