"""The sealed list: made when it changes, never when it is read (PROTOCOL.md §3)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from api.crypto.buckets import (
    MAX_BITS,
    Counts,
    Layout,
    bucket_index,
    plan_layout,
    seal_bucket,
)
from api.services.instance import Chance, Instance
from api.services.serving import SECONDS_AN_HOUR
from api.store.transaction import Transaction
from schemas.documents import Identity
from schemas.tables import BucketRow

SEALED_AGAIN_HOURS = 20
"""Before the 24 hours that are promised are over."""
WORD_BITS = 32
MONTHS_A_YEAR = 12

Entry = tuple[bytes, Counts]


class Sealer:
    """Seals what changed, in the transaction that it is given."""

    def __init__(self, instance: Instance, limit: int, chance: Chance) -> None:
        """Seal with the keys of `instance`, in files of at most `limit` bytes where possible."""
        self._instance = instance
        self._limit = limit
        self._chance = chance

    def run(self, tx: Transaction, now: datetime) -> int:
        """Seal each bucket whose content changed or whose time is over; return how many."""
        # Held: a list that is sealed under a key must not come after the next one's.
        tx.collectives.hold_identity()
        identity = self._instance.refresh(tx)
        current = tx.buckets.layout()
        changes = tx.buckets.changed()
        generation = current.generation + 1 if current else 1
        if current is None or current.epoch != identity.epoch:
            sealed = self._lay_out(tx, identity, now, generation)
        else:
            layout = Layout(current.bits, current.slots)
            summaries = tx.buckets.summaries()
            held = {index: entries for index, entries, _, _ in summaries}
            due = {bucket_index(row.word, layout.bits) for row in changes}
            due |= {i for i, _, hour, day in summaries if _is_old(hour, day, now)}
            fresh = {index: self._listed(tx, index, layout, now) for index in due}
            held |= {index: len(entries) for index, entries in fresh.items()}
            if self._planned(held, layout.bits) != layout:
                sealed = self._lay_out(tx, identity, now, generation)
            else:
                sealed = self._put(tx, identity, layout, fresh, now, generation)
        tx.buckets.settled(changes)
        return sealed

    def seal_anew(self, tx: Transaction, identity: Identity, now: datetime) -> None:
        """Seal everything under `identity`, which comes into force with this transaction."""
        changes = tx.buckets.changed()
        current = tx.buckets.layout()
        self._lay_out(tx, identity, now, current.generation + 1 if current else 1)
        tx.buckets.settled(changes)

    def _lay_out(self, tx: Transaction, identity: Identity, now: datetime, generation: int) -> int:
        """Cut the list anew: the smallest layout in which every bucket fits."""
        rows = self._rows(tx, 0, Layout(0, 0), now)
        finest = Counter(bucket_index(word, MAX_BITS) for _, word, _ in rows)
        layout = self._planned(finest, MAX_BITS)
        cut: dict[int, list[Entry]] = {index: [] for index in range(1 << layout.bits)}
        for token, word, counts in rows:
            cut[bucket_index(word, layout.bits)].append((token, Counts(*counts)))
        edition = self._chance(16).hex()
        tx.buckets.lay_out(edition, identity.epoch, layout.bits, layout.slots, generation)
        return self._put(tx, identity, layout, cut, now, generation)

    def _planned(self, held: Mapping[int, int], bits: int) -> Layout:
        """Return the smallest layout in which `held`, the entries of buckets of `bits`, fit.

        One of more than `bits` is returned untried: how these cut them, `held` does not tell.
        """
        extra = 0
        while True:
            layout = plan_layout(sum(held.values()), self._limit, extra)
            fullest: Counter[int] = Counter()
            for index, entries in held.items():
                fullest[index >> max(0, bits - layout.bits)] += entries
            if layout.bits > bits or max(fullest.values(), default=0) <= layout.slots:
                return layout
            extra += 1

    def _put(
        self, tx: Transaction, identity: Identity, layout: Layout,
        buckets: Mapping[int, Sequence[Entry]], now: datetime, generation: int,
    ) -> int:  # fmt: skip
        hour = int(now.timestamp()) // SECONDS_AN_HOUR
        for index, entries in buckets.items():
            file = seal_bucket(
                entries,
                network=identity.network,
                epoch=identity.epoch,
                layout=layout,
                index=index,
                sealed=hour,
                salt=self._chance(16),
                log_seed=self._instance.log_seed(identity),
                chance=self._chance,
            )
            tx.buckets.put(
                BucketRow(
                    index=index, generation=generation, entries=len(entries),
                    sealed=hour, day=f"{now:%Y-%m-%d}", file=file,
                )
            )  # fmt: skip
        if buckets:
            tx.buckets.sealed(generation)
        return len(buckets)

    def _listed(self, tx: Transaction, index: int, layout: Layout, now: datetime) -> list[Entry]:
        return [(token, Counts(*counts)) for token, _, counts in self._rows(tx, index, layout, now)]

    def _rows(
        self, tx: Transaction, index: int, layout: Layout, now: datetime
    ) -> list[tuple[bytes, int, list[int]]]:
        width = 1 << (WORD_BITS - layout.bits)
        recent_from = f"{now.year - (now.month < MONTHS_A_YEAR):04}-{now.month % 12 + 1:02}"
        first, last = index * width, (index + 1) * width - 1
        return list(tx.buckets.listed(first, last, f"{now:%Y-%m-%d}", recent_from))


def _is_old(hour: int, day: str, now: datetime) -> bool:
    age = int(now.timestamp()) // SECONDS_AN_HOUR - hour
    return age >= SEALED_AGAIN_HOURS or age < 0 or day != f"{now:%Y-%m-%d}"
