"""Promises about quotas: what is counted, by one process or several, and what is kept of it."""

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from valkey import Valkey

from api.errors import RateLimited, Unavailable
from api.services.quotas import GUESSES_PER_MINUTE, Limits, Quotas
from api.store.counts import SharedCounts
from schemas.callers import Caller, Role
from tests.services import valkey

LIMITS = Limits(
    per_hour=20, per_day=30, collective_per_day=25, moderator_per_hour=40, reports_per_day=3
)
KEY = bytes(range(32))
Process = Callable[[], Quotas]


def caller(collective: str, role: Role = Role.MEMBER) -> Caller:
    member = secrets.token_hex(16)
    return Caller(member=member, collective=collective, role=role, bearer=SecretStr("sesame"))


def refused(count: Callable[[], None]) -> int:
    """For how long the refused caller is asked to wait."""
    with pytest.raises(RateLimited) as caught:
        count()
    return caught.value.retry_after


@pytest.fixture
def process(valkey_url: str) -> Iterator[Process]:
    """Make the quotas of one more process that counts together with others."""
    with ExitStack() as stack:
        key = secrets.token_bytes(32)  # another instance in each test

        def make() -> Quotas:
            counts = SharedCounts(valkey_url, key)
            stack.callback(counts.close)
            counts.look()
            return Quotas(LIMITS, counts)

        yield make


@pytest.fixture(params=["memory", "valkey"])
def quotas(request: pytest.FixtureRequest) -> Quotas:
    if request.param == "memory":
        return Quotas(LIMITS)
    make: Process = request.getfixturevalue("process")
    return make()


def test_what_is_over_is_refused_and_says_for_how_long(quotas: Quotas) -> None:
    member, moderator = caller("rose"), caller("lily", Role.MODERATOR)
    quotas.spend(member, 10)
    quotas.spend(member, 10)
    # Sums of a minute go when their last moment does.
    assert 3_540 <= refused(lambda: quotas.spend(member, 1)) <= 3_660
    for _ in range(4):
        quotas.spend(moderator, 10)
    refused(lambda: quotas.spend(moderator, 1))
    for _ in range(LIMITS.reports_per_day):
        quotas.file(moderator)
    assert 86_000 <= refused(lambda: quotas.file(moderator)) <= 88_000


def test_a_refusal_uses_up_no_other_count(quotas: Quotas) -> None:
    member, colleague = caller("rose"), caller("rose")
    quotas.spend(member, 19)
    for _ in range(10):
        refused(lambda: quotas.spend(member, 2))  # over her hour, but not her collective's day
    quotas.spend(colleague, 6)  # just what the collective has left
    refused(lambda: quotas.spend(colleague, 1))
    refused(lambda: quotas.spend(member, 1))  # whose own count has one left
    for _ in range(LIMITS.reports_per_day):
        refused(lambda: quotas.file(member, 1))
    for _ in range(LIMITS.reports_per_day):
        quotas.file(member)


def test_one_more_than_ever_fits_is_refused_from_the_beginning(quotas: Quotas) -> None:
    assert refused(lambda: quotas.spend(caller("rose"), 21)) > 0


def test_all_processes_share_one_count(process: Process) -> None:
    processes, member = [process() for _ in range(3)], caller("rose")

    def tried(number: int) -> int:
        try:
            processes[number % 3].spend(member, 1)
        except RateLimited:
            return 0
        return 1

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(tried, range(120))) == LIMITS.per_hour


def test_two_instances_at_one_valkey_do_not_count_together(valkey_url: str) -> None:
    member = caller("rose")
    for key in (b"one" * 10, b"two" * 10):
        counts = SharedCounts(valkey_url, key)
        counts.look()
        Quotas(LIMITS, counts).spend(member, LIMITS.per_hour)
        counts.close()


def test_what_was_counted_counts_no_more_when_its_time_is_over(valkey_url: str) -> None:
    counts = SharedCounts(valkey_url, secrets.token_bytes(32))
    counts.look()
    brief = [("brief", 2, 1, 2)]
    assert counts.hit(brief) == 0
    wait = counts.hit(brief)
    assert 1 <= wait <= 3
    time.sleep(wait)
    assert counts.hit(brief) == 0
    counts.close()


def test_valkey_is_not_told_who_asked_and_forgets(process: Process, valkey_url: str) -> None:
    with Valkey.from_url(valkey_url) as client:
        client.flushall()
        quotas, member = process(), caller("rose")
        quotas.file(member, 3)
        quotas.guess()
        kept = {key: client.hgetall(key) for key in client.scan_iter()}
        assert len(kept) == 6  # hour, day, collective, report, guess; and that it answers
        for key, sums in kept.items():
            assert len(key) == 16
            assert 0 < client.ttl(key) <= 86_400 * 61 / 60
            assert all(one.isdigit() for pair in sums.items() for one in pair)
        told = b" ".join(kept)
        for name in (member.member, member.collective, "look", "report", "sesame"):
            assert name.encode() not in told


def test_while_valkey_is_down_each_counts_alone_and_guesses_are_refused(valkey_url: str) -> None:
    del valkey_url  # there is one at all
    with ExitStack() as stack:
        url, server = stack.enter_context(valkey())
        counts = SharedCounts(url, KEY)
        stack.callback(counts.close)
        counts.look()
        quotas, member = Quotas(LIMITS, counts), caller("rose")
        quotas.spend(member, LIMITS.per_hour)
        refused(lambda: quotas.spend(member, 1))
        with capture_logs() as logs:
            server.kill()
            server.wait()
            quotas.spend(member, LIMITS.per_hour)
            refused(lambda: quotas.spend(member, 1))
            counts.look()
            with pytest.raises(Unavailable):
                quotas.guess()
        assert [one["log_level"] for one in logs] == ["warning"]
        assert str(urlsplit(url).port) not in str(logs)
        stack.enter_context(valkey(urlsplit(url).port))
        with pytest.raises(Unavailable):
            quotas.guess()
        with capture_logs() as logs:
            counts.look()
        assert [one["log_level"] for one in logs] == ["warning"]
        for _ in range(GUESSES_PER_MINUTE):
            quotas.guess()
        assert refused(quotas.guess) <= 61


def test_a_valkey_that_hangs_holds_up_one_caller_a_moment_and_nobody_after(
    valkey_url: str,
) -> None:
    del valkey_url  # there is one at all
    with valkey() as (url, server):
        counts = SharedCounts(url, KEY)
        counts.look()
        quotas = Quotas(LIMITS, counts)
        server.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        quotas.spend(caller("rose"), 1)
        assert 0.05 < time.monotonic() - began < 1
        began = time.monotonic()
        for number in range(100):
            quotas.spend(caller(f"c{number}"), 1)
        assert time.monotonic() - began < 1
        counts.close()


def test_one_that_cannot_write_counts_as_down(valkey_url: str) -> None:
    del valkey_url  # there is one at all
    with valkey() as (url, _), Valkey.from_url(url) as client:
        client.config_set("min-replicas-to-write", 1)
        counts = SharedCounts(url, KEY)
        counts.look()
        assert not counts.answers
        client.config_set("min-replicas-to-write", 0)
        counts.look()
        assert counts.answers
        counts.close()
