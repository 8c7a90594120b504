"""Serves an instance over HTTP, and says little about it."""

import gc
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from structlog.typing import Processor

from api.app import create_app
from api.settings import Settings

GRACE_SECONDS = 10


def run(settings: Settings) -> None:
    """Serve until a signal ends it. There is no access log."""
    configure_logs()
    server = server_of(create_app(settings), settings)
    settle()
    server.run()


def settle() -> None:
    """Let the collector of garbage pass over what has been loaded, which stays anyway.

    Else it goes through all of it every few pages of a partner's log.
    """
    gc.collect()
    gc.freeze()


def server_of(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """Return the server of `app`, not yet running."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(config)


def configure_logs() -> None:
    """Write our own events, and the libraries' warnings, as lines of JSON on standard error."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_kinds,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _only_kinds(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep of an exception its type: its text, and the lines around it, can quote what was sent."""
    fault = event.pop("exc_info", None)
    if fault:
        kind = fault[0] if isinstance(fault, tuple) else sys.exc_info()[0]
        event["kind"] = getattr(kind, "__name__", "?")
    return event
