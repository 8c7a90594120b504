"""What an identity says, before the root keys sign it (PROTOCOL.md §7)."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.crypto import oprf
from api.crypto.envelopes import key_id, public_key, sign
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import scalar
from api.keyring import Keyring
from api.services.instance import number_of
from api.trust import LIFETIME
from schemas.documents import Argon2id, Collective, Envelope, Identity, Root, Signature


@dataclass(frozen=True, slots=True)
class Founding:
    """What an operator chooses once, for ever: the network, and where the instance lives."""

    network: str
    origin: str
    address: str
    argon2id: Argon2id
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class Changes:
    """What the next identity changes beside who moderates; None keeps what is in force.

    `log_key` begins the next log, `network_key` (the public one) the next epoch.
    """

    root: Root | None = None
    http_keys: Iterable[bytes] | None = None
    log_key: bytes | None = None
    network_key: bytes | None = None


NOTHING = Changes()


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
    """Return version 1 of an instance's identity, without any collective yet.

    The network key in `ring` is that of the epoch in which the instance begins.
    """
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
        epoch=founding.epoch,
        public_key=oprf.public_key(scalar(ring.epoch)),
        argon2id=founding.argon2id,
        collectives=(),
        feed=f"{founding.address}/feed/v1/",
    )


def next_draft(
    pinned: Identity, collectives: tuple[Collective, ...], changes: Changes, now: datetime
) -> Identity:
    """Return the identity that follows `pinned`; raise InvalidInput `key-in-use`."""
    update: dict[str, object] = {
        "version": pinned.version + 1,
        "previous": hashlib.sha256(pinned.encode()).digest(),
        "issued": written(now),
        "expires": written(now + LIFETIME),
        "collectives": collectives,
    }
    if changes.root is not None:
        update["root"] = changes.root
    if changes.http_keys is not None:
        update["http_keys"] = tuple(sorted(changes.http_keys))
    if changes.log_key is not None:
        update["log"] = f"{pinned.origin}:{number_of(pinned.log) + 1}"
        update["log_key"] = changes.log_key
    if changes.network_key is not None:
        update["epoch"] = pinned.epoch + 1
        update["public_key"] = changes.network_key
    draft = pinned.model_copy(update=update)
    _check_uses(draft)
    return draft


def _check_uses(draft: Identity) -> None:
    """Refuse a key that would have two uses: whoever has it for the one must not have the other.

    That a root key is on the server is refused here only: nobody else can tell.
    """
    roots, servers = set(draft.root.keys), {*draft.http_keys, draft.log_key}
    theirs = {
        key for one in draft.collectives for who in one.moderators for key in (who.sign, who.box)
    }
    if roots & servers or (roots | servers) & theirs:
        raise InvalidInput("key-in-use")
