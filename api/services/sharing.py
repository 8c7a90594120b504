"""The network key on its way to another instance: sealed, carried by hand (PROTOCOL.md §9)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from nacl.bindings import crypto_scalarmult_base

from api.crypto import oprf
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import Scalar, element, multiply, scalar
from api.crypto.sealing import seal, unseal
from api.crypto.words import fingerprint_words
from api.keyring import KeyFileError, Keyring, read_key, write_whole
from api.services.identities import began_in, current_identity
from api.services.instance import Chance
from api.store.engine import Store
from api.trust import check_current, open_identity, root_fingerprint, verify_backwards
from schemas.canonical import MalformedDocument
from schemas.documents import Envelope, Identity
from schemas.network import Delta, KeyRequest, SealedKey, SharedKey

TRANSPORT = "transport.key"
"""Beside the keys of an instance, not among them: it is there before they are."""
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Shared:
    """What another instance gave, once it was found to fit what that instance has signed.

    `identity` is its newest. Whose it is, only its root fingerprint can tell: the words of that
    are compared before any of this is used.
    """

    identity: Identity
    key: Scalar | None = field(repr=False)
    deltas: Mapping[int, Scalar] = field(repr=False)
    public_keys: Mapping[int, bytes]
    """The network's, by the epochs in which that instance has been."""

    @property
    def words(self) -> str:
        """The root fingerprint of the instance that gave this, as it is read out."""
        return fingerprint_words(root_fingerprint(self.identity.root))


class Sharing:
    """Seals what this instance holds to whoever asks for it in a file."""

    def __init__(self, store: Store, keys: Callable[[], Keyring]) -> None:
        """`keys()` reads the keys."""
        self._store = store
        self._keys = keys

    def key(self, request: KeyRequest) -> SealedKey:
        """Seal the network key, and every delta up to it, for a new instance.

        Raises InvalidInput `sealed-unreadable` for a key to which nothing can be sealed.
        """
        return self._sealed(request, with_key=True)

    def deltas(self, request: KeyRequest) -> SealedKey:
        """Seal the deltas up to the present key, for an instance that has an earlier one."""
        return self._sealed(request, with_key=False)

    def _sealed(self, request: KeyRequest, *, with_key: bool) -> SealedKey:
        ring = self._keys()
        with self._store.read() as tx:
            identity, began = current_identity(tx), began_in(tx)
            texts = [tx.collectives.identity(one) for one in range(1, identity.version + 1)]
        envelopes = tuple(Envelope.model_validate_json(text) for text in texts if text is not None)
        shared = SharedKey(
            deltas=tuple(
                Delta(epoch=epoch, delta=ring.delta(epoch))
                for epoch in ring.delta_epochs()
                if epoch < identity.epoch
            ),
            identities=envelopes,
            key=ring.network_key(began, identity.epoch) if with_key else None,
        )
        return SealedKey(sealed=seal(shared.encode(), request.key))


def request_key(data: Path, chance: Chance) -> KeyRequest:
    """Return a request of the instance, or of the one that is still to be, in the folder `data`.

    What is sealed to it can be opened there only. Raises KeyFileError.
    """
    file = data / TRANSPORT
    if not file.exists():
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(file, chance(KEY_BYTES).hex() + "\n")
        except OSError:
            raise KeyFileError(f"{file} cannot be written") from None
    return KeyRequest(key=crypto_scalarmult_base(read_key(file)))


def request_words(request: KeyRequest) -> str:
    """Return the words of a request's key: whoever else could read what is sealed has others."""
    return fingerprint_words(sha256(request.key).digest())


def open_shared(data: Path, sealed: SealedKey, now: datetime) -> Shared:
    """Return what was sealed to the request that was made in the folder `data`.

    Raises KeyFileError where none was; InvalidInput `sealed-unreadable`, `malformed`, what a chain
    of identities raises, and `wrong-network` for a key that is not of the signed identities.
    """
    file = data / TRANSPORT
    if not file.exists():
        raise KeyFileError(f"{file} is not there: what was sealed to it can be opened nowhere else")
    try:
        shared = SharedKey.decode(unseal(sealed.sealed, read_key(file)))
    except MalformedDocument:
        raise InvalidInput("malformed") from None
    *older, newest = shared.identities
    claimed = _claimed(newest)
    identity = open_identity(newest, root_sha256=root_fingerprint(claimed.root))
    check_current(identity, now)
    history = (identity, *verify_backwards(identity, older[::-1]))
    keys = {one.epoch: one.public_key for one in history}
    deltas = {one.epoch: scalar(one.delta) for one in shared.deltas}
    key = None if shared.key is None else scalar(shared.key)
    if key is not None and oprf.public_key(key) != identity.public_key:
        raise InvalidInput("wrong-network")
    for epoch, delta in deltas.items():
        check_delta(delta, keys.get(epoch), keys.get(epoch + 1))
    return Shared(identity, key, deltas, keys)


def check_delta(delta: Scalar, before: bytes | None, after: bytes | None) -> None:
    """Accept a delta if it leads from one public network key to the next, where both are known.

    Raises InvalidInput `wrong-network`.
    """
    if None not in (before, after) and multiply(delta, element(before or b"")) != after:
        raise InvalidInput("wrong-network")


def forget_request(data: Path) -> None:
    """Delete the key to which the network's was sealed: it has done its work."""
    (data / TRANSPORT).unlink(missing_ok=True)


def _claimed(envelope: Envelope) -> Identity:
    try:
        return Identity.decode(envelope.payload)
    except MalformedDocument:
        raise InvalidInput("identity-refused") from None
