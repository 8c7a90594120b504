"""Who this instance is: the identity in force and the keys behind it."""

from collections.abc import Callable
from datetime import datetime

from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.crypto.oprf import KeyEvaluator
from api.crypto.ristretto import scalar
from api.errors import NotFound
from api.keyring import KeyFileError, Keyring
from api.store.engine import Store
from api.store.transaction import Transaction
from schemas.documents import Envelope, Identity

Clock = Callable[[], datetime]
Chance = Callable[[int], bytes]

TEST_NETWORK = "test-"


def to_the_hour(moment: datetime) -> int:
    """Return Unix seconds, whole hours: no finer a trail is kept of who did what when."""
    return int(moment.timestamp()) // 3600 * 3600


def hour_from(moment: datetime) -> int:
    """Return Unix seconds, the next whole hour: never earlier than `moment`."""
    return -(-int(moment.timestamp()) // 3600) * 3600


class NotFounded(Exception):  # noqa: N818  (a state of things, not an error in them)
    """There is no identity yet: `parasol init` was not run on this database."""


class Instance:
    """The identity in force, read anew whenever the database holds a newer one."""

    def __init__(self, store: Store, keyring: Keyring, chance: Chance) -> None:
        """Read the identity; raise NotFounded, or KeyFileError where the keys are not its own."""
        self._store = store
        self._keyring = keyring
        try:
            self.evaluator = KeyEvaluator(scalar(keyring.epoch), chance)
        except InvalidInput:
            raise KeyFileError("epoch.key does not hold a network key") from None
        with store.read() as tx:
            self._held = self._read(tx)

    @property
    def identity(self) -> Identity:
        """The identity in force, as last read."""
        return self._held[0]

    @property
    def is_test(self) -> bool:
        """Whether the network is for tests, where some limits may be lower."""
        return self.identity.network.startswith(TEST_NETWORK)

    @property
    def log_seed(self) -> bytes:
        """The seed of the log key, which signs buckets."""
        return self._keyring.log

    @property
    def receipt_key(self) -> bytes:
        """The key of receipts."""
        return self._keyring.receipt

    def refresh(self, tx: Transaction) -> Identity:
        """Return the identity in force as `tx` sees it; hold it if it is newer than ours."""
        if tx.collectives.newest_version() == self.identity.version:
            return self.identity
        seen = self._read(tx)
        if seen[0].version > self.identity.version:
            self._held = seen
        return seen[0]

    def envelope(self, version: int | None) -> Envelope:
        """Return an issued identity, by default the one in force; raise NotFound."""
        if version is None:
            return self._held[1]
        with self._store.read() as tx:
            text = tx.collectives.identity(version)
        if text is None:
            raise NotFound
        return Envelope.model_validate_json(text)

    def _read(self, tx: Transaction) -> tuple[Identity, Envelope]:
        version = tx.collectives.newest_version()
        text = None if version is None else tx.collectives.identity(version)
        if text is None:
            raise NotFounded
        envelope = Envelope.model_validate_json(text)
        identity = Identity.decode(envelope.payload)
        held = (self.evaluator.public_key, public_key(self._keyring.log))
        if (
            held != (identity.public_key, identity.log_key)
            or public_key(self._keyring.http) not in identity.http_keys
        ):
            raise KeyFileError("the key files are not those of this database's identity")
        return identity, envelope
