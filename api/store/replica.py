"""A streaming replica of a PostgreSQL, and up to which moment it surely shows everything."""

import time
from collections import deque

from sqlalchemy import Engine, TextClause, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

WRITTEN = text("SELECT CAST(pg_current_wal_lsn() - '0/0' AS bigint)")
REPLAYED = text("SELECT CAST(pg_last_wal_replay_lsn() - '0/0' AS bigint) WHERE pg_is_in_recovery()")
REMEMBERED = 120
PATIENCE = {"connect_timeout": 3, "tcp_user_timeout": 3_000}
"""Seconds, and milliseconds: one that hangs must not hold up who could ask the database itself."""


class Replica:
    """Compares positions in the database's log, not clocks, nor the age of what was replayed.

    The database is asked again and again how far it has written. When the replica has come to such
    a position, it shows all that there was when we asked for it; also where nothing is written.
    So it is with `synchronous_commit` as it is by default: what is seen has been written.
    """

    def __init__(self, primary: Engine, url: str) -> None:
        """Look at the replica at `url` of the database `primary`; `look` begins."""
        self.engine = create_engine(
            url, hide_parameters=True, pool_pre_ping=True, connect_args=PATIENCE
        ).execution_options(isolation_level="REPEATABLE READ")
        self._primary = primary
        self._asked: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        self._shown: float | None = None

    @property
    def behind(self) -> float | None:
        """How many seconds ago the replica surely lacked nothing; None where we do not know."""
        shown = self._shown
        return None if shown is None else time.monotonic() - shown

    def shows(self, seconds: float) -> bool:
        """Tell whether it shows at least what the database had `seconds` ago."""
        behind = self.behind
        return behind is not None and behind <= seconds

    def look(self) -> None:
        """Find out how far both are; for one thread, every second. Fails quietly."""
        began = time.monotonic()
        written = _position(self._primary, WRITTEN)
        if written is not None:
            self._asked.append((began, written))
        replayed = _position(self.engine, REPLAYED)
        if replayed is None:
            return
        reached = [moment for moment, position in self._asked if position <= replayed]
        if reached:
            self._shown = max(reached)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _position(engine: Engine, question: TextClause) -> int | None:
    try:
        with engine.connect() as connection:
            found = connection.execute(question).scalar()
    except (DBAPIError, PoolTimeoutError):
        return None
    return None if found is None else int(found)
