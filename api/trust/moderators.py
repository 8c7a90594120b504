"""Who moderates for a collective, and who of them signed."""

from collections.abc import Sequence

from api.crypto.envelopes import key_id, verify
from api.crypto.failures import InvalidInput
from api.trust.envelopes import holds
from schemas.documents import Envelope, Identity, Moderator, Status


def active_moderators(identity: Identity, collective: str) -> tuple[Moderator, ...]:
    """Return who may sign for a collective: nobody if it is unknown or no longer active."""
    return tuple(
        moderator
        for one in identity.collectives
        if one.id == collective and one.status is Status.ACTIVE
        for moderator in one.moderators
        if moderator.status is Status.ACTIVE
    )


def moderators_of(identity: Identity, collective: str) -> tuple[Moderator, ...]:
    """Return all moderators that a collective has, or had."""
    return tuple(
        moderator
        for one in identity.collectives
        if one.id == collective
        for moderator in one.moderators
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


def _signed_by(envelope: Envelope, moderators: Sequence[Moderator]) -> frozenset[str]:
    signed = {signature.keyid: signature.sig for signature in envelope.signatures}
    return frozenset(
        one.id
        for one in moderators
        if (signature := signed.get(key_id(one.sign))) is not None
        and holds(envelope, one.sign, signature)
    )
