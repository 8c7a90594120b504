"""The pool of database connections, and transactions over it."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session, create_engine

from api.errors import Conflict, Refusal, Unavailable
from api.store.replica import Replica
from api.store.transaction import Transaction

T = TypeVar("T")

PROMPT_SECONDS, OLDEST_SECONDS = 1, 60
"""How old what a replica shows may be, and while the database does not answer."""

BUSY = "busy_timeout = 10000"
PRAGMAS = (
    BUSY,  # first: the next ones may have to wait for another process
    "foreign_keys = ON",
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",  # what is deleted must not stay readable in the file
    "cache_size = -16384",  # 16 MiB: a follower looks up hashes all over the place
    "wal_autocheckpoint = 4000",
)


def open_engine(url: str) -> Engine:
    """Open a pool on `url` whose errors hide the values sent, and whose SQLite is strict."""
    if url.startswith("sqlite"):
        engine = create_engine(url, hide_parameters=True)
        _make_private(engine.url.database)
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
        return engine
    return create_engine(url, hide_parameters=True, pool_pre_ping=True)


def _make_private(file: str | None) -> None:
    """Create the file `file` before SQLite does, which would let everybody read it."""
    if file and file != ":memory:":
        # What stands in the way is SQLite's to say, when it is first asked.
        with suppress(OSError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver's own notion of when a transaction begins is switched off: see _begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that will write takes SQLite's write lock at once: waiting for it later,
    # after reading, would be refused without waiting.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


class Store:
    """Transactions over one database. Its faults are `Unavailable`, never an empty answer."""

    def __init__(self, engine: Engine, replica: Replica | None = None) -> None:
        """Work over `engine`, whose connections this store may close for good, and its replica."""
        self._engine = engine
        self._replica = replica
        self._reader = engine.execution_options(reading=True)
        if engine.dialect.name == "postgresql":
            # What is read in several steps must be of one moment; SQLite reads so anyway.
            self._reader = self._reader.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Do all of the block's changes, or none; commit at its end."""
        # What was read stays readable after the commit: a service may answer from it.
        session = Session(self._engine, expire_on_commit=False)
        with faults_named(), session, session.begin():
            yield Transaction(session)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Only read; nothing waits for this."""
        with faults_named(), Session(self._reader) as session:
            yield Transaction(session)

    def glance(self, reading: Callable[[Transaction], T]) -> T:
        """Return what `reading` finds, perhaps in the replica: then it may be a second old.

        A replica is believed where something is there, not where it is not: if `reading` refuses,
        the database is asked. Only while that does not answer may it be older, up to a minute.
        """
        replica = self._replica
        if replica and replica.shows(PROMPT_SECONDS):
            with suppress(Refusal):
                return self._of_copy(replica, reading)
        try:
            with self.read() as tx:
                return reading(tx)
        except Unavailable:
            if not replica or not replica.shows(OLDEST_SECONDS):
                raise
        try:
            return self._of_copy(replica, reading)
        except Refusal:
            raise Unavailable from None

    def _of_copy(self, replica: Replica, reading: Callable[[Transaction], T]) -> T:
        with faults_named(), Session(replica.engine) as session:
            return reading(Transaction(session, copied=True))

    def tidy(self) -> None:
        """Empty SQLite's write-ahead log, where what was deleted could still be read.

        Whoever reads just now keeps it from happening: then it is for the next time.
        """
        if self._engine.dialect.name != "sqlite":
            return
        with faults_named(), self._engine.connect() as connection:
            cursor = connection.connection.cursor()
            try:
                # Not to hold up writers for long; PRAGMA has no effect inside a transaction.
                cursor.execute("PRAGMA busy_timeout = 100")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.fetchall()
            finally:
                cursor.execute(f"PRAGMA {BUSY}")
                cursor.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
        if self._replica:
            self._replica.close()


@contextmanager
def faults_named() -> Iterator[None]:
    """Turn the database's faults into refusals that say nothing of what was sent."""
    try:
        yield
    except IntegrityError as race:
        # Whoever came first did the same thing; what it was about is in no message.
        raise Conflict from race
    except (DBAPIError, PoolTimeoutError, sqlite3.Error) as fault:
        raise Unavailable from fault
