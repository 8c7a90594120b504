"""What an answer does not say, the time it takes does not tell either.

Requests of two classes go over one connection to a real server, in pairs of random order. In each
of many blocks the lower quantiles of the two are compared (what takes longer for another reason
than the machine does so at all of them); of these differences the median has a confidence interval
of 99.9 %, by the order of the blocks alone, which must lie within ± `BOUND`. First the method is
shown to see a planted difference of twice that, and none where there is none.
"""

import gc
import json
import random
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from api.crypto.buckets import bucket_index, bucket_word
from api.crypto.oprf import blind
from api.crypto.ristretto import scalar_from_uniform
from api.crypto.stretching import Cost, stretch
from api.services.stretching import canonical
from schemas.base import encode_base64
from tests.e2e import conftest
from tests.e2e.conftest import (
    Cast,
    Server,
    approve_last,
    found_world,
    new_member,
    people,
    serving,
    this_month,
)
from tests.factories import NETWORK, World, phone
from tests.soak.measured import PLAIN, PLANT, PLANTED, PROGRAM

BOUND = PLANTED / 2
"""Microseconds."""
QUANTILES = (0.05, 0.15, 0.3)
PAIRS, FEWEST, MOST = 60, 40, 400
"""Pairs in a block; blocks before the first look, and in all."""
Z = 3.29
"""Of 99.9 %."""

COUNT = 64
LISTED, UNLISTED = range(200, 264), range(700, 764)
ENOUGH = 300
"""Numbers on the list, from the first: more than fit into one bucket."""
STATUS = "/v1/receipts/status"
UNLIMITED = dict.fromkeys(
    ("PER_HOUR", "PER_DAY", "COLLECTIVE_PER_DAY", "MODERATOR_PER_HOUR", "REPORTS_PER_DAY"),
    "1000000",
)
Make = Callable[[], bytes]

pytestmark = pytest.mark.timeout(1200)


