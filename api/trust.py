"""Who may sign what: identities and their succession, signatures, reports (PROTOCOL.md §7).

Pure, with time as an argument, and shared by everyone who verifies: the client, the moderators'
tools, the server, the follower of a feed. Every refusal is an InvalidInput with a code of §10.
"""

import hashlib
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from api.crypto.envelopes import key_id, verify
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import element
from api.crypto.stretching import Cost, check_cost
from schemas.base import Category, Severity, as_time
from schemas.canonical import Document, MalformedDocument
from schemas.documents import (
    DOCUMENTS,
    Collective,
    Envelope,
    Identity,
    Moderator,
    ReportDocument,
    Retract,
    Root,
    Status,
)

LIFETIME = timedelta(days=400)
CLOCK_SKEW = timedelta(hours=1)
# Somewhere it is already tomorrow, and some clocks are wrong.
GRACE = timedelta(days=1)
YEARS = {Severity.DANGER: 5, Severity.RISK: 2, Severity.NUISANCE: 1}

_SUCCESSORS = {
    Status.ACTIVE: frozenset(Status),
    Status.ENDED: frozenset({Status.ENDED}),
    Status.REVOKED: frozenset({Status.REVOKED}),
}
_Kind = TypeVar("_Kind", bound=Document)
_Entry = TypeVar("_Entry", ReportDocument, Retract)


def root_fingerprint(root: Root) -> bytes:
    """Return `root_sha256`: 32 bytes over the threshold byte and the sorted public keys."""
    return hashlib.sha256(bytes([root.threshold]) + b"".join(sorted(root.keys))).digest()


def open_identity(envelope: Envelope, *, root_sha256: bytes) -> Identity:
    """Return the identity that starts a chain: its root is the one whose fingerprint is held.

    Raises `identity-refused`. Whether it is still in force says `check_current`, of the newest.
    """
    identity = _decoded_identity(envelope)
    if root_fingerprint(identity.root) != root_sha256 or not _is_signed(envelope, identity.root):
        raise InvalidInput("identity-refused")
    return identity


def next_identity(pinned: Identity, envelope: Envelope) -> Identity:
    """Return the identity that follows `pinned`, if it may.

    It is the next version, names its predecessor, is signed by the thresholds of the old and the
    new root keys, and keeps what never changes. Raises `identity-refused`.
    """
    following = _decoded_identity(envelope)
    if not (
        following.version == pinned.version + 1
        and following.previous == hashlib.sha256(pinned.encode()).digest()
        and _is_signed(envelope, pinned.root)
        and _is_signed(envelope, following.root)
        and _keeps_constants(pinned, following)
        and _keeps_log(pinned, following)
        and _keeps_collectives(pinned.collectives, following.collectives)
    ):
        raise InvalidInput("identity-refused")
    return following


def follow_chain(envelopes: Sequence[Envelope], *, root_sha256: bytes) -> Identity:
    """Return the newest identity of a chain, oldest first; the first has the held fingerprint.

    Raises `identity-refused`, also for no envelopes at all.
    """
    if not envelopes:
        raise InvalidInput("identity-refused")
    identity = open_identity(envelopes[0], root_sha256=root_sha256)
    for envelope in envelopes[1:]:
        identity = next_identity(identity, envelope)
    return identity


def check_current(identity: Identity, now: datetime) -> None:
    """Accept an identity that is in force at `now` (with a time zone).

    Raises `identity-expired`, `clock-skew` if it was issued over an hour ahead of our clock, or
    `identity-refused` if it is to last more than 400 days.
    """
    issued, expires = as_time(identity.issued), as_time(identity.expires)
    if not issued < expires <= issued + LIFETIME:
        raise InvalidInput("identity-refused")
    if issued > now + CLOCK_SKEW:
        raise InvalidInput("clock-skew")
    if expires <= now:
        raise InvalidInput("identity-expired")


def active_moderators(identity: Identity, collective: str) -> tuple[Moderator, ...]:
    """Return who may sign for a collective: nobody if it is unknown or no longer active."""
    return tuple(
        moderator
        for one in identity.collectives
        if one.id == collective and one.status is Status.ACTIVE
        for moderator in one.moderators
        if moderator.status is Status.ACTIVE
    )


def signatures_needed(identity: Identity, collective: str, *, danger: bool) -> int:
    """Return how many moderators must sign: two for danger unless there is only one."""
    return 2 if danger and len(active_moderators(identity, collective)) != 1 else 1


def signers(envelope: Envelope, identity: Identity, collective: str) -> frozenset[str]:
    """Return the ids of the moderators who signed; every signature must be good.

    Raises `unknown-key` (not of an active moderator of this collective), `bad-signature`, or
    `malformed` for two signatures by one key.
    """
    known = {key_id(one.sign): one for one in active_moderators(identity, collective)}
    if len({signature.keyid for signature in envelope.signatures}) != len(envelope.signatures):
        raise InvalidInput("malformed")
    signed = set()
    for signature in envelope.signatures:
        moderator = known.get(signature.keyid)
        if moderator is None:
            raise InvalidInput("unknown-key")
        verify(moderator.sign, envelope.payload_type, envelope.payload, signature.sig)
        signed.add(moderator.id)
    return frozenset(signed)


def standing_signers(envelope: Envelope, identity: Identity, collective: str) -> frozenset[str]:
    """Return the ids of the active moderators who signed; other signatures are passed over."""
    return _signed_by(envelope, active_moderators(identity, collective))


def unrevoked_signers(envelope: Envelope, identity: Identity, collective: str) -> frozenset[str]:
    """Return the ids of those who signed and whose keys were never revoked, active or not."""
    if any(one.id == collective and one.status is Status.REVOKED for one in identity.collectives):
        return frozenset()
    theirs = moderators_of(identity, collective)
    return _signed_by(envelope, [one for one in theirs if one.status is not Status.REVOKED])


