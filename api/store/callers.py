"""Rows of bearer tokens and of the invitations that become them."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlmodel import Session, col, delete, func, select

from schemas.tables import (
    BearerRow,
    InvitationRow,
    ModeratorRow,
)


class Bearer(NamedTuple):
    """Whose a token is, and of a moderator her public signing key."""

    member: str
    collective: str
    moderator: str | None
    sign: bytes | None


class Callers:
    """Queries over bearers and invitations."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def invite(self, digest: bytes, member: str, collective: str, role: str, expires: int) -> None:
        """Keep a code, by its digest, until it is redeemed or `expires` (Unix seconds)."""
        self._session.add(
            InvitationRow(
                digest=digest, member=member, collective=collective, role=role, expires=expires
            )
        )

    def invited(self, digest: bytes, now: int) -> InvitationRow | None:
        """Return the invitation of a code that can be redeemed, unless another comes first."""
        row = self._session.get(InvitationRow, digest)
        return row if row is not None and row.expires > now else None

    def redeem(self, digest: bytes, now: int) -> InvitationRow | None:
        """Use up an invitation; of two callers at once, only one is given it."""
        row = self.invited(digest, now)
        if row is None:
            return None
        self._session.expunge(row)
        used = delete(InvitationRow).where(col(InvitationRow.digest) == digest)
        return row if self._session.exec(used).rowcount == 1 else None

    def add(
        self, digest: bytes, member: str, collective: str, role: str, moderator: str | None
    ) -> None:
        """Keep a bearer, by its digest."""
        self._session.add(
            BearerRow(
                digest=digest, member=member, collective=collective, role=role, moderator=moderator
            )
        )

    def find(self, digest: bytes) -> Bearer | None:
        """Return whose a bearer is. No row is made of it: it would show how long that takes."""
        query = (
            select(BearerRow.member, BearerRow.collective, BearerRow.moderator, ModeratorRow.sign)
            .join(ModeratorRow, isouter=True)
            .where(col(BearerRow.digest) == digest)
        )
        row = self._session.exec(query).first()
        return Bearer(*row) if row else None

    def digests(self) -> Sequence[bytes]:
        """Return the digest of every bearer."""
        return self._session.exec(select(BearerRow.digest)).all()

    def end(self, digest: bytes) -> bool:
        """Forget one bearer; tell whether it was there."""
        return (
            self._session.exec(delete(BearerRow).where(col(BearerRow.digest) == digest)).rowcount
            == 1
        )

    def end_member(self, collective: str, member: str) -> bool:
        """Forget the bearer, or the unused invitation, of `member`; tell whether it was there."""
        ended = 0
        # In this order: a code being redeemed just now is waited for, and its bearer found.
        for table in (InvitationRow, BearerRow):
            one = (col(table.collective) == collective, col(table.member) == member)
            ended += self._session.exec(delete(table).where(*one)).rowcount
        return ended > 0

    def end_moderator(self, moderator: str) -> int:
        """Forget every bearer of `moderator`; return how many there were."""
        mine = delete(BearerRow).where(col(BearerRow.moderator) == moderator)
        return self._session.exec(mine).rowcount

    def end_collective(self, collective: str) -> int:
        """Forget all bearers and unused invitations of `collective`; return how many."""
        ended = 0
        # In this order: a code being redeemed just now is waited for, and its bearer found.
        for table in (InvitationRow, BearerRow):
            ended += self._session.exec(
                delete(table).where(col(table.collective) == collective)
            ).rowcount
        return ended

    def forget_expired(self, now: int) -> int:
        """Delete the invitations that nobody used in time; return how many."""
        late = delete(InvitationRow).where(col(InvitationRow.expires) <= now)
        return self._session.exec(late).rowcount

    def members(self, collective: str) -> list[tuple[str, str]]:
        """Return the id and role of every bearer of `collective`."""
        query = (
            select(BearerRow.member, BearerRow.role)
            .where(BearerRow.collective == collective)
            .order_by(col(BearerRow.member))
        )
        return [(member, role) for member, role in self._session.exec(query)]

    def counts(self) -> dict[str, int]:
        """Return how many bearers each role has."""
        query = select(BearerRow.role, func.count()).group_by(BearerRow.role)
        return dict(self._session.exec(query).all())
