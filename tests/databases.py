"""Databases of a PostgreSQL for one test after another.

Making one takes a quarter of a second, emptying one a few milliseconds; and what a test has changed
in its database beside rows shows, and ends that database.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

STRUCTURE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
  SELECT concat_ws(' ', relname, relkind, attname, atttypid, attnotnull) AS line
    FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
   WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', conname, pg_get_constraintdef(oid)) FROM pg_constraint
   WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
  UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()"""
Connection = psycopg.Connection[tuple[object]]
NUMBER_ANEW = """
SELECT setval(format('%I', sequencename)::regclass, start_value, false)
  FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"""


class Databases:
    """Databases that are as the one named `template` is, which nobody changes any more."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._numbers = itertools.count()
        self._ready: list[str] = []
        with self._connected(template) as model:
            self._filled = [one for one in _tables(model) if _rows(model, one)]
            self._as_new = self._state(model)

    def make(self) -> str:
        """Make a database; return its URL."""
        return f"{self._server}/{self._made()}"

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Give the URL of a migrated, empty database for the block."""
        name = self._ready.pop() if self._ready else self._made()
        yield f"{self._server}/{name}"
        if self._emptied(name):
            self._ready.append(name)
        else:
            self._command("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _made(self) -> str:
        name = f"test{next(self._numbers)}"
        self._command("CREATE DATABASE {} TEMPLATE {}", name, self._template)
        return name

    def _emptied(self, name: str) -> bool:
        """Take away what a test has left; tell whether the database is as new."""
        try:
            with self._connected(name) as database:
                database.execute(OTHERS)
                if self._state(database) != self._as_new:
                    return False
                with database.transaction():
                    database.execute("SET LOCAL session_replication_role = replica")
                    for table in _tables(database):
                        if table not in self._filled:
                            database.execute(
                                sql.SQL("DELETE FROM {}").format(sql.Identifier(table))
                            )
                    database.execute(NUMBER_ANEW)
        except psycopg.Error:
            return False
        return True

    def _state(self, database: Connection) -> list[object]:
        """What must be as in the template: the structure, and the rows that migrations wrote."""
        structure = database.execute(STRUCTURE).fetchone()
        return [structure, *(_rows(database, table) for table in self._filled)]

    def _connected(self, name: str) -> Connection:
        address = self._server.replace("postgresql+psycopg:", "postgresql:")
        return psycopg.connect(f"{address}/{name}", autocommit=True)

    def _command(self, command: str, *names: str) -> None:
        with self._connected("postgres") as connection:
            connection.execute(sql.SQL(command).format(*map(sql.Identifier, names)))


def _tables(database: Connection) -> list[str]:
    return [str(name) for (name,) in database.execute(TABLES)]


def _rows(database: Connection, table: str) -> Sequence[object]:
    return database.execute(sql.SQL("TABLE {}").format(sql.Identifier(table))).fetchall()
