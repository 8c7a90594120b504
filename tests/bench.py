"""`make bench`: what a look-up costs, as medians of interleaved rounds and ratios within one run.

Client and server are processes of this machine and share its cores: compare the ratios, not the
milliseconds. Benchmarks are not tests: nothing here fails.
"""

import os
import platform
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from fastapi import FastAPI, Response

from api.app import utc_now
from api.client import Client, Profile
from api.crypto.buckets import Counts, Layout, plan_layout, seal_bucket
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.oprf import blind, hash_to_group
from api.crypto.ristretto import scalar_from_uniform
from api.crypto.stretching import Cost, stretch
from api.server import configure_logs
from api.trust import root_fingerprint
from schemas.base import encode_base64
from schemas.lookups import EvaluationRequest
from tests.bench_feed import feed_rows
from tests.bench_rotation import rotation_rows
from tests.factories import Clock, World
from tests.services import free_port

ROUNDS = 15
CALLS = 20
FULL = Cost(65_536, 3)

bare = FastAPI()
"""What FastAPI costs when it does nothing."""


@bare.post("/post")
async def bare_post(query: EvaluationRequest) -> dict[str, int]:
    """Read the model of an evaluation, and answer."""
    return {"epoch": query.epoch}


@bare.get("/get")
async def bare_get(size: int) -> Response:
    """Answer with as many bytes."""
    return Response(bytes(size))


@contextmanager
def running(code: str, port: int, **environment: str) -> Iterator[str]:
    """Run `code` in a process of its own until the block ends; give its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | environment, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx2.get(f"{address}/openapi.json")
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def medians(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median milliseconds of each work, all of them taking turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                work()
            times[name].append((time.perf_counter() - start) / CALLS * 1000)
    return {name: statistics.median(found) for name, found in times.items()}


def evaluation(elements: int) -> dict[str, object]:
    """Return the body of an evaluation of that many random elements."""
    blinded = [
        blind(secrets.token_bytes(32), scalar_from_uniform(secrets.token_bytes(64)))
        for _ in range(elements)
    ]
    return {"epoch": 1, "elements": [encode_base64(one) for one in blinded]}


def sealing(tokens: int) -> float:
    """Return the seconds that sealing a bucket of that many tokens takes."""
    entries = [(bytes(hash_to_group(n.to_bytes(4))), Counts(1, 0, 0, 1, 1)) for n in range(tokens)]
    layout = plan_layout(tokens, limit=1 << 30)
    start = time.perf_counter()
    seal_bucket(
        entries, network="test-network", epoch=1, layout=Layout(0, layout.slots), index=0,
        sealed=0, salt=bytes(16), log_seed=bytes(32), chance=secrets.token_bytes,
    )  # fmt: skip
    return time.perf_counter() - start


def numbers() -> Iterator[Identifier]:
    """Give the reserved numbers, one after the other, over and over."""
    while True:
        for number in range(900_000, 901_000):
            yield parse_identifier("phone", f"+447700{number}", None)


def measure(folder: Path) -> list[tuple[str, str]]:
    """Run everything; return the rows of the table."""
    port, other = free_port(), free_port()
    quotas = {"per_hour": 1_000_000, "per_day": 1_000_000, "collective_per_day": 1_000_000}
    world = World(
        folder, f"sqlite:///{folder / 'bench.db'}", Clock(datetime.now(UTC)), options=quotas
    )
    moderators = world.collective("rose")
    member = world.member("rose")
    world.publish(member, moderators, 113)
    token = member.bearer.get_secret_value()
    root = root_fingerprint(world.identity.root)
    world.close()
    environment = {f"PARASOL_{name.upper()}": str(value) for name, value in quotas.items()}
    environment |= {
        "PARASOL_DATA": str(world.settings.data), "PARASOL_DATABASE_URL": world.url,
        "PARASOL_PORT": str(port),
    }  # fmt: skip
    serve = "from api.server import run; from api.settings import Settings; run(Settings())"
    idle = (
        f"import uvicorn; uvicorn.run('tests.bench:bare', port={other}, access_log=False, "
        "log_level='critical')"
    )
    with (
        running(serve, port, **environment) as address,
        running(idle, other) as nothing,
        httpx2.Client(headers={"Authorization": f"Bearer {token}"}) as http,
        Client(Profile(address, token, root)) as client,
    ):
        bucket = http.get(f"{address}/v1/buckets/1/0/0")
        size, etag = len(bucket.content), bucket.headers["etag"]
        one, ten, asked = evaluation(1), evaluation(10), numbers()
        found = medians(
            {
                "post": lambda: http.post(f"{nothing}/post", json=one),
                "one": lambda: http.post(f"{address}/v1/evaluations", json=one),
                "ten": lambda: http.post(f"{address}/v1/evaluations", json=ten),
                "get": lambda: http.get(f"{nothing}/get", params={"size": size}),
                "bucket": lambda: http.get(f"{address}/v1/buckets/1/0/0"),
                "304": lambda: http.get(
                    f"{address}/v1/buckets/1/0/0", headers={"If-None-Match": etag}
                ),
                "look-up": lambda: client.check([next(asked)]),
            }
        )
    number = parse_identifier("phone", "+447700900113", None)
    costs = []
    for _ in range(5):
        start = time.perf_counter()
        stretch(number, "test-network", FULL)
        costs.append(time.perf_counter() - start)
    return [
        ("evaluation of one element", f"{found['one'] / found['post']:.2f} × a bare POST"),
        ("evaluation of ten elements", f"{found['ten'] / found['one']:.2f} × one"),
        (f"bucket of {size} bytes", f"{found['bucket'] / found['get']:.2f} × a bare GET"),
        ("bucket, not modified", f"{found['304'] / found['get']:.2f} × a bare GET"),
        ("private look-up without Argon2id", f"{found['look-up'] / found['get']:.2f} × a bare GET"),
        ("private look-up without Argon2id", f"{found['look-up']:.2f} ms"),
        ("Argon2id, 64 MiB and 3 passes", f"{statistics.median(costs) * 1000:.0f} ms"),
        ("sealing 10,000 tokens", f"{sealing(10_000) * 1000:.0f} ms"),
    ]


def main() -> None:
    """Measure and print the table."""
    configure_logs()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{utc_now():%Y-%m-%d}, medians of {ROUNDS} rounds of {CALLS} calls each, in turn\n")
    with tempfile.TemporaryDirectory() as folder:
        for name, figure in measure(Path(folder)):
            print(f"{name:48}{figure}")
    for name, figure in (*rotation_rows(), *feed_rows()):
        print(f"{name:48}{figure}")


if __name__ == "__main__":
    main()
