"""Requests to one instance: bounded, unredirected, and with two ways to fail."""

import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

import httpx2
from pydantic import ValidationError

from api.client.failures import NO_INSTANCE, TOO_LARGE, Refused, Unreachable, wrong_clock
from api.client.profile import check_address
from api.crypto.failures import InvalidInput
from schemas.base import Message

MOST_BYTES: Final = 32 * 1024 * 1024
MOST_SECONDS: Final = 120
MOST_WAIT: Final = 30 * 24 * 3600
BUCKET_TYPE: Final = "application/vnd.parasol.bucket"

_TIMEOUT = httpx2.Timeout(20, connect=10)
_JSON = "application/json"
_PROBLEM = "application/problem+json"
_CODE = re.compile(r"[a-z][a-z0-9-]{0,39}")
_STANDARD = frozenset({"type", "title", "status", "code", "detail", "instance"})
_SKEW = timedelta(hours=1)
_DATED = frozenset({"bucket-stale", "bucket-future", "identity-expired", "clock-skew"})

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Session:
    """A connection to `address`. Nothing of it is logged here or kept after an answer."""

    def __init__(
        self,
        address: str,
        token: str | None,
        clock: Callable[[], datetime],
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Talk as the bearer of `token`, or as nobody; `transport` stands in for the network.

        Raises InvalidInput `invalid-invitation` for an address that no invitation may name,
        Unreachable where the environment names a proxy that can't be used.
        """
        check_address(address)
        self._clock = clock
        self._ahead: timedelta | None = None
        headers = {"Accept-Encoding": "identity", "User-Agent": "parasol"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = httpx2.URL(address)
        # Towards this device itself nothing is encrypted: a proxy would see the token.
        inside = url.scheme == "http" and not url.host.endswith(".onion")
        # So nobody's certificate counts there, and the list of whose do need not be read.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if inside else True
        try:
            self._http = httpx2.Client(
                base_url=url, headers=headers, transport=transport, timeout=_TIMEOUT,
                follow_redirects=False, trust_env=not inside, verify=verify,
            )  # fmt: skip
        except (ImportError, ValueError):
            raise Unreachable("The proxy that is set on this device cannot be used.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "Session(…)"

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> httpx2.Response:
        """Return an answer of status 2xx or 304: JSON, a bucket, or empty.

        Raises Refused for problem+json, Unreachable for anything else (redirections too).
        """
        if not path.startswith("/"):  # an address would take the token elsewhere
            raise ValueError("a path begins with a slash")
        sent = dict(headers or {})
        if content is not None:
            sent.setdefault("Content-Type", _JSON)
        try:
            request = self._http.build_request(
                method, path, json=json, content=content, headers=sent, params=params
            )
            answer = self._bounded(request)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError):
            raise Unreachable from None
        self._compare_clocks(answer)
        if not (answer.is_success or answer.status_code == HTTPStatus.NOT_MODIFIED):
            raise _refusal(answer)
        if answer.content and _type(answer) != BUCKET_TYPE:
            _parsed(answer, _JSON)
        return answer

    def message(
        self,
        kind: type[M],
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str | int] | None = None,
    ) -> M:
        """Return the `kind` that is answered; raises as `call` does."""
        answer = self.call(method, path, json=json, params=params)
        return understood(kind, answer)

    def dated(self, check: Callable[[datetime], T]) -> T:
        """Return what `check` returns for the time that it is now.

        Raises as `check` does, but CouldNotCheck if only this device's clock is to blame: what is
        out of date by it is not so by the server's.
        """
        now = self._clock()
        try:
            return check(now)
        except InvalidInput as refused:
            if refused.code in _DATED and self._would_hold(check, now) and self._ahead is not None:
                raise wrong_clock(self._ahead) from None
            raise

    def _would_hold(self, check: Callable[[datetime], object], now: datetime) -> bool:
        if self._ahead is None or abs(self._ahead) <= _SKEW:
            return False
        try:
            check(now + self._ahead)
        except (InvalidInput, OverflowError):
            return False
        return True

    def _bounded(self, request: httpx2.Request) -> httpx2.Response:
        """Return the whole answer, unless it is too large, too slow or compressed all the same."""
        until = time.monotonic() + MOST_SECONDS
        answer = self._http.send(request, stream=True)
        body = bytearray()
        try:
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                raise Unreachable(NO_INSTANCE)
            for piece in answer.iter_bytes(64 * 1024):
                body += piece
                if len(body) > MOST_BYTES:
                    raise Unreachable(TOO_LARGE)
                if time.monotonic() > until:
                    raise Unreachable
        finally:
            answer.close()
        return httpx2.Response(
            answer.status_code, headers=answer.headers, content=bytes(body), request=request
        )

    def _compare_clocks(self, answer: httpx2.Response) -> None:
        try:
            date = parsedate_to_datetime(answer.headers.get("date", ""))
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            self._ahead = date - self._clock()
        except (ValueError, OverflowError):
            self._ahead = None


def understood(kind: type[M], answer: httpx2.Response) -> M:
    """Return the message that an answer holds; raise Unreachable if it holds no such message."""
    try:
        return kind.model_validate_json(answer.content)
    except (ValidationError, RecursionError):
        raise Unreachable(NO_INSTANCE) from None


def _refusal(answer: httpx2.Response) -> Refused:
    problem = _parsed(answer, _PROBLEM)
    code = problem.get("code") if isinstance(problem, dict) else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise Unreachable(NO_INSTANCE)
    members = {name: value for name, value in problem.items() if name not in _STANDARD}
    wait = answer.headers.get("retry-after", "")
    # A server that says "never" should not be believed to the year.
    seconds = min(int(wait), MOST_WAIT) if re.fullmatch("[0-9]{1,9}", wait) else None
    return Refused(code, answer.status_code, members, seconds)


def _parsed(answer: httpx2.Response, expected: str) -> Any:  # noqa: ANN401  (it is any JSON)
    """Return the JSON of an answer of the type `expected`; raise Unreachable for another."""
    if _type(answer) != expected:
        raise Unreachable(NO_INSTANCE)
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        raise Unreachable(NO_INSTANCE) from None


def _type(answer: httpx2.Response) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()
