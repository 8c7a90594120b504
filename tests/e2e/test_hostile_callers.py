"""Callers who mean harm get one answer, or none, soon; and nobody else notices them."""

import asyncio
import json
import os
import re
import resource
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api import connections
from api.connections import MOST_CONNECTIONS, WAITING_SECONDS, Connection
from tests.e2e.conftest import (
    SAFE_HEADERS,
    Cast,
    Server,
    Stage,
    eventually,
    problem_of,
    serving,
)
from tests.factories import awaited

TOGETHER = 500
"""Of each kind of dawdler."""
SOON = WAITING_SECONDS + 5
PATIENCE = 8
USUAL, NOTICED = 0.1, 2.0
"""Seconds that an honest caller waits mostly, and ever, where the whole suite shares two cores."""
MANY = 10
"""Look-ups at least that somebody honest makes meanwhile."""
MORE_THAN_FITS = 40_000_000
"""Bytes of an answer that systems do not hold on its way."""
HUGE = 100_000_000
SMUGGLED = b"DELETE /v1/tokens/current HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def attacked(
    sqlite_stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Cast]]:
    """A server of our own: its memory and its time are measured."""
    with serving(sqlite_stage.world, tmp_path_factory.mktemp("attacked")) as server:
        yield server, sqlite_stage.cast


def connect(address: str, **options: int) -> socket.socket:
    host, _, port = address.removeprefix("http://").partition(":")
    peer = socket.socket()
    for name, value in options.items():
        peer.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    peer.settimeout(PATIENCE)
    peer.connect((host, int(port)))
    return peer


def all_of(peer: socket.socket) -> bytes:
    """All that is sent until the other side closes; TimeoutError where it does not."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := peer.recv(65_536):
            received += piece
    return received


def answers(received: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Cut what came into answers by their lengths; nothing may be left."""
    found = []
    while received:
        head, ended, received = received.partition(b"\r\n\r\n")
        assert ended, head
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        fields = dict(line.lower().split(": ", 1) for line in lines)
        assert len(fields) == len(lines), lines
        length = int(fields.get("content-length", 0))
        found.append((int(status), fields, received[:length]))
        assert len(received) >= length
        received = received[length:]
    return found


def next_of(peer: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer on a connection that stays open."""
    received = b""
    while True:
        piece = peer.recv(65_536)
        assert piece, received
        received += piece
        head, ended, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if ended and len(body) == int(length[1] if length else 0):
            (answer,) = answers(received)
            return answer


def asked(server: Server, *sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send pieces, a moment apart; hold the other side to one answer, and to closing."""
    with connect(server.address) as peer:
        for piece in sent:
            with suppress(ConnectionError):
                peer.sendall(piece)
            if piece is not sent[-1]:
                time.sleep(0.05)
        (answer,) = answers(all_of(peer))
    status, fields, body = answer
    assert fields["connection"] == "close"
    safe(fields)
    if status >= 400:
        assert fields["content-type"] == "application/problem+json"
        assert json.loads(body)["status"] == status
    return answer


def safe(fields: dict[str, str]) -> None:
    """Hold an answer to the header fields that every answer has; none of them tells a program."""
    for name, value in SAFE_HEADERS.items():
        assert fields[name].split(";")[0] == value.split(";")[0].lower(), name
    assert "server" not in fields
    assert "date" in fields


def get(path: str = "/livez", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *lines, "", ""]).encode()


def post(*lines: str, body: bytes = b"") -> bytes:
    kind = "Content-Type: application/json"
    return get("/v1/receipts/status", kind, *lines, method="POST") + body


RECEIPT = b'{"receipt":"0000000000000000"}'
LENGTH = f"Content-Length: {len(RECEIPT)}"
CHUNKED = "Transfer-Encoding: chunked"
PIECE = b"%x\r\n%b\r\n0\r\n\r\n" % (len(RECEIPT), RECEIPT)


# ---- One request, one answer ----


