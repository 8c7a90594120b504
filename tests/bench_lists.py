"""What sealing a list costs; a part of `make bench`."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from api.crypto.buckets import Counts, Layout, plan_layout, seal_bucket
from api.server import settle
from api.services.sealing import Sealer
from api.services.timekeeping import LEASE
from api.store.engine import open_engine
from schemas.tables import BucketRow, UnsealedRow
from tests.bench_peers import psi_rows
from tests.bench_rotation import TOKENS
from tests.factories import NETWORK, Clock, World

APPROVALS = 7
HELD_SECONDS = 100
"""A lease that ended later would not be believed."""


def list_rows(world: World) -> Iterator[tuple[str, str]]:
    """Seal all of a list from nothing, then what one approval changes, again and again."""
    settle()
    sealer = Sealer(world.parts.instance, world.settings.bucket_limit, os.urandom)

    def seal() -> None:
        with world.parts.store.begin() as tx:
            sealer.run(tx, world.clock.now)
        world.parts.instance.serve()

    seconds, cpu = _timed(seal)
    yield f"sealing {TOKENS:,} tokens from nothing", f"{seconds:.1f} s, {cpu:.1f} s CPU  [≤ 15]"
    yield from psi_rows(TOKENS, seconds, plan_layout(TOKENS).size)
    engine = open_engine(world.url)
    again = []
    for _ in range(APPROVALS):
        with engine.begin() as connection:
            connection.execute(insert(UnsealedRow), [{"word": secrets.randbits(32)}])
        again.append(_timed(seal))
    engine.dispose()
    (seconds, cpu) = sorted(again)[APPROVALS // 2]
    yield (
        "sealing again after one approval",
        (f"{cpu * 1000:.0f} ms CPU, {seconds * 1000:.0f} ms with the database  [≤ 60]"),
    )


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def cut_alike(folder: Path, url: str, tokens: int) -> tuple[World, str, Layout]:
    """Return an instance whose list of that many is cut as one of `TOKENS`, and a member's token.

    It keeps the lease of the timed work, so that nobody cuts the list as it should be.
    """
    folder.mkdir()
    clock = Clock(datetime.now(UTC))
    world = World(folder, url, clock)
    world.collective("rose", 1)
    layout = plan_layout(TOKENS)
    count, hour = 1 << layout.bits, int(clock.now.timestamp()) // 3600
    with world.parts.store.begin() as tx:
        tx.buckets.lay_out("bench", 1, layout.bits, layout.slots, 1)
        for index in range(count):
            entries = [
                (secrets.token_bytes(32), Counts(1, 0, 0, 1, 1)) for _ in range(tokens // count)
            ]
            file = seal_bucket(
                entries, network=NETWORK, epoch=1, layout=layout, index=index, sealed=hour,
                salt=secrets.token_bytes(16), chance=secrets.token_bytes,
                log_seed=world.parts.instance.log_seed(world.identity),
            )  # fmt: skip
            row = BucketRow(
                index=index, generation=1, entries=len(entries), sealed=hour,
                day=f"{clock.now:%Y-%m-%d}", file=file,
            )  # fmt: skip
            tx.buckets.put(row)
        moment = int(time.time())
        assert tx.leases.take(LEASE, "bench", moment, moment + HELD_SECONDS)
    return world, world.member("rose").bearer.get_secret_value(), layout