def moderators_of(identity: Identity, collective: str) -> tuple[Moderator, ...]:
    """Return all moderators that a collective has, or had."""
    return tuple(
        moderator
        for one in identity.collectives
        if one.id == collective
        for moderator in one.moderators
    )


def latest_expiry(month: str, severity: Severity) -> date:
    """Return the last day on which a report of this incident month can count."""
    incident = date.fromisoformat(f"{month}-01")
    year = incident.year + YEARS[severity]
    return date(year, incident.month, monthrange(year, incident.month)[1])


def open_report(envelope: Envelope, identity: Identity, *, today: date) -> ReportDocument:
    """Return the report in an envelope; who signed it says `signers`.

    `identity` is the one in force where the report stands. Raises `unsupported`, `malformed`,
    `foreign-origin`, `unknown-key` (a collective it does not list), `wrong-network`,
    `wrong-epoch`, `future-dated`, `expiry-too-long`, `expired`.
    """
    report = _opened(envelope, ReportDocument, identity, today)
    if report.network != identity.network:
        raise InvalidInput("wrong-network")
    if report.epoch != identity.epoch:
        raise InvalidInput("wrong-epoch")
    if Category.OTHER in report.categories or not all(
        _is_element(identifier.token) for identifier in report.identifiers
    ):
        raise InvalidInput("malformed")
    _check_days(report, today)
    return report


def open_retract(envelope: Envelope, identity: Identity, *, today: date) -> Retract:
    """Return the retraction in an envelope; whose report it is about is the caller's to check.

    Raises `unsupported`, `malformed`, `foreign-origin`, `unknown-key` (a collective that
    `identity` does not list), `future-dated`.
    """
    return _opened(envelope, Retract, identity, today)


def _opened(envelope: Envelope, kind: type[_Entry], identity: Identity, today: date) -> _Entry:
    if envelope.payload_type not in DOCUMENTS:
        raise InvalidInput("unsupported")
    entry = _decoded(envelope, kind, "malformed")
    if entry.origin != identity.origin:
        raise InvalidInput("foreign-origin")
    if all(collective.id != entry.collective for collective in identity.collectives):
        raise InvalidInput("unknown-key")
    if date.fromisoformat(entry.issued) > today + GRACE:
        raise InvalidInput("future-dated")
    return entry


def _check_days(report: ReportDocument, today: date) -> None:
    if date.fromisoformat(f"{report.month}-01") > today + GRACE:
        raise InvalidInput("future-dated")
    expires = date.fromisoformat(report.expires)
    if expires > latest_expiry(report.month, report.severity):
        raise InvalidInput("expiry-too-long")
    if expires < today:
        raise InvalidInput("expired")


def _decoded(envelope: Envelope, kind: type[_Kind], code: str) -> _Kind:
    if envelope.payload_type != kind.payload_type:
        raise InvalidInput(code)
    try:
        return kind.decode(envelope.payload)
    except MalformedDocument:
        raise InvalidInput(code) from None


def _decoded_identity(envelope: Envelope) -> Identity:
    identity = _decoded(envelope, Identity, "identity-refused")
    try:
        element(identity.public_key)
        check_cost(Cost(identity.argon2id.m_kib, identity.argon2id.t), identity.network)
    except InvalidInput:
        raise InvalidInput("identity-refused") from None
    return identity


def _is_element(data: bytes) -> bool:
    try:
        element(data)
    except InvalidInput:
        return False
    return True


def _is_signed(envelope: Envelope, root: Root) -> bool:
    """Tell whether enough distinct root keys signed; what others signed does not matter."""
    keys = {key_id(key): key for key in root.keys}
    signed = set()
    for signature in envelope.signatures:
        key = keys.get(signature.keyid)
        if key is not None and _holds(envelope, key, signature.sig):
            signed.add(key)
    return len(signed) >= root.threshold


def _signed_by(envelope: Envelope, moderators: Sequence[Moderator]) -> frozenset[str]:
    signed = {signature.keyid: signature.sig for signature in envelope.signatures}
    return frozenset(
        one.id
        for one in moderators
        if (signature := signed.get(key_id(one.sign))) is not None
        and _holds(envelope, one.sign, signature)
    )


def _holds(envelope: Envelope, key: bytes, signature: bytes) -> bool:
    try:
        verify(key, envelope.payload_type, envelope.payload, signature)
    except InvalidInput:
        return False
    return True


def _keeps_constants(old: Identity, new: Identity) -> bool:
    if (new.origin, new.network, new.argon2id) != (old.origin, old.network, old.argon2id):
        return False
    if new.epoch == old.epoch:
        return new.public_key == old.public_key
    return new.epoch > old.epoch


def _keeps_log(old: Identity, new: Identity) -> bool:
    if new.log == old.log:
        return new.log_key == old.log_key
    number = int(old.log.rpartition(":")[2])
    return new.log == f"{new.origin}:{number + 1}" and new.log_key != old.log_key


def _keeps_collectives(old: Sequence[Collective], new: Sequence[Collective]) -> bool:
    kept = {collective.id: collective for collective in new}
    return all(
        (now := kept.get(was.id)) is not None
        and now.status in _SUCCESSORS[was.status]
        and _keeps_moderators(was.moderators, now.moderators)
        for was in old
    )


def _keeps_moderators(old: Sequence[Moderator], new: Sequence[Moderator]) -> bool:
    kept = {moderator.id: moderator for moderator in new}
    return all(
        (now := kept.get(was.id)) is not None
        and (now.sign, now.box) == (was.sign, was.box)
        and now.status in _SUCCESSORS[was.status]
        for was in old
    )