@dataclass
class Wire:
    """One connection that is kept, and no library in between."""

    port: int
    stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.socket = self.stack.enter_context(socket.create_connection(("127.0.0.1", self.port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def time(self, request: bytes) -> tuple[float, bytes]:
        """Microseconds until the last byte of the answer, and the answer."""
        begun = time.perf_counter_ns()
        self.socket.sendall(request)
        answer = self.socket.recv(1 << 18)
        while not _is_whole(answer):
            answer += self.socket.recv(1 << 18)
        return (time.perf_counter_ns() - begun) / 1000, answer


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or b"0")


def request(method: str, path: str, *headers: str, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


@dataclass
class Difference:
    """How much longer the second of two classes takes, at each quantile, block by block."""

    blocks: list[list[float]] = field(default_factory=list)

    def intervals(self) -> list[tuple[float, float]]:
        """The median's: between two blocks so far from the middle (the normal approximation)."""
        count = len(self.blocks)
        low = int(count / 2 - Z * count**0.5 / 2)
        columns = [sorted(one) for one in zip(*self.blocks, strict=True)]
        return [(one[low], one[count - 1 - low]) for one in columns]

    @property
    def alike(self) -> bool:
        return all(low > -BOUND and high < BOUND for low, high in self.intervals())

    @property
    def apart(self) -> bool:
        return any(low > BOUND or high < -BOUND for low, high in self.intervals())

    def __str__(self) -> str:
        return ", ".join(
            f"{quantile:.0%} [{low:+.1f}, {high:+.1f}]"
            for quantile, (low, high) in zip(QUANTILES, self.intervals(), strict=True)
        )


def compare(wire: Wire, one: Make, other: Make) -> Difference:
    """Measure until it is certain whether two classes of requests are alike, or long enough."""
    difference = Difference()
    gc.collect()
    gc.disable()
    try:
        while len(difference.blocks) < MOST:
            difference.blocks.append(_block(wire, one, other))
            if len(difference.blocks) >= FEWEST and (difference.alike or difference.apart):
                break
    finally:
        gc.enable()
    return difference


def _block(wire: Wire, one: Make, other: Make) -> list[float]:
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(PAIRS):
        second = random.random() < 0.5
        for which in (second, not second):
            times[which].append(wire.time((other if which else one)())[0])
    for sample in times.values():
        sample.sort()
    return [times[True][int(q * PAIRS)] - times[False][int(q * PAIRS)] for q in QUANTILES]


@dataclass
class Subject:
    """A server over a list that is cut into buckets, and who may ask it."""

    world: World
    cast: Cast
    server: Server
    receipts: list[str]

    @property
    def me(self) -> str:
        return bearer(self.cast.member)

    def ask(self, numbers: range) -> Make:
        """Ask in clear about one of the numbers."""
        return _any(
            request(
                "POST", "/v1/lookups", self.me,
                body={"identifiers": [{"kind": "phone", "value": f"+44 7700 900{number}"}]},
            )
            for number in numbers
        )  # fmt: skip

    def evaluate(self, numbers: range) -> Make:
        """Let a blinded element of one of the numbers be evaluated."""
        identity = self.world.identity
        cost = Cost(identity.argon2id.m_kib, identity.argon2id.t)
        blinds = [scalar_from_uniform(secrets.token_bytes(64)) for _ in numbers]
        elements = [
            blind(stretch(canonical(phone(number)), identity.network, cost), r)
            for number, r in zip(numbers, blinds, strict=True)
        ]
        return _any(
            request(
                "POST", "/v1/evaluations", self.me,
                body={"epoch": 1, "elements": [encode_base64(one)]},
            )
            for one in elements
        )  # fmt: skip

    def fetch(self, numbers: range) -> Make:
        """Fetch the bucket in which one of the numbers is, or would be."""
        bits = self.server.http.get("/v1/network").json()["buckets"]["bits"]
        assert bits > 0
        words = [bucket_word(self.world.token(number), NETWORK, 1) for number in numbers]
        return _any(
            request("GET", f"/v1/buckets/1/{bits}/{bucket_index(word, bits)}", self.me)
            for word in words
        )

    def status(self, receipts: list[str]) -> Make:
        return _any(request("POST", STATUS, body={"receipt": one}) for one in receipts)

    def identify(self, tokens: list[str]) -> Make:
        """Ask for a bucket that there is not, as somebody."""
        return _any(request("GET", "/v1/buckets/1/0/1", bearer(one)) for one in tokens)

    def compare(self, one: Make, other: Make, statuses: tuple[int, int]) -> Difference:
        """Compare two classes, each with answers of one status, over a connection of their own."""
        with Wire(int(self.server.address.rpartition(":")[2])) as wire:
            for make, status in zip((one, other), statuses, strict=True):
                _, answer = wire.time(make())
                assert answer.startswith(b"HTTP/1.1 %d " % status), answer
            return compare(wire, one, other)


def _any(requests: Iterable[bytes]) -> Make:
    ready = list(requests)
    return lambda: random.choice(ready)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    folder = tmp_path_factory.mktemp("timed")
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        url = f"sqlite:///{shutil.copy(template, folder / 'test.db')}"
    else:
        url = request.getfixturevalue("postgresql_databases").make()
    with ExitStack() as stack:
        world = found_world(folder, url)
        stack.callback(world.close)
        cast, receipts = people(world), []
        for first in range(0, ENOUGH, 4):
            member = world.member("rose")
            receipts.append(world.file(member, *range(first, first + 4), month=this_month(world)))
            approve_last(world, cast.rose)
        world.round()
        world.parts.timekeeper.stop()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(conftest, "PROGRAM", PROGRAM)
        server = stack.enter_context(
            serving(world, tmp_path_factory.mktemp("server"), BUCKET_LIMIT="4096", **UNLIMITED)
        )
        yield Subject(world, cast, server, receipts)


@pytest.fixture
def seen(
    subject: Subject, record_property: Callable[[str, object], None]
) -> Callable[[str, Difference], Difference]:
    """Report what was measured."""

    def see(what: str, difference: Difference) -> Difference:
        kind = "SQLite" if "sqlite" in subject.world.url else "PostgreSQL"
        record_property("figure", f"timing, {kind}, {what}: {difference} µs")
        return difference

    return see


Seen = Callable[[str, Difference], Difference]


@pytest.mark.parametrize("path", ["/v1/network", STATUS])
def test_a_planted_difference_is_seen_and_none_where_there_is_none(
    subject: Subject, seen: Seen, path: str
) -> None:
    """The control: of a route in the event loop, and of one in a thread that asks the database."""
    method, body = ("GET", None) if path != STATUS else ("POST", {"receipt": subject.receipts[0]})
    plain, plant = (_any([request(method, path, header, body=body)]) for header in (PLAIN, PLANT))
    none = seen(f"control, none, {path}", subject.compare(plain, plain, (200, 200)))
    assert none.alike, none
    planted = seen(f"control, planted, {path}", subject.compare(plain, plant, (200, 200)))
    assert planted.apart, planted


def test_match_and_no_match_take_as_long_in_clear(subject: Subject, seen: Seen) -> None:
    both = subject.ask(UNLISTED), subject.ask(LISTED)
    found = seen("plain, no match and match", subject.compare(*both, (200, 200)))
    assert found.alike, found


def test_match_and_no_match_take_as_long_in_private(subject: Subject, seen: Seen) -> None:
    both = subject.evaluate(UNLISTED), subject.evaluate(LISTED)
    evaluated = seen("evaluation, no match and match", subject.compare(*both, (200, 200)))
    both = subject.fetch(UNLISTED), subject.fetch(LISTED)
    fetched = seen("bucket, no match and match", subject.compare(*both, (200, 200)))
    assert evaluated.alike, evaluated
    assert fetched.alike, fetched


def test_right_and_wrong_receipts_take_as_long(subject: Subject, seen: Seen) -> None:
    wrong = [f"{secrets.randbelow(10**16):016}" for _ in subject.receipts]
    both = subject.status(wrong), subject.status(subject.receipts)
    found = seen("receipt, wrong and right", subject.compare(*both, (404, 200)))
    assert found.alike, found


def test_of_tokens_that_are_unknown_none_takes_longer(subject: Subject, seen: Seen) -> None:
    """Neither one that is nearly a member's, nor one that was.

    A member's own is let in, and what she asks for is then done: the answer says so openly, and
    its time tells no more. That there are 2^256 is what keeps tokens from being guessed.
    """
    unknown = subject.identify([f"psl_m_{secrets.token_urlsafe(32)}" for _ in range(COUNT)])
    nearly = subject.identify([_nearly(new_member(subject.world)) for _ in range(COUNT)])
    ended = subject.identify([_ended(subject.world) for _ in range(COUNT)])
    similar = seen("token, unknown and nearly known", subject.compare(unknown, nearly, (401, 401)))
    former = seen("token, unknown and ended", subject.compare(unknown, ended, (401, 401)))
    assert similar.alike, similar
    assert former.alike, former


def _ended(world: World) -> str:
    token = new_member(world)
    world.parts.callers.leave(world.parts.callers.recognise(token))
    return token


def _nearly(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "E")
