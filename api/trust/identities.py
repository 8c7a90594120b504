"""Identities and their succession: from a held fingerprint to the keys that count today."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from api.crypto.envelopes import key_id
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import element
from api.crypto.stretching import Cost, check_cost
from api.trust.envelopes import decoded, holds
from schemas.base import as_time
from schemas.documents import Collective, Envelope, Identity, Moderator, Root, Status

LIFETIME = timedelta(days=400)
CLOCK_SKEW = timedelta(hours=1)

_SUCCESSORS = {
    Status.ACTIVE: frozenset(Status),
    Status.ENDED: frozenset({Status.ENDED}),
    Status.REVOKED: frozenset({Status.REVOKED}),
}


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
        _may_follow(pinned, following)
        and _is_signed(envelope, pinned.root)
        and _is_signed(envelope, following.root)
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


def verify_backwards(known: Identity, envelopes: Sequence[Envelope]) -> tuple[Identity, ...]:
    """Return the identities before `known` that `envelopes` hold, both newest first.

    Each is authenticated by its hash in the one that followed it, whoever signed it: a chain may
    start at any version, and what moderators signed before that is judged by these. Raises
    `identity-refused`.
    """
    history = [known]
    for envelope in envelopes:
        older = _decoded_identity(envelope)
        if not _may_follow(older, history[-1]):
            raise InvalidInput("identity-refused")
        history.append(older)
    return tuple(history[1:])


def check_current(identity: Identity, now: datetime) -> None:
    """Accept an identity that is in force at `now` (with a time zone).

    Raises `identity-expired`, `clock-skew` if it was issued over an hour ahead of our clock, or
    `identity-refused` if it is to last more than 400 days.
    """
    issued, expires = as_time(identity.issued), as_time(identity.expires)
    # First: behind the end of the calendar there is nothing to compare with.
    if issued > now + CLOCK_SKEW:
        raise InvalidInput("clock-skew")
    if not issued < expires <= issued + LIFETIME:
        raise InvalidInput("identity-refused")
    if expires <= now:
        raise InvalidInput("identity-expired")


def _decoded_identity(envelope: Envelope) -> Identity:
    identity = decoded(envelope, Identity, "identity-refused")
    try:
        element(identity.public_key)
        check_cost(Cost(identity.argon2id.m_kib, identity.argon2id.t), identity.network)
    except InvalidInput:
        raise InvalidInput("identity-refused") from None
    return identity


def _is_signed(envelope: Envelope, root: Root) -> bool:
    """Tell whether enough distinct root keys signed; what others signed does not matter."""
    keys = {key_id(key): key for key in root.keys}
    signed = set()
    for signature in envelope.signatures:
        key = keys.get(signature.keyid)
        if key is not None and holds(envelope, key, signature.sig):
            signed.add(key)
    return len(signed) >= root.threshold


def _may_follow(old: Identity, new: Identity) -> bool:
    """Tell whether `new` names `old` as its predecessor and keeps what never changes."""
    return (
        new.version == old.version + 1
        and new.previous == hashlib.sha256(old.encode()).digest()
        and _keeps_constants(old, new)
        and _keeps_log(old, new)
        and _keeps_collectives(old.collectives, new.collectives)
    )


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
