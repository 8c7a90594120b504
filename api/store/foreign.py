"""Rows of partners' entries, reports and tokens."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, insert
from sqlmodel import Session, and_, case, col, delete, false, func, or_, select, tuple_, update
from sqlmodel.sql.expression import Select

from api.store.counting import (
    counts,
    in_force,
    its_partner,
    its_policy,
    its_report,
    published,
    waits,
)
from schemas.partner_tables import (
    ForeignEntryRow,
    ForeignIdentifierRow,
    ForeignReportRow,
    PartnerRow,
    PolicyRow,
)
from schemas.tables import (
    IdentifierRow,
    ReportRow,
    UnsealedRow,
)

Place = tuple[int, int, int]
"""Where an entry is: partner, log and sequence number."""

_Placed = type[ForeignEntryRow] | type[ForeignReportRow] | type[ForeignIdentifierRow]

_RANK = case((col(ForeignReportRow.severity) == "danger", 0), else_=1)


def place_of(report: ForeignReportRow) -> Place:
    """Return where a report is in its log."""
    return report.partner, report.log, report.seq


class HeldReport(NamedTuple):
    """A partner's report with what tells whether it counts."""

    report: ForeignReportRow
    entry: ForeignEntryRow
    origin: str
    policy: str
    """The policy in force for it."""
    waits: bool
    """Whether it, or its erasure, waits for a decision."""

    @property
    def place(self) -> Place:
        """Where it is in its partner's log."""
        return place_of(self.report)

    @property
    def rank(self) -> int:
        """0 for danger, which comes first, else 1."""
        return int(self.report.severity != "danger")


