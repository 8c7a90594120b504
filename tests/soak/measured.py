"""A server to be timed: guessing is not limited, and a difference can be planted."""

import time
from contextlib import ExitStack

from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from api.server import listening, server_of, settle
from api.services import quotas, strangers
from api.settings import Settings

PROGRAM = "from tests.soak.measured import main; main()"
PLANTED = 30
"""Microseconds that a request with `PLANT` waits more than one with `PLAIN`."""
PLANT, PLAIN = "X-Planted: 1", "X-Planted: 0"
_HEADER = (b"x-planted", b"1")
_UNLIMITED = 10**9


class Planter:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _HEADER in scope["headers"]:
            until = time.perf_counter_ns() + PLANTED * 1000
            while time.perf_counter_ns() < until:
                pass
        await self.app(scope, receive, send)


def main() -> None:
    quotas.GUESSES_PER_MINUTE = strangers.MOST_A_SECOND = _UNLIMITED
    settings = Settings()
    app = create_app(settings)
    app.add_middleware(Planter)
    with ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in listening(settings.host, settings.port)]
        settle()
        server_of(app, settings).run(sockets)
