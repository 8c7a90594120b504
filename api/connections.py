"""How the server reads a connection: strictly, one request at a time, and not for ever.

The reading is uvicorn's, over h11. What this adds is for callers who mean harm: a head is judged
by its bytes before h11 sees it, which forgives more; whoever keeps us waiting is let go; and where
places run out, whoever has kept us waiting longest makes room. No address is kept or looked at.
"""

import asyncio
import heapq
import re
from http import HTTPStatus

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.errors import HeaderTooLarge, Refusal, TooLarge, TooSlow, Unavailable, Unreadable
from api.routes.edge import BODY_LIMIT, RAW_HEADERS
from api.routes.problems import refused

MOST_CONNECTIONS = 1_000
"""Of one process."""

WAITING_SECONDS = 10
"""For a head, then for its body; for the next head; and for `LEAST_READ` bytes to be read."""

LEAST_READ = 16_384
"""What a caller who is sent more than the network holds must read of it in that time."""

HEAD_LIMIT = 16_384
MOST_LINES = 100

FRAMING_LIMIT = 16_384
MOST_CHUNKS = 1_024
"""Of a body, and the bytes around them: each costs h11 as much as a kilobyte."""

LINGERING_SECONDS, LINGERING_BYTES = 2, 1_048_576
"""How long, and how much, we read on after a refusal: what nobody reads would reset the answer."""

_END = b"\r\n\r\n"
_FIRST = re.compile(rb"[!-~]+ /[!-~]* HTTP/1\.([01])\r\n")
_FRAMING = re.compile(rb"\n(?:content-length|transfer-encoding):[ \t]*(.*?)[ \t]*\r")
_CONTROLS = bytes({*range(32), 127} - {*b"\t\r\n"})


def judge(head: bytes) -> bool:
    """Hold a head to what no two programs read differently; tell if its body comes in chunks.

    RFC 9112 §§2, 3, 5, 6: no line ends or goes on but by CR LF, a body has one length or is
    chunked, and what is asked for is a path. Raises HeaderTooLarge, Unreadable, or TooLarge for
    a body by its length.
    """
    lines = head.count(b"\r\n")
    if len(head) > HEAD_LIMIT or lines > MOST_LINES + 2:  # the first, and the empty one
        raise HeaderTooLarge
    first = _FIRST.match(head)
    if first is None or not head.count(b"\r") == head.count(b"\n") == lines:
        raise Unreadable
    if b"\n " in head or b"\n\t" in head or len(head.translate(None, _CONTROLS)) < len(head):
        raise Unreadable
    framing = _FRAMING.findall(head.lower())
    if framing and framing != [b"chunked"]:
        if len(framing) > 1 or not framing[0].isdigit():
            raise Unreadable
        if len(framing[0]) > len(str(BODY_LIMIT)) or int(framing[0]) > BODY_LIMIT:
            raise TooLarge
        return False
    if framing and first[1] == b"0":
        raise Unreadable  # HTTP/1.0 has no chunks
    return bool(framing)