class Foreign:
    """Queries over what came from partners, in the caller's transaction."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def held(self, today: str, after: tuple[int, ...] | None, limit: int) -> list[HeldReport]:
        """Return a page of what waits on the day `today`: danger first, oldest first.

        `after` is rank and place of the last one of the page before.
        """
        return self._page(_reports(today).where(waits(today)), after, limit)

    def waiting(self, today: str) -> int:
        """Return how many reports, or erasures of reports, wait on the day `today`."""
        rows = _reports(today).where(waits(today)).subquery()
        return self._session.exec(select(func.count()).select_from(rows)).one()

    def decided(self, today: str, after: tuple[int, ...] | None, limit: int) -> list[HeldReport]:
        """Return a page of the reports that somebody here has decided, as `held` does."""
        decided = col(ForeignReportRow.decision).is_not(None)
        return self._page(_reports(today).where(decided), after, limit)

    def find(self, leaf: bytes, today: str) -> HeldReport | None:
        """Return the report whose entry id is `leaf`; there is none of what was erased."""
        places = select(ForeignEntryRow.partner, ForeignEntryRow.log, ForeignEntryRow.seq).where(
            ForeignEntryRow.leaf == leaf
        )
        for place in self._session.exec(places):
            found = self._with_entries(_reports(today).where(_among(ForeignReportRow, [place])))
            if found:
                return found[0]
        return None

    def has(self, leaf: bytes) -> bool:
        """Tell whether a partner ever appended an entry of that id."""
        query = select(ForeignEntryRow.seq).where(ForeignEntryRow.leaf == leaf)
        return self._session.exec(query.limit(1)).first() is not None

    def tokens(
        self, reports: Iterable[ForeignReportRow]
    ) -> dict[Place, list[ForeignIdentifierRow]]:
        """Return the tokens of `reports`, each one's in their order."""
        places = [place_of(report) for report in reports]
        query = select(ForeignIdentifierRow).where(_among(ForeignIdentifierRow, places))
        found: dict[Place, list[ForeignIdentifierRow]] = {place: [] for place in places}
        for row in self._session.exec(query.order_by(col(ForeignIdentifierRow.position))):
            found[row.partner, row.log, row.seq].append(row)
        return found

    def known(
        self, tokens: dict[Place, list[ForeignIdentifierRow]], today: str
    ) -> Counter[Place]:  # fmt: skip
        """Return how many other reports, ours or a partner's, count that hold a token of each."""
        rows = [row for some in tokens.values() for row in some]
        words, values = {row.word for row in rows}, {row.token for row in rows}
        ours = (
            select(IdentifierRow.token, IdentifierRow.report)
            .join(ReportRow, col(ReportRow.seq) == col(IdentifierRow.report))
            .where(
                col(IdentifierRow.token).in_(values),
                published(),
                col(ReportRow.expires) >= today,
            )
        )
        theirs = (
            select(
                ForeignIdentifierRow.token,
                ForeignIdentifierRow.partner,
                ForeignIdentifierRow.log,
                ForeignIdentifierRow.seq,
            )
            .join(ForeignReportRow, its_report())
            .join(PartnerRow, its_partner())
            .join(PolicyRow, its_policy(), isouter=True)
            .where(
                # Only the word has an index; the token decides.
                col(ForeignIdentifierRow.word).in_(words),
                col(ForeignIdentifierRow.token).in_(values),
                counts(today),
            )
        )
        holding: dict[bytes, set[tuple[int, ...]]] = defaultdict(set)
        for query in (ours, theirs):
            for token, *place in self._session.execute(query):
                holding[token].add(tuple(place))
        return Counter(
            {
                place: len(set().union(*(holding[row.token] for row in some)) - {place})
                for place, some in tokens.items()
            }
        )

    def decide(self, report: ForeignReportRow, decision: str | None) -> bool:
        """Set the decision on a report, if it is still as `report` has it, erasure and all."""
        return self._change(report, decision=decision)

    def keep(self, report: ForeignReportRow) -> bool:
        """Refuse the erasure of a report, if it is still held."""
        return self._change(report, erasing=False)

    def unseal(self, *chosen: ColumnElement[bool]) -> None:
        """Note that what the buckets hold of some reports' tokens is no longer true."""
        words = (
            select(ForeignIdentifierRow.word)
            .join(ForeignReportRow, its_report())
            .where(*chosen)
            .distinct()
        )
        self._session.exec(insert(UnsealedRow).from_select(["word"], words))

    def unseal_report(self, report: ForeignReportRow) -> None:
        """Note that the buckets no longer tell the truth about a report's tokens."""
        self.unseal(_among(ForeignReportRow, [place_of(report)]))

    def unseal_partner(self, partner: int, collective: str | None = None) -> None:
        """Note the same of all reports of a partner, or of one collective of it."""
        chosen = [col(ForeignReportRow.partner) == partner]
        if collective is not None:
            chosen.append(col(ForeignReportRow.collective) == collective)
        self.unseal(*chosen)

    def erase(self, places: Sequence[Place]) -> None:
        """Delete reports with their tokens and what their entries said; leaf hashes stay."""
        if not places:
            return
        # One by one: SQLite finds many places at once by reading the whole table.
        named = [dict(zip(("a", "b", "c"), place, strict=True)) for place in places]
        connection = self._session.connection()
        for table in (ForeignIdentifierRow, ForeignReportRow):
            connection.execute(delete(table).where(_at(table)), named)
        emptied = update(ForeignEntryRow).where(_at(ForeignEntryRow))
        connection.execute(emptied.values(envelope=None, outcome="erased"), named)

    def erase_expired(self, today: str, limit: int) -> int:
        """Delete, as `erase`, up to `limit` reports whose last day is over; return how many."""
        query = (
            select(ForeignReportRow.partner, ForeignReportRow.log, ForeignReportRow.seq)
            .where(col(ForeignReportRow.expires) < today)
            .limit(limit)
        )
        places = [(partner, log, seq) for partner, log, seq in self._session.exec(query)]
        self.erase(places)
        return len(places)

    def _page(
        self,
        query: "Select[ForeignReportRow, str, str, bool]",
        after: tuple[int, ...] | None,
        limit: int,
    ) -> list[HeldReport]:
        place = (
            _RANK,
            col(ForeignReportRow.partner),
            col(ForeignReportRow.log),
            col(ForeignReportRow.seq),
        )
        if after is not None:
            query = query.where(tuple_(*place) > after)
        return self._with_entries(query.order_by(*place).limit(limit))

    def _with_entries(self, query: "Select[ForeignReportRow, str, str, bool]") -> list[HeldReport]:
        """Return what `_reports` finds, each with its entry, which need not be sorted."""
        rows = self._session.execute(query.execution_options(populate_existing=True)).all()
        places = [place_of(report) for report, *_ in rows]
        entries = {
            (entry.partner, entry.log, entry.seq): entry
            for entry in self._session.exec(
                select(ForeignEntryRow).where(_among(ForeignEntryRow, places))
            )
        }
        return [HeldReport(report, entries[place_of(report)], *rest) for report, *rest in rows]

    def _change(self, report: ForeignReportRow, **values: object) -> bool:
        """Set `values`, if nobody has decided about `report` since it was read."""
        decision, erasing = col(ForeignReportRow.decision), col(ForeignReportRow.erasing)
        change = update(ForeignReportRow).where(
            _among(ForeignReportRow, [place_of(report)]),
            decision.is_(None) if report.decision is None else decision == report.decision,
            erasing == report.erasing,
        )
        return self._session.exec(change.values(**values)).rowcount == 1


def _reports(today: str) -> "Select[ForeignReportRow, str, str, bool]":
    """Select of every report what `HeldReport` has but its entry."""
    return (
        select(ForeignReportRow, PartnerRow.origin, in_force(), waits(today))
        .join(PartnerRow, its_partner())
        .join(PolicyRow, its_policy(), isouter=True)
    )


def _among(table: _Placed, places: Iterable[Place]) -> ColumnElement[bool]:
    """Choose the rows of `table` at `places`: SQLite takes no index for triples."""
    logs: dict[tuple[int, int], list[int]] = defaultdict(list)
    for partner, log, seq in places:
        logs[partner, log].append(seq)
    return or_(
        false(),
        *(
            and_(col(table.partner) == partner, col(table.log) == log, col(table.seq).in_(seqs))
            for (partner, log), seqs in logs.items()
        ),
    )


def _at(table: _Placed) -> ColumnElement[bool]:
    """Choose the row of `table` at a place that is named when it is executed."""
    return and_(
        col(table.partner) == bindparam("a"),
        col(table.log) == bindparam("b"),
        col(table.seq) == bindparam("c"),
    )
