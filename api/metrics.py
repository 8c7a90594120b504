"""Figures for a monitor on the same host: how much, how fast, how old; never who or what.

Labels are the templates of routes and the words of our own vocabulary, so there are only so many.
"""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Unavailable
from api.services.health import Health, Overview
from api.services.stretching import Stretching
from api.store.replica import Replica
from schemas.reports import Status

if TYPE_CHECKING:
    from api.store.counts import SharedCounts

HOST = "127.0.0.1"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
OTHER = "other"

log = structlog.get_logger()
# When the first request of a kind came is nobody's business.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at when a monitor asks."""

    health: Health
    stretching: Stretching
    counts: "SharedCounts | None"
    replica: Replica | None


class Metrics:
    """The figures of this process."""

    def __init__(self, watched: Watched) -> None:
        """Begin to count."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "parasol_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "parasol_request_seconds",
            "Time to answer.",
            ("method", "route"),
            buckets=BOUNDS,
            registry=self._registry,
        )
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._registry.register(_Figures(watched))
        ProcessCollector(registry=self._registry)
        self._server: tuple[WSGIServer, threading.Thread] | None = None

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        route, method = scope.get("route"), scope["method"]
        path = getattr(route, "path", OTHER)
        if method not in (getattr(route, "methods", None) or ()):
            method = OTHER  # a caller may invent one
        key = method, path, status // 100
        series = self._series.get(key)
        if series is None:
            series = (
                self._requests.labels(method, path, f"{status // 100}xx"),
                self._seconds.labels(method, path),
            )
            self._series[key] = series
        series[0].inc()
        series[1].observe(seconds)

    def serve(self, ports: range) -> None:
        """Answer a monitor at the first of `ports` that is free, on this host alone.

        Processes need no numbers: one that is begun anew takes the port of the one that died.
        """
        for port in ports:
            try:
                self._server = start_http_server(port, HOST, self._registry)
            except OSError:
                continue
            return
        log.warning("no port for metrics", first=ports.start, last=ports[-1])

    def close(self) -> None:
        """Answer no more."""
        if self._server:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()


class Counted:
    """Counts what the application answers, and how long that took. Pure ASGI."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Stand before `app`."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request be answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # of one that ends without an answer

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, sending)
        finally:
            self._metrics.count(scope, status, time.perf_counter() - began)


class _Figures(Collector):
    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is so now."""
        yield from _of_process(self._watched)
        try:
            overview = self._watched.health.overview()
        except Unavailable:
            yield _gauge("database_up", "Whether the database answers.", 0)
            return
        yield _gauge("database_up", "Whether the database answers.", 1)
        yield from _of_instance(overview)


def _of_process(watched: Watched) -> Iterator[GaugeMetricFamily]:
    served = watched.health.served()
    yield _gauge("served_identity", "Version of the identity served here.", served.identity_version)
    yield _gauge("served_epoch", "Its epoch.", served.epoch)
    yield _gauge("served_generation", "Which sealing the list served here is.", served.generation)
    if served.sealed_hours_ago is not None:
        yield _gauge("served_hours", "Age of its oldest bucket.", served.sealed_hours_ago)
    held = watched.stretching.held
    yield _gauge("stretching_places", "Argon2id computations that run or wait.", held)
    if watched.counts is not None:
        yield _gauge("valkey_up", "Whether Valkey answers.", watched.counts.answers)
    if watched.replica is not None:
        behind = watched.replica.behind
        # The figure of one that never answered must not look like that of a good one.
        age = math.inf if behind is None else behind
        yield _gauge("replica_behind_seconds", "Since when it may lack something.", age)


def _of_instance(overview: Overview) -> Iterator[GaugeMetricFamily]:
    """Yield what every process says alike."""
    partners = overview.federation
    bad = len(partners.quarantined) + len(partners.silent)
    yield _gauge("warnings", "Warnings of `parasol status`.", len(overview.warnings))
    yield _gauge("identity_days_left", "Until the identity expires.", overview.identity_days_left)
    yield _gauge("list_buckets", "Buckets of the sealed list.", overview.buckets)
    # Of those that wait nothing: a monitor would write down when each of them came.
    published = sum(one.number for one in overview.reports if one.status == Status.PUBLISHED)
    yield _gauge("reports_published", "Reports of ours that are listed.", published)
    yield _gauge("log_entries", "Entries of our log.", partners.entries)
    yield _gauge("partners", "Partners.", partners.partners)
    yield _gauge("partners_healthy", "Not silent, nor in quarantine.", partners.partners - bad)
    yield _gauge("partners_entries", "Verified entries of their logs.", partners.partners_entries)
    yield _gauge("partners_held", "Their reports that wait here.", partners.held)
    for name, text, value in (
        ("partners_behind_hours", "Since the last to be reached was.", partners.behind_hours),
        ("sealed_hours", "Age of the oldest bucket.", overview.sealed_hours_ago),
        ("timekeeping_seconds", "Since the lease was renewed.", overview.timekeeping_seconds_ago),
    ):
        if value is not None:
            yield _gauge(name, text, value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"parasol_{name}", text, value=value)
