"""Identifiers in clear, on the way to their tokens and into oblivion (PROTOCOL.md §2)."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.oprf import KeyEvaluator
from api.crypto.stretching import Cost, stretch
from api.errors import Unavailable
from schemas.documents import Identity
from schemas.lookups import PlainIdentifier


class Stretching:
    """A bounded pool for Argon2id: beyond its queue the answer is `Unavailable`, at once."""

    def __init__(self, threads: int, queue: int) -> None:
        """Compute on `threads` threads; let `queue` more computations wait."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="stretching")
        self._free = threads + queue
        self._lock = threading.Lock()

    @contextmanager
    def places(self, wanted: int) -> Iterator[None]:
        """Hold `wanted` places, all or none, for the block; raise Unavailable where too many wait.

        What a caller may ask for is counted inside: others' load must not use it up.
        """
        with self._lock:
            if wanted > self._free:
                raise Unavailable
            self._free -= wanted
        try:
            yield
        finally:
            with self._lock:
                self._free += wanted

    def tokens(
        self, identifiers: Sequence[Identifier], identity: Identity, evaluator: KeyEvaluator
    ) -> list[bytes]:
        """Return the token of each identifier; `places` for them are held already."""
        cost = Cost(identity.argon2id.m_kib, identity.argon2id.t)
        stretched = self._pool.map(lambda one: stretch(one, identity.network, cost), identifiers)
        return [bytes(evaluator.token(x)) for x in stretched]

    def close(self) -> None:
        """End the pool."""
        self._pool.shutdown(cancel_futures=True)


def canonical(given: PlainIdentifier) -> Identifier:
    """Return the canonical form of what was typed; raise InvalidInput `invalid-identifier`."""
    return parse_identifier(given.kind, given.value.get_secret_value(), given.region)
