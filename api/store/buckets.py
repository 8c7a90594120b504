"""Rows of the sealed list: what changed since sealing, what is listed, what is served."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, CompoundSelect, bindparam
from sqlalchemy import select as columns  # which knows the types of more than four
from sqlmodel import Session, String, cast, col, delete, func, select, union_all, update

from api.store.counting import counts, its_partner, its_policy, its_report, published
from schemas.partner_tables import (
    ForeignIdentifierRow,
    ForeignReportRow,
    PartnerRow,
    PolicyRow,
)
from schemas.tables import (
    BucketRow,
    IdentifierRow,
    LayoutRow,
    ReportRow,
    UnsealedRow,
)

THE_LAYOUT = 1

Listed = tuple[int, bytes, str | None, str | None, str]
"""A word, its token, and of one report that counts severity, month, and its collective anywhere."""

_HOLDERS = (IdentifierRow, ForeignIdentifierRow)


def _listed() -> CompoundSelect[Any]:
    """Return the query of what is listed in `first` to `last` on `today`.

    Made once: to put it together takes longer than to ask it.
    """
    # Written out: PostgreSQL would soon plan for no places in particular, which is 20 times slower.
    lowest, highest = (
        bindparam(name, type_=BigInteger, literal_execute=True) for name in ("first", "last")
    )
    today = bindparam("today", type_=String)
    ours = (
        columns(
            col(IdentifierRow.word),
            col(IdentifierRow.token),
            col(ReportRow.published_severity),
            col(ReportRow.published_month),
            col(ReportRow.collective),
        )
        .join(ReportRow, col(ReportRow.seq) == col(IdentifierRow.report))
        .where(
            col(IdentifierRow.word).between(lowest, highest),
            published(),
            col(ReportRow.expires) >= today,
        )
    )
    theirs = (
        columns(
            col(ForeignIdentifierRow.word),
            col(ForeignIdentifierRow.token),
            col(ForeignReportRow.severity),
            col(ForeignReportRow.month),
            # No id of a collective has a slash: two instances may have the same one.
            cast(ForeignReportRow.partner, String) + "/" + col(ForeignReportRow.collective),
        )
        .join(ForeignReportRow, its_report())
        .join(PartnerRow, its_partner())
        .join(PolicyRow, its_policy(), isouter=True)
        .where(col(ForeignIdentifierRow.word).between(lowest, highest), counts(today))
    )
    # Grouped by who asks: the database would sort them twice.
    return union_all(ours, theirs)


_LISTED = _listed()


class Buckets:
    """Queries behind the sealed buckets."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def changed(self) -> list[UnsealedRow]:
        """Return the places that changed since they were sealed."""
        return list(self._session.exec(select(UnsealedRow).order_by(col(UnsealedRow.seq))))

    def settled(self, rows: Iterable[UnsealedRow]) -> None:
        """Forget the changes `rows`, which the buckets now hold."""
        seqs = [row.seq for row in rows]
        for start in range(0, len(seqs), 500):
            some = col(UnsealedRow.seq).in_(seqs[start : start + 500])
            self._session.exec(delete(UnsealedRow).where(some))

    def listed(self, first: int, last: int, today: str) -> Sequence[Listed]:
        """Return the reports behind each token whose word is in [`first`, `last`], in any order.

        A token is listed while a published report holds it whose `expires` is not before `today`,
        or a partner's that counts on that day.
        """
        places = {"first": first, "last": last, "today": today}
        rows: Sequence[Any] = self._session.connection().execute(_LISTED, places).all()
        return rows

    def tokens(self) -> int:
        """Return how many tokens are stored: as many are listed, or fewer."""
        queries = (select(func.count()).select_from(table) for table in _HOLDERS)
        return sum(self._session.exec(query).one() for query in queries)

    def layout(self) -> LayoutRow | None:
        """Return the layout in force, or None before the first sealing."""
        return self._session.get(LayoutRow, THE_LAYOUT)

    def lay_out(self, edition: str, epoch: int, bits: int, slots: int, generation: int) -> None:
        """Put a layout in force, without any bucket yet."""
        self._session.exec(delete(BucketRow))
        row = LayoutRow(
            id=THE_LAYOUT,
            edition=edition,
            epoch=epoch,
            bits=bits,
            slots=slots,
            generation=generation,
        )
        self._session.merge(row)
        self._session.flush()

    def forget(self) -> None:
        """Take the layout and all buckets away; whoever has them in hand goes on serving them."""
        self._session.exec(delete(BucketRow))
        self._session.exec(delete(LayoutRow))

    def summaries(self) -> list[tuple[int, int, int, str]]:
        """Return of every bucket its index, entries, sealing hour and day."""
        query = select(BucketRow.index, BucketRow.entries, BucketRow.sealed, BucketRow.day)
        rows = self._session.exec(query.order_by(col(BucketRow.index)))
        return [(index, entries, sealed, day) for index, entries, sealed, day in rows]

    def put(self, bucket: BucketRow) -> None:
        """Keep a sealed bucket in the place of the former one."""
        self._session.merge(bucket)

    def sealed(self, generation: int) -> None:
        """Note that the newest sealing is `generation`."""
        newest = update(LayoutRow).where(col(LayoutRow.id) == THE_LAYOUT)
        self._session.exec(newest.values(generation=generation))

    def newer(self, generation: int) -> list[BucketRow]:
        """Return the buckets sealed after `generation`."""
        query = select(BucketRow).where(col(BucketRow.generation) > generation)
        return list(self._session.exec(query.order_by(col(BucketRow.index))))