SMUGGLING: dict[str, tuple[bytes, int]] = {
    "two requests at once": (get() + get("/v1/network"), 204),
    "a request behind a body": (post(LENGTH, body=RECEIPT + SMUGGLED), 404),
    "a request behind chunks": (post(CHUNKED, body=PIECE + SMUGGLED), 404),
    "a request behind a body that is refused": (
        post(LENGTH.replace("30", "70000"), body=RECEIPT + SMUGGLED),
        413,
    ),
    "a body of a GET": (get("/livez", LENGTH) + RECEIPT + SMUGGLED, 415),
    "a length and chunks": (post(LENGTH, CHUNKED, body=PIECE + SMUGGLED), 400),
    "chunks and a length": (post(CHUNKED, "Content-Length: 4", body=PIECE + SMUGGLED), 400),
    "two lengths": (post(LENGTH, "Content-Length: 0", body=RECEIPT + SMUGGLED), 400),
    "the same length twice": (post(LENGTH, LENGTH, body=RECEIPT + SMUGGLED), 400),
    "a length with a plus": (post("Content-Length: +30", body=RECEIPT + SMUGGLED), 400),
    "a length that goes on": (post("Content-Length: 3", " 0", body=RECEIPT + SMUGGLED), 400),
    "a space before the colon": (post("Content-Length : 30", body=RECEIPT + SMUGGLED), 400),
    "chunks twice": (post("Transfer-Encoding: chunked, chunked", body=PIECE + SMUGGLED), 400),
    "chunks on the next line": (post("Transfer-Encoding:", " chunked", body=PIECE), 400),
    "a chunk of a negative size": (post(CHUNKED, body=b"-1\r\n\r\n" + SMUGGLED), 400),
    "a chunk of a size in 0x": (post(CHUNKED, body=b"0x1\r\n{\r\n" + SMUGGLED), 400),
    "a chunk of more digits": (post(CHUNKED, body=b"0" * 30 + b"\r\n\r\n" + SMUGGLED), 400),
    "a chunk longer than it says": (post(CHUNKED, body=b"1\r\n{}\r\n" + SMUGGLED), 400),
    "a chunk that ends by LF": (post(CHUNKED, body=b"2\n{}\n0\n\n" + SMUGGLED), 400),
    "an extension with an LF": (post(CHUNKED, body=b"2;a\nb\r\n{}\r\n" + SMUGGLED), 400),
    "chunks with extensions": (post(CHUNKED, body=b'0;a="b\r\n\r\n' + SMUGGLED), 422),
    "lines that end by LF": (get("/v1/network").replace(b"\r\n", b"\n") + b"\r\n\r\n", 400),
    "one line that ends by LF": (get("/livez", "A: b\nC: d") + SMUGGLED, 400),
    "one line that ends by CR": (get("/livez", "A: b\rC: d") + SMUGGLED, 400),
    "NUL": (get("/livez", "A: \0") + SMUGGLED, 400),
    "NUL in the name": (get("/livez", "A\0: b") + SMUGGLED, 400),
    "a line that goes on": (get("/livez", "A: b", " c") + SMUGGLED, 400),
    "a name without a colon": (get("/livez", "A") + SMUGGLED, 400),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n" + SMUGGLED, 400),
    "two hosts": (get("/livez", "Host: b") + SMUGGLED, 400),
    "a whole address": (get("http://a/livez") + SMUGGLED, 400),
    "a host only": (get("a:443", method="CONNECT") + SMUGGLED, 400),
    "a star": (get("*", method="OPTIONS") + SMUGGLED, 400),
    "TRACE": (get(method="TRACE") + SMUGGLED, 405),
    "HTTP/0.9": (b"GET /livez\r\n\r\n" + SMUGGLED, 400),
    "HTTP/1.0": (get(version="1.0") + SMUGGLED, 204),
    "HTTP/1.0 with chunks": (post(CHUNKED, body=PIECE).replace(b"/1.1", b"/1.0"), 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400),
    "TLS": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(300), 400),
    "an empty line first": (b"\r\n" + get() + SMUGGLED, 400),
    "an end that is agreed": (get("/livez", "Connection: close") + SMUGGLED, 204),
    "another protocol": (
        get("/livez", "Connection: Upgrade", "Upgrade: websocket") + SMUGGLED,
        204,
    ),
    "HTTP/2 by upgrade": (
        get("/livez", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c") + SMUGGLED,
        204,
    ),
    "a hundred lines and one": (get("/livez", *["A: b"] * 100) + SMUGGLED, 431),
    "a long line": (get("/livez", "A: ".ljust(17_000, "b")) + SMUGGLED, 431),
    "a long address": (get("/".ljust(17_000, "b")) + SMUGGLED, 431),
    "a line without an end": (b"GET /" + b"a" * 300_000, 431),
    "names without an end": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50_000, 431),
    "a trailer without an end": (post(CHUNKED, body=b"0\r\n" + b"A: b\r\n" * 9_000), 413),
    "a body of bytes": (post(CHUNKED, body=b"1\r\n \r\n" * 20_000), 413),
}
"""What is sent at once, and the status of the one answer to it."""


