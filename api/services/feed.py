"""What partner instances may fetch here, and who they are (PROTOCOL.md §8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from api.crypto.failures import InvalidInput
from api.errors import RefusedFeed, Unavailable
from api.services.checkpoints import signed_checkpoint
from api.services.instance import Clock, Instance, number_of
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import root_fingerprint
from schemas.base import encode_base64
from schemas.documents import Envelope, Identity
from schemas.feed import MOST_ENTRIES, PROTOCOL, Policy, WellKnown
from schemas.partner_tables import ForeignEntryRow, PartnerRow
from schemas.tables import EntryRow, LogRow

if TYPE_CHECKING:
    from api.crypto.requests import Claim

FEED_PATH = "/feed/v1/"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: its method, path with query, and header fields."""

    method: str
    target: str
    headers: Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """The partners by one of whose http keys a request is signed; mostly it is one."""

    partners: tuple[int, ...]


class Feed:
    """Serves our log from what is stored. Every method but `well_known` is for a `Visitor`."""

    def __init__(self, store: Store, instance: Instance, clock: Clock) -> None:
        """Serve the log of `instance`."""
        self._store = store
        self._instance = instance
        self._clock = clock

    def well_known(self) -> WellKnown:
        """Say who we are, to whoever asks."""
        identity = self._instance.identity
        return WellKnown(
            protocol=(PROTOCOL,),
            origin=identity.origin,
            feed=identity.feed,
            root_sha256=root_fingerprint(identity.root).hex(),
            http_keys=identity.http_keys,
        )

    def recognise(self, asked: Asked, *, newcomers: bool = False) -> Visitor:
        """Return who signed a request, once; raise RefusedFeed.

        With `newcomers` it suffices that the operator has added the partner, though its identity,
        and so its keys, are not verified yet: else neither of two could ask the other first.
        """
        # What signatures need is loaded when the first partner comes.
        from api.crypto.requests import read_request, verify_request  # noqa: PLC0415

        now = int(self._clock().timestamp())
        target = self._instance.identity.feed.removesuffix(FEED_PATH) + asked.target
        try:
            claim = read_request(asked.headers)
        except InvalidInput as refused:
            raise RefusedFeed(refused.code) from None
        with self._store.read() as tx:
            holders = tx.partners.holders(claim.keyid)
        known = [(partner, key) for partner, key in holders if newcomers or not key.claimed]
        if not known:
            raise RefusedFeed("not-a-partner")
        try:
            verify_request(claim, known[0][1].key, asked.method, target, now=now)
        except InvalidInput as refused:
            raise RefusedFeed(refused.code) from None
        self._once(claim, now)
        partners = tuple(_id(one) for one, _ in known if one.policy != Policy.BLOCK)
        if not partners:
            raise RefusedFeed("partner-blocked")
        return Visitor(partners)

    def checkpoint(self) -> Envelope:
        """Return the head of our log; raise Unavailable while it must not be shown."""
        with self._store.read() as tx:
            identity, log = self._log(tx)
            return _checkpoint(tx, identity, log, log.size)

    def entries(self, first: int, limit: int) -> bytes:
        """Return a page of our log as JSON; at the head an empty one. Raises RefusedFeed."""
        _check_limit(limit)
        with self._store.read() as tx:
            identity, log = self._log(tx)
            if first > log.size:
                raise RefusedFeed("cursor-in-future")
            if first == log.size and log.state == "closed":
                raise RefusedFeed("log-closed")
            rows = tx.log.entries(log.number, first, limit)
            last = first + len(rows)
            checkpoint = _checkpoint(tx, identity, log, last) if last else None
        if checkpoint is None:
            raise Unavailable
        return _page(f"{identity.origin}:{log.number}", first, rows, checkpoint.model_dump_json())

    def witness(self, log: str) -> Envelope:
        """Return the newest checkpoint of a partner's log that we have verified."""
        with self._store.read() as tx:
            partner = tx.partners.find(log.rpartition(":")[0])
            if (
                partner is None
                or partner.log != number_of(log)
                or (checkpoint := partner.checkpoint) is None
            ):
                raise RefusedFeed("unknown-log")
        return Envelope.model_validate_json(checkpoint)

    def returns(self, visitor: Visitor, first: int, limit: int) -> bytes:
        """Return the visitor's own entries, as they came, with what we have verified of its log.

        Raises RefusedFeed.
        """
        _check_limit(limit)
        with self._store.read() as tx:
            for partner in (one for one in tx.partners.all() if one.id in visitor.partners):
                if partner.checkpoint is None:
                    continue
                if first > partner.size:
                    raise RefusedFeed("cursor-in-future")
                rows = tx.arrivals.entries(_id(partner), partner.log, first, limit)
                log = f"{partner.origin}:{partner.log}"
                return _page(log, first, rows, partner.checkpoint)
        raise RefusedFeed("unknown-log")

    def returned_identity(self, visitor: Visitor, version: int) -> Envelope:
        """Return a version of the visitor's own identity, as it came; raise RefusedFeed."""
        with self._store.read() as tx:
            for partner in visitor.partners:
                kept = tx.partners.identity(partner, version)
                if kept is not None:
                    return Envelope.model_validate_json(kept.envelope)
        raise RefusedFeed("unknown-log")

    def _once(self, claim: "Claim", now: int) -> None:
        digest = sha256(f"{claim.keyid} {claim.nonce}".encode()).digest()
        with self._store.begin() as tx:
            tx.partners.forget_nonces(now)
            if not tx.partners.use_nonce(digest, claim.until):
                raise RefusedFeed("bad-signature")

    def _log(self, tx: Transaction) -> tuple[Identity, LogRow]:
        identity, log = self._instance.refresh(tx), tx.log.current()
        # What was restored may be older than what was seen: to show it would be a rollback.
        if log is None or log.state == "unverified" or log.number != number_of(identity.log):
            raise Unavailable
        return identity, log


def _checkpoint(tx: Transaction, identity: Identity, log: LogRow, size: int) -> Envelope:
    newest = tx.log.entry(log.number, size - 1)
    if newest is None:
        raise Unavailable
    return signed_checkpoint(identity.origin, newest, identity.log_key)


def _check_limit(limit: int) -> None:
    if limit > MOST_ENTRIES:
        raise RefusedFeed("limit-too-large")


def _page(
    log: str, first: int, rows: Iterable[EntryRow | ForeignEntryRow], checkpoint: str
) -> bytes:
    """Write a page around envelopes that are stored as JSON already."""
    entries = [_written(row) for row in rows]
    to = first + len(entries)
    return (
        f'{{"log":"{log}","from":{first},"to":{to},"entries":[{",".join(entries)}],'
        f'"checkpoint":{checkpoint}}}'
    ).encode()


def _written(row: EntryRow | ForeignEntryRow) -> str:
    if row.envelope is None:
        return f'{{"seq":{row.seq},"elided":true,"leaf":"{encode_base64(row.leaf)}"}}'
    return f'{{"seq":{row.seq},{row.envelope.removeprefix("{")}'


def _id(partner: PartnerRow) -> int:
    assert partner.id is not None
    return partner.id
