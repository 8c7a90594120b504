"""Identifiers in clear, on the way to their tokens and into oblivion (PROTOCOL.md §2)."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.oprf import KeyEvaluator
from api.crypto.stretching import Cost, stretch
from api.errors import Unavailable
from schemas.documents import Identity
from schemas.lookups import PlainIdentifier

NICENESS = 10

T = TypeVar("T")


class Stretching:
    """A bounded pool for Argon2id: beyond its queue the answer is `Unavailable`, at once."""

    def __init__(self, threads: int, queue: int) -> None:
        """Compute on `threads` threads; let `queue` more computations wait."""
        self._pool = ThreadPoolExecutor(threads, "stretching", _give_way)
        self._places = self._free = threads + queue
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """How many places are held."""
        return self._places - self._free

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
        return list(self._pool.map(lambda one: token(one, identity, evaluator), identifiers))

    async def each(
        self, work: Callable[[Identifier], T], identifiers: Sequence[Identifier]
    ) -> list[T]:
        """Return what `work` makes of each identifier, on the threads here; for held `places`, too.

        Whoever waits holds no other thread meanwhile, which would be missing elsewhere.
        """
        loop = asyncio.get_running_loop()
        working = [loop.run_in_executor(self._pool, work, one) for one in identifiers]
        await asyncio.wait(working)
        return [one.result() for one in working]

    def close(self) -> None:
        """End the pool."""
        self._pool.shutdown(cancel_futures=True)


def _give_way() -> None:
    """Let this thread compute only when no other wants to, where a system tells them apart."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def token(identifier: Identifier, identity: Identity, evaluator: KeyEvaluator) -> bytes:
    """Return the token of an identifier in the network of `identity`: some 100 ms of computing."""
    cost = Cost(identity.argon2id.m_kib, identity.argon2id.t)
    return bytes(evaluator.token(stretch(identifier, identity.network, cost)))


def canonical(given: PlainIdentifier) -> Identifier:
    """Return the canonical form of what was typed; raise InvalidInput `invalid-identifier`."""
    return parse_identifier(given.kind, given.value.get_secret_value(), given.region)
