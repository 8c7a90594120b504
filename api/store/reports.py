"""Rows of reports and their tokens, and what is recorded instead of a report."""

from collections.abc import Iterable, Sequence

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, func, select, tuple_, update

from schemas.tables import (
    ConvertedRow,
    IdentifierRow,
    RecordedRow,
    ReportRow,
    UnsealedRow,
)


class Reports:
    """Queries over reports, in the caller's transaction."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def add(self, report: ReportRow, identifiers: Iterable[IdentifierRow]) -> None:
        """Store a report and its tokens, whose `report` is filled in here."""
        self._session.add(report)
        self._session.flush()
        assert report.seq is not None
        for row in identifiers:
            row.report = report.seq
            self._session.add(row)
        self._session.flush()

    def find(self, report_id: str) -> ReportRow | None:
        """Return a report, locked until the transaction ends."""
        query = select(ReportRow).where(ReportRow.id == report_id).with_for_update()
        return self._session.exec(query.execution_options(populate_existing=True)).first()

    def of_entry(self, entry: bytes) -> ReportRow | None:
        """Return the report that was signed as `entry`, locked until the transaction ends."""
        query = select(ReportRow).where(ReportRow.entry == entry).with_for_update()
        return self._session.exec(query.execution_options(populate_existing=True)).first()

    def locked(self, report_ids: Sequence[str]) -> list[ReportRow]:
        """Return reports, those of them that are there, danger first; locked as by `lock`."""
        self.lock(report_ids)
        query = select(ReportRow).where(col(ReportRow.id).in_(report_ids))
        query = query.order_by(col(ReportRow.rank), col(ReportRow.seq))
        return list(self._session.exec(query.execution_options(populate_existing=True)))

    def lock(self, report_ids: Iterable[str]) -> None:
        """Lock several reports in one order for all, so that no two callers wait for each other."""
        query = select(ReportRow.seq).where(col(ReportRow.id).in_(list(report_ids)))
        self._session.exec(query.order_by(col(ReportRow.seq)).with_for_update()).all()

    def identifiers(self, report: ReportRow) -> list[IdentifierRow]:
        """Return the tokens of `report` in their order."""
        query = select(IdentifierRow).where(IdentifierRow.report == report.seq)
        return list(self._session.exec(query.order_by(col(IdentifierRow.position))))

    def queue(
        self, collective: str, statuses: Sequence[str] | None, token: bytes | None,
        after: tuple[int, int] | None, limit: int,
    ) -> list[ReportRow]:  # fmt: skip
        """Return a page of `collective`'s reports: danger first, oldest first.

        `after` is the (rank, seq) of the last row of the page before.
        """
        query = select(ReportRow).where(ReportRow.collective == collective)
        if statuses is not None:
            query = query.where(col(ReportRow.status).in_(statuses))
        if token is not None:
            holding = select(IdentifierRow.report).where(IdentifierRow.token == token)
            query = query.where(col(ReportRow.seq).in_(holding))
        if after is not None:
            query = query.where(tuple_(col(ReportRow.rank), col(ReportRow.seq)) > after)
        query = query.order_by(col(ReportRow.rank), col(ReportRow.seq)).limit(limit)
        return list(self._session.exec(query))

    def same_reporter(self, report: ReportRow) -> list[ReportRow]:
        """Return the other reports of the collective that share a reporter tag, oldest first."""
        tags = select(IdentifierRow.tag).where(IdentifierRow.report == report.seq)
        query = (
            select(ReportRow)
            .join(IdentifierRow, col(IdentifierRow.report) == col(ReportRow.seq))
            .where(
                col(IdentifierRow.tag).in_(tags),
                ReportRow.seq != report.seq,
                ReportRow.collective == report.collective,
            )
            .order_by(col(ReportRow.seq))
            .distinct()
        )
        return list(self._session.exec(query))

    def share_token(self, one: ReportRow, other: ReportRow) -> bool:
        """Tell whether two reports hold a token in common."""
        tokens = select(IdentifierRow.token).where(IdentifierRow.report == one.seq)
        query = select(IdentifierRow.position).where(
            IdentifierRow.report == other.seq, col(IdentifierRow.token).in_(tokens)
        )
        return self._session.exec(query).first() is not None

    def change(self, report: ReportRow, statuses: Sequence[str], **values: object) -> bool:
        """Set `values`, if the report's status is still one of `statuses`.

        Of several callers at once the database lets one through: a change of `envelope` or
        `retraction` holds only where the column is still as `report` has it.
        """
        chosen = [col(ReportRow.seq) == report.seq, col(ReportRow.status).in_(statuses)]
        for name in ("envelope", "retraction"):
            if name in values:
                column = col(getattr(ReportRow, name))
                before = getattr(report, name)
                chosen.append(column.is_(None) if before is None else column == before)
        change = update(ReportRow).where(*chosen).values(**values)
        return self._session.exec(change).rowcount == 1

    def has_entry(self, entry: bytes, but: ReportRow) -> bool:
        """Tell whether another report than `but` is already signed as `entry`."""
        query = select(ReportRow.seq).where(ReportRow.entry == entry, ReportRow.seq != but.seq)
        return self._session.exec(query).first() is not None

    def set_live(self, report: ReportRow, *, live: bool) -> bool:
        """Let the tokens of `report` be live or not; False where a tag already has a live one."""
        change = update(IdentifierRow).where(col(IdentifierRow.report) == report.seq)
        try:
            with self._session.begin_nested():
                self._session.exec(change.values(live=live))
        except IntegrityError:
            return False
        return True

    def unseal(self, report: ReportRow) -> None:
        """Note that what the buckets hold of this report's tokens is no longer true."""
        for row in self.identifiers(report):
            self._session.add(UnsealedRow(word=row.word))
        self._session.flush()

    def end(self, report: ReportRow) -> None:
        """Delete a report with its tokens, tags and sealed part."""
        rows = self.identifiers(report)
        # Another report may hold one of them too: then it is only converted once more.
        words, tokens = [row.word for row in rows], [row.token for row in rows]
        same = (col(ConvertedRow.word).in_(words), col(ConvertedRow.token).in_(tokens))
        self._session.exec(delete(ConvertedRow).where(*same))
        self._session.exec(delete(IdentifierRow).where(col(IdentifierRow.report) == report.seq))
        self._session.exec(delete(ReportRow).where(col(ReportRow.seq) == report.seq))

    def due(self, now: int) -> list[ReportRow]:
        """Return the approved reports whose time to be published has come."""
        query = select(ReportRow).where(
            ReportRow.status == "approved", col(ReportRow.publish_at) <= now
        )
        return list(self._session.exec(query.order_by(col(ReportRow.rank), col(ReportRow.seq))))

    def published(self, collective: str) -> list[ReportRow]:
        """Return the published reports of `collective`, locked until the transaction ends.

        Those that may be about to be published are locked too, and waited for.
        """
        query = select(ReportRow).where(
            ReportRow.collective == collective,
            col(ReportRow.status).in_(("in_review", "approved", "published")),
        )
        rows = self._session.exec(query.order_by(col(ReportRow.seq)).with_for_update())
        return [row for row in rows if row.status == "published"]

    def all_published(self) -> list[ReportRow]:
        """Return every published report, in the order in which they were filed."""
        query = select(ReportRow).where(ReportRow.status == "published")
        return list(self._session.exec(query.order_by(col(ReportRow.seq))))

    def expired(self, today: str) -> list[ReportRow]:
        """Return the reports whose last day is over, whatever their status."""
        query = select(ReportRow).where(col(ReportRow.expires) < today)
        # In the order of the index: asked for that of `seq`, SQLite would read every report.
        return list(self._session.exec(query.order_by(col(ReportRow.expires), col(ReportRow.seq))))

    def record(self, row: RecordedRow) -> None:
        """Keep what a report leaves that may not warn."""
        self._session.add(row)

    def unrecord(self, report_id: str) -> bool:
        """Delete the record of a report; tell whether there was one."""
        one = delete(RecordedRow).where(col(RecordedRow.id) == report_id)
        return self._session.exec(one).rowcount == 1

    def forget_recorded(self, today: str) -> int:
        """Delete the records whose last day is over; return how many."""
        old = delete(RecordedRow).where(col(RecordedRow.expires) < today)
        return self._session.exec(old).rowcount

    def ages(self) -> list[tuple[str, str, int, int]]:
        """Return status, severity, number and oldest submission (Unix seconds) of each group."""
        query = select(
            ReportRow.status, ReportRow.severity, func.count(), func.min(ReportRow.submitted_at)
        ).group_by(ReportRow.status, ReportRow.severity)
        return [
            (status, severity, n, first) for status, severity, n, first in self._session.exec(query)
        ]
