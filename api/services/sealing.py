"""The sealed list: made when it changes, never when it is read (PROTOCOL.md §3)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from api.crypto.buckets import (
    Counts,
    Layout,
    bucket_index,
    plan_layout,
    seal_bucket,
)
from api.services.instance import Chance, Instance
from api.services.serving import SECONDS_AN_HOUR
from api.store.transaction import Transaction
from schemas.base import Severity
from schemas.documents import Identity
from schemas.tables import BucketRow

SEALED_AGAIN_HOURS = 20
"""Before the 24 hours that are promised are over."""
WORD_BITS = 32
MONTHS_A_YEAR = 12
NEIGHBOURS = 8
"""Buckets that are read together when all are: the database then reads its tables in one go."""

TOKEN_BYTES = 32

Entry = tuple[bytes, Counts]
_Report = tuple[str | None, bool, str]
"""Its severity, whether it is recent, and whose it is."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """Entries in a third of the memory: all of them are held while the list is cut."""

    tokens: bytes
    counts: tuple[Counts, ...]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> "_Packed":
        return cls(b"".join(token for token, _ in entries), tuple(one for _, one in entries))

    def __iter__(self) -> Iterator[Entry]:
        for start, counts in zip(range(0, len(self.tokens), TOKEN_BYTES), self.counts, strict=True):
            yield self.tokens[start : start + TOKEN_BYTES], counts


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
            fresh = {
                index: entries
                for index in due
                for entries in _read(tx, range(index, index + 1), layout.bits, now)
            }
            held |= {index: len(entries) for index, entries in fresh.items()}
            if self._planned(held, layout.bits) != layout:
                sealed = self._lay_out(tx, identity, now, generation)
            else:
                sealed = self._put(tx, identity, layout, fresh.items(), now, generation)
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
        bits, layout = -1, plan_layout(tx.buckets.tokens(), self._limit)
        while layout.bits > bits:
            bits = layout.bits
            count = 1 << bits
            parts = [
                _Packed.of(entries)
                for first in range(0, count, NEIGHBOURS)
                for entries in _read(tx, range(first, min(first + NEIGHBOURS, count)), bits, now)
            ]
            layout = self._planned({i: len(part.counts) for i, part in enumerate(parts)}, bits)
        width = 1 << (bits - layout.bits)
        cut = (
            (index, [entry for part in parts[index * width :][:width] for entry in part])
            for index in range(1 << layout.bits)
        )
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
        buckets: Iterable[tuple[int, Sequence[Entry]]], now: datetime, generation: int,
    ) -> int:  # fmt: skip
        hour, done = int(now.timestamp()) // SECONDS_AN_HOUR, 0
        for done, (index, entries) in enumerate(buckets, start=1):  # noqa: B007  (how many)
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
        if done:
            tx.buckets.sealed(generation)
        return done


def _read(tx: Transaction, indexes: range, bits: int, now: datetime) -> Iterator[list[Entry]]:
    """Yield, of neighbouring ones of 2^`bits` buckets, the tokens with their counts."""
    width = 1 << (WORD_BITS - bits)
    recent_from = f"{now.year - (now.month < MONTHS_A_YEAR):04}-{now.month % 12 + 1:02}"
    buckets: list[dict[bytes, list[_Report]]] = [{} for _ in indexes]
    first = indexes.start * width
    listed = tx.buckets.listed(first, indexes.stop * width - 1, f"{now:%Y-%m-%d}")
    for word, token, severity, month, collective in listed:
        report = (severity, (month or "") >= recent_from, collective)
        buckets[(word - first) // width].setdefault(token, []).append(report)
    for bucket in buckets:
        yield [(token, _counts(tuple(held))) for token, held in bucket.items()]


@lru_cache(maxsize=4096)  # nearly every token has one report, and most of these look alike
def _counts(reports: tuple[_Report, ...]) -> Counts:
    severities = Counter(severity for severity, _, _ in reports)
    return Counts(
        danger=severities[Severity.DANGER],
        risk=severities[Severity.RISK],
        nuisance=severities[Severity.NUISANCE],
        collectives=len({collective for _, _, collective in reports}),
        recent=sum(is_recent for _, is_recent, _ in reports),
    )


def _is_old(hour: int, day: str, now: datetime) -> bool:
    age = int(now.timestamp()) // SECONDS_AN_HOUR - hour
    return age >= SEALED_AGAIN_HOURS or age < 0 or day != f"{now:%Y-%m-%d}"
