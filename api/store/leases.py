"""Leases: of several processes, one does a thing."""

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete

from schemas.tables import LeaseRow


class Leases:
    """Rows that name a holder and an end."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def take(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or renew the lease `name`; tell whether `holder` has it for some time from `now`.

        The row stays locked until the transaction ends, so two holders never work at once. It is
        written only when half its time is over: an idle instance writes next to nothing.
        """
        row = self._session.get(LeaseRow, name, with_for_update=True, populate_existing=True)
        if row is None:
            return self._first(LeaseRow(name=name, holder=holder, until=until))
        # One that ends later than a lease can was taken by a clock that ran ahead.
        if row.holder != holder and now < row.until <= 2 * until - now:
            return False
        if row.holder != holder or 2 * (row.until - now) < until - now:
            row.holder, row.until = holder, until
            self._session.flush()
        return True

    def until(self, name: str) -> int | None:
        """Return when the lease ends, unless it is renewed; None where nobody has it."""
        row = self._session.get(LeaseRow, name)
        return None if row is None else row.until

    def _first(self, row: LeaseRow) -> bool:
        try:
            with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return False
        return True

    def release(self, name: str, holder: str) -> None:
        """Give the lease back, if `holder` has it."""
        mine = (col(LeaseRow.name) == name, col(LeaseRow.holder) == holder)
        self._session.exec(delete(LeaseRow).where(*mine))
