"""`make bench`: what a change of the network key costs, beside the multiplications in it alone."""

import itertools
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import insert

from api.crypto.buckets import bucket_word
from api.crypto.oprf import hash_to_group
from api.crypto.ristretto import Element, add, multiply
from api.keyring import read_key
from api.server import configure_logs
from api.services.drafts import signed
from api.store.engine import open_engine
from schemas.tables import IdentifierRow, ReportRow
from tests.factories import NETWORK, Clock, World
from tests.services import postgresql

# A million takes about five minutes.
TOKENS = int(os.environ.get("PARASOL_BENCH_TOKENS", "20000"))
AT_ONCE = 10_000
FEW = 2_000


def stocked(
    folder: Path, url: str, tokens: int, clock: Clock | None = None, **options: int
) -> World:
    """Return an instance that will list that many tokens, each of a report of its own."""
    world = World(folder, url, clock or Clock(), options)
    world.collective("rose", 1)
    engine = open_engine(url)
    numbered = enumerate(_tokens(tokens), start=1)
    for some in iter(lambda: list(itertools.islice(numbered, AT_ONCE)), []):
        with engine.begin() as connection:
            connection.execute(insert(ReportRow), [_report(seq) for seq, _ in some])
            connection.execute(insert(IdentifierRow), [_identifier(*one) for one in some])
    engine.dispose()
    return world


def rotation(folder: Path, url: str, tokens: int = TOKENS) -> tuple[float, float, float]:
    """Return the seconds of the multiplications alone, of a whole rotation, and of its last step.

    The last is one transaction, during which nothing else can be written. Alone is one core's,
    measured before, between and after, since other things may go on in this machine.
    """
    world = stocked(folder, url, tokens)
    world.round()
    few = list(_tokens(FEW))
    try:
        work = world.parts.rotation
        delta = work.choose()
        alone = [_seconds(lambda: [multiply(delta, token) for token in few])]
        ahead = _seconds(lambda: work.convert(delta, lambda _done, _all: None))
        alone += [_seconds(lambda: [multiply(delta, token) for token in few])]
        envelope = signed(work.draft(delta), [read_key(world.root)])
        last = _seconds(lambda: work.switch(envelope, delta))
        alone += [_seconds(lambda: [multiply(delta, token) for token in few])]
    finally:
        world.close()
    return statistics.fmean(alone) / FEW * tokens, ahead + last, last


def rotation_rows() -> list[tuple[str, str]]:
    """Run it over both databases, where there are both; return the rows of the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.db"
        rows += _rows("SQLite", rotation(Path(folder), url))
    with (
        suppress(ImportError, OSError),
        tempfile.TemporaryDirectory() as folder,
        postgresql() as server,
    ):
        rows += _rows("PostgreSQL", rotation(Path(folder), f"{server}/postgres"))
    return rows


def _rows(database: str, found: tuple[float, float, float]) -> list[tuple[str, str]]:
    alone, whole, last = found
    ratio = f"{whole / alone:.2f} × its multiplications on one core"
    return [
        (f"rotation, {TOKENS:,} tokens, {database}", ratio),
        (f"… its last step, {database}", f"{last:.1f} s"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _tokens(number: int) -> Iterator[Element]:
    """Give distinct elements: what is stocked is not what is measured, so they are only added."""
    step = token = hash_to_group(b"step")
    for _ in range(number):
        yield token
        token = add(token, step)


def _report(seq: int) -> dict[str, object]:
    return {
        "seq": seq, "id": f"{seq:032x}", "collective": "rose", "status": "published",
        "categories": "robbery", "severity": "danger", "rank": 0, "month": "2026-10",
        "warn": "local", "police": "never", "research": False, "wait_days": 0,
        "request_id": f"{seq:032x}", "sealed": "{}", "submitted_at": 0, "not_before": 0,
        "published_severity": "danger", "published_month": "2026-10", "expires": "2031-10-31",
        "envelope": None, "entry": secrets.token_bytes(32),
    }  # fmt: skip


def _identifier(seq: int, token: Element) -> dict[str, object]:
    return {
        "report": seq, "position": 0, "kind": "phone", "token": bytes(token),
        "word": bucket_word(token, NETWORK, 1), "tag": secrets.token_bytes(16), "live": True,
    }  # fmt: skip


if __name__ == "__main__":
    configure_logs()
    for name, figure in rotation_rows():
        print(f"{name:44}{figure}")
