"""Rows of partner instances: how far each is followed, its keys and identities, and policies."""

from collections.abc import Iterable, Mapping

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, func, select, update

from schemas.partner_tables import (
    EvidenceRow,
    NonceRow,
    PartnerIdentityRow,
    PartnerKeyRow,
    PartnerRow,
    PolicyRow,
)


class Partners:
    """Queries over partners, in the caller's transaction."""

    def __init__(self, session: Session) -> None:
        """Work inside `session`, which the caller begins and commits."""
        self._session = session

    def all(self) -> list[PartnerRow]:
        """Return every partner in the order of their origins."""
        return list(self._session.exec(select(PartnerRow).order_by(col(PartnerRow.origin))))

    def find(self, origin: str, *, lock: bool = False) -> PartnerRow | None:
        """Return a partner; with `lock`, nobody else changes it until the transaction ends."""
        query = select(PartnerRow).where(PartnerRow.origin == origin)
        if lock:
            query = query.with_for_update()
        return self._session.exec(query.execution_options(populate_existing=True)).first()

    def add(self, row: PartnerRow) -> int:
        """Keep a new partner; return its id; raise IntegrityError where its origin is known."""
        self._session.add(row)
        self._session.flush()
        assert row.id is not None
        return row.id

    def change(self, partner: int, values: Mapping[str, object]) -> None:
        """Set `values` of a partner."""
        one = col(PartnerRow.id) == partner
        self._session.exec(update(PartnerRow).where(one).values(**values))

    def remove(self, partner: int) -> None:
        """Delete a partner, of whom nothing else is left, with its keys and policies."""
        for table in (PartnerKeyRow, PartnerIdentityRow, PolicyRow, EvidenceRow):
            self._session.exec(delete(table).where(col(table.partner) == partner))
        self._session.exec(delete(PartnerRow).where(col(PartnerRow.id) == partner))

    def due(self, now: int) -> list[str]:
        """Return the origins that should be asked again at `now` (Unix seconds), oldest first."""
        query = select(PartnerRow.origin).where(
            # A log that is closed may have a successor.
            col(PartnerRow.state).in_(("waiting", "following", "closed")),
            col(PartnerRow.retry_at) <= now,
        )
        return list(self._session.exec(query.order_by(col(PartnerRow.retry_at))))

    def holders(self, kid: str) -> list[tuple[PartnerRow, PartnerKeyRow]]:
        """Return the partners who sign, or say that they sign, with the key of that id."""
        query = (
            select(PartnerRow, PartnerKeyRow)
            .join(PartnerKeyRow, col(PartnerKeyRow.partner) == col(PartnerRow.id))
            .where(PartnerKeyRow.kid == kid)
            .order_by(col(PartnerRow.id))
        )
        return [(partner, key) for partner, key in self._session.exec(query)]

    def set_keys(self, partner: int, keys: Mapping[str, bytes], *, claimed: bool) -> None:
        """Exchange the keys, by their ids, with which a partner signs its requests."""
        self._session.exec(delete(PartnerKeyRow).where(col(PartnerKeyRow.partner) == partner))
        self._session.add_all(
            PartnerKeyRow(kid=kid, partner=partner, key=key, claimed=claimed)
            for kid, key in keys.items()
        )
        self._session.flush()

    def add_identities(self, rows: Iterable[PartnerIdentityRow]) -> None:
        """Keep verified versions of partners' identities."""
        self._session.add_all(rows)
        self._session.flush()

    def identity(self, partner: int, version: int) -> PartnerIdentityRow | None:
        """Return one version of a partner's identity."""
        return self._session.get(PartnerIdentityRow, (partner, version))

    def policies(self, partner: int) -> dict[str, str]:
        """Return the policies of a partner's collectives that have one of their own."""
        query = select(PolicyRow.collective, PolicyRow.policy).where(PolicyRow.partner == partner)
        return dict(self._session.exec(query.order_by(col(PolicyRow.collective))).all())

    def set_policy(self, partner: int, collective: str, policy: str | None) -> None:
        """Give a collective a policy of its own; with None it has its partner's again."""
        if policy is None:
            one = (col(PolicyRow.partner) == partner, col(PolicyRow.collective) == collective)
            self._session.exec(delete(PolicyRow).where(*one))
        else:
            self._session.merge(PolicyRow(partner=partner, collective=collective, policy=policy))
        self._session.flush()

    def add_evidence(self, row: EvidenceRow) -> None:
        """Keep two documents that cannot both be true."""
        self._session.add(row)

    def evidence(self, partner: int) -> list[EvidenceRow]:
        """Return what was kept of a partner, oldest first."""
        query = select(EvidenceRow).where(EvidenceRow.partner == partner)
        return list(self._session.exec(query.order_by(col(EvidenceRow.seq))))

    def use_nonce(self, digest: bytes, until: int) -> bool:
        """Remember a nonce until that time (Unix s); False where it is known already."""
        try:
            with self._session.begin_nested():
                self._session.add(NonceRow(digest=digest, until=until))
        except IntegrityError:
            return False
        return True

    def forget_nonces(self, now: int) -> None:
        """Forget the nonces of requests that are too old to be accepted anyway."""
        self._session.exec(delete(NonceRow).where(col(NonceRow.until) < now))

    def count(self) -> int:
        """Return how many partners there are."""
        return self._session.exec(select(func.count()).select_from(PartnerRow)).one()
