"""From the fingerprint in an invitation to the identity in force (PROTOCOL.md §§3, 7)."""

import hashlib
from dataclasses import replace
from typing import Final

from api.client.failures import CouldNotCheck
from api.client.profile import Profile
from api.client.session import Session
from api.crypto.failures import InvalidInput
from api.trust import check_current, follow_chain, open_identity, root_fingerprint
from schemas.canonical import MalformedDocument
from schemas.documents import Envelope, Identity
from schemas.lookups import NetworkInfo

LONGEST_CHAIN: Final = 256
_PATH = "/v1/identity"
_MOST_EPOCHS: Final = 1 << 32
_LANES: Final = 1


def fetch_identity(session: Session, profile: Profile) -> Identity:
    """Return the identity in force, verified from the root fingerprint that `profile` holds.

    Raises InvalidInput `identity-refused`, `identity-older` or `identity-changed` (than the pin),
    `identity-expired`, `clock-skew`; Refused and Unreachable.
    """
    envelope = session.message(Envelope, "GET", _PATH)
    newest = _claimed(envelope)
    _refuse_older(newest, profile)
    if root_fingerprint(newest.root) == profile.root:
        identity = open_identity(envelope, root_sha256=profile.root)
    else:
        identity = _followed(session, profile, envelope, newest.version)
    if identity.epoch >= _MOST_EPOCHS:  # the look-up writes it as a u32
        raise InvalidInput("identity-refused")
    session.dated(lambda now: check_current(identity, now))
    return identity


def pinned(profile: Profile, identity: Identity) -> Profile:
    """Return `profile` with a pin on `identity`, and the fingerprint of its root keys."""
    return replace(
        profile,
        root=root_fingerprint(identity.root),
        version=identity.version,
        sha256=hashlib.sha256(identity.encode()).digest(),
    )


def refuse_substitutes(info: NetworkInfo, identity: Identity) -> None:
    """Accept what `GET /v1/network` says only where it agrees with the signed identity.

    Raises CouldNotCheck.
    """
    if info.public_key != identity.public_key:
        raise CouldNotCheck("The instance names a network key that its signed identity does not.")
    if info.log_public_key != identity.log_key:
        raise CouldNotCheck("The instance names a log key that its signed identity does not.")
    cost = (info.argon2id.m_kib, info.argon2id.t, info.argon2id.p)
    if (info.network, info.epoch) != (identity.network, identity.epoch) or cost != (
        identity.argon2id.m_kib,
        identity.argon2id.t,
        _LANES,
    ):
        raise CouldNotCheck("The instance names another network than its signed identity does.")


def _followed(session: Session, profile: Profile, envelope: Envelope, newest: int) -> Identity:
    """Walk back to a version of the root that is held, and follow the signatures from there."""
    chain = [envelope]
    for version in range(newest - 1, max(newest - LONGEST_CHAIN, profile.version or 1) - 1, -1):
        older = session.message(Envelope, "GET", _PATH, params={"version": version})
        claimed = _claimed(older)
        chain.append(older)
        if root_fingerprint(claimed.root) == profile.root:
            _refuse_older(claimed, profile)
            return follow_chain(chain[::-1], root_sha256=profile.root)
    raise InvalidInput("identity-refused")


def _refuse_older(identity: Identity, profile: Profile) -> None:
    """Refuse what can't be, or follow, the identity that was accepted last."""
    if profile.version is None:
        return
    if identity.version < profile.version:
        raise InvalidInput("identity-older")
    if identity.version == profile.version:
        same = hashlib.sha256(identity.encode()).digest() == profile.sha256
    else:
        same = identity.version > profile.version + 1 or identity.previous == profile.sha256
    if not same:
        raise InvalidInput("identity-changed")


def _claimed(envelope: Envelope) -> Identity:
    """Return what an envelope says before it is known who signed it."""
    try:
        return Identity.decode(envelope.payload)
    except MalformedDocument:
        raise InvalidInput("identity-refused") from None
