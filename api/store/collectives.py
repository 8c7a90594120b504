"""Rows of collectives, their moderators, and the identities that announced them."""

from collections.abc import Iterable

from sqlmodel import Session, col, delete, select, update

from schemas.tables import (
    CollectiveRow,
    IdentityRow,
    ModeratorRow,
)


class Collectives:
    """Queries over collectives, moderators and issued identities."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def add(self, collective: str) -> None:
        """Add an active collective."""
        self._session.add(CollectiveRow(id=collective, status="active"))
        self._session.flush()

    def status(self, collective: str) -> str | None:
        """Return the status of `collective`, or None where there is none."""
        row = self._session.get(CollectiveRow, collective)
        return row.status if row else None

    def all(self) -> list[CollectiveRow]:
        """Return every collective in the order of their ids."""
        return list(self._session.exec(select(CollectiveRow).order_by(col(CollectiveRow.id))))

    def opted_in(self, collective: str) -> frozenset[str]:
        """Return the categories that `collective` lets leave beside those that always may."""
        row = self._session.get(CollectiveRow, collective)
        return frozenset(row.opted_in.split(",") if row and row.opted_in else ())

    def set_opted_in(self, collective: str, categories: Iterable[str]) -> bool:
        """Change which categories `collective` lets leave; tell whether there is such a one."""
        change = update(CollectiveRow).where(col(CollectiveRow.id) == collective)
        values = change.values(opted_in=",".join(sorted(categories)))
        return self._session.exec(values).rowcount == 1

    def set_status(self, collective: str, before: str, after: str) -> bool:
        """Change the status of `collective`, if it is `before`."""
        chosen = (col(CollectiveRow.id) == collective, col(CollectiveRow.status) == before)
        change = update(CollectiveRow).where(*chosen).values(status=after)
        return self._session.exec(change).rowcount == 1

    def add_moderator(self, moderator: str, collective: str, sign: bytes, box: bytes) -> None:
        """Add a pending moderator; raise IntegrityError where a key is already someone's."""
        row = ModeratorRow(
            id=moderator, collective=collective, sign=sign, box=box, status="pending"
        )
        self._session.add(row)
        self._session.flush()

    def key_known(self, sign: bytes, box: bytes) -> bool:
        """Tell whether either key is, or was, either key of a moderator."""
        keys = (sign, box)
        taken = col(ModeratorRow.sign).in_(keys) | col(ModeratorRow.box).in_(keys)
        return self._session.exec(select(ModeratorRow.id).where(taken)).first() is not None

    def moderators(self) -> list[ModeratorRow]:
        """Return every moderator in the order of their ids."""
        return list(self._session.exec(select(ModeratorRow).order_by(col(ModeratorRow.id))))

    def set_moderator_status(self, moderator: str, before: str, after: str) -> bool:
        """Change the status of `moderator`, if it is `before`."""
        chosen = (col(ModeratorRow.id) == moderator, col(ModeratorRow.status) == before)
        change = update(ModeratorRow).where(*chosen).values(status=after)
        return self._session.exec(change).rowcount == 1

    def forget_moderator(self, moderator: str) -> None:
        """Delete a moderator whom no identity has announced."""
        self._session.exec(delete(ModeratorRow).where(col(ModeratorRow.id) == moderator))

    def add_identity(self, version: int, envelope: str) -> None:
        """Keep an issued identity; raise IntegrityError where there is one of that version."""
        self._session.add(IdentityRow(version=version, envelope=envelope))
        self._session.flush()

    def hold_identity(self, *, alone: bool = False) -> None:
        """Keep the identity in force from changing until the transaction ends.

        To be called before it is read. Any number may hold it at once; `alone` waits for them,
        and lets nobody hold it meanwhile.
        """
        # The first stays the first. Who waits for the newest has it when it is the newest no more.
        first = select(IdentityRow.version).order_by(col(IdentityRow.version)).limit(1)
        self._session.exec(first.with_for_update(read=not alone)).all()

    def newest_version(self) -> int | None:
        """Return the version in force, or None before `parasol init`."""
        query = select(IdentityRow.version).order_by(col(IdentityRow.version).desc()).limit(1)
        return self._session.exec(query).first()

    def identity(self, version: int) -> str | None:
        """Return the envelope of the identity `version` as JSON text."""
        row = self._session.get(IdentityRow, version)
        return row.envelope if row else None