class Connection(H11Protocol):
    """One connection. While its timer runs, it is the caller whom we wait for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.timeout_keep_alive = WAITING_SECONDS
        self._head = b""
        self._may_come = 0
        self._breaks = 0
        self._chunked = False
        self._unsent = 0
        self.answered = False
        self._lingers = False
        self._wait()
        if len(self.connections) > MOST_CONNECTIONS:
            # Not at once: of those who came with her, an honest caller's head is read first.
            self.loop.call_later(0, self._make_room)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a head, of a body, or of what should not have come."""
        if self._lingers:
            self._may_come -= len(data)
            if self._may_come < 0:
                self.transport.abort()
        elif self.conn.their_state is h11.IDLE:
            self._take_head(data)
        elif self.conn.their_state is h11.SEND_BODY:
            self._take(data)
        else:
            self._answer_no_more()

    def _take_head(self, data: bytes) -> None:
        sent = self._head + data
        end = sent.find(_END)
        if end >= 0:
            self._head = b""
            self._begin(sent[: end + len(_END)], sent[end + len(_END) :])
            return
        self._head = sent
        if len(sent) > HEAD_LIMIT:
            self._refuse(HeaderTooLarge())
        elif sent[0] <= ord(" "):  # an empty line; or no HTTP at all, such as TLS
            self._refuse(Unreadable())

    def _begin(self, head: bytes, rest: bytes) -> None:
        try:
            self._chunked = judge(head)
        except Refusal as refusal:
            self._refuse(refusal)
        else:
            self._may_come, self._breaks = BODY_LIMIT + FRAMING_LIMIT, 0
            self._take(rest, head)

    def _take(self, data: bytes, head: bytes = b"") -> None:
        """Let h11 read, no more of a body than it may be; what ends the request is for us."""
        taken = data[: self._may_come]
        self._may_come -= len(taken)
        if self._chunked:
            self._breaks += taken.count(b"\r\n")
        if self._breaks > 2 * MOST_CHUNKS:
            self._refuse(TooLarge())
            return
        self.conn.receive_data(head + taken)
        self.handle_events()
        if self._lingers:
            return
        if self.conn.their_state is not h11.SEND_BODY:
            self._unset_keepalive_if_required()
            if self.conn.trailing_data[0] or len(taken) < len(data):
                self._answer_no_more()
        elif not self._may_come:
            self._refuse(TooLarge())
        elif self.timeout_keep_alive_task is None:
            self._wait()

    def _answer_no_more(self) -> None:
        """Answer what was asked, and nothing that was sent before the answer came."""
        self.flow.pause_reading()
        if self.cycle.keep_alive:
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def on_response_complete(self) -> None:
        """Wait for the answer to be read, and for the next head."""
        super().on_response_complete()
        self.answered = True
        self._unsent = self.transport.get_write_buffer_size()
        if self.transport.is_closing():
            self._wait()
        elif self.conn.their_state is h11.SEND_BODY:
            self._linger()

    def pause_writing(self) -> None:
        """Wait for the caller to read."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Go on answering."""
        super().resume_writing()
        if not self._lingers and not self.cycle.response_complete:
            self._unset_keepalive_if_required()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (it is uvicorn's)
        """Refuse what h11 cannot read."""
        self._refuse(Unreadable())

    def shutdown(self) -> None:
        """Wait for nobody who was refused."""
        if self._lingers:
            self.transport.abort()
        else:
            super().shutdown()

    def _wait(self) -> None:
        self._unset_keepalive_if_required()
        self._unsent = self.transport.get_write_buffer_size()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def timeout_keep_alive_handler(self) -> None:
        """Let a caller go who has kept us waiting, saying so where she was about to ask."""
        unsent = self.transport.get_write_buffer_size()
        if unsent > max(0, self._unsent - LEAST_READ):
            self.transport.abort()
        elif unsent:
            self._wait()
        elif self._head or self.conn.their_state is h11.SEND_BODY:
            self._refuse(TooSlow())
        else:
            super().timeout_keep_alive_handler()

    def _make_room(self) -> None:
        """End those who have kept us waiting longest, who were never answered before others.

        Where there are more whom we keep waiting than places, refuse this one.
        """
        over = len(self.connections) - MOST_CONNECTIONS
        waiting: dict[Connection, tuple[bool, float]] = {}
        for one in self.connections if over > 0 else ():
            assert isinstance(one, Connection)
            if one.timeout_keep_alive_task is not None:
                waiting[one] = (one.answered, one.timeout_keep_alive_task.when())
        for one in heapq.nsmallest(over, waiting, key=waiting.__getitem__):
            self.connections.discard(one)  # which its loss does too late: it would be chosen again
            one.transport.abort()
        if over > len(waiting) and not self._lingers and not self.transport.is_closing():
            self._refuse(Unavailable())

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in place of the application, then close."""
        begun = self.conn.our_state
        if begun in {h11.SEND_RESPONSE, h11.SEND_BODY}:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if begun is h11.SEND_BODY:
            self.transport.abort()
            return
        answer = refused(refusal)
        status = HTTPStatus(answer.status_code)
        dated = self.server_state.default_headers
        fields = [*dated, *answer.raw_headers, *RAW_HEADERS, CLOSE_HEADER]
        head = b"".join(b"%b: %b\r\n" % field for field in fields)
        first = f"HTTP/1.1 {status} {status.phrase}\r\n".encode()
        self.transport.write(first + head + b"\r\n" + bytes(answer.body))
        self._linger()

    def _linger(self) -> None:
        """Say that nothing more is sent, and read on for a moment."""
        self._unset_keepalive_if_required()
        self._lingers, self._may_come = True, LINGERING_BYTES
        self.flow.resume_reading()
        self.transport.write_eof()
        self.timeout_keep_alive_task = self.loop.call_later(LINGERING_SECONDS, self.transport.abort)
