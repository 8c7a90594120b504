"""The HTTP application over an instance's services."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from api.parts import Parts, utc_now
from api.routes import (
    callers,
    edge,
    feed,
    health,
    held,
    lookups,
    moderation,
    pages,
    problems,
    reports,
)
from api.services.instance import Clock
from api.settings import Settings
from api.web.assets import read_built
from api.web.languages import read_languages
from api.web.shells import Place
from api.web.site import Site

if TYPE_CHECKING:
    from api.metrics import Metrics

ROUND_SECONDS = 2.0
"""How often a process looks at the clock and at what others have sealed."""
FOLLOW_SECONDS = 1.0
"""How often it looks whether a partner should be asked."""
LOOK_SECONDS = 0.5
"""How often it looks whether a Valkey answers, and how far a replica is."""

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
log = structlog.get_logger()


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> FastAPI:
    """Build the application; with no `settings`, from the environment.

    Raises PagesError where the pages are not fit to be served, and what `Parts` raises.
    """
    settings = settings or Settings()
    built, languages = read_built(), read_languages(settings.pages)
    parts = Parts(settings, clock)
    identity = parts.instance.identity

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await _attempted(parts.look)
        if parts.counts and not parts.counts.answers:
            log.warning("valkey does not answer: counting alone")
        await _attempted(parts.round)
        if metrics:
            await asyncio.to_thread(metrics.serve, settings.metrics_ports)
        ending = asyncio.Event()
        tasks = [
            asyncio.create_task(_repeated(parts.round, ROUND_SECONDS, ending)),
            asyncio.create_task(_repeated(parts.follow, FOLLOW_SECONDS, ending)),
        ]
        if parts.counts or parts.replica:
            tasks.append(asyncio.create_task(_repeated(parts.look, LOOK_SECONDS, ending)))
        yield
        parts.remote.stop()
        ending.set()
        # Cancelled, a round would go on in its thread, and take the lease that we give back.
        await asyncio.gather(*tasks)
        if metrics:
            await asyncio.to_thread(metrics.close)
        await asyncio.to_thread(parts.close)

    app = FastAPI(
        title="Parasol",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirection repeats the query
        responses=problems.DESCRIBED,
        telemetry=NO_TELEMETRY,
    )
    app.state.parts = parts
    app.state.site = Site(built, languages, Place(identity.origin, identity.network))
    # Routes are tried one after the other: those of every look-up come first.
    for module in (lookups, reports, callers, feed, health, held, moderation, pages):
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(edge.Edge)
    metrics = _measured(app, parts) if settings.metrics_ports else None
    return app


def _measured(app: FastAPI, parts: Parts) -> "Metrics":
    """Let `app` count what it answers."""
    from api.metrics import Counted, Metrics, Watched  # noqa: PLC0415  (few need what it loads)

    watched = Watched(parts.health, parts.stretching, parts.counts, parts.replica)
    metrics = Metrics(watched)
    app.add_middleware(Counted, metrics=metrics)
    return metrics


async def _repeated(work: Callable[[], None], seconds: float, ending: asyncio.Event) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), seconds)
        if ending.is_set():
            return
        await _attempted(work)


async def _attempted(work: Callable[[], None]) -> None:
    try:
        await asyncio.to_thread(work)
    except Exception as fault:  # noqa: BLE001  (the next round tries again; readers go on)
        log.warning("round failed", kind=type(fault).__name__, work=work.__name__)
