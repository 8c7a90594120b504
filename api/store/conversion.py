"""Rows of tokens on their way into the next epoch (PROTOCOL.md §9)."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias, cast

from sqlalchemy import BigInteger, ColumnElement, inspect, literal
from sqlalchemy import Table as SQLTable
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
REPORTS, TOKENS = "report, foreign_report", "identifier, foreign_identifier"
"""In the order in which everybody else reaches them."""


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
        """Return tokens of a table that are not converted, with their words.

        They are of words above `after`, the lowest there are: about `limit`, and all of each word,
        since two tokens can have one.
        """
        query = select(table.token, table.word).where(~exists().where(_is_of(table)))
        word = col(table.word)
        # Between two words, both known: else PostgreSQL may go through all of a table for a page.
        while (last := self._last_of_page(table, after, limit)) is not None:
            page = query.where(word > _written(after), word <= _written(last))
            if found := dict(self._session.exec(page).all()):
                return found
            after = last
        return {}

    def _last_of_page(self, table: Table, after: int, limit: int) -> int | None:
        word = col(table.word)
        page = select(word).where(word > _written(after)).order_by(word).limit(limit).subquery()
        last: int | None = self._session.exec(select(func.max(page.c.word))).one()
        return last

    def add(self, rows: Sequence[Converted]) -> None:
        """Keep what tokens become; raise IntegrityError for one that is converted already."""
        insert_all(self._session, ConvertedRow, COLUMNS, rows)

    def clear(self) -> None:
        """Forget what tokens become."""
        self._session.exec(delete(ConvertedRow))

    def lock(self) -> None:
        """Let nobody else write reports or tokens, nor read tokens, until the transaction ends."""
        connection = self._session.connection()
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"LOCK TABLE {REPORTS} IN EXCLUSIVE MODE"))
            connection.execute(text(f"LOCK TABLE {TOKENS} IN ACCESS EXCLUSIVE MODE"))
        else:
            # One writer there is anyway, but its pages should not go to the disk one by one.
            connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KIB}")

    def swap(self) -> None:
        """Exchange every token for what it becomes."""
        connection = self._session.connection()
        # Built anew they take a fraction of what a million changes, each somewhere else, would.
        indexes = [
            one for table in TABLES for one in cast(SQLTable, inspect(table).local_table).indexes
        ]
        for index in indexes:
            index.drop(connection)
        for table in TABLES:
            change = update(table).where(_is_of(table))
            values = change.values(token=ConvertedRow.next_token, word=ConvertedRow.next_word)
            self._session.exec(values)
        for index in indexes:
            index.create(connection)
        if connection.dialect.name == "postgresql":
            # Before it has looked itself, it may read all tokens for each report to seal the list.
            connection.execute(text(f"ANALYZE {REPORTS}, {TOKENS}"))

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


def _written(word: int) -> ColumnElement[int]:
    """Return a word as a statement's own, by which it is planned."""
    return literal(word, BigInteger, literal_execute=True)
