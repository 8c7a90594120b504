"""How an instance names itself and its moderators: drafts for the root key to sign (§7)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.crypto import oprf
from api.crypto.envelopes import key_id, public_key, sign
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import scalar
from api.errors import Conflict, NotFound
from api.keyring import Keyring
from api.services.instance import Clock, to_the_hour
from api.services.log import Log
from api.services.transitions import send_back
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import (
    LIFETIME,
    check_current,
    next_identity,
    open_identity,
    revocations,
    root_fingerprint,
    signatures_needed,
    unrevoked_signers,
)
from schemas.base import Severity
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

PENDING = "pending"


@dataclass(frozen=True, slots=True)
class RosterLine:
    """A collective, and its moderators' ids and statuses."""

    collective: str
    status: str
    moderators: tuple[tuple[str, str], ...]


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

    def __init__(self, store: Store, clock: Clock, log: Log) -> None:
        """Work over `store`; announce in `log` what comes into force."""
        self._store = store
        self._clock = clock
        self._log = log

    def found(self, envelope: Envelope) -> None:
        """Keep version 1; raise Conflict where the database already has an identity.

        Raises InvalidInput where it is not signed by its own root keys, or not in force now.
        """
        identity = Identity.decode(envelope.payload)
        open_identity(envelope, root_sha256=root_fingerprint(identity.root))
        check_current(identity, self._clock())
        with self._store.begin() as tx:
            if tx.collectives.newest_version() is not None:
                raise Conflict
            tx.collectives.add_identity(identity.version, envelope.model_dump_json())
            self._log.announce(tx, identity)

    def current(self) -> Identity:
        """Return the identity in force; raise NotFound before `parasol init`."""
        with self._store.read() as tx:
            return current_identity(tx)

    def draft(self) -> Identity:
        """Return the next identity: what is in force, with the collectives as they are now."""
        now = self._clock()
        with self._store.read() as tx:
            pinned = current_identity(tx)
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

        Raises InvalidInput `identity-refused` where it does not follow the one in force, or would
        need other keys on the server; Conflict where moderators came or went since the draft.
        """
        with self._store.begin() as tx:
            pinned = current_identity(tx)
            identity = next_identity(pinned, envelope)
            check_current(identity, self._clock())
            if _server_keys(identity) != _server_keys(pinned):
                raise InvalidInput("identity-refused")
            if not _agrees(identity.collectives, _collectives(tx, pinned)):
                raise Conflict
            tx.collectives.add_identity(identity.version, envelope.model_dump_json())
            for collective, one in newcomers(pinned, identity):
                if not tx.collectives.set_moderator_status(one.id, PENDING, one.status):
                    raise Conflict
                self._note(tx, collective, one.id, PENDING, one.status)
            for collective in sorted({one for one, _ in revocations(pinned, identity)}):
                self._hold(tx, identity, collective)
            self._log.announce(tx, identity)
        return identity

    def _hold(self, tx: Transaction, identity: Identity, collective: str) -> None:
        """Send back to review what a revoked key is needed for (PROTOCOL.md §7)."""
        for report in tx.reports.published(collective):
            assert report.envelope is not None
            envelope = Envelope.model_validate_json(report.envelope)
            grave = report.published_severity == Severity.DANGER
            needed = signatures_needed(identity, collective, danger=grave)
            if len(unrevoked_signers(envelope, identity, collective)) < needed:
                send_back(tx, self._clock(), report, "operator", former=report.envelope)

    def roster(self) -> list[RosterLine]:
        """Return every collective with its moderators as they are, announced or not."""
        with self._store.read() as tx:
            moderators = tx.collectives.moderators()
            return [
                RosterLine(
                    collective=row.id,
                    status=row.status,
                    moderators=tuple(
                        (one.id, one.status) for one in moderators if one.collective == row.id
                    ),
                )
                for row in tx.collectives.all()
            ]

    def add_collective(self, collective: str) -> None:
        """Add a collective; raise Conflict where there is one of that id."""
        with self._store.begin() as tx:
            tx.collectives.add(collective)
            self._note(tx, collective, collective, None, Status.ACTIVE)

    def end_collective(self, collective: str, status: Status) -> int:
        """End a collective, its tokens and its unused invitations; return how many there were."""
        with self._store.begin() as tx:
            if not tx.collectives.set_status(collective, Status.ACTIVE, status):
                raise NotFound
            self._note(tx, collective, collective, Status.ACTIVE, status)
            ended = tx.callers.end_collective(collective)
            for row in tx.collectives.moderators():
                # Nobody needs to compare words with whoever would moderate nothing.
                if (row.collective, row.status) == (collective, PENDING):
                    _forget(tx, row.id, status)
        return ended

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
                _forget(tx, moderator, status)
            elif not tx.collectives.set_moderator_status(moderator, before, status):
                raise Conflict
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


def newcomers(pinned: Identity, draft: Identity) -> list[tuple[str, Moderator]]:
    """Return the moderators, with their collective, whom `draft` announces for the first time.

    Whoever signs the draft compares the keys of these, and of no list that may be another by then.
    """
    known = {one.id for collective in pinned.collectives for one in collective.moderators}
    return [
        (collective.id, one)
        for collective in draft.collectives
        for one in collective.moderators
        if one.id not in known
    ]


def has_unannounced_ends(tx: Transaction, pinned: Identity) -> bool:
    """Tell whether somebody who is active in `pinned` is so no longer."""
    now = _statuses(_collectives(tx, pinned))
    return any(
        status is Status.ACTIVE and now.get(who) is not Status.ACTIVE
        for who, status in _statuses(pinned.collectives).items()
    )


def _forget(tx: Transaction, moderator: str, status: Status) -> None:
    """Delete a pending moderator; raise Conflict if an identity announces her meanwhile."""
    if not tx.collectives.set_moderator_status(moderator, PENDING, status):
        raise Conflict
    tx.collectives.forget_moderator(moderator)


def _statuses(collectives: Sequence[Collective]) -> dict[str, Status]:
    found = {f"c {one.id}": one.status for one in collectives}
    found |= {f"m {who.id}": who.status for one in collectives for who in one.moderators}
    return found


def _server_keys(identity: Identity) -> tuple[object, ...]:
    return (identity.epoch, identity.public_key, identity.log, identity.log_key)


def _agrees(signed_ones: Sequence[Collective], ours: Sequence[Collective]) -> bool:
    """Tell whether what was signed is still so; who came since the draft waits for the next.

    An identity that announced somebody we have no row of could never be followed by another.
    """
    held = {(one.id, one.status): frozenset(one.moderators) for one in ours}
    return all(
        (one.id, one.status) in held and held[one.id, one.status].issuperset(one.moderators)
        for one in signed_ones
    )


def current_identity(tx: Transaction) -> Identity:
    """Return the identity in force; raise NotFound before `parasol init`."""
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
