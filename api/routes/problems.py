"""Refusals as HTTP answers (RFC 9457, PROTOCOL.md §10). Nothing here repeats what was sent."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from api.crypto.failures import InvalidInput
from api.errors import (
    ENTRY_CODES,
    InvalidElement,
    InvalidIdentifier,
    InvalidRequest,
    NotFound,
    RateLimited,
    Refusal,
    RefusedEntry,
    Unauthenticated,
)

MEDIA_TYPE = "application/problem+json"

INVALID: dict[str, type[Refusal]] = {
    one.code: one
    for one in (InvalidRequest, InvalidIdentifier, InvalidElement, Unauthenticated, NotFound)
}
UNROUTABLE = {
    HTTPStatus.BAD_REQUEST: "invalid-request",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
}


class Problem(BaseModel):
    """What a caller reads when a request is refused; some codes add members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str


_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": {"const": "Bearer"}}},  # which the feed cannot offer
    429: {"Retry-After": {"schema": {"type": "integer", "minimum": 0}, "required": True}},
}


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how refusals of these statuses are described, in place of FastAPI's own form."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "headers": _HEADERS.get(status, {}),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


DESCRIBED = described(400, 408, 413, 415, 431, 500, 503)
"""What may be the answer to anything."""


def problem(
    status: int, code: str, title: str, headers: Mapping[str, str] | None = None, **members: object
) -> JSONResponse:
    """Return the answer for a refusal."""
    kind = f"urn:parasol:problem:{code}"
    document = {"type": kind, "title": title, "status": status, "code": code, **members}
    return JSONResponse(document, status, headers=headers, media_type=MEDIA_TYPE)


def refused(refusal: Refusal) -> JSONResponse:
    """Return the answer for `refusal`."""
    headers = {}
    if isinstance(refusal, RateLimited):
        headers["Retry-After"] = str(refusal.retry_after)
    if isinstance(refusal, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return problem(refusal.status, refusal.code, refusal.title, headers, **refusal.members)


# In the loop: on a thread of its own a refusal would take longer than an answer.
async def _refusal(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return refused(error)


async def _input(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidInput)
    if error.code in INVALID:
        return refused(INVALID[error.code]())
    if error.code in ENTRY_CODES:
        return refused(RefusedEntry(error.code))
    raise error


async def _unroutable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return problem(status, UNROUTABLE.get(status, "invalid-request"), status.phrase, error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return refused(InvalidRequest())


def install(app: FastAPI) -> None:
    """Teach `app` to answer with problems, and to describe them."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(InvalidInput, _input)
    app.add_exception_handler(HTTPException, _unroutable)
    app.add_exception_handler(RequestValidationError, _invalid)
    describe = app.openapi

    def describe_problems() -> dict[str, Any]:
        description = describe()
        description["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return description

    app.openapi = describe_problems  # type: ignore[method-assign]
