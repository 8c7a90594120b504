"""Whatever answers at a partner's address costs little, leads nowhere else, and says nothing."""

import gzip
import json
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.crypto.envelopes import key_id, public_key
from api.crypto.requests import read_request, verify_request
from api.errors import PartnerFailure
from api.partners import Remote, system_addresses
from api.partners.remote import ANSWERS, HEAD_BYTES, HEAD_FIELDS

SEED = b"a seed that is used in tests onl"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SECRET = b"what a partner wrote"

Speak = Callable[[socket.socket], None]


class Peer:
    """Whoever it is that answers on a port of this machine."""

    def __init__(self, speak: Speak, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._speak, self._tls = speak, tls
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def url(self, path: str = "/feed", scheme: str = "http", host: str = "a.example") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def close(self) -> None:
        self.done.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self.done.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(5)
            with connection, suppress(OSError):
                if self._tls is None:
                    self._answer(connection)
                else:
                    with self._tls.wrap_socket(connection, server_side=True) as inside:
                        self._answer(inside)

    def _answer(self, connection: socket.socket) -> None:
        while request := read_head(connection):
            self.requests.append(request)
            self._speak(connection)


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            return b""
        head += piece
    return head


def says(*answers: bytes) -> Speak:
    """Answer one request after another, and hang up after the last."""
    left = list(answers)

    def speak(connection: socket.socket) -> None:
        connection.sendall(left.pop(0))
        if not left:
            raise OSError

    return speak


def answer(body: bytes = b"{}", *fields: str, status: str = "200 OK", kind: str = "json") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Type: application/{kind}", *fields]
    return "\r\n".join([*head, f"Content-Length: {len(body)}\r\n\r\n"]).encode() + body


def problem(code: Any, *fields: str, status: str = "503 No") -> bytes:
    body = json.dumps({"type": "about:blank", "title": SECRET.decode(), "code": code}).encode()
    return answer(body, *fields, status=status, kind="problem+json; charset=utf-8")


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    with ExitStack() as stack:

        def begin(speak: Speak | bytes, tls: ssl.SSLContext | None = None) -> Peer:
            one = Peer(says(speak) if isinstance(speak, bytes) else speak, tls)
            stack.callback(one.close)
            return one

        yield begin


def at_home(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@contextmanager
def remote(**options: Any) -> Iterator[Remote]:
    """Partners, by a resolver that knows this machine only, who trust nobody's certificate."""
    every: dict[str, Any] = {
        "is_test": True,
        "clock": lambda: NOW,
        "chance": bytes,
        "resolve": at_home,
        "tls": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        "seconds": 5,
        **options,
    }
    with Remote(lambda: SEED, **every) as one:
        yield one


def failure(url: str, *, most: int = 1000, **options: Any) -> PartnerFailure:
    """Return why nothing is got from `url`; nothing of what came is in it."""
    with remote(**options) as one, pytest.raises(PartnerFailure) as caught:
        one.get(url, most=most)
    printed = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert SECRET.decode() not in printed
    return caught.value


# What is asked.


def test_what_is_answered_is_returned_to_the_byte(peer: Callable[..., Peer]) -> None:
    body = b' {"b": 1, "a": [2]} '
    one = peer(answer(body))
    with remote() as partners:
        assert partners.get(one.url(), most=len(body)) == body


def test_a_request_says_no_more_than_it_must(peer: Callable[..., Peer]) -> None:
    one = peer(answer())
    with remote() as partners:
        partners.get(one.url("/feed?from=0&log=a.example:1"), most=10, signed=False)
    lines = one.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /feed?from=0&log=a.example:1 HTTP/1.1"
    assert sorted(lines[1:-2]) == [
        "Accept-Encoding: identity",
        "Accept: application/json, application/problem+json",
        f"Host: a.example:{one.port}",
        "User-Agent: parasol",
    ]


def test_a_request_is_signed_as_it_is_sent(peer: Callable[..., Peer]) -> None:
    one = peer(says(answer(), answer()))
    chance = iter([b"a" * 16, b"b" * 16])
    url = one.url("/feed?from=0&limit=256")
    with remote(chance=lambda _: next(chance)) as partners:
        partners.get(url, most=10)
        partners.get(url, most=10)
    claims = []
    for request in one.requests:
        fields = [tuple(line.split(": ", 1)) for line in request.decode().split("\r\n")[1:-2]]
        claim = read_request([(name, value) for name, value in fields])
        assert claim.keyid == key_id(public_key(SEED))
        verify_request(claim, public_key(SEED), "GET", url, now=int(NOW.timestamp()))
        claims.append(claim.nonce)
    assert claims == ["YWFhYWFhYWFhYWFhYWFhYQ", "YmJiYmJiYmJiYmJiYmJiYg"]


def test_one_connection_serves_until_it_is_closed_over_there(peer: Callable[..., Peer]) -> None:
    one = peer(says(answer(), answer(), answer(), answer()))
    with remote() as partners:
        for _ in range(4):
            partners.get(one.url(), most=10)
        one.close()
        assert one.connections == 1
        other = peer(answer())
        partners.get(other.url(), most=10)


def test_no_cookie_is_kept(peer: Callable[..., Peer]) -> None:
    one = peer(says(answer(b"{}", "Set-Cookie: id=1; Path=/", "Set-Cookie: b=2"), answer()))
    with remote() as partners:
        partners.get(one.url(), most=10)
        partners.get(one.url(), most=10)
    assert b"ookie" not in one.requests[1]


def test_no_proxy_and_no_certificates_are_taken_from_the_environment(
    peer: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, proxy = peer(answer()), peer(answer(b"[]"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    certificate, server = certified(tmp_path, "a.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with remote() as partners:
        assert partners.get(one.url(), most=10) == b"{}"
    assert proxy.requests == []
    url = peer(answer(), server).url(scheme="https")
    assert failure(url, tls=None).code == "unreachable"


# Where it leads.


@pytest.mark.parametrize(
    "url",
    [
        "", "a.example", "//a.example/", "ftp://a.example/", "file:///etc/passwd",
        "HTTPS://a.example/", "https:/a.example/", "https://a.example", "https:///feed",
        "https://me@a.example/", "https://me:pass@a.example/", "https://a.example@b.example/",
        "https://A.example/", "https://a_b.example/", "https://-a.example/", "https://a..example/",
        "https://a.example./", "https://.a.example/", "https://münchen.example/",
        "https://a.example:/", "https://a.example:0/", "https://a.example:080/",
        "https://a.example:65536/", "https://a.example:99999/", "https://a.example:-1/",
        "https://a.example:443a/", "https://[::1/", "https://[::1%25lo]/", "https://[v1.a]/",
        "https://a.example/\r\nHost: b", "https://a.example/ b", "https://a.example\\@b.example/",
        "https://a.example/#part", "https://a.example/?a#b", "https://a.example/?a=b?c",
        "https://a.example/%00", "https://a.example/\n", "https://a.example/" + "a" * 1000,
        f"https://{'a' * 64}.example/",
    ],
)  # fmt: skip
def test_no_other_addresses_than_plain_ones_are_asked(url: str) -> None:
    def never(_host: str, _port: int) -> list[str]:
        raise AssertionError

    assert failure(url, resolve=never).code == "unreachable"


def test_outside_of_test_networks_nothing_is_asked_in_the_clear() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return []

    options: dict[str, Any] = {"resolve": resolve, "is_test": False}
    assert failure("http://a.example/", **options).code == "unreachable"
    assert asked == []
    assert failure("https://a.example/", **options).code == "unreachable"
    assert asked == ["a.example"]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where it was tried to connect to; nothing takes the connection."""
    tried: list[tuple[str, int]] = []

    def connect(_socket: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


def resolves(*addresses: str) -> dict[str, Any]:
    return {"resolve": lambda _host, _port: addresses, "is_test": False}


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["10.0.0.1", "1.1.1.1"], ["::ffff:1.1.1.1"],
        ["169.254.169.254"], ["1.1.1.1", "not an address"], ["fe80::1%eth0"], [""], [],
    ],
)  # fmt: skip
def test_a_name_with_one_closed_address_is_refused(
    found: list[str], connections: list[tuple[str, int]]
) -> None:
    assert failure("https://a.example/", **resolves(*found)).code == "unreachable"
    assert connections == []


@pytest.mark.parametrize("found", ["10.0.0.1", "192.168.0.1", "::ffff:127.0.0.1", "fd00::1"])
def test_a_test_network_may_be_this_machine_but_no_other_private_one(
    found: str, connections: list[tuple[str, int]]
) -> None:
    options = {**resolves("127.0.0.1", found), "is_test": True}
    assert failure("http://a.example/", **options).code == "unreachable"
    assert connections == []


def test_every_public_address_is_tried_but_not_for_ever(
    connections: list[tuple[str, int]],
) -> None:
    found = [f"1.1.1.{n}" for n in range(9)]
    assert failure("https://a.example:8443/", **resolves(*found)).code == "unreachable"
    assert connections == [(address, 8443) for address in found[:4]]


def test_the_deadline_is_for_all_addresses_together(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, int]] = []

    def connect(_socket: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address)
        time.sleep(0.2)
        raise TimeoutError

    monkeypatch.setattr(socket.socket, "connect", connect)
    options = resolves("1.1.1.1", "1.1.1.2")
    assert failure("https://a.example/", seconds=0.1, **options).code == "unreachable"
    assert tried == [("1.1.1.1", 443)]


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("https://1.1.1.1/", "1.1.1.1", 443),
        ("https://[2606:4700::1111]:444/", "2606:4700::1111", 444),
    ],
)
def test_an_address_may_be_named_if_it_is_public(
    url: str, address: str, port: int, connections: list[tuple[str, int]]
) -> None:
    options: dict[str, Any] = {"resolve": system_addresses, "is_test": False}
    assert failure(url, **options).code == "unreachable"
    assert connections == [(address, port)]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:7f00:1]"]
)
def test_no_spelling_of_this_machine_is_reached(
    host: str, connections: list[tuple[str, int]]
) -> None:
    options: dict[str, Any] = {"resolve": system_addresses, "is_test": False}
    assert failure(f"https://{host}/", **options).code == "unreachable"
    assert connections == []


def test_a_name_is_resolved_once_and_cannot_change_its_mind(
    peer: Callable[..., Peer], connections: list[tuple[str, int]]
) -> None:
    one = peer(answer())
    answers = iter([["1.1.1.1"], ["127.0.0.1"]])
    options: dict[str, Any] = {"resolve": lambda *_: next(answers), "is_test": False}
    with remote(**options) as partners:
        for _ in range(2):
            with pytest.raises(PartnerFailure, match="unreachable"):
                partners.get(one.url(scheme="https"), most=10)
    assert connections == [("1.1.1.1", one.port)]
    assert one.connections == 0


@pytest.mark.parametrize("error", [socket.gaierror(), TimeoutError(), UnicodeError()])
def test_a_name_that_is_none_is_unreachable(error: Exception) -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise error

    assert failure("https://a.example/", resolve=resolve).code == "unreachable"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Go", "308 Go", "304 Same"])
def test_no_redirection_is_followed(status: str, peer: Callable[..., Peer]) -> None:
    aim = peer(answer())
    one = peer(answer(b"{}", f"Location: {aim.url()}", status=status))
    failed = failure(one.url())
    assert (failed.code, failed.status) == ("bad-answer", int(status[:3]))
    assert aim.requests == []


# TLS.


def certified(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate for `name` that nobody has signed, and a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(public, private)
    return public, server


def test_a_certificate_that_nobody_signed_is_refused(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    _, server = certified(tmp_path, "a.example")
    one = peer(answer(), server)
    assert failure(one.url(scheme="https"), tls=None).code == "unreachable"
    assert one.requests == []


def test_a_certificate_is_held_to_the_name_and_not_to_the_address(
    peer: Callable[..., Peer], tmp_path: Path
) -> None:
    certificate, server = certified(tmp_path, "a.example")
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    tls = ssl.create_default_context(cafile=certificate)
    one = peer(says(answer(b"[1]"), answer(b"[2]")), server)
    with remote(tls=tls) as partners:
        assert partners.get(one.url(scheme="https"), most=10) == b"[1]"
        assert partners.get(one.url(scheme="https"), most=10) == b"[2]"
    assert one.connections == 1
    assert failure(one.url(scheme="https", host="b.example"), tls=tls).code == "unreachable"
    assert failure(one.url(scheme="https", host="127.0.0.1"), tls=tls).code == "unreachable"
    assert asked == ["a.example", "b.example", None]
    assert len(one.requests) == 2


def test_what_does_not_speak_tls_is_unreachable(peer: Callable[..., Peer]) -> None:
    assert failure(peer(answer()).url(scheme="https"), seconds=0.3).code == "unreachable"


# What is answered.


@pytest.mark.parametrize(
    ("given", "code", "status"),
    [
        (answer(b"<html>", kind="html", status="500 Oh"), "bad-answer", 500),
        (answer(SECRET, kind="json", status="500 Oh"), "bad-answer", 500),
        (answer(SECRET, kind="problem+json", status="500 Oh"), "bad-answer", 500),
        (answer(b'["code"]', kind="problem+json", status="500 Oh"), "bad-answer", 500),
        (answer(b"[" * 9999, kind="problem+json", status="500 Oh"), "bad-answer", 500),
        (problem("not-a-partner", status="403 No"), "not-a-partner", 403),
        (problem("cursor-in-future", status="409 No"), "cursor-in-future", 409),
        (problem(SECRET.decode().replace(" ", "-")), "bad-answer", 503),
        (problem("fork"), "bad-answer", 503),
        (problem("unreachable"), "bad-answer", 503),
        (problem(["unavailable"]), "bad-answer", 503),
        (problem(None), "bad-answer", 503),
        (problem("unavailable", status="200 OK"), "bad-answer", 200),
        (answer(b"{}", status="201 Made"), "bad-answer", 201),
        (answer(b"", status="204 None"), "bad-answer", 204),
        (answer(b"{}", kind="html"), "bad-answer", 200),
        (answer(b"{}", "Content-Type: application/json"), "bad-answer", 200),
        (answer(SECRET), "bad-answer", 200),
        (answer(b""), "bad-answer", 200),
        (answer(b'{"a":1,"a":2}'), "bad-answer", 200),
        (answer(b"[NaN]"), "bad-answer", 200),
        (answer(b'"\xff"'), "bad-answer", 200),
        (answer(b"[" * 900 + b"]" * 100), "bad-answer", 200),
        (answer(b"[" * 50 + b"]" * 50), "bad-answer", 200),
        (answer(b"9" * 900), "bad-answer", 200),
    ],
)  # fmt: skip
def test_what_is_no_good_answer_has_a_code_of_ours(
    given: bytes, code: str, status: int, peer: Callable[..., Peer]
) -> None:
    failed = failure(peer(given).url())
    assert (failed.code, failed.status, failed.retry_after) == (code, status, None)


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("7", 7), ("0", 0), ("86400", 86400), ("86401", 86400), ("999999999", 86400),
        ("9999999999", None), ("-1", None), ("1.5", None), ("soon", None), ("", None),
        ("\xb2", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("7\r\nRetry-After: 8", None),
    ],
)  # fmt: skip
def test_a_partner_may_ask_to_wait_for_a_day_at_most(
    wait: str, seconds: int | None, peer: Callable[..., Peer]
) -> None:
    failed = failure(peer(problem("unavailable", f"Retry-After: {wait}")).url())
    assert (failed.code, failed.status, failed.retry_after) == ("unavailable", 503, seconds)


def test_whoever_stands_before_a_partner_may_ask_to_wait_too(peer: Callable[..., Peer]) -> None:
    page = gzip.compress(b"<html>")
    fields = ("Retry-After: 30", "Content-Encoding: gzip")
    failed = failure(peer(answer(page, *fields, kind="html", status="502 Bad")).url())
    assert (failed.code, failed.status, failed.retry_after) == ("bad-answer", 502, 30)


def test_every_refusal_of_the_feed_is_understood() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("Feed: `"))
    codes = [word for word in line.split("`")[1].replace(",", " ").split() if not word.isdigit()]
    assert "not-a-partner" in codes
    assert set(codes) <= ANSWERS


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity", "x"])
def test_nothing_is_unpacked(coding: str, peer: Callable[..., Peer]) -> None:
    bomb = gzip.compress(b'"' + bytes(10_000_000) + b'"')
    failed = failure(peer(answer(bomb, f"Content-Encoding: {coding}")).url(), most=10**6)
    assert failed.code == "bad-answer"


# What it may cost.


def test_a_declared_length_is_not_even_waited_for(peer: Callable[..., Peer]) -> None:
    failed = failure(peer(HEAD + b"Content-Length: 1001\r\n\r\n").url())
    assert failed.code == "too-large"
    assert failure(peer(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n").url()).code


def endless(head: bytes, piece: bytes, sent: list[int]) -> Speak:
    """Send `piece` again and again until the other side hangs up."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            sent.append(len(piece))

    return speak


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEAD + b"\r\n", b" " * 5000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b" " * 1000 + b"\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 100),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100),
        (HEAD.replace(b"1.1", b"1.0") + b"\r\n", b" " * 5000),
    ],
    ids=["plain", "chunks", "small chunks", "extension", "trailers", "HTTP/1.0"],
)
def test_an_endless_body_is_read_no_further_than_agreed(
    head: bytes, piece: bytes, peer: Callable[..., Peer]
) -> None:
    sent: list[int] = []
    failed = failure(peer(endless(head, piece, sent)).url(), most=10_000, seconds=20)
    assert failed.code in {"too-large", "bad-answer"}
    assert sum(sent) < 10_000_000  # what lies in the buffers of the two sockets


def test_more_than_was_declared_is_not_read(peer: Callable[..., Peer]) -> None:
    one = peer(says(HEAD + b"Content-Length: 2\r\n\r\n{}" + SECRET, answer(b"[]")))
    with remote() as partners:
        assert partners.get(one.url(), most=10) == b"{}"
        with suppress(PartnerFailure):
            assert SECRET not in partners.get(one.url(), most=10)


@pytest.mark.parametrize("chunked", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_less_than_was_declared_is_no_answer(chunked: bytes, peer: Callable[..., Peer]) -> None:
    assert failure(peer(HEAD + chunked + b"\r\n\r\n2\r\n{}").url()).code == "bad-answer"


@pytest.mark.parametrize(
    "fields",
    [
        b"X: " + b"x" * HEAD_BYTES + b"\r\n",
        b"X: " + b"x" * 10 * HEAD_BYTES + b"\r\n",
        b"X: y\r\n" * HEAD_FIELDS,
        b"X: y\r\n" * 5000,
    ],
)
def test_headers_are_bounded(fields: bytes, peer: Callable[..., Peer]) -> None:
    given = HEAD + fields + b"Content-Length: 2\r\n\r\n{}"
    assert failure(peer(given).url(), most=10**6).code == "too-large"


@pytest.mark.parametrize(
    "piece",
    [b"X: y\r\n" * 100, b"x" * 1000, b"\r\nHTTP/1.1 100 Continue\r\n" * 50, b" x\r\n" * 100],
    ids=["fields", "one field", "informational", "folded"],
)
def test_endless_headers_are_refused(piece: bytes, peer: Callable[..., Peer]) -> None:
    sent: list[int] = []
    head = b"HTTP/1.1 100 Continue\r\n"
    failed = failure(peer(endless(head, piece, sent)).url(), most=10**6, seconds=20)
    assert failed.code in {"too-large", "bad-answer"}
    assert sum(sent) < 10_000_000


@pytest.mark.parametrize(
    "given",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 2\xb2 No\r\n\r\n",
        b"\r\n" * 9,
        answer(status="101 Other"),
        answer(b"{}", "Content-Length: 3"),
        answer(b"{}", "Content-Length: two"),
        answer(b"{}", "Transfer-Encoding: gzip"),
    ],
)
def test_what_does_not_speak_http_gave_a_bad_answer(
    given: bytes, peer: Callable[..., Peer]
) -> None:
    assert failure(peer(given).url()).code == "bad-answer"


def test_silence_is_unreachable(peer: Callable[..., Peer]) -> None:
    assert failure(peer(b"").url()).code == "unreachable"


def slowly(given: bytes, seconds: float = 0.05) -> Speak:
    def speak(connection: socket.socket) -> None:
        for byte in given:
            connection.sendall(bytes([byte]))
            time.sleep(seconds)

    return speak


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", answer()), (HEAD, b"X" * 100), (HEAD + b"Content-Length: 50\r\n\r\n", b" " * 50)],
    ids=["first byte", "headers", "body"],
)
def test_a_byte_now_and_then_does_not_hold_us(
    before: bytes, after: bytes, peer: Callable[..., Peer]
) -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(before)
        slowly(after)(connection)

    began = time.monotonic()
    assert failure(peer(speak).url(), seconds=0.5).code == "unreachable"
    assert 0.4 < time.monotonic() - began < 5


@pytest.mark.parametrize("given", [b"", b"\x16", b"\x16\x03\x03\x00\x7a\x02"])
def test_nor_does_whoever_never_ends_a_handshake(given: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hold() -> None:
            with server.accept()[0] as connection:
                connection.sendall(given)
                while connection.recv(1000):
                    pass

        thread = threading.Thread(target=hold)
        thread.start()
        began = time.monotonic()
        url = f"https://a.example:{server.getsockname()[1]}/"
        assert failure(url, seconds=0.5).code == "unreachable"
        assert 0.4 < time.monotonic() - began < 5
        thread.join(5)


@contextmanager
def full() -> Iterator[int]:
    """Yield a port on which connections are not even refused."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003
            waiting.connect_ex(server.getsockname())
        time.sleep(0.05)
        yield server.getsockname()[1]


def test_nor_does_whoever_never_takes_the_connection() -> None:
    with full() as port:
        began = time.monotonic()
        assert failure(f"http://a.example:{port}/", seconds=0.5).code == "unreachable"
        assert 0.4 < time.monotonic() - began < 5


def test_nor_does_a_resolver_that_never_answers() -> None:
    began, end = time.monotonic(), threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        end.wait(5)
        return []

    assert failure("https://a.example/", seconds=0.3, resolve=resolve).code == "unreachable"
    assert 0.2 < time.monotonic() - began < 5
    end.set()


# How it ends.


@pytest.mark.parametrize("where", ["name", "connection", "handshake", "answer", "body"])
def test_it_can_be_stopped_wherever_it_waits(where: str, peer: Callable[..., Peer]) -> None:
    reached, end = threading.Event(), threading.Event()

    def wait(connection: socket.socket) -> None:
        if where == "body":
            connection.sendall(HEAD + b"Content-Length: 9\r\n\r\n{")
        reached.set()
        end.wait(5)

    def resolve(_host: str, _port: int) -> list[str]:
        if where == "name":
            reached.set()
            end.wait(5)
        return ["127.0.0.1"]

    with ExitStack() as stack:
        stack.callback(end.set)
        one = stack.enter_context(remote(resolve=resolve, seconds=30))
        if where in {"connection", "handshake"}:
            port = stack.enter_context(full())
            threading.Timer(0.2, reached.set).start()
        else:
            port = peer(wait).port
        if where == "handshake":
            port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        scheme = "https" if where == "handshake" else "http"
        failures: list[str] = []

        def get() -> None:
            with pytest.raises(PartnerFailure) as caught:
                one.get(f"{scheme}://a.example:{port}/", most=10)
            failures.append(caught.value.code)

        thread = threading.Thread(target=get)
        thread.start()
        assert reached.wait(5)
        time.sleep(0.05)
        began = time.monotonic()
        one.stop()
        thread.join(5)
        assert time.monotonic() - began < 5
        assert failures == ["stopped"]


def test_what_is_stopped_asks_nothing_any_more(peer: Callable[..., Peer]) -> None:
    one = peer(says(answer(), answer()))
    with remote() as partners:
        partners.get(one.url(), most=10)
        partners.stop()
        with pytest.raises(PartnerFailure, match="stopped"):
            partners.get(one.url(), most=10)
    assert len(one.requests) == 1


def test_a_failure_does_not_spoil_what_follows(peer: Callable[..., Peer]) -> None:
    one = peer(says(answer(b"[" + b"1," * 999), answer(b"[1]")))
    other = peer(says(problem("unavailable"), answer(b"[2]")))
    with remote() as partners:
        for url in (one.url(), other.url()):
            with pytest.raises(PartnerFailure):
                partners.get(url, most=1000)
        with suppress(PartnerFailure):
            assert partners.get(one.url(), most=1000) == b"[1]"
        assert partners.get(other.url(), most=1000) == b"[2]"


def test_threads_wait_their_turn(peer: Callable[..., Peer]) -> None:
    one = peer(says(*[answer(b"[%d]" % n) for n in range(10, 20)]))
    found: list[bytes] = []
    with remote() as partners:
        threads = [
            threading.Thread(target=lambda: found.append(partners.get(one.url(), most=10)))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
    assert sorted(found) == [b"[%d]" % n for n in range(10, 20)]


def test_it_prints_no_key() -> None:
    with remote() as partners:
        assert repr(partners) == "Remote(…)"
