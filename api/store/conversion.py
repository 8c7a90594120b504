"""Rows of tokens on their way into the next epoch (PROTOCOL.md §9)."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import insert
from sqlmodel import Session, col, delete, exists, func, or_, select, text, union, update

from schemas.tables import ConvertedRow, ForeignIdentifierRow, IdentifierRow, ReportRow

TABLES = (IdentifierRow, ForeignIdentifierRow)
"""All that hold tokens."""
LOCKED = "report, identifier, foreign_report, foreign_identifier"
"""Parents before children, as everybody else reaches them."""

Place = tuple[int, bytes]
"""A word and a token: the order in which tokens are converted, since words are indexed."""
BEGINNING: Place = (-1, b"")


class Conversion:
    """Queries over what stored tokens become in the next epoch."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def total(self) -> int:
        """Return how many distinct tokens are stored."""
        distinct = union(*(select(table.token) for table in TABLES)).subquery()
        return self._session.exec(select(func.count()).select_from(distinct)).one()

    def done(self) -> int:
        """Return how many are converted."""
        return self._session.exec(select(func.count()).select_from(ConvertedRow)).one()

    def sample(self) -> ConvertedRow | None:
        """Return one that is converted."""
        return self._session.exec(select(ConvertedRow).limit(1)).first()

    def missing(
        self, table: type[IdentifierRow | ForeignIdentifierRow], after: Place, limit: int
    ) -> list[Place]:
        """Return tokens of a table that are not converted, in their order."""
        word, token = after
        query = (
            select(table.word, table.token)
            .where(
                # The first alone would do for a few: it lets the index be used.
                col(table.word) >= word,
                or_(col(table.word) > word, col(table.token) > token),
                ~exists().where(col(ConvertedRow.token) == col(table.token)),
            )
            .distinct()
            .order_by(col(table.word), col(table.token))
            .limit(limit)
        )
        return [(found, one) for found, one in self._session.exec(query)]

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Keep what tokens become; raise IntegrityError for one that is converted already."""
        if rows:
            self._session.connection().execute(insert(ConvertedRow), list(rows))

    def clear(self) -> None:
        """Forget what tokens become."""
        self._session.exec(delete(ConvertedRow))

    def lock(self) -> None:
        """Let nobody else write reports or tokens until the transaction ends."""
        connection = self._session.connection()
        if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
            connection.execute(text(f"LOCK TABLE {LOCKED} IN EXCLUSIVE MODE"))

    def swap(self, epoch: int) -> None:
        """Exchange every token for what it becomes in `epoch`."""
        for table in TABLES:
            change = update(table).where(col(table.token) == col(ConvertedRow.token))
            self._session.exec(change.values(token=ConvertedRow.becomes, word=ConvertedRow.word))
        self._session.exec(update(ReportRow).values(epoch=epoch))

    def half_approved(self) -> Iterable[ReportRow]:
        """Return the reports that some have signed, and not enough."""
        query = select(ReportRow).where(
            ReportRow.status == "in_review", col(ReportRow.envelope).is_not(None)
        )
        return list(self._session.exec(query.order_by(col(ReportRow.seq))))
