"""Who moderates for a collective, and who of them signed."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from api.crypto.envelopes import key_id, verify
from api.crypto.failures import InvalidInput
from api.trust.envelopes import holds
from schemas.documents import Collective, Envelope, Identity, Moderator, Status


class Roster(NamedTuple):
    """The moderators a collective has, or had; by key id those who count today, and ever."""

    everybody: tuple[Moderator, ...]
    active: Mapping[str, Moderator]
    unrevoked: Mapping[str, Moderator]


# An identity never changes, and a feed asks the same one of each of its entries.
@lru_cache(maxsize=32)
def rosters(identity: Identity) -> Mapping[str, Roster]:
    """Return the roster of every collective that an identity lists, by its id."""
    return {one.id: _roster(one) for one in identity.collectives}


def active_moderators(identity: Identity, collective: str) -> tuple[Moderator, ...]:
    """Return who may sign for a collective: nobody if it is unknown or no longer active."""
    return tuple(_find(identity, collective).active.values())


def moderators_of(identity: Identity, collective: str) -> tuple[Moderator, ...]:
    """Return all moderators that a collective has, or had."""
    return _find(identity, collective).everybody


def signatures_needed(identity: Identity, collective: str, *, danger: bool) -> int:
    """Return how many moderators must sign: two for danger unless there is only one."""
    return 2 if danger and len(_find(identity, collective).active) != 1 else 1


def signers(envelope: Envelope, identity: Identity, collective: str) -> frozenset[str]:
    """Return the ids of the moderators who signed; every signature must be good.

    Raises `unknown-key` (not of an active moderator of this collective), `bad-signature`, or
    `malformed` for two signatures by one key.
    """
    active = _find(identity, collective).active
    if len({signature.keyid for signature in envelope.signatures}) != len(envelope.signatures):
        raise InvalidInput("malformed")
    signed = set()
    for signature in envelope.signatures:
        moderator = active.get(signature.keyid)
        if moderator is None:
            raise InvalidInput("unknown-key")
        verify(moderator.sign, envelope.payload_type, envelope.payload, signature.sig)
        signed.add(moderator.id)
    return frozenset(signed)


def standing_signers(envelope: Envelope, identity: Identity, collective: str) -> frozenset[str]:
    """Return the ids of the active moderators who signed; other signatures are passed over."""
    return _signed_by(envelope, _find(identity, collective).active)


def unrevoked_signers(envelope: Envelope, identity: Identity, collective: str) -> frozenset[str]:
    """Return the ids of those who signed and whose keys were never revoked, active or not."""
    return _signed_by(envelope, _find(identity, collective).unrevoked)


def revocations(old: Identity, new: Identity) -> frozenset[tuple[str, str]]:
    """Return who is revoked in `new` and was not in `old`, as ids of collective and moderator.

    A collective that is revoked takes all of its moderators with it.
    """
    return _revoked(new) - _revoked(old)


_NOBODY = Roster((), {}, {})


def _find(identity: Identity, collective: str) -> Roster:
    return rosters(identity).get(collective, _NOBODY)


def _roster(collective: Collective) -> Roster:
    by_key = {key_id(one.sign): one for one in collective.moderators}

    def are(*statuses: Status) -> dict[str, Moderator]:
        if collective.status not in statuses:
            return {}
        return {keyid: one for keyid, one in by_key.items() if one.status in statuses}

    return Roster(collective.moderators, are(Status.ACTIVE), are(Status.ACTIVE, Status.ENDED))


def _revoked(identity: Identity) -> frozenset[tuple[str, str]]:
    return frozenset(
        (collective.id, one.id)
        for collective in identity.collectives
        for one in collective.moderators
        if Status.REVOKED in (collective.status, one.status)
    )


def _signed_by(envelope: Envelope, moderators: Mapping[str, Moderator]) -> frozenset[str]:
    signed = {signature.keyid: signature.sig for signature in envelope.signatures}
    return frozenset(
        moderator.id
        for keyid, signature in signed.items()
        if (moderator := moderators.get(keyid)) is not None
        and holds(envelope, moderator.sign, signature)
    )
