"""One GET after another, of which nothing is believed and little is kept."""

import re
import ssl
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Final, Self

import httpcore2

from api.errors import PartnerFailure
from api.partners.network import Network, Resolver, system_addresses
from schemas.strict import read_json

MOST_SECONDS: Final = 60
HEAD_BYTES: Final = 16 * 1024
HEAD_FIELDS: Final = 64
PROBLEM_BYTES: Final = 16 * 1024
LONGEST_WAIT: Final = 24 * 3600

ANSWERS: Final = frozenset(
    {
        "invalid-request", "too-slow", "header-too-large", "internal", "unauthenticated",
        "forbidden", "not-found", "method-not-allowed", "rate-limited", "unavailable",
        "bad-signature", "clock-skew", "not-a-partner", "partner-blocked", "unknown-log",
        "cursor-in-future", "log-closed", "limit-too-large",
    }
)  # fmt: skip
"""Problems that a partner may have with a GET of ours (PROTOCOL.md §10): no others are repeated,
so that nothing an operator reads, and nothing that we take for our own finding, is a partner's."""

_JSON, _PROBLEM = "application/json", "application/problem+json"
_FRAMING = 64 * 1024
_IDLE = 4.0
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<authority>(?P<host>\[[0-9a-f:.]+\]|{_LABEL}(?:\.{_LABEL})*)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?)"
    r"(?P<target>/[A-Za-z0-9._~/-]*(?:\?[A-Za-z0-9._~:=&-]*)?)"
)
_MOST_URL = 1000
_MOST_PORT = 65535


class Remote:
    """Partners, as one instance sees them. For one thread at a time: others wait their turn.

    httpcore2 is what httpx2 is made of. By itself it follows no redirection, keeps no cookie,
    decodes no content and reads no environment, so that nothing of that need be switched off.
    """

    def __init__(
        self,
        seed: Callable[[], bytes],
        *,
        is_test: bool,
        clock: Callable[[], datetime],
        chance: Callable[[int], bytes],
        resolve: Resolver = system_addresses,
        tls: ssl.SSLContext | None = None,
        seconds: float = MOST_SECONDS,
    ) -> None:
        """Sign by the http key of `seed()`; let `is_test` networks use http and loopback.

        `tls` says whose certificates count, instead of the system's list; `seconds` are for one
        answer in all, from the name to the last byte.
        """
        self._seed = seed
        self._is_test = is_test
        self._clock = clock
        self._chance = chance
        self._seconds = seconds
        self._turn = threading.Lock()
        self._network = Network(resolve, is_test=is_test)
        self._tls = tls
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "Remote(…)"

    def get(self, url: str, *, most: int, signed: bool = True) -> bytes:
        """Return the JSON at `url`, of `most` bytes at most; `read_json` has taken it already.

        Raises PartnerFailure: `unreachable` (also for an address, certificate or URL that no
        partner may have, and after too long), `too-large`, `bad-answer`, `stopped`, or the code
        of the problem that was answered.
        """
        parts = _URL.fullmatch(url)
        if parts is None or len(url) > _MOST_URL or int(parts["port"] or 0) > _MOST_PORT:
            raise PartnerFailure("unreachable")
        if parts["scheme"] != "https" and not self._is_test:
            raise PartnerFailure("unreachable")
        headers = {
            "Host": parts["authority"],
            "User-Agent": "parasol",
            "Accept": f"{_JSON}, {_PROBLEM}",
            "Accept-Encoding": "identity",
        }
        address = httpcore2.URL(
            scheme=parts["scheme"],
            host=parts["host"].strip("[]"),
            port=int(parts["port"]) if parts["port"] else None,
            target=parts["target"],
        )
        with self._turn:
            self._network.begin(self._seconds, HEAD_BYTES)
            if signed:
                headers |= self._signature(url)
            try:
                with self._pool.stream("GET", address, headers=[*headers.items()]) as answer:
                    return self._taken(answer, most)
            except PartnerFailure:
                if self._network.is_stopped:
                    raise PartnerFailure("stopped") from None
                raise
            except (httpcore2.ProtocolError, httpcore2.NetworkError):
                raise self._broken_off() from None

    def stop(self) -> None:
        """Let the answer that is awaited fail at once, and all others: from any thread."""
        self._network.stop()

    def close(self) -> None:
        """Stop, and end the connections."""
        self.stop()
        with self._turn:
            self._opened.close()

    @cached_property
    def _pool(self) -> httpcore2.ConnectionPool:
        # Only once somebody is asked: to read the system's certificates takes a while.
        import httpx2  # noqa: PLC0415  (likewise)

        pool = httpcore2.ConnectionPool(
            ssl_context=self._tls or httpx2.create_ssl_context(trust_env=False),
            max_keepalive_connections=1,
            keepalive_expiry=_IDLE,
            network_backend=self._network,
        )
        return self._opened.enter_context(pool)

    def _signature(self, url: str) -> dict[str, str]:
        from api.crypto.requests import sign_request  # noqa: PLC0415  (once asked, as above)

        nonce = urlsafe_b64encode(self._chance(16)).decode("ascii").rstrip("=")
        now = int(self._clock().timestamp())
        return sign_request(self._seed(), "GET", url, now=now, nonce=nonce)

    def _taken(self, answer: httpcore2.Response, most: int) -> bytes:
        fields = _fields(answer.headers)
        is_good = answer.status == HTTPStatus.OK
        code = "bad-answer"
        if "content-encoding" not in fields and _type(fields) == (_JSON if is_good else _PROBLEM):
            body = self._body(answer, fields, most if is_good else PROBLEM_BYTES)
            with suppress(ValueError):
                value = read_json(body)
                if is_good:
                    return body
                code = _code(value)
        raise PartnerFailure(code, retry_after=_wait(fields), status=answer.status)

    def _body(self, answer: httpcore2.Response, fields: Mapping[str, str], most: int) -> bytes:
        declared = fields.get("content-length", "")
        if re.fullmatch("[0-9]{1,20}", declared) and int(declared) > most:
            raise PartnerFailure("too-large")
        self._network.allow(most + _FRAMING)
        body = bytearray()
        for piece in answer.iter_stream():
            body += piece
            if len(body) > most:
                raise PartnerFailure("too-large")
        return bytes(body)

    def _broken_off(self) -> PartnerFailure:
        """Return what it is when nobody speaks, or somebody speaks something else than HTTP."""
        if self._network.is_stopped:
            return PartnerFailure("stopped")
        return PartnerFailure("bad-answer" if self._network.received else "unreachable")


def _fields(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header fields by their names in lower case; raise PartnerFailure if they are many."""
    size = sum(len(name) + len(value) for name, value in headers)
    if size > HEAD_BYTES or len(headers) > HEAD_FIELDS:
        raise PartnerFailure("too-large")
    fields: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


def _type(fields: Mapping[str, str]) -> str:
    return fields.get("content-type", "").partition(";")[0].strip().lower()


def _code(problem: object) -> str:
    code = problem.get("code") if isinstance(problem, dict) else None
    return code if isinstance(code, str) and code in ANSWERS else "bad-answer"


def _wait(fields: Mapping[str, str]) -> int | None:
    wait = fields.get("retry-after", "")
    # A partner that says "never" should not be believed to the year.
    return min(int(wait), LONGEST_WAIT) if re.fullmatch("[0-9]{1,9}", wait) else None
