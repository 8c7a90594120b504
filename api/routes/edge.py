"""What every request meets first and every answer last. Pure ASGI: it costs next to nothing."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Refusal, TooLarge, Unavailable, UnsupportedMediaType
from api.routes.problems import refused

BODY_LIMIT = 65_536
READ_LIMIT = 2 * BODY_LIMIT
"""A body that is too large is read to its end, if that comes soon: whoever is answered before may
send the next request where nobody reads any more."""
LONGEST_NUMBER = 32
"""Digits of a JSON number: no number of the protocol has more than 16."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Unless a route says otherwise."""
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

log = structlog.get_logger()


class Edge:
    """Bounds bodies before anything parses them; lets no fault out but as a bare problem."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                said = {name for name, _ in message["headers"]}
                unsaid = [one for one in RAW_HEADERS if one[0] not in said]
                message["headers"] = [*message["headers"], *unsaid]
            await send(message)

        try:
            # The first of a name counts; nothing is decoded of what nobody asks for.
            body = await _whole_body(receive, dict(reversed(scope["headers"])))
            await self._app(scope, _replay(body, receive), sending)
        except _Gone:
            return
        except Refusal as refusal:
            await refused(refusal)(scope, receive, sending)
        except asyncio.CancelledError:
            if not begun:
                await refused(Unavailable())(scope, receive, sending)
            raise
        except Exception as fault:  # noqa: BLE001  (whatever it is, its text may hold what was sent)
            log.critical("fault", kind=type(fault).__name__, where=_where(fault))
            if begun:
                raise ConnectionAbortedError from None
            await refused(Refusal())(scope, receive, sending)


class _Gone(Exception):  # noqa: N818  (a state of things, not an error in them)
    """Nobody is there any more to be answered."""


async def _whole_body(receive: Receive, headers: Mapping[bytes, bytes]) -> bytes:
    """Read a body of at most `BODY_LIMIT` bytes, whatever its length header says.

    Raises TooLarge, UnsupportedMediaType, and _Gone where the body does not come to its end.
    """
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared[:19]) > BODY_LIMIT:
        raise TooLarge
    if declared == b"0" and b"transfer-encoding" not in headers:
        return b""
    body, length = bytearray(), 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        length += len(piece)
        if length <= BODY_LIMIT:
            body += piece
        elif length > READ_LIMIT:
            raise TooLarge
    if length > BODY_LIMIT:
        raise TooLarge
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if body and kind != b"application/json":
        raise UnsupportedMediaType
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replaying() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


def _where(fault: BaseException) -> str:
    """Return file and line of a fault: the rest of a traceback can quote what was sent."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


class _StrictRequest(Request):
    """A request whose JSON is UTF-8, has no double keys, no NaN, and no number of absurd length."""

    async def json(self) -> Any:  # noqa: ANN401  (JSON)
        text = (await self.body()).decode()
        read = _STRICT.decode(text)
        if "\\u" in text:
            # An escape can spell half a character, which nothing behind here could write down.
            json.dumps(read, ensure_ascii=False).encode()
        return read


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("")
    return members


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        _refuse("")
    return int(text)


def _refuse(_: str) -> NoReturn:
    raise ValueError("not strict JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse, parse_int=_integer)


class StrictRoute(APIRoute):
    """A route that reads strict JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the request on as one that reads strictly."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict
