"""Rows of receipts."""

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, func, select, update

from schemas.tables import ReceiptRow, ReportRow


class Receipts:
    """Queries over receipts. Only HMACs of them are here."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def add(self, digest: bytes, report: str, body: bytes) -> bool:
        """Keep the receipt of a new report; tell whether it was new (the database decides)."""
        try:
            with self._session.begin_nested():
                self._session.add(ReceiptRow(digest=digest, report=report, body=body))
        except IntegrityError:
            return False
        return True

    def find(self, digest: bytes) -> ReceiptRow | None:
        """Return the receipt, by its digest, as it is now."""
        return self._session.get(ReceiptRow, digest, populate_existing=True)

    def status(self, digest: bytes) -> str | None:
        """Return where the report of a receipt stands, None for no receipt; one query for all."""
        query = (
            select(func.coalesce(ReceiptRow.status, ReportRow.status))
            .join(ReportRow, col(ReportRow.id) == col(ReceiptRow.report), isouter=True)
            .where(ReceiptRow.digest == digest)
        )
        return self._session.exec(query).first()

    def is_closed(self, digest: bytes, status: str) -> bool:
        """Tell whether `status` is the final one of the receipt's report."""
        row = self.find(digest)
        return row is not None and row.status == status

    def close(self, report: str, status: str, forget_after: str, *, linked: bool) -> None:
        """Keep but the final `status` of `report`, until the day `forget_after`.

        `linked` keeps the report's id, for a record that can still be withdrawn.
        """
        values = {"status": status, "body": None, "forget_after": forget_after}
        if not linked:
            values["report"] = None
        change = update(ReceiptRow).where(col(ReceiptRow.report) == report)
        self._session.exec(change.values(**values))

    def forget(self, today: str) -> int:
        """Delete the receipts whose time is over; return how many."""
        old = delete(ReceiptRow).where(col(ReceiptRow.forget_after) < today)
        return self._session.exec(old).rowcount
