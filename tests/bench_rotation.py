"""`make bench`: what a change of the network key costs, beside the multiplications in it alone."""

import itertools
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import insert

from api.crypto.buckets import bucket_word
from api.crypto.oprf import derive_key, hash_to_group
from api.crypto.ristretto import Element, multiply
from api.keyring import read_key
from api.services.drafts import signed
from api.store.engine import open_engine
from schemas.tables import IdentifierRow, ReportRow
from tests.factories import NETWORK, Clock, World

TOKENS = int(os.environ.get("PARASOL_BENCH_TOKENS", "20000"))
AT_ONCE = 10_000
FEW = 2_000


def stocked(folder: Path, url: str, tokens: int) -> World:
    """Return an instance that lists that many tokens, each of a report of its own."""
    world = World(folder, url, Clock())
    world.collective("rose", 1)
    engine = open_engine(url)
    numbered = enumerate(_tokens(tokens), start=1)
    for some in iter(lambda: list(itertools.islice(numbered, AT_ONCE)), []):
        with engine.begin() as connection:
            connection.execute(insert(ReportRow), [_report(seq) for seq, _ in some])
            connection.execute(insert(IdentifierRow), [_identifier(*one) for one in some])
    engine.dispose()
    world.round()
    return world


def rotation(folder: Path, url: str, tokens: int = TOKENS) -> tuple[float, float, float]:
    """Return the seconds of the multiplications alone, of a whole rotation, and of its last step.

    The last is one transaction, during which nothing else can be written.
    """
    world = stocked(folder, url, tokens)
    try:
        work = world.parts.rotation
        delta = work.choose()
        few = list(_tokens(FEW))
        start = time.perf_counter()
        for token in few:
            multiply(delta, token)
        alone = (time.perf_counter() - start) / FEW * tokens
        start = time.perf_counter()
        work.convert(delta, lambda _done, _all: None)
        middle = time.perf_counter()
        work.switch(signed(work.draft(delta), [read_key(world.root)]), delta)
        end = time.perf_counter()
    finally:
        world.close()
    return alone, end - start, end - middle


def _tokens(number: int) -> Iterator[Element]:
    """Give distinct elements; hashing to the group costs more than adding would, but is ours."""
    for n in range(number):
        yield hash_to_group(n.to_bytes(4))


def _report(seq: int) -> dict[str, object]:
    return {
        "seq": seq, "id": f"{seq:032x}", "collective": "rose", "status": "published", "epoch": 1,
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
