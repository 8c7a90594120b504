"""Many rows at once, by the drivers' fastest ways.

What SQLAlchemy does to each row costs more than the row.
"""

from collections.abc import Sequence
from functools import cache
from typing import cast

from sqlalchemy import Table, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel


def insert_all(
    session: Session,
    table: type[SQLModel],
    names: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Insert rows whose values are those of the columns `names`, in this order.

    Raises IntegrityError and DBAPIError, as a statement of SQLAlchemy does.
    """
    connection, columns = session.connection(), ", ".join(names)
    if connection.dialect.name != "postgresql":
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.__tablename__} ({columns}) VALUES ({marks})"  # noqa: S608  (our own names)
        connection.exec_driver_sql(statement, list(rows))
        return
    into = f"COPY {table.__tablename__} ({columns}) FROM STDIN (FORMAT BINARY)"
    any_fault = connection.dialect.loaded_dbapi.Error
    try:
        with connection.connection.cursor().copy(into) as copy:
            copy.set_types(_types(table, names))
            for row in rows:
                copy.write_row(row)
    except any_fault as fault:
        raise DBAPIError.instance(into, None, fault, any_fault, hide_parameters=True) from fault


@cache
def _types(table: type[SQLModel], names: tuple[str, ...]) -> list[str]:
    """Return what PostgreSQL calls the types of a table's columns: in binary it converts none."""
    columns = cast(Table, inspect(table).local_table).columns
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = [columns[name].type.compile(dialect) for name in names]
    return [one.partition("(")[0].lower() for one in types]
