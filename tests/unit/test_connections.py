"""What a head may be: nothing that two programs could read differently."""

import pytest

from api.connections import HEAD_LIMIT, MOST_LINES, judge
from api.errors import HeaderTooLarge, TooLarge, Unreadable

FIRST = b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\n"


def head(*lines: bytes, first: bytes = FIRST) -> bytes:
    return first + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"Content-Length: 0",),
        (b"content-length:65536",),
        (b"CONTENT-LENGTH:\t 12 \t",),
        (b"Transfer-Encoding: Chunked",),
        (b"X: a\tb", "Y: é".encode(), b"Z:"),
        (b"X-Content-Length: a", b"X: Content-Length: 1, Transfer-Encoding: chunked"),
    ],
    ids=range(7),
)
def test_an_ordinary_head_is_taken(lines: tuple[bytes, ...]) -> None:
    chunked = lines == (b"Transfer-Encoding: Chunked",)
    assert judge(head(*lines)) is chunked
    if not chunked:
        assert judge(head(*lines, first=FIRST.replace(b"1.1", b"1.0"))) is False


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 1", b"Content-Length: 1"),
        (b"Content-Length: 1", b"content-length: 2"),
        (b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked, chunked",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding:",),
        (b"Transfer-Encoding:\x0bchunked",),
        (b"Transfer-Encoding:", b" chunked"),
        (b"Content-Length: 1, 1",),
        (b"Content-Length: +1",),
        (b"Content-Length: -1",),
        (b"Content-Length: 1 1",),
        (b"Content-Length: 0x1",),
        (b"Content-Length: 1_0",),
        (b"Content-Length: \xd9\xa1",),
        (b"Content-Length:",),
        (b"Content-Length: 1", b" 2"),
        (b"X: a", b"\tb"),
        (b"X: a\0b",),
        (b"X: a\x7fb",),
        (b"X: a\x01b",),
        (b"X: a\nY: b",),
        (b"X: a\rY: b",),
        (b"X: a\r\rY: b",),
    ],
    ids=range(26),
)
def test_what_could_be_read_in_two_ways_is_not_read(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(Unreadable):
        judge(head(*lines))


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.2\r\n",
        b"GET / http/1.1\r\n",
        b"GET /\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET\t/ HTTP/1.1\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET /a b HTTP/1.1\r\n",
        "GET /é HTTP/1.1\r\n".encode(),
        b"GET http://a/ HTTP/1.1\r\n",
        b"CONNECT a:443 HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"\r\nGET / HTTP/1.1\r\n",
        b" GET / HTTP/1.1\r\n",
    ],
    ids=range(15),
)
def test_only_a_path_is_asked_for_and_in_two_versions_of_http(first: bytes) -> None:
    with pytest.raises(Unreadable):
        judge(head(b"Host: a", first=first))


def test_http_1_0_has_no_chunks() -> None:
    with pytest.raises(Unreadable):
        judge(head(b"Transfer-Encoding: chunked", first=FIRST.replace(b"1.1", b"1.0")))


def test_a_head_has_a_hundred_lines_and_sixteen_kibibytes() -> None:
    rest = [b"X: y"] * (MOST_LINES - 1)  # one stands in FIRST
    judge(head(*rest))
    with pytest.raises(HeaderTooLarge):
        judge(head(*rest, b"X: y"))
    whole = b"X: ".ljust(HEAD_LIMIT - len(head()) - 2, b"y")
    judge(head(whole))
    with pytest.raises(HeaderTooLarge):
        judge(head(whole + b"y"))


@pytest.mark.parametrize("length", [b"65537", b"100000000", b"9" * 400, b"0" * 400 + b"1"])
def test_a_body_that_says_to_be_too_large_is_not_waited_for(length: bytes) -> None:
    with pytest.raises(TooLarge):
        judge(head(b"Content-Length: " + length))
