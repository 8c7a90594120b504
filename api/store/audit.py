"""The trail of state changes."""

from sqlmodel import Session, col, select

from schemas.tables import AuditRow


class Audit:
    """Appends to the trail and reads it; nothing here changes or deletes."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def add(self, row: AuditRow) -> None:
        """Note one change."""
        self._session.add(row)

    def of(self, subject: str) -> list[AuditRow]:
        """Return the changes of `subject`, oldest first."""
        query = select(AuditRow).where(AuditRow.subject == subject).order_by(col(AuditRow.seq))
        return list(self._session.exec(query))
