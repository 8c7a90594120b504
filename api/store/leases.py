"""Leases: of several processes, one does a thing."""

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, update

from schemas.tables import LeaseRow


class Leases:
    """Rows that name a holder and an end."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def take(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or renew the lease `name`; tell whether `holder` has it until `until`."""
        free = (col(LeaseRow.holder) == holder) | (col(LeaseRow.until) <= now)
        change = update(LeaseRow).where(col(LeaseRow.name) == name, free)
        if self._session.exec(change.values(holder=holder, until=until)).rowcount:
            return True
        if self._session.get(LeaseRow, name) is not None:
            return False
        try:
            with self._session.begin_nested():
                self._session.add(LeaseRow(name=name, holder=holder, until=until))
        except IntegrityError:
            return False
        return True

    def release(self, name: str, holder: str) -> None:
        """Give the lease back, if `holder` has it."""
        mine = (col(LeaseRow.name) == name, col(LeaseRow.holder) == holder)
        self._session.exec(delete(LeaseRow).where(*mine))
