"""Rows of our own logs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import insert
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, col, delete, func, select, update

from schemas.tables import EntryRow, LogRow


class NewEntry(NamedTuple):
    """An `EntryRow` to be."""

    log: int
    seq: int
    leaf: bytes
    envelope: str | None
    report: str | None
    expires: str | None
    root: bytes
    issued: int
    signature: bytes = b""


class Log:
    """Queries over our logs and their entries."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def current(self, *, lock: bool = False) -> LogRow | None:
        """Return the log in use; with `lock`, nobody else appends until the transaction ends."""
        query = select(LogRow).order_by(col(LogRow.number).desc()).limit(1)
        if lock:
            query = query.with_for_update()
        return self._session.exec(query.execution_options(populate_existing=True)).first()

    def begin(self, number: int) -> LogRow:
        """Begin the log `number`; raise IntegrityError where somebody else just did."""
        row = LogRow(number=number, size=0, frontier=b"", state="open")
        self._session.add(row)
        self._session.flush()
        return row

    def append(self, log: LogRow, entries: Iterable[NewEntry], frontier: bytes, size: int) -> None:
        """Keep the next entries of a locked log, and its new frontier and size.

        Written past the session, which would take longer for an entry than all else: meanwhile
        others wait for the lock.
        """
        self._session.flush()
        connection = self._session.connection()
        if rows := [entry._asdict() for entry in entries]:
            connection.execute(insert(EntryRow), rows)
        values = {"frontier": frontier, "size": size}
        mine = col(LogRow.number) == log.number
        connection.execute(update(LogRow).where(mine).values(values))
        for name, value in values.items():
            set_committed_value(log, name, value)

    def set_state(self, log: LogRow, state: str) -> None:
        """Open, suspect or close a locked log."""
        log.state = state
        self._session.flush()

    def suspect(self) -> None:
        """Let nothing be signed until partners have said what they saw: this is a restored copy."""
        mine = col(LogRow.state) == "open"
        self._session.exec(update(LogRow).where(mine).values(state="unverified"))

    def entry(self, log: int, seq: int) -> EntryRow | None:
        """Return one entry."""
        return self._session.get(EntryRow, (log, seq), populate_existing=True)

    def entries(self, log: int, first: int, limit: int) -> list[EntryRow]:
        """Return entries from the sequence number `first` on, in order."""
        query = select(EntryRow).where(EntryRow.log == log, col(EntryRow.seq) >= first)
        return list(self._session.exec(query.order_by(col(EntryRow.seq)).limit(limit)))

    def renew(self, head: EntryRow, issued: int, signature: bytes) -> None:
        """Exchange the signature of the newest checkpoint for one of `issued` (Unix seconds)."""
        head.issued, head.signature = issued, signature
        self._session.flush()

    def known(self, log: int, leaves: Iterable[bytes]) -> set[bytes]:
        """Return those of `leaves` that are the ids of entries which were ever appended."""
        query = select(EntryRow.leaf).where(
            EntryRow.log == log, col(EntryRow.leaf).in_(list(leaves))
        )
        return set(self._session.exec(query))

    def of_report(self, log: int, report: str) -> list[EntryRow]:
        """Return the entries that published the report of that id and are not erased."""
        query = select(EntryRow).where(EntryRow.log == log, EntryRow.report == report)
        return list(self._session.exec(query.order_by(col(EntryRow.seq))))

    def expired(self, log: int, today: str, limit: int) -> list[EntryRow]:
        """Return reports whose last day is over and that are not erased."""
        query = select(EntryRow).where(EntryRow.log == log, col(EntryRow.expires) < today)
        return list(self._session.exec(query.order_by(col(EntryRow.seq)).limit(limit)))

    def elide(self, entries: Sequence[EntryRow]) -> None:
        """Delete what `entries` said; their leaf hashes stay."""
        for entry in entries:
            entry.envelope = entry.report = entry.expires = None
        self._session.flush()

    def elide_leaves(self, leaves: Sequence[bytes]) -> None:
        """Delete what the entries of these ids said."""
        rows = self._session.exec(select(EntryRow).where(col(EntryRow.leaf).in_(leaves)))
        self.elide(list(rows))

    def set_report(self, leaf: bytes, report: str, expires: str) -> None:
        """Say which report an entry publishes, and until when."""
        one = update(EntryRow).where(col(EntryRow.leaf) == leaf)
        self._session.exec(one.values(report=report, expires=expires))

    def lost(self, log: int) -> list[EntryRow]:
        """Return the entries of which only the leaf hash is here."""
        query = select(EntryRow).where(EntryRow.log == log, col(EntryRow.envelope).is_(None))
        return list(self._session.exec(query.order_by(col(EntryRow.seq))))

    def of_type(self, log: int, payload_type: str) -> list[str]:
        """Return the envelopes of one type of document, as JSON text."""
        said = f'%"payloadType":"{payload_type}"%'
        query = select(EntryRow.envelope).where(
            EntryRow.log == log, col(EntryRow.envelope).like(said)
        )
        return [text for text in self._session.exec(query) if text is not None]

    def elided(self, log: int) -> int:
        """Return how many entries are erased."""
        query = select(func.count()).where(EntryRow.log == log, col(EntryRow.envelope).is_(None))
        return self._session.exec(query).one()

    def forget(self, log: int) -> None:
        """Delete a former log: its place is taken by the one that succeeds it."""
        self._session.exec(delete(EntryRow).where(col(EntryRow.log) == log))
        self._session.exec(delete(LogRow).where(col(LogRow.number) == log))
