"""Who this instance is: the identity in force and the keys behind it."""

import threading
from collections.abc import Callable
from datetime import datetime

from api.crypto import oprf
from api.crypto.envelopes import public_key
from api.crypto.oprf import KeyEvaluator
from api.crypto.ristretto import Element, Scalar, element, multiply
from api.errors import NotFound, Unavailable
from api.keyring import KeyFileError, Keyring, Keys
from api.services.serving import Held, SealedList, Serving, newest_list
from api.store.engine import Store
from api.store.transaction import Transaction
from schemas.documents import Envelope, Identity

Clock = Callable[[], datetime]
Chance = Callable[[int], bytes]

TEST_NETWORK = "test-"
NOT_OURS = "the key files are not those of this database's identity"


def to_the_hour(moment: datetime) -> int:
    """Return Unix seconds, whole hours: no finer a trail is kept of who did what when."""
    return int(moment.timestamp()) // 3600 * 3600


def hour_from(moment: datetime) -> int:
    """Return Unix seconds, the next whole hour: never earlier than `moment`."""
    return -(-int(moment.timestamp()) // 3600) * 3600


_Reading = Callable[[Transaction], tuple[Held, SealedList | None]]


class NotFounded(Exception):  # noqa: N818  (a state of things, not an error in them)
    """There is no identity yet: `parasol init` was not run on this database."""


class Instance:
    """The identity in force and the keys behind it, read anew whenever the database holds newer.

    What a transaction sees and what this process serves are two things: after a change of the
    network key, or of the log's, the process goes over to it only together with the list that is
    sealed with the new one.
    """

    def __init__(self, store: Store, keys: Keys, chance: Chance) -> None:
        """Read the identity; raise NotFounded, or KeyFileError where the keys are not its own."""
        self._store = store
        self._keys = keys
        self._chance = chance
        self._moving = threading.Lock()
        with store.read() as tx:
            self._began = _decoded(_stored(tx, 1)).epoch
            self._newest = self._read(tx)
        self._serving = Serving(self._newest)

    @property
    def serving(self) -> Serving:
        """What this process serves now."""
        return self._serving

    @property
    def identity(self) -> Identity:
        """The identity that is served."""
        return self._serving.held.identity

    @property
    def is_test(self) -> bool:
        """Whether the network is for tests, where some limits may be lower."""
        return self.identity.network.startswith(TEST_NETWORK)

    @property
    def receipt_key(self) -> bytes:
        """The key of receipts."""
        return self._keys.receipt

    def log_seed(self, identity: Identity) -> bytes:
        """Return the seed of the log key of `identity`, which signs buckets too."""
        return self._keys.log_seed(number_of(identity.log))

    def http_seed(self, identity: Identity) -> bytes:
        """Return a seed with which requests may be signed under `identity`."""
        return self._keys.find(lambda ring: _http_seed(ring, identity))

    def network_public_key(self, epoch: int) -> Element:
        """Return K of an epoch, earlier ones too; raise KeyFileError where a delta is not here."""
        return oprf.public_key(self._keys.find(lambda ring: ring.network_key(self._began, epoch)))

    def factor(self, epoch: int, into: int) -> Scalar:
        """Return what leads from the network key of `epoch` to that of the later epoch `into`.

        Raises KeyFileError where a delta between is not here.
        """
        return self._keys.find(lambda ring: ring.factor(epoch, into))

    def convert(self, token: bytes, epoch: int, into: int) -> Element:
        """Return what a token of `epoch` became in the later epoch `into`.

        Raises InvalidInput `invalid-element`, KeyFileError where a delta between is not here.
        """
        if epoch == into:
            return element(token)
        return multiply(self.factor(epoch, into), element(token))

    def held(self, tx: Transaction) -> Held:
        """Return the identity in force as `tx` sees it, with the network key of its epoch."""
        seen = self._seen(tx)
        if seen.identity.version > self.identity.version:
            self._follow(seen)
        return seen

    def refresh(self, tx: Transaction) -> Identity:
        """Return the identity in force as `tx` sees it."""
        return self.held(tx).identity

    def serve(self) -> None:
        """Serve what the database holds now, of one moment, whichever process put it there.

        An identity whose list is still to be sealed is served when it is.
        """
        with self._moving:
            self._move(self._store.glance)

    def envelope(self, version: int | None) -> Envelope:
        """Return an issued identity, by default the one that is served; raise NotFound."""
        if version is None:
            return self._serving.held.envelope
        return self._store.glance(lambda tx: _issued(tx, version))

    def _follow(self, seen: Held) -> None:
        """Serve what was seen, before anybody hears of it who then asks again.

        Where another thread is at it, that one does; to wait for it, with a connection in hand,
        could leave it without one.
        """
        if not self._moving.acquire(blocking=False):
            return
        try:
            before = self._serving
            if seen.is_sealed_like(before.held):
                self._serving = Serving(seen, before.sealed)
            else:
                self._move(self._now)
        finally:
            self._moving.release()

    def _now(self, reading: _Reading) -> tuple[Held, SealedList | None]:
        with self._store.read() as tx:
            return reading(tx)

    def _move(self, read: Callable[[_Reading], tuple[Held, SealedList | None]]) -> None:
        before = self._serving
        held, sealed = read(self._look)
        if held.identity.version < before.held.identity.version:
            held = before.held
        if sealed is None and held.is_sealed_like(before.held):
            sealed = before.sealed
        lost = sealed is None and before.sealed is not None
        if not lost and (sealed is None or sealed.epoch == held.identity.epoch):
            self._serving = Serving(held, sealed)

    def _look(self, tx: Transaction) -> tuple[Held, SealedList | None]:
        before = self._serving
        held, sealed = self._seen(tx), newest_list(tx, before.sealed)
        if tx.copied and (
            held.identity.version < before.held.identity.version
            or sealed is None
            or (before.sealed and sealed.generation < before.sealed.generation)
        ):
            raise Unavailable  # a replica that lags behind what we serve already
        return held, sealed

    def _seen(self, tx: Transaction) -> Held:
        version = tx.collectives.newest_version()
        for known in (self._serving.held, self._newest):
            if known.identity.version == version:
                return known
        self._newest = self._read(tx)
        return self._newest

    def _read(self, tx: Transaction) -> Held:
        envelope = _stored(tx, tx.collectives.newest_version())
        identity = _decoded(envelope)
        evaluator = self._keys.find(lambda ring: self._evaluator(ring, identity))
        return Held(identity, envelope, evaluator)

    def _evaluator(self, ring: Keyring, identity: Identity) -> KeyEvaluator:
        return KeyEvaluator(check_keys(ring, self._began, identity), self._chance)


def check_keys(ring: Keyring, began: int, identity: Identity) -> Scalar:
    """Return the network key of `identity`, of an instance that began in the epoch `began`.

    Raises KeyFileError where it, the log key or every http key is not among the keys.
    """
    key = ring.network_key(began, identity.epoch)
    held = (oprf.public_key(key), public_key(ring.log_seed(number_of(identity.log))))
    if held != (identity.public_key, identity.log_key):
        raise KeyFileError(NOT_OURS)
    _http_seed(ring, identity)
    return key


def number_of(log: str) -> int:
    """Return the number of a log id, `origin:number`."""
    return int(log.rpartition(":")[2])


def _http_seed(ring: Keyring, identity: Identity) -> bytes:
    for seed in ring.http_seeds():
        if public_key(seed) in identity.http_keys:
            return seed
    raise KeyFileError(NOT_OURS)


def _stored(tx: Transaction, version: int | None) -> Envelope:
    text = None if version is None else tx.collectives.identity(version)
    if text is None:
        raise NotFounded
    return Envelope.model_validate_json(text)


def _issued(tx: Transaction, version: int) -> Envelope:
    text = tx.collectives.identity(version)
    if text is None:
        raise NotFound
    return Envelope.model_validate_json(text)


def _decoded(envelope: Envelope) -> Identity:
    return Identity.decode(envelope.payload)
