"""How an instance names itself and its moderators: drafts for the root key to sign (§7)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.crypto import oprf
from api.crypto.envelopes import key_id, public_key, sign
from api.crypto.ristretto import scalar
from api.errors import Conflict, NotFound
from api.keyring import Keyring
from api.services.instance import Clock, to_the_hour
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import next_identity, open_identity, root_fingerprint
from schemas.documents import (
    Argon2id,
    Collective,
    Envelope,
    Identity,
    Moderator,
    Root,
    Signature,
    Status,
)
from schemas.tables import AuditRow

LIFETIME = timedelta(days=400)
PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Founding:
    """What an operator chooses once, for ever: the network, and where the instance lives."""

    network: str
    origin: str
    address: str
    argon2id: Argon2id


def written(moment: datetime) -> str:
    """Return a moment as documents write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def signed(identity: Identity, seeds: Sequence[bytes]) -> Envelope:
    """Return `identity` signed with the root keys of `seeds`."""
    payload = identity.encode()
    return Envelope.around(
        identity,
        [
            Signature(
                keyid=key_id(public_key(seed)),
                sig=sign(seed, Identity.payload_type, payload),
            )
            for seed in seeds
        ],
    )


def first_identity(founding: Founding, ring: Keyring, root: Root, now: datetime) -> Identity:
    """Return version 1 of an instance's identity, without any collective yet."""
    return Identity(
        version=1,
        origin=founding.origin,
        log=f"{founding.origin}:1",
        issued=written(now),
        expires=written(now + LIFETIME),
        root=root,
        log_key=public_key(ring.log),
        http_keys=(public_key(ring.http),),
        network=founding.network,
        epoch=1,
        public_key=oprf.public_key(scalar(ring.epoch)),
        argon2id=founding.argon2id,
        collectives=(),
        feed=f"{founding.address}/feed/v1/",
    )


class Identities:
    """Issues identities, and keeps the collectives and moderators that they announce."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Work over `store`; needs no key of the instance."""
        self._store = store
        self._clock = clock

    def found(self, envelope: Envelope) -> None:
        """Keep version 1; raise Conflict where the database already has an identity."""
        identity = Identity.decode(envelope.payload)
        open_identity(envelope, root_sha256=root_fingerprint(identity.root))
        with self._store.begin() as tx:
            if tx.collectives.newest_version() is not None:
                raise Conflict
            tx.collectives.add_identity(identity.version, envelope.model_dump_json())

    def current(self) -> Identity:
        """Return the identity in force; raise NotFound before `parasol init`."""
        with self._store.read() as tx:
            return _current(tx)

    def draft(self) -> Identity:
        """Return the next identity: what is in force, with the collectives as they are now."""
        now = self._clock()
        with self._store.read() as tx:
            pinned = _current(tx)
            collectives = _collectives(tx, pinned)
        return pinned.model_copy(
            update={
                "version": pinned.version + 1,
                "previous": hashlib.sha256(pinned.encode()).digest(),
                "issued": written(now),
                "expires": written(now + LIFETIME),
                "collectives": collectives,
            }
        )

    def accept(self, envelope: Envelope) -> Identity:
        """Put a signed identity in force, with the moderators it announces.

        Raises InvalidInput `identity-refused` where it does not follow the one in force.
        """
        with self._store.begin() as tx:
            identity = next_identity(_current(tx), envelope)
            tx.collectives.add_identity(identity.version, envelope.model_dump_json())
            for collective in identity.collectives:
                for one in collective.moderators:
                    if tx.collectives.set_moderator_status(one.id, PENDING, one.status):
                        self._note(tx, collective.id, one.id, PENDING, one.status)
        return identity

    def pending(self) -> list[tuple[str, str, bytes, bytes]]:
        """Return collective, id, `sign` and `box` of the moderators who wait to be announced."""
        with self._store.read() as tx:
            rows = tx.collectives.moderators()
        return [
            (row.collective, row.id, row.sign, row.box) for row in rows if row.status == PENDING
        ]

    def add_collective(self, collective: str) -> None:
        """Add a collective; raise Conflict where there is one of that id."""
        with self._store.begin() as tx:
            tx.collectives.add(collective)
            self._note(tx, collective, collective, None, Status.ACTIVE)

    def end_collective(self, collective: str, status: Status) -> int:
        """End a collective and all its tokens; return how many tokens there were."""
        with self._store.begin() as tx:
            if not tx.collectives.set_status(collective, Status.ACTIVE, status):
                raise NotFound
            self._note(tx, collective, collective, Status.ACTIVE, status)
            return tx.callers.end_collective(collective)

    def end_moderator(self, moderator: str, status: Status) -> None:
        """End a moderator and her tokens at once; the next identity tells everybody else."""
        with self._store.begin() as tx:
            rows = {row.id: row for row in tx.collectives.moderators()}
            row = rows.get(moderator)
            if row is None or row.status not in (PENDING, Status.ACTIVE):
                raise NotFound
            before, collective = row.status, row.collective
            tx.callers.end_moderator(moderator)
            if before == PENDING:
                tx.collectives.forget_moderator(moderator)
            else:
                tx.collectives.set_moderator_status(moderator, before, status)
            self._note(tx, collective, moderator, before, status)

    def _note(
        self, tx: Transaction, collective: str, subject: str, before: str | None, after: str
    ) -> None:
        tx.audit.add(
            AuditRow(
                at=to_the_hour(self._clock()),
                collective=collective,
                subject=subject,
                actor="operator",
                before=before,
                after=after,
            )
        )


def _current(tx: Transaction) -> Identity:
    version = tx.collectives.newest_version()
    text = None if version is None else tx.collectives.identity(version)
    if text is None:
        raise NotFound
    return Identity.decode(Envelope.model_validate_json(text).payload)


def _collectives(tx: Transaction, pinned: Identity) -> tuple[Collective, ...]:
    """Return every collective with its moderators: those of `pinned` in their order, then new."""
    order = {one.id: place for place, one in enumerate(pinned.collectives)}
    rows = sorted(tx.collectives.all(), key=lambda row: (order.get(row.id, len(order)), row.id))
    moderators = tx.collectives.moderators()
    return tuple(
        Collective(
            id=row.id,
            status=Status(row.status),
            moderators=tuple(
                Moderator(
                    id=one.id,
                    sign=one.sign,
                    box=one.box,
                    status=Status.ACTIVE if one.status == PENDING else Status(one.status),
                )
                for one in moderators
                if one.collective == row.id
            ),
        )
        for row in rows
    )
