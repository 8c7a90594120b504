"""What a look-up costs beside what does nothing, in one run; a part of `make bench`.

The bare application is served just as ours is, by the same settings over the same protocol.
"""

import json
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI, Response

from api.client import Client, Profile
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.oprf import KeyEvaluator, blind, derive_key
from api.crypto.ristretto import element, scalar_from_uniform
from api.crypto.stretching import Cost, stretch
from api.settings import Settings
from api.trust import root_fingerprint
from schemas.base import decode_base64, encode_base64
from schemas.documents import Argon2id
from schemas.lookups import EvaluationRequest
from tests.bench_lists import cut_alike, list_rows
from tests.bench_load import (
    Load,
    Process,
    compared,
    percentile,
    python,
    request,
    running,
    saturated,
    waited,
)
from tests.bench_peers import nginx_row
from tests.bench_rotation import TOKENS, stocked
from tests.factories import CHEAP, Clock, World
from tests.services import database, free_port, postgresql

FULL = Argon2id(m_kib=65_536, t=3)
QUOTAS = {"per_hour": 1_000_000, "per_day": 1_000_000, "collective_per_day": 1_000_000}
OURS = "from api.cli import main; main(['serve'])"
BARE = """
from api.server import server_of, settle
from api.settings import Settings
from tests.bench_lookups import bare
settle()
server_of(bare, Settings()).run()
"""
WAITING = 8
"""Plain look-ups at once, and as many identifiers."""
SECONDS = 10
PROBED = 0.02

Row = tuple[str, str]

bare = FastAPI()
"""What FastAPI costs when it does nothing."""


@bare.post("/post")
async def bare_post(query: EvaluationRequest) -> dict[str, int]:
    """Read the model of an evaluation, and answer."""
    return {"epoch": query.epoch}


@bare.get("/get")
async def bare_get(size: int = 0) -> Response:
    """Answer with as many bytes."""
    return Response(bytes(size))


def evaluation(elements: int) -> bytes:
    """Return the body of an evaluation of that many random elements."""
    blinded = [
        blind(secrets.token_bytes(32), scalar_from_uniform(secrets.token_bytes(64)))
        for _ in range(elements)
    ]
    return json.dumps({"epoch": 1, "elements": [encode_base64(one) for one in blinded]}).encode()


def cryptography(body: bytes, times: int = 200) -> float:
    """Return the microseconds that the evaluation of a body takes, with its proof, alone."""
    evaluator = KeyEvaluator(derive_key(bytes(32), b"bench"), secrets.token_bytes)
    blinded = [decode_base64(one) for one in json.loads(body)["elements"]]
    start = time.process_time()
    for _ in range(times):
        evaluator.evaluate([element(one) for one in blinded])
    return (time.process_time() - start) / times * 1e6


@contextmanager
def served(world: World) -> Iterator[Process]:
    """Run a server of `world`, which is closed or lets it do the timed work."""
    port = free_port()
    chosen: dict[str, Any] = QUOTAS | {
        "data": world.settings.data, "database_url": world.url, "port": port
    }  # fmt: skip
    environment = {f"PARASOL_{name.upper()}": str(value) for name, value in chosen.items()}
    with running(python(OURS), port, "/v1/network", **environment) as process:
        yield process


@contextmanager
def served_bare(settings: Settings) -> Iterator[Process]:
    """Run the application that does nothing."""
    port = free_port()
    environment = {"PARASOL_DATA": str(settings.data), "PARASOL_PORT": str(port)}
    with running(python(BARE), port, "/get", **environment) as process:
        yield process