@pytest.mark.parametrize(("sent", "status"), SMUGGLING.values(), ids=SMUGGLING)
def test_one_answer_and_never_that_to_a_smuggled_request(
    attacked: tuple[Server, Cast], sent: bytes, status: int
) -> None:
    server, _ = attacked
    before = len(server.log())
    assert asked(server, sent)[0] == status
    assert server.log()[before:] == b""


def test_what_comes_before_the_answer_is_not_answered_wherever_it_is_cut(
    attacked: tuple[Server, Cast],
) -> None:
    server, cast = attacked
    slow = {"identifiers": [{"kind": "phone", "value": "+44 7700 900113"}]}
    body = json.dumps(slow).encode()
    lines = (f"Content-Length: {len(body)}", f"Authorization: Bearer {cast.member}")
    first = get("/v1/lookups", *lines, "Content-Type: application/json", method="POST") + body
    for sent in ((first, SMUGGLED), (first[:40], first[40:] + SMUGGLED), (first[:-9], first[-9:])):
        with connect(server.address) as peer:
            peer.sendall(sent[0])
            peer.sendall(sent[1] + SMUGGLED)
            ((status, fields, answer),) = answers(all_of(peer))
        assert (status, fields["connection"]) == (200, "close")
        assert json.loads(answer)["results"][0]["match"] is True
    assert server.ask("GET", "/v1/identity", cast.member).status_code == 200


def test_an_honest_connection_is_used_again_and_again(attacked: tuple[Server, Cast]) -> None:
    server, _ = attacked
    with connect(server.address) as peer:
        for sent, status in (
            ([get()], 204),
            ([get()[:9], get()[9:20], get()[20:]], 204),
            ([post(LENGTH, body=RECEIPT)], 404),
            ([post(LENGTH), RECEIPT[:5], RECEIPT[5:]], 404),
            ([post(CHUNKED), PIECE], 404),
            ([get("/livez", *["A: b"] * 99)], 204),
            ([get("/".ljust(16_000, "b"))], 404),
        ):
            for piece in sent:
                peer.sendall(piece)
                time.sleep(0.02)
            answered, fields, _ = next_of(peer)
            assert answered == status
            assert "connection" not in fields


def test_who_asks_first_is_told_to_go_on_unless_her_body_is_too_large(
    attacked: tuple[Server, Cast],
) -> None:
    server, _ = attacked
    with connect(server.address) as peer:
        peer.sendall(post(LENGTH, "Expect: 100-continue"))
        assert peer.recv(65_536).startswith(b"HTTP/1.1 100 ")
        peer.sendall(RECEIPT)
        assert next_of(peer)[0] == 404
    assert asked(server, post("Content-Length: 65537", "Expect: 100-continue"))[0] == 413


def test_every_answer_says_how_it_may_be_used_and_none_what_gave_it(
    attacked: tuple[Server, Cast],
) -> None:
    server, cast = attacked
    paths = {"/livez", "/nowhere", "/v1/network", "/openapi.json", "/feed/v1/checkpoint"}
    paths |= {"/v1/buckets/1/0/0", "/v1/identity", "/", "/desk", "/.well-known/parasol"}
    seen = Counter[int]()
    for path in sorted(paths):
        for method in ("GET", "HEAD", "PUT"):
            for bearer in (None, cast.member, "psl_m_" + "A" * 43):
                answer = server.ask(method, path, bearer)
                seen[answer.status_code] += 1
                assert set(SAFE_HEADERS) <= set(answer.headers)
                assert "server" not in answer.headers
    assert set(seen) >= {200, 204, 401, 404, 405}


# ---- Those who keep us waiting ----


HONEST = """
import http.client, json, sys, threading, time

address, bearer = sys.argv[1:]
waited, statuses, ending = [], set(), threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ending.set())).start()

def ask(connection):
    began = time.monotonic()
    connection.request("GET", "/v1/buckets/1/0/0", headers={"Authorization": f"Bearer {bearer}"})
    answer = connection.getresponse()
    answer.read()
    waited.append(time.monotonic() - began)
    statuses.add(answer.status)

kept = http.client.HTTPConnection(address, timeout=20)
while not ending.is_set():
    ask(kept)
    fresh = http.client.HTTPConnection(address, timeout=20)
    ask(fresh)
    fresh.close()
    if len(waited) == 2:
        print("begun", flush=True)
    time.sleep(0.02)
print(json.dumps([sorted(statuses), sorted(waited)]))
"""
"""Looks things up all the time, on an old connection and on new ones, in a process of its own."""


