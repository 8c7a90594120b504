"""Who our partners are, and what their warnings are worth here; all for the operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import ValidationError

from api.crypto.envelopes import key_id
from api.errors import Conflict, NotFound, PartnerFailure
from api.services.feed import FEED_PATH
from api.services.instance import Clock, Instance
from api.services.positions import FOLLOWING, QUARANTINED, WAITING, id_of
from api.services.succession import Remote
from api.store.engine import Store
from api.store.transaction import Transaction
from schemas.documents import Envelope
from schemas.feed import PROTOCOL, Policy, WellKnown
from schemas.partner_tables import PartnerRow

WELL_KNOWN_BYTES = 16 * 1024
REPORTS_A_DAY, ERASURES_A_DAY = 50, 20


@dataclass(frozen=True, slots=True)
class PartnerLine:
    """A partner as its operator here sees it."""

    origin: str
    feed: str
    root: str
    state: str
    code: str | None
    policy: str
    policies: dict[str, str]
    """Those of its collectives that have one of their own."""
    reports_a_day: int
    erasures_a_day: int
    identity_version: int
    entries: int
    synced_at: int | None
    """When its head was last reached, in Unix seconds."""
    reports: int
    """How many of its reports are here, whether or not they count."""
    counted: int
    """How many of them count today."""
    refused: dict[str, int]
    """How many of its entries were refused, by code."""
    evidence: tuple[str, ...]
    """The codes of what is kept against it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two documents that a partner signed and that cannot both be true."""

    code: str
    at: int
    """When we found out, in Unix seconds."""
    ours: Envelope | None
    """What we had verified before, if anything."""
    theirs: Envelope


class Partners:
    """Each public method is one transaction, or one question to a partner."""

    def __init__(self, store: Store, instance: Instance, remote: Remote, clock: Clock) -> None:
        """Ask `remote` who lives at an address."""
        self._store = store
        self._instance = instance
        self._remote = remote
        self._clock = clock

    def meet(self, address: str) -> WellKnown:
        """Return what an instance at `address` says of itself, for somebody to compare.

        Raises PartnerFailure.
        """
        address = address.rstrip("/")
        body = self._remote.get(
            f"{address}/.well-known/parasol", most=WELL_KNOWN_BYTES, signed=False
        )
        try:
            known = WellKnown.model_validate_json(body)
        except ValidationError:
            raise PartnerFailure("bad-answer") from None
        if PROTOCOL not in known.protocol or known.feed != f"{address}{FEED_PATH}":
            raise PartnerFailure("bad-answer")
        return known

    def add(self, known: WellKnown, policy: Policy) -> None:
        """Follow an instance whose root fingerprint the operator has compared.

        Raises Conflict where it is a partner already, or is this instance.
        """
        with self._store.begin() as tx:
            if known.origin == self._instance.refresh(tx).origin:
                raise Conflict
            partner = tx.partners.add(
                PartnerRow(
                    origin=known.origin, feed=known.feed, root=bytes.fromhex(known.root_sha256),
                    policy=policy, reports_a_day=REPORTS_A_DAY, erasures_a_day=ERASURES_A_DAY,
                    state=WAITING,
                )
            )  # fmt: skip
            keys = {key_id(key): key for key in known.http_keys}
            tx.partners.set_keys(partner, keys, claimed=True)

    def all(self) -> list[PartnerLine]:
        """Return every partner, in the order of their origins."""
        today = f"{self._clock():%Y-%m-%d}"
        with self._store.read() as tx:
            return [_line(tx, row, today) for row in tx.partners.all()]

    def set_policy(self, origin: str, policy: Policy) -> None:
        """Choose what is done with a partner's reports; raise NotFound."""
        with self._changing(origin) as (tx, row):
            row.policy = policy
            tx.foreign.unseal_partner(id_of(row))

    def set_collective_policy(self, origin: str, collective: str, policy: Policy | None) -> None:
        """Choose it for one of a partner's collectives; None: as for the partner. NotFound."""
        with self._changing(origin) as (tx, row):
            tx.partners.set_policy(id_of(row), collective, policy)
            tx.foreign.unseal_partner(id_of(row), collective)

    def set_quotas(self, origin: str, reports: int | None, erasures: int | None) -> None:
        """Choose how many reports and erasures a day are taken without a look; raise NotFound."""
        with self._changing(origin) as (_, row):
            row.reports_a_day = row.reports_a_day if reports is None else reports
            row.erasures_a_day = row.erasures_a_day if erasures is None else erasures

    def resume(self, origin: str) -> None:
        """Ask a partner in quarantine again; raise NotFound, or Conflict where it is in none."""
        with self._changing(origin) as (_, row):
            if row.state != QUARANTINED:
                raise Conflict
            row.state, row.code, row.retry_at, row.failures = FOLLOWING, None, 0, 0

    def evidence(self, origin: str) -> list[Evidence]:
        """Return what is kept against a partner, oldest first; raise NotFound."""
        with self._store.read() as tx:
            row = tx.partners.find(origin)
            if row is None:
                raise NotFound
            return [
                Evidence(
                    code=one.code,
                    at=one.at,
                    ours=Envelope.model_validate_json(one.ours) if one.ours else None,
                    theirs=Envelope.model_validate_json(one.theirs),
                )
                for one in tx.partners.evidence(id_of(row))
            ]

    def purge(self, origin: str) -> int:
        """Delete all that a partner said, but not that it was said; return how many reports.

        Position, leaf hashes and the ids of what was erased stay, so that none of it can come
        back. This cannot be undone. Raises NotFound.
        """
        with self._changing(origin) as (tx, row):
            return tx.arrivals.purge(id_of(row))

    def remove(self, origin: str) -> None:
        """Be no partner any more: nothing of it stays, and it may ask nothing. NotFound."""
        with self._changing(origin) as (tx, row):
            tx.arrivals.purge(id_of(row))
            tx.arrivals.forget(id_of(row))
            tx.partners.remove(id_of(row))

    @contextmanager
    def _changing(self, origin: str) -> Iterator[tuple[Transaction, PartnerRow]]:
        with self._store.begin() as tx:
            row = tx.partners.find(origin, lock=True)
            if row is None:
                raise NotFound
            yield tx, row


def _line(tx: Transaction, row: PartnerRow, today: str) -> PartnerLine:
    partner = id_of(row)
    reports, counted = tx.arrivals.numbers(partner, today)
    return PartnerLine(
        origin=row.origin,
        feed=row.feed,
        root=row.root.hex(),
        state=row.state,
        code=row.code,
        policy=row.policy,
        policies=tx.partners.policies(partner),
        reports_a_day=row.reports_a_day,
        erasures_a_day=row.erasures_a_day,
        identity_version=row.version,
        entries=row.size,
        synced_at=row.synced_at,
        reports=reports,
        counted=counted,
        refused=tx.arrivals.refused(partner),
        evidence=tuple(one.code for one in tx.partners.evidence(partner)),
    )
