"""Runs migrations against the database of the settings, or the one that the caller names."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection
from sqlmodel import AutoString

import schemas.partner_tables  # noqa: F401  (its tables are meant, too)
from api.settings import Settings
from api.store.engine import open_engine
from schemas.tables import Table

LOCK = 0x70617261736F6C
"""Names our lock among those that others may take in the same PostgreSQL."""


def plain_type(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write SQLAlchemy's own types into migrations, which must outlive the code."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def run() -> None:
    """Upgrade or downgrade, or print the SQL when called with --sql."""
    url = context.config.attributes.get("url") or Settings().url
    options: dict[str, Any] = {
        "target_metadata": Table.metadata,
        "render_as_batch": True,
        "render_item": plain_type,
    }
    if context.is_offline_mode():
        context.configure(url=url, literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            keep_rows(connection)
            # All or nothing, on SQLite too, where Alembic alone would do every step by itself.
            with connection.begin():
                one_at_a_time(connection)
                context.configure(connection=connection, **options)
                context.run_migrations()
                check_references(connection)
    finally:
        engine.dispose()


def keep_rows(connection: Connection) -> None:
    """Let SQLite exchange a table for its next form without deleting what refers to it."""
    if connection.dialect.name == "sqlite":
        # At the driver, as this is without effect inside a transaction; see check_references.
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF").close()


def one_at_a_time(connection: Connection) -> None:
    """Wait for whoever migrates this database already; on SQLite, `BEGIN IMMEDIATE` does."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def check_references(connection: Connection) -> None:
    """Refuse to commit what leaves a row pointing nowhere."""
    if connection.dialect.name != "sqlite":
        return
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise RuntimeError("a migration left rows that refer to nothing")


run()
