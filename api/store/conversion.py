"""Rows of tokens on their way into the next epoch (PROTOCOL.md §9)."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, delete, exists, func, select, text, union, update

from api.store.bulk import insert_all
from schemas.partner_tables import ForeignIdentifierRow
from schemas.tables import (
    ConvertedRow,
    IdentifierRow,
    ReportRow,
)

Table: TypeAlias = type[IdentifierRow] | type[ForeignIdentifierRow]
TABLES: tuple[Table, ...] = (IdentifierRow, ForeignIdentifierRow)
"""All that hold tokens."""
CACHE_KIB = 512 * 1024
"""What SQLite may use of memory for the change of a million tokens."""
LOCKED = "report, identifier, foreign_report, foreign_identifier"
"""Parents before children, as everybody else reaches them."""


COLUMNS = ("word", "token", "epoch", "next_word", "next_token")

Converted: TypeAlias = tuple[int, bytes, int, int, bytes]
"""A word and a token, the next epoch, and what they become in it."""


class Conversion:
    """Queries over what stored tokens become in the next epoch."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def total(self) -> int:
        """Return how many distinct tokens are stored."""
        distinct = union(*(select(table.token) for table in TABLES)).subquery()
        return self._session.exec(select(func.count()).select_from(distinct)).one()

    def done(self) -> int:
        """Return how many are converted."""
        return self._session.exec(select(func.count()).select_from(ConvertedRow)).one()

    def sample(self) -> ConvertedRow | None:
        """Return one that is converted."""
        return self._session.exec(select(ConvertedRow).limit(1)).first()

    def missing(self, table: Table, after: int, limit: int) -> dict[bytes, int]:
        """Return tokens of a table that are not converted, with their words, in that order.

        Only those of words above `after`, and about `limit`: all of each word, since two tokens
        can have one.
        """
        query = select(table.token, table.word).where(~exists().where(_is_of(table)))
        page = query.where(col(table.word) > after).order_by(col(table.word)).limit(limit)
        found = dict(self._session.exec(page).all())
        if found:
            last = max(found.values())
            found |= dict(self._session.exec(query.where(col(table.word) == last).distinct()).all())
        return found

    def add(self, rows: Sequence[Converted]) -> None:
        """Keep what tokens become; raise IntegrityError for one that is converted already."""
        insert_all(self._session, ConvertedRow, COLUMNS, rows)

    def clear(self) -> None:
        """Forget what tokens become."""
        self._session.exec(delete(ConvertedRow))

    def lock(self) -> None:
        """Let nobody else write reports or tokens until the transaction ends."""
        connection = self._session.connection()
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"LOCK TABLE {LOCKED} IN EXCLUSIVE MODE"))
        else:
            # One writer there is anyway, but its pages should not go to the disk one by one.
            connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KIB}")

    def swap(self) -> None:
        """Exchange every token for what it becomes."""
        for table in TABLES:
            change = update(table).where(_is_of(table))
            values = change.values(token=ConvertedRow.next_token, word=ConvertedRow.next_word)
            self._session.exec(values)
        connection = self._session.connection()
        if connection.dialect.name == "postgresql":
            # Before it has looked itself, it may read all tokens for each report to seal the list.
            connection.execute(text(f"ANALYZE {LOCKED}"))

    def half_approved(self) -> Iterable[ReportRow]:
        """Return the reports that some have signed, and not enough."""
        query = select(ReportRow).where(
            ReportRow.status == "in_review", col(ReportRow.envelope).is_not(None)
        )
        return list(self._session.exec(query.order_by(col(ReportRow.seq))))


def _is_of(table: Table) -> ColumnElement[bool]:
    """Join a token to what it becomes."""
    return and_(
        col(ConvertedRow.word) == col(table.word), col(ConvertedRow.token) == col(table.token)
    )
