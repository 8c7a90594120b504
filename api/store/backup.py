"""Every row as text, the same for SQLite and PostgreSQL."""

import base64
import json
from collections.abc import Iterable, Iterator

from sqlalchemy import LargeBinary, Table, insert, or_, select, text
from sqlmodel import Session

import schemas.partner_tables  # noqa: F401  (its tables are meant, too)
from schemas.tables import Table as Tables

MADE_ANEW = frozenset({"bucket", "converted", "layout", "lease", "nonce", "unsealed"})
"""What the running instance makes by itself from the rest, or needs for minutes only."""
AT_ONCE = 500
"""Rows held in memory; PostgreSQL's driver would else hold the whole table."""


class Backup:
    """Writes and reads all tables but those that are made anew."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def lines(self) -> Iterator[str]:
        """Yield every row as a line of JSON, parents before children."""
        for table in _tables():
            query = select(table).order_by(*table.primary_key.columns)
            rows = self._session.execute(query, execution_options={"yield_per": AT_ONCE})
            for row in rows.mappings():
                members = {name: _written(value) for name, value in row.items()}
                yield json.dumps({"table": table.name, "row": members}, sort_keys=True)

    def is_empty(self) -> bool:
        """Tell whether there is nothing yet that a restored row could meet."""
        filled = or_(*(select(table).exists() for table in _tables()))
        return not self._session.execute(select(filled)).scalar_one()

    def load(self, lines: Iterable[str]) -> int:
        """Insert the rows of `lines` into empty tables; return how many."""
        tables = {table.name: table for table in _tables()}
        loaded = 0
        for line in lines:
            record = json.loads(line)
            table = tables[record["table"]]
            self._session.execute(insert(table).values(_read(table, record["row"])))
            loaded += 1
        self._go_on_counting(tables.values())
        return loaded

    def _go_on_counting(self, tables: Iterable[Table]) -> None:
        # PostgreSQL's counters know nothing of numbers that were inserted by hand.
        if self._session.connection().dialect.name != "postgresql":
            return
        for table in tables:
            counted = table.autoincrement_column
            if counted is not None:
                self._session.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{counted.name}'), "  # noqa: S608  (our own names)
                        f"(SELECT coalesce(max({counted.name}), 0) + 1 FROM {table.name}), false)"
                    )
                )


def _tables() -> list[Table]:
    return [one for one in Tables.metadata.sorted_tables if one.name not in MADE_ANEW]


def _written(value: object) -> object:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _read(table: Table, row: dict[str, object]) -> dict[str, object]:
    return {
        name: base64.b64decode(value)
        if isinstance(value, str) and isinstance(table.columns[name].type, LargeBinary)
        else value
        for name, value in row.items()
    }