def request_rows(ours: Process, nothing: Process, token: str) -> list[Row]:
    """Compare the two requests of a look-up with requests that do nothing."""
    bearer = {"Authorization": f"Bearer {token}"}
    one, ten = evaluation(1), evaluation(10)
    bits = httpx2.get(f"{ours.address}/v1/network").json()["buckets"]["bits"]
    paths = [f"/v1/buckets/1/{bits}/{index}" for index in range(1 << bits)]
    first = httpx2.get(f"{ours.address}{paths[0]}", headers=bearer)
    size, held = len(first.content), {"If-None-Match": first.headers["etag"]}
    empty = compared(
        {
            "post": Load(nothing, [request("POST", "/post", body=one)]),
            "one": Load(ours, [request("POST", "/v1/evaluations", bearer, one)]),
            "ten": Load(ours, [request("POST", "/v1/evaluations", bearer, ten)], count=100),
            "get": Load(nothing, [request("GET", f"/get?size={size}")]),
            "bucket": Load(ours, [request("GET", path, bearer) for path in paths]),
            "empty": Load(nothing, [request("GET", "/get")]),
            "304": Load(ours, [request("GET", paths[0], bearer | held)], 304),
        }
    )
    alone = statistics.median(cryptography(one) for _ in range(5))
    cpu = empty["one"].cpu / (empty["post"].cpu + alone)
    return [
        ("evaluation of one element, CPU", f"{cpu:.2f} × (bare POST + its cryptography)  [≤ 1.3]"),
        ("… requests/s", f"{empty['one'].rate / empty['post'].rate:.2f} × a bare POST  [≥ 0.35]"),
        ("… itself; the bare POST; cryptography alone",
         f"{empty['one']}; {empty['post']}; {alone:.0f} µs"),
        ("ten elements", f"{empty['ten'].cpu / empty['one'].cpu:.2f} × one  [≤ 4]"),
        (f"bucket of {size:,} bytes, requests/s",
         f"{empty['bucket'].rate / empty['get'].rate:.2f} × a bare GET  [≥ 0.6]"),
        ("… itself; the bare GET", f"{empty['bucket']}; {empty['get']}"),
        ("bucket, not modified, requests/s",
         f"{empty['304'].rate / empty['empty'].rate:.2f} × an empty GET  [≥ 0.6]"),
        ("… itself; the empty GET", f"{empty['304']}; {empty['empty']}"),
    ]  # fmt: skip


def numbers() -> list[Identifier]:
    """Return the reserved numbers."""
    return [parse_identifier("phone", f"+447700900{n:03}", None) for n in range(1000)]


@dataclass(frozen=True)
class Private:
    """Seconds of whole private look-ups without Argon2id, and of one request that does nothing."""

    new: float
    held: float
    bare: float

    def rows(self) -> list[Row]:
        """Return the rows of the table."""
        told = ", ".join(f"{one * 1000:.2f}" for one in (self.new, self.held, self.bare))
        return [
            (
                "private look-up without Argon2id",
                f"{self.new / self.bare:.2f} × a bare request  [≤ 3]",
            ),
            ("… where its bucket is held already", f"{self.held / self.bare:.2f} ×"),
            ("… p50 of each, and of the bare request", f"{told} ms"),
        ]


def private(ours: Process, nothing: Process, token: str, root: bytes) -> Private:
    """Time look-ups by the library beside one request of an ordinary client."""
    asked, again = iter(numbers()), numbers()[0]
    with (
        httpx2.Client(trust_env=False) as http,
        Client(Profile(ours.address, token, root)) as client,
    ):
        times = waited(
            {
                "bare": lambda: http.get(f"{nothing.address}/get"),
                "new": lambda: client.check([next(asked)]),
                "again": lambda: client.check([again]),
            }
        )
    new, held, bare_one = (statistics.median(times[name]) for name in ("new", "again", "bare"))
    stretched = statistics.median(_stretched(again, CHEAP) for _ in range(50))
    return Private(new - stretched, held - stretched, bare_one)


def _stretched(identifier: Identifier, cost: Argon2id) -> float:
    start = time.perf_counter()
    stretch(identifier, "test-network", Cost(cost.m_kib, cost.t))
    return time.perf_counter() - start


def plain_rows(folder: Path, url: str, private_one: float) -> list[Row]:
    """Saturate a server with plain look-ups at full cost, and ask other things meanwhile.

    `private_one` is the seconds of a private look-up.
    """
    folder.mkdir()
    clock = Clock(datetime.now(UTC))
    world = World(folder, url, clock, dict(QUOTAS), cost=FULL)
    world.collective("rose", 1)
    token = world.member("rose").bearer.get_secret_value()
    world.close()
    bearer = {"Authorization": f"Bearer {token}"}
    asked = [
        request("POST", "/v1/lookups", bearer, json.dumps({"identifiers": [plain]}).encode())
        for plain in ({"kind": "phone", "value": f"+44770090{n:04}"} for n in range(WAITING))
    ]
    with served(world) as ours:
        before = _own_rate()
        quiet = _probed(ours, bearer, lambda: time.sleep(SECONDS))
        counted: list[tuple[int, float]] = []
        busy = _probed(ours, bearer, lambda: counted.append(saturated(ours.port, asked, SECONDS)))
        own = (before + _own_rate()) / 2
        answered, elapsed = counted[0]
        single, alone = saturated(ours.port, asked[:1], SECONDS / 2)
    return [
        ("plain look-ups saturating",
         f"{answered / elapsed / own:.2f} × Argon2id's own rate of {own:.1f}/s  [≥ 0.75]"),
        ("… p99 of a bucket meanwhile", f"{busy / quiet:.2f} × {quiet * 1000:.1f} ms  [≤ 3]"),
        (
            "a plain look-up",
            f"{alone / single / private_one:.0f} × a private one without Argon2id  [≥ 20]",
        ),
    ]  # fmt: skip


