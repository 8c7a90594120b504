"""From one network key to the next: every token converted, then everything changed at one stroke.

No identifier is needed for it: k' = delta · k makes of each token what its identifier would give
under k' (PROTOCOL.md §9). Whoever is not given delta is shut out.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

from api.crypto.buckets import bucket_word
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import Element, Scalar, element, multiply, scalar, scalar_from_uniform
from api.errors import Conflict, Unavailable
from api.keyring import KeyFileError, Keyring, add_key
from api.services.drafts import Changes
from api.services.identities import Identities, current_identity
from api.services.instance import Chance, Clock
from api.services.sealing import Sealer
from api.services.sharing import Shared, check_delta
from api.services.transitions import note
from api.store.conversion import TABLES, Converted, Table
from api.store.engine import Store
from api.store.transaction import Transaction
from schemas.documents import Envelope, Identity
from schemas.reports import Status

AT_ONCE = 1_000
"""Tokens a transaction: what a stop loses, and how long a writer may have to wait."""
AT_THE_END = 50_000
"""Tokens at once where nobody can write meanwhile: nearly all are converted by then."""
BEGINNING = -1
"""Below all words."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many tokens of about how many are converted."""


class Rotation:
    """Each step may be stopped, and begun again: what is done stays done."""

    def __init__(
        self, store: Store, identities: Identities, sealer: Sealer, keys: Path, clock: Clock,
        chance: Chance,
    ) -> None:  # fmt: skip
        """Keep what is chosen among the key files in the folder `keys`."""
        self._store = store
        self._identities = identities
        self._sealer = sealer
        self._keys = keys
        self._clock = clock
        self._chance = chance

    def choose(self, given: Scalar | None = None) -> Scalar:
        """Return the delta from the epoch in force: the one that is here, `given`, or a new one.

        Raises KeyFileError where another one than `given` is here.
        """
        epoch = self._identities.current().epoch
        held = Keyring.load(self._keys).later.get(f"delta-{epoch}")
        if held is None:
            delta = given or scalar_from_uniform(self._chance(64))
            add_key(self._keys, f"delta-{epoch}", delta)
            return delta
        if given not in (None, held):
            raise KeyFileError(
                f"{self._keys / f'delta-{epoch}.key'} is of another rotation that was begun here: "
                "move it away to go over to this one"
            )
        return scalar(held)

    def take(self, shared: Shared) -> Scalar:
        """Return the delta from the epoch in force that another instance of the network gave.

        Raises InvalidInput `wrong-network` unless it leads from our key to the one that instance
        has signed, `wrong-epoch` where there is none from here; KeyFileError as `choose` does.
        """
        ours = self._identities.current()
        delta = shared.deltas.get(ours.epoch)
        after = shared.public_keys.get(ours.epoch + 1)
        if shared.identity.network != ours.network:
            raise InvalidInput("wrong-network")
        if delta is None or after is None:
            raise InvalidInput("wrong-epoch")
        check_delta(delta, ours.public_key, after)
        return self.choose(delta)

    def convert(self, delta: Scalar, progress: Progress) -> None:
        """Compute what every stored token becomes; what is computed already is kept.

        Raises Conflict where somebody else does the same.
        """
        with self._store.begin() as tx:
            identity = current_identity(tx)
            step = _Step(identity.network, identity.epoch + 1, delta)
            step.drop_others(tx)
        with self._store.read() as tx:
            total, done = tx.conversion.total(), tx.conversion.done()
        progress(done, total)
        for table in TABLES:
            for rows in _ahead(self._pages(table), step.converted):
                with self._store.begin() as tx:
                    tx.conversion.add(rows)
                done += len(rows)
                progress(done, total)

    def draft(self, delta: Scalar) -> Identity:
        """Return the identity that announces the next epoch."""
        key = element(self._identities.current().public_key)
        return self._identities.draft(Changes(network_key=multiply(delta, key)))

    def switch(self, envelope: Envelope, delta: Scalar) -> Identity:
        """Go over to the next epoch with all that is stored, or do nothing.

        What came since `convert` is converted here. What was approved stays, in its epoch; what
        lacks a signature has to be signed anew. Raises what `Identities.accept` does.
        """
        with self._store.begin() as tx:
            tx.collectives.hold_identity(alone=True)
            pinned, now = current_identity(tx), self._clock()
            carry_over(tx, pinned.network, pinned.epoch + 1, delta, now)
            identity = self._identities.put_in_force(tx, pinned, envelope)
            if identity.epoch != pinned.epoch + 1:
                raise InvalidInput("identity-refused")
            self._sealer.seal_anew(tx, identity, now)
        with suppress(Unavailable):  # it is done: the server tidies up, too
            self._store.tidy()
        return identity

    def _pages(self, table: Table) -> Iterator[Mapping[bytes, int]]:
        """Yield the tokens of a table that are not converted."""
        after = BEGINNING
        while True:
            with self._store.read() as tx:
                page = tx.conversion.missing(table, after, AT_ONCE)
            if not page:
                return
            yield page
            after = max(page.values())


def carry_over(tx: Transaction, network: str, epoch: int, factor: Scalar, now: datetime) -> None:
    """Bring all that is stored into the later `epoch`, to whose network key `factor` leads.

    In `tx`, which holds the identity alone, and puts one of that epoch in force; the list is left
    as it was, to be sealed anew.
    """
    step = _Step(network, epoch, factor)
    tx.conversion.lock()
    step.drop_others(tx)
    for table in TABLES:
        after = BEGINNING
        while words := tx.conversion.missing(table, after, AT_THE_END):
            tx.conversion.add(step.converted(words))
            after = max(words.values())
    tx.conversion.swap()
    tx.conversion.clear()
    for report in tx.conversion.half_approved():
        note(tx, now, report, "operator", Status.IN_REVIEW, "key changed")
        if not tx.reports.change(report, (Status.IN_REVIEW,), envelope=None, entry=None):
            raise Conflict


class _Step(NamedTuple):
    """Where tokens are taken, and by which factor."""

    network: str
    epoch: int
    factor: Scalar

    def converted(self, words: Mapping[bytes, int]) -> list[Converted]:
        """Return what tokens, given with their words, become."""
        found = (
            (word, token, multiply(self.factor, Element(token))) for token, word in words.items()
        )
        return [
            (word, token, self.epoch, bucket_word(becomes, self.network, self.epoch), becomes)
            for word, token, becomes in found
        ]

    def drop_others(self, tx: Transaction) -> None:
        """Forget what was computed on the way to somewhere else."""
        known = tx.conversion.sample()
        if known is not None and (known.epoch, known.next_token) != (
            self.epoch, multiply(self.factor, element(known.token)),
        ):  # fmt: skip
            tx.conversion.clear()


def _ahead(
    pages: Iterable[Mapping[bytes, int]], work: Callable[[Mapping[bytes, int]], list[Converted]]
) -> Iterator[list[Converted]]:
    """Yield what `work` makes of each page, in order, while the next ones are computed.

    The multiplications leave the interpreter free: there are as many at once as cores.
    """
    workers = os.cpu_count() or 1
    waiting: deque[Future[list[Converted]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="rotation") as pool:
        for page in pages:
            waiting.append(pool.submit(work, page))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
