"""Serves an instance over HTTP, in one process or several, and says little about it."""

import gc
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, TextIO, cast

import structlog
import uvicorn
from fastapi import FastAPI
from structlog.typing import Processor
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from api.app import create_app
from api.connections import Connection
from api.errors import Unavailable
from api.settings import Settings

GRACE_SECONDS = 10
BACKLOG = 2_048
HANGING_SECONDS = 30
"""A process that answers its supervisor no sooner is replaced."""
FILES = 8_192
"""Open at once: a process's connections (`api.connections`), those that wait, and its own."""
AGAIN_SECONDS = 1.0
"""How often one of several processes looks for the database that it finds not at its start."""

YOUNG = 10_000
"""Objects that are made before the collector looks for circles among them."""

log = structlog.get_logger()


class CannotListen(Exception):  # noqa: N818  (a state of things, not an error in them)
    """Nothing can listen at the chosen address: mostly another program does."""


class NotStarted(Exception):  # noqa: N818  (likewise)
    """One of several processes could not start, though nothing seems wrong now."""


def run(settings: Settings) -> None:
    """Serve until a signal ends it. There is no access log.

    Raises CannotListen, and what `create_app` raises. Of several processes one that dies is
    replaced; one that finds the instance unfit ends all.
    """
    configure_logs()
    allow_files()
    app = create_app(settings)
    with ExitStack() as stack:
        try:
            sockets = [stack.enter_context(one) for one in listening(settings.host, settings.port)]
        except CannotListen:
            app.state.parts.close()
            raise
        if settings.workers == 1:
            server = server_of(app, settings)
            settle()
            server.run(sockets)
        else:
            app.state.parts.close()  # it was fit to be used: that is all we wanted to know
            supervise(settings, sockets)


def allow_files() -> None:
    """Let this process, and those it begins, hold as many files open as a flood may need."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def listening(host: str, port: int) -> list[socket.socket]:
    """Return a socket for each address of `host`; raise CannotListen.

    They listen at once: who comes before the first process is ready waits a moment.
    """
    sockets = []
    try:
        # All addresses, as asyncio would; a name may have the same one twice.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
            # For its connections: asyncio sees to it only where a socket names its protocol. Else
            # a body waits 40 ms until its head is acknowledged.
            sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        for one in sockets:
            one.close()
        raise CannotListen from None
    return sockets


def supervise(settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve by as many processes as `settings` say, over the same sockets.

    Raises what `create_app` raises where one cannot start.
    """
    workers = _Workers(config_of(partial(_worker, settings), settings), sockets)
    workers.run()
    if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
        create_app(settings).state.parts.close()  # which says why
        raise NotStarted


class _Workers(Multiprocess):
    def keep_subprocess_alive(self) -> None:
        for process in self.processes:
            # Then nobody holds this end but the process itself: it is not asked when it is dead.
            process.child_conn.close()
        before = [process.pid for process in self.processes]
        super().keep_subprocess_alive()
        if before != [process.pid for process in self.processes]:
            log.warning("a process died, or hung, and was replaced")


def _worker(settings: Settings) -> FastAPI:
    """Return the application of one of several processes, which ends when its supervisor does."""
    configure_logs()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        app = _as_soon_as_possible(settings)
    except Exception as fault:  # noqa: BLE001  (the supervisor finds out what it was)
        log.critical("not started", kind=type(fault).__name__)
        raise SystemExit(STARTUP_FAILURE) from None
    settle()
    return app


def _as_soon_as_possible(settings: Settings) -> FastAPI:
    """Return the application when the database answers; meanwhile the others look things up."""
    ending = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing has begun that must be ended
    try:
        with suppress(Unavailable):
            return create_app(settings)
        log.warning("waiting for the database")
        while True:
            time.sleep(AGAIN_SECONDS)
            with suppress(Unavailable):
                return create_app(settings)
    finally:
        signal.signal(signal.SIGTERM, ending)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def settle() -> None:
    """Let the collector of garbage pass over what has been loaded, which stays anyway.

    Else it goes through all of it every few pages of a partner's log. And through what such a
    page is made of, of which nothing is in a circle, not every few reports.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def server_of(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """Return the server of `app`, not yet running."""
    return uvicorn.Server(config_of(app, settings))


def config_of(app: FastAPI | Callable[[], FastAPI], settings: Settings) -> uvicorn.Config:
    """Return how `app`, or what makes it, is served."""
    return uvicorn.Config(
        app,
        factory=not isinstance(app, FastAPI),
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        timeout_worker_healthcheck=HANGING_SECONDS,
        http=Connection,
        backlog=BACKLOG,
        access_log=False,
        log_config=None,
        log_level="error",  # what is no HTTP is a warning, and a flood of them would fill a disk
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class _Output:
    """Standard error. What cannot be written there is lost: a full disk must end nothing."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logs() -> None:
    """Write our own events, and the libraries' warnings, as lines of JSON on standard error."""
    output = cast(TextIO, _Output())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_kinds,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(output),
    )
    handler = logging.StreamHandler(output)
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
