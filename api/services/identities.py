"""How an instance names itself and its moderators: drafts for the root key to sign (§7)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.errors import Conflict, NotFound
from api.keyring import KeyFileError, Keyring
from api.services.drafts import NOTHING, Changes, next_draft
from api.services.instance import Clock, check_keys, to_the_hour
from api.services.log import Log
from api.services.rosters import PENDING, agrees, listed, newcomers
from api.services.transitions import send_back
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import (
    check_current,
    next_identity,
    open_identity,
    revocations,
    root_fingerprint,
    signatures_needed,
    unrevoked_signers,
)
from schemas.base import CATEGORIES, Category, Severity, Sharing
from schemas.documents import (
    Envelope,
    Identity,
    Status,
)
from schemas.tables import AuditRow

KEPT, SHARED = "kept", "shared"


@dataclass(frozen=True, slots=True)
class RosterLine:
    """A collective, and its moderators' ids and statuses."""

    collective: str
    status: str
    moderators: tuple[tuple[str, str], ...]
    shares: tuple[str, ...]
    """The categories that may leave only where a collective lets them, and that this one lets."""


class Identities:
    """Issues identities, and keeps the collectives and moderators that they announce."""

    def __init__(self, store: Store, clock: Clock, log: Log, keys: Callable[[], Keyring]) -> None:
        """Announce in `log` what comes into force; `keys()` reads the keys, where they change."""
        self._store = store
        self._clock = clock
        self._log = log
        self._keys = keys

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

    def draft(self, changes: Changes = NOTHING) -> Identity:
        """Return the next identity: what is in force, with the collectives as they are now.

        Raises InvalidInput `key-in-use` where a key that `changes` brings has another use.
        """
        with self._store.read() as tx:
            pinned = current_identity(tx)
            collectives = listed(tx, pinned)
        return next_draft(pinned, collectives, changes, self._clock())

    def accept(self, envelope: Envelope) -> Identity:
        """Put a signed identity in force, with the moderators it announces.

        Raises InvalidInput `identity-refused` where it does not follow the one in force, or needs
        keys that are not here, or tokens of another epoch; Conflict where moderators came or went
        since the draft.
        """
        with self._store.begin() as tx:
            tx.collectives.hold_identity(alone=True)
            pinned = current_identity(tx)
            identity = self.put_in_force(tx, pinned, envelope)
            if identity.epoch != pinned.epoch:
                raise InvalidInput("identity-refused")
            if identity.log != pinned.log:
                # What the former key sealed cannot be read any more; the server seals anew.
                tx.buckets.forget()
        return identity

    def put_in_force(self, tx: Transaction, pinned: Identity, envelope: Envelope) -> Identity:
        """Do in `tx`, which holds the identity alone, what `accept` does, in any epoch."""
        identity = next_identity(pinned, envelope)
        check_current(identity, self._clock())
        self._check_keys(tx, pinned, identity)
        if not agrees(identity.collectives, listed(tx, pinned)):
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

    def _check_keys(self, tx: Transaction, pinned: Identity, identity: Identity) -> None:
        """Refuse an identity that this instance could not live up to."""
        if _server_keys(identity) == _server_keys(pinned):
            return
        ring = self._keys()
        new = set(identity.http_keys) - set(pinned.http_keys)
        try:
            check_keys(ring, began_in(tx), identity)
        except KeyFileError:
            raise InvalidInput("identity-refused") from None
        if not new <= {public_key(seed) for seed in ring.http_seeds()}:
            raise InvalidInput("identity-refused")

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
                    shares=tuple(sorted(tx.collectives.opted_in(row.id))),
                )
                for row in tx.collectives.all()
            ]

    def add_collective(self, collective: str) -> None:
        """Add a collective; raise Conflict where there is one of that id."""
        with self._store.begin() as tx:
            tx.collectives.add(collective)
            self._note(tx, collective, collective, None, Status.ACTIVE)

    def share(self, collective: str, categories: Iterable[Category]) -> None:
        """Let reports of `categories`, and of no others that need it, leave from now on.

        What has left is not taken back. Raises NotFound where there is no such active collective.
        """
        chosen = {one for one in categories if CATEGORIES[one].shared is Sharing.OPT_IN}
        with self._store.begin() as tx:
            if tx.collectives.status(collective) != Status.ACTIVE:
                raise NotFound
            before = tx.collectives.opted_in(collective)
            tx.collectives.set_opted_in(collective, chosen)
            for one in sorted(before ^ chosen):
                states = (SHARED, KEPT) if one in before else (KEPT, SHARED)
                self._note(tx, collective, one, *states)

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


def _forget(tx: Transaction, moderator: str, status: Status) -> None:
    """Delete a pending moderator; raise Conflict if an identity announces her meanwhile."""
    if not tx.collectives.set_moderator_status(moderator, PENDING, status):
        raise Conflict
    tx.collectives.forget_moderator(moderator)


def _server_keys(identity: Identity) -> tuple[object, ...]:
    return (
        identity.epoch, identity.public_key, identity.log, identity.log_key, identity.http_keys,
    )  # fmt: skip


def current_identity(tx: Transaction) -> Identity:
    """Return the identity in force; raise NotFound before `parasol init`."""
    return _version(tx, tx.collectives.newest_version())


def began_in(tx: Transaction) -> int:
    """Return the epoch in which this instance began; raise NotFound before that."""
    return _version(tx, 1).epoch


def _version(tx: Transaction, version: int | None) -> Identity:
    text = None if version is None else tx.collectives.identity(version)
    if text is None:
        raise NotFound
    return Identity.decode(Envelope.model_validate_json(text).payload)
