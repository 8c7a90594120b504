"""Rows of what partners' logs say, as it arrives and as later entries change it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, insert, literal_column
from sqlmodel import Session, case, col, delete, func, select, update

from api.store.bulk import insert_all
from api.store.counting import counts, its_partner, its_policy
from schemas.partner_tables import (
    ForeignEntryRow,
    ForeignIdentifierRow,
    ForeignReportRow,
    PartnerRow,
    PolicyRow,
)
from schemas.tables import UnsealedRow

TAKEN = ("applied", "elided", "erased", "purged")
Found = tuple[ForeignEntryRow, ForeignReportRow | None]
AT_ONCE = 4_096


class NewEntry(NamedTuple):
    """A `ForeignEntryRow` to be; it, and the next two, as the database takes them fastest."""

    partner: int
    log: int
    seq: int
    leaf: bytes
    envelope: str | None
    outcome: str


class NewReport(NamedTuple):
    """A `ForeignReportRow` to be."""

    partner: int
    log: int
    seq: int
    collective: str
    severity: str
    month: str
    expires: str
    signers: str
    needed: int
    standing: str
    over_quota: bool
    erasing: bool = False
    decision: str | None = None


class NewIdentifier(NamedTuple):
    """A `ForeignIdentifierRow` to be."""

    partner: int
    log: int
    seq: int
    position: int
    kind: str
    token: bytes
    word: int


class NewWord(NamedTuple):
    """An `UnsealedRow` to be."""

    word: int


class Signed(NamedTuple):
    """Where a report stands, who signed it, and how many had to."""

    log: int
    seq: int
    signers: str
    needed: int


class Arrivals:
    """Queries of the follower. Rows that come by the page are written by the page."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def add(
        self, entries: Sequence[NewEntry], reports: Sequence[NewReport],
        identifiers: Sequence[NewIdentifier], words: Sequence[NewWord],
    ) -> None:  # fmt: skip
        """Keep entries, the reports among them, their tokens, and the places that these change."""
        for table, rows in (
            (ForeignEntryRow, entries),
            (ForeignReportRow, reports),
            (ForeignIdentifierRow, identifiers),
            (UnsealedRow, words),
        ):
            if rows:
                insert_all(self._session, table, rows[0]._fields, rows)

    def entries(self, partner: int, log: int, first: int, limit: int) -> list[ForeignEntryRow]:
        """Return entries from the sequence number `first` on, in order."""
        query = select(ForeignEntryRow).where(
            ForeignEntryRow.partner == partner,
            ForeignEntryRow.log == log,
            col(ForeignEntryRow.seq) >= first,
        )
        return list(self._session.exec(query.order_by(col(ForeignEntryRow.seq)).limit(limit)))

    def leaves(self, partner: int, log: int, size: int) -> Iterator[bytes]:
        """Yield the leaf hashes of the first `size` entries, in order."""
        query = (
            select(ForeignEntryRow.leaf)
            .where(
                ForeignEntryRow.partner == partner,
                ForeignEntryRow.log == log,
                col(ForeignEntryRow.seq) < size,
            )
            .order_by(col(ForeignEntryRow.seq))
            .execution_options(yield_per=AT_ONCE)
        )
        yield from self._session.exec(query)

    def known(self, partner: int, leaves: Sequence[bytes]) -> set[bytes]:
        """Return those of `leaves` that a partner has appended before and that were taken."""
        if not leaves:
            return set()
        # Written out: SQLAlchemy spends longer on a list of 256 than the database does.
        connection = self._session.connection()
        query = f"SELECT leaf FROM foreign_entry WHERE outcome IN {TAKEN} "  # noqa: S608  (our own names)
        if connection.dialect.name == "postgresql":
            # %b: in binary, which takes half as long.
            query += "AND partner = %s AND leaf = ANY(%b)"
            found = connection.exec_driver_sql(query, (partner, list(leaves)))
        else:
            query += f"AND partner = ? AND leaf IN ({','.join('?' * len(leaves))})"
            found = connection.exec_driver_sql(query, (partner, *leaves))
        return {bytes(leaf) for (leaf,) in found}

    def find(self, partner: int, leaves: Sequence[bytes]) -> dict[bytes, Found]:
        """Return a partner's entries of those ids, each with the report that it is, if it is."""
        found = {entry.leaf: (entry, report) for entry, report in self._taken(partner, leaves)}
        for leaf in leaves:
            # However often it was refused, or purged: one of them will do.
            one = (ForeignEntryRow.leaf == leaf, ForeignEntryRow.partner == partner)
            if leaf not in found and (
                entry := self._session.exec(select(ForeignEntryRow).where(*one).limit(1)).first()
            ):
                found[leaf] = (entry, None)
        return found

    def _taken(self, partner: int, leaves: Sequence[bytes]) -> Iterable[Found]:
        query = (
            select(ForeignEntryRow, ForeignReportRow)
            .join(
                ForeignReportRow,
                (col(ForeignReportRow.partner) == col(ForeignEntryRow.partner))
                & (col(ForeignReportRow.log) == col(ForeignEntryRow.log))
                & (col(ForeignReportRow.seq) == col(ForeignEntryRow.seq)),
                isouter=True,
            )
            .where(
                col(ForeignEntryRow.leaf).in_(leaves),
                ForeignEntryRow.partner == partner,
                # Of an id there is only one such: the next is a duplicate.
                col(ForeignEntryRow.outcome).in_(("applied", "elided", "erased")),
            )
        )
        return self._session.exec(query)

    def standing(self, partner: int, collective: str) -> list[Signed]:
        """Return the reports of a partner's collective that nothing has taken away."""
        query = select(
            ForeignReportRow.log,
            ForeignReportRow.seq,
            ForeignReportRow.signers,
            ForeignReportRow.needed,
        ).where(
            ForeignReportRow.partner == partner,
            ForeignReportRow.collective == collective,
            ForeignReportRow.standing == "standing",
        )
        return [Signed(*row) for row in self._session.exec(query)]

    def suspend(self, partner: int, reports: Sequence[Signed]) -> None:
        """Let reports of a partner count no more; their tokens are sealed anew."""
        if not reports:
            return
        places = [{"a": partner, "b": one.log, "c": one.seq} for one in reports]
        self._session.flush()
        connection = self._session.connection()
        change = update(ForeignReportRow).where(*_at(ForeignReportRow)).values(standing="suspended")
        connection.execute(change, places)
        words = select(ForeignIdentifierRow.word).where(*_at(ForeignIdentifierRow))
        connection.execute(insert(UnsealedRow).from_select(["word"], words), places)
        self._session.expire_all()

    def change(self, report: ForeignReportRow, **values: object) -> None:
        """Set values of a report; its tokens are sealed anew."""
        for name, value in values.items():
            setattr(report, name, value)
        self._unseal(report)

    def erase(self, partner: int, found: Iterable[Found]) -> None:
        """Delete what entries said, wherever they stand; their leaf hashes stay."""
        leaves = []
        for entry, report in found:
            if entry.outcome == "erased":
                continue
            entry.outcome = "erased"
            leaves.append(entry.leaf)
            if report is not None:
                self._unseal(report)
                for table in (ForeignIdentifierRow, ForeignReportRow):
                    self._session.exec(delete(table).where(*_place(table, report)))
                self._session.expunge(report)
        # Also where it was refused.
        emptied = update(ForeignEntryRow).where(
            col(ForeignEntryRow.leaf).in_(leaves), col(ForeignEntryRow.partner) == partner
        )
        if leaves:
            self._session.exec(emptied.values(envelope=None))

    def unexplained(self, partner: int, log: int) -> int:
        """Return how many entries came elided that no erasure has named."""
        query = select(func.count()).where(
            ForeignEntryRow.partner == partner,
            ForeignEntryRow.log == log,
            ForeignEntryRow.outcome == literal_column("'elided'"),  # as its index has it
        )
        return self._session.exec(query).one()

    def numbers(self, partner: int, today: str) -> tuple[int, int]:
        """Return how many reports of a partner are here, and how many count on `today`."""
        query = (
            select(func.count(), func.sum(case((counts(today), 1), else_=0)))
            .select_from(ForeignReportRow)
            .join(PartnerRow, its_partner())
            .join(PolicyRow, its_policy(), isouter=True)
            .where(ForeignReportRow.partner == partner)
        )
        reports, counted = self._session.exec(query).one()
        return reports, int(counted or 0)

    def refused(self, partner: int) -> dict[str, int]:
        """Return how many of a partner's entries were refused, by code."""
        query = (
            select(ForeignEntryRow.outcome, func.count())
            .where(
                ForeignEntryRow.partner == partner,
                col(ForeignEntryRow.outcome).startswith("rejected:"),
            )
            .group_by(ForeignEntryRow.outcome)
        )
        return {
            outcome.removeprefix("rejected:"): number
            for outcome, number in self._session.exec(query)
        }

    def purge(self, partner: int) -> int:
        """Delete all that a partner said, but for leaf hashes; return how many reports it was."""
        mine = col(ForeignIdentifierRow.partner) == partner
        words = select(ForeignIdentifierRow.word).where(mine)
        self._session.exec(insert(UnsealedRow).from_select(["word"], words))
        self._session.exec(delete(ForeignIdentifierRow).where(mine))
        reports = delete(ForeignReportRow).where(col(ForeignReportRow.partner) == partner)
        count = self._session.exec(reports).rowcount
        said = (col(ForeignEntryRow.partner) == partner, col(ForeignEntryRow.envelope).is_not(None))
        purged = update(ForeignEntryRow).where(*said).values(envelope=None, outcome="purged")
        self._session.exec(purged)
        return count

    def forget(self, partner: int) -> None:
        """Delete even the leaf hashes of a partner that is followed no longer."""
        self._session.exec(delete(ForeignEntryRow).where(col(ForeignEntryRow.partner) == partner))

    def _unseal(self, report: ForeignReportRow) -> None:
        words = select(ForeignIdentifierRow.word).where(*_place(ForeignIdentifierRow, report))
        self._session.flush()
        self._session.exec(insert(UnsealedRow).from_select(["word"], words))


def _at(
    table: type[ForeignIdentifierRow | ForeignReportRow],
) -> tuple[ColumnElement[bool], ...]:
    """Choose the row of `table` at a place that is named when it is executed."""
    return (
        col(table.partner) == bindparam("a"),
        col(table.log) == bindparam("b"),
        col(table.seq) == bindparam("c"),
    )


def _place(
    table: type[ForeignIdentifierRow | ForeignReportRow], report: ForeignReportRow
) -> tuple[ColumnElement[bool], ...]:
    return (
        col(table.partner) == report.partner,
        col(table.log) == report.log,
        col(table.seq) == report.seq,
    )