@contextmanager
def honest(server: Server, bearer: str) -> Iterator[None]:
    """Let somebody go on meanwhile; she shall be answered always, and soon."""
    command = [sys.executable, "-c", HONEST, server.address.removeprefix("http://"), bearer]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "begun\n"
        yield
        told, _ = caller.communicate(timeout=30)
        statuses, waited = json.loads(told)
    assert statuses == [200]
    assert len(waited) > MANY
    assert waited[len(waited) // 2] < USUAL
    assert waited[-1] < NOTICED


Sender = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def idle(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(SOON)


async def slow_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in get("/livez", "A: ".ljust(100, "b")):
        writer.write(bytes([byte]))
        await asyncio.sleep(1)


async def slow_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(post("Content-Length: 1000"))
    for byte in bytes(1000):
        writer.write(bytes([byte]))
        await asyncio.sleep(1)


async def dawdle(server: Server, sender: Sender) -> tuple[float, bytes]:
    """Return how long one was suffered, and what she was told."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    began = time.monotonic()
    sending = asyncio.ensure_future(sender(reader, writer))
    told = b""
    with suppress(ConnectionError):
        told = await asyncio.wait_for(reader.read(65_536), SOON)
    writer.close()
    sending.cancel()
    return time.monotonic() - began, told


async def dawdlers(server: Server, *senders: Sender) -> dict[Sender, list[tuple[float, bytes]]]:
    """Come all at once, as many of each kind, one kind after the other."""
    order = [sender for _ in range(TOGETHER) for sender in senders]
    met = await asyncio.gather(*(dawdle(server, sender) for sender in order))
    found: dict[Sender, list[tuple[float, bytes]]] = {sender: [] for sender in senders}
    for sender, one in zip(order, met, strict=True):
        found[sender].append(one)
    return found


@pytest.fixture
def many_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * TOGETHER + 500
    if before[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def files_of(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


@pytest.mark.usefixtures("many_files")
def test_whoever_dawdles_is_gone_in_fifteen_seconds_and_nobody_honest_notices(
    attacked: tuple[Server, Cast],
) -> None:
    server, cast = attacked
    server.ask("GET", "/livez")
    before = files_of(server)
    with honest(server, cast.member), unread(server, cast.member):
        found = awaited(dawdlers(server, idle, slow_head, slow_body))
        eventually(lambda: files_of(server) < before + 20, SOON - WAITING_SECONDS)
    for sender, told in ((idle, 0), (slow_head, 408), (slow_body, 408)):
        assert max(seconds for seconds, _ in found[sender]) < SOON
        # As many more as have a place made room for others at once; the others had their time.
        kept = [answer for seconds, answer in found[sender] if seconds > WAITING_SECONDS / 2]
        assert len(kept) > TOGETHER / 2, sender
        for answer in kept:
            met = answers(answer)
            assert [status for status, _, _ in met] == ([told] if told else []), sender
            for _, fields, _ in met:
                safe(fields)


@contextmanager
def unread(server: Server, bearer: str) -> Iterator[None]:
    """Ask for long answers, fifty times, and read nothing of them."""
    with ExitStack() as peers:
        for _ in range(50):
            peer = peers.enter_context(connect(server.address, SO_RCVBUF=2_048))
            peer.sendall(get("/openapi.json", f"Authorization: Bearer {bearer}"))
        yield


def test_whoever_does_not_read_is_let_go_and_whoever_reads_slowly_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(_: Scope, __: Receive, send: Send) -> None:
        length = (b"content-length", b"%d" % MORE_THAN_FITS)
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": bytes(MORE_THAN_FITS)})

    monkeypatch.setattr(connections, "WAITING_SECONDS", 1)
    config = uvicorn.Config(answer, http=Connection, lifespan="off", log_config=None)
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as peers:
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        eventually(lambda: running.started)
        reading, *others = (peers.enter_context(connect(address)) for _ in range(4))
        for peer, lines in zip(
            (reading, *others), ((), (), ("Connection: close",), ()), strict=True
        ):
            peer.sendall(get("/", *lines))
        others[2].sendall(b"GET")
        received = 0
        for _ in range(30):
            time.sleep(0.1)
            received += len(reading.recv(1_000_000))
        assert [one.transport.get_extra_info("peername") for one in connected(running)] == [
            reading.getsockname()
        ]
        while piece := reading.recv(1_000_000):
            received += len(piece)
        assert received > MORE_THAN_FITS
        running.should_exit = True
        thread.join()


def connected(running: uvicorn.Server) -> list[Connection]:
    return [one for one in running.server_state.connections if isinstance(one, Connection)]


@pytest.mark.usefixtures("many_files")
def test_where_places_run_out_those_who_wait_longest_make_room(
    attacked: tuple[Server, Cast],
) -> None:
    server, cast = attacked
    with honest(server, cast.member), ExitStack() as peers:
        for number in range(2 * MOST_CONNECTIONS):
            peers.enter_context(connect(server.address))
            if number % 100 == 0:
                time.sleep(0.02)
        # Those whom the system has taken for us are not all refused yet.
        eventually(lambda: files_of(server) < MOST_CONNECTIONS + 100)


# ---- Those who send too much ----


def memory(server: Server) -> int:
    """The most bytes that the process has held since it was last asked."""
    folder = Path(f"/proc/{server.process.pid}")
    found = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    (folder / "clear_refs").write_text("5")
    return int(found["VmHWM"].split()[0]) * 1024


def spent(server: Server) -> float:
    """The processor seconds that the process has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pour(server: Server, head: bytes, piece: bytes) -> bytes:
    """Send a hundred megabytes, or as much as is taken; return what is answered."""
    with connect(server.address) as peer:
        with suppress(ConnectionError):
            peer.sendall(head)
            for _ in range(HUGE // len(piece)):
                peer.sendall(piece)
        return all_of(peer)


@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        (f"Content-Length: {HUGE}", b" " * 65_536),
        (CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
        (CHUNKED, b"1\r\n \r\n" * 10_000),
    ],
    ids=("by length", "in chunks", "in bytes"),
)
def test_a_hundred_megabytes_cost_next_to_nothing(
    attacked: tuple[Server, Cast], framing: str, piece: bytes
) -> None:
    server, cast = attacked
    memory(server)
    before, used = memory(server), spent(server)
    received: list[bytes] = []
    senders = [
        threading.Thread(target=lambda: received.append(pour(server, post(framing), piece)))
        for _ in range(8)
    ]
    with honest(server, cast.member):
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        time.sleep(1)
    assert memory(server) - before < 32_000_000
    assert spent(server) - used < 2
    # Whoever does not stop at the answer may lose it.
    for one in received:
        assert [status for status, _, _ in answers(one)] in ([413], [])
    assert asked(server, post(framing), piece * 2)[0] == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 65_000,
        b"[" * 32_000 + b"]" * 32_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"identifiers":[' + b"{}," * 20_000 + b"{}]}",
        b'{"identifiers":[' + b"0," * 30_000 + b"0]}",
        b'{"identifiers":{' + b",".join(b'"%d":0' % one for one in range(6_000)) + b"}}",
        b'{"identifiers":[{"kind":"phone","value":"' + b"+4" * 30_000 + b'"}]}',
        b'{"identifiers":[{"kind":"email","value":"' + b"a." * 30_000 + b'"}]}',
        b'{"identifiers":"' + rb"\u0061" * 10_000 + b'"}',
        b"1" * 65_000,
        b"0." + b"1" * 65_000,
        b'"' + b"\\" * 60_000 + b'"',
        b" " * 65_536,
    ],
    ids=range(13),
)
def test_no_document_takes_long(attacked: tuple[Server, Cast], body: bytes) -> None:
    server, cast = attacked
    used = spent(server)
    for _ in range(5):
        for path in ("/v1/lookups", "/v1/reports"):
            assert server.send(path, body, cast.member).status_code in {400, 422}
    cost = (spent(server) - used) / 10
    assert cost < 0.2


# ---- Those who guess ----


def guess(server: Server, ending: threading.Event, seen: Counter[int]) -> None:
    with httpx2.Client(base_url=server.address, trust_env=False) as http:
        while not ending.is_set():
            bearer = f"psl_m_{secrets.token_urlsafe(32)}"
            headers = {"Authorization": f"Bearer {bearer}"}
            seen[http.get("/v1/buckets/1/0/0", headers=headers).status_code] += 1


def test_a_flood_of_made_up_tokens_keeps_no_member_out(attacked: tuple[Server, Cast]) -> None:
    server, cast = attacked
    ending, seen = threading.Event(), Counter[int]()
    guessing = [threading.Thread(target=guess, args=(server, ending, seen)) for _ in range(6)]
    for one in guessing:
        one.start()
    try:
        # Each of them is remembered for two seconds, and asked for in the flood after that.
        with honest(server, cast.member), honest(server, cast.other):
            time.sleep(5)
    finally:
        ending.set()
        for one in guessing:
            one.join()
    assert set(seen) == {401, 429}
    assert seen[429] > seen[401], seen
    time.sleep(1)
    problem_of(server.ask("GET", "/v1/identity", f"psl_m_{'A' * 43}"), 401, "unauthenticated")