def _own_rate() -> float:
    """Return how often a second Argon2id is done by as many threads as a server has."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(
            pool.map(lambda n: stretch(n, "test-network", Cost(FULL.m_kib, FULL.t)), numbers()[:20])
        )
    return 20 / (time.perf_counter() - start)


def _probed(ours: Process, bearer: dict[str, str], meanwhile: Callable[[], object]) -> float:
    """Return the p99 of a bucket, asked for now and then while something goes on."""
    times = []
    with ThreadPoolExecutor(1) as pool, httpx2.Client(headers=bearer, trust_env=False) as http:
        done = pool.submit(meanwhile)
        while not done.done():
            start = time.perf_counter()
            assert http.get(f"{ours.address}/v1/buckets/1/0/0").is_success
            times.append(time.perf_counter() - start)
            time.sleep(PROBED)
        done.result()
    return percentile(times, 0.99)


def alike_rows(folder: Path, place: Callable[[str], str]) -> list[Row]:
    """Compare lists of three lengths that are cut alike."""
    sizes = (TOKENS // 100, TOKENS // 10, TOKENS)
    rates: dict[int, float] = {}
    for tokens in sizes:
        world, token, layout = cut_alike(folder / str(tokens), place(f"alike{tokens}"), tokens)
        with served(world) as ours:
            bearer = {"Authorization": f"Bearer {token}"}
            paths = [f"/v1/buckets/1/{layout.bits}/{n}" for n in range(1 << layout.bits)]
            asked = [request("GET", path, bearer) for path in paths]
            rates[tokens] = compared({"bucket": Load(ours, asked)})["bucket"].cpu
        world.close()
    spread = max(rates.values()) / min(rates.values()) - 1
    told = ", ".join(f"{cpu:.0f}" for cpu in rates.values())
    return [
        (f"bucket of lists of {sizes[0]:,} to {sizes[2]:,}, cut alike",
         f"within {spread:.0%} ({told} µs CPU)  [≤ 20%]"),
    ]  # fmt: skip


def lookup_rows() -> Iterator[Row]:
    """Run all of it, on both databases where there are both; yield the rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        yield from _on("SQLite", Path(name), lambda title: f"sqlite:///{name}/{title}.db")
    with (
        suppress(ImportError, OSError),
        tempfile.TemporaryDirectory() as name,
        postgresql("max_wal_size=4GB") as server,
    ):
        yield from _on("PostgreSQL", Path(name), partial(database, server))


def _on(kind: str, folder: Path, place: Callable[[str], str]) -> Iterator[Row]:
    """Yield the rows of a kind of database; `place` makes one of a name, and gives its URL."""
    yield f"{TOKENS:,} tokens, {kind}", ""
    world = stocked(folder, place("stocked"), TOKENS, Clock(datetime.now(UTC)), **QUOTAS)
    token = world.member("rose").bearer.get_secret_value()
    root = root_fingerprint(world.identity.root)
    yield from list_rows(world)
    world.close()
    with served(world) as ours, served_bare(world.settings) as nothing:
        yield from request_rows(ours, nothing, token)
        looked_up = private(ours, nothing, token, root)
        yield from looked_up.rows()
        yield from nginx_row(ours, token)
        yield "start to the first 200", f"{ours.began:.2f} s  [≤ 1.5]"
        yield (
            "memory of a process",
            (f"{ours.memory():.0f} MB, {ours.memory('RssAnon'):.0f} of it its own  [≤ 100]"),
        )
    yield from plain_rows(folder / "plain", place("plain"), looked_up.new)
    yield from alike_rows(folder, place)
