"""The network, its look-ups, private and plain, and the instance's identity."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response, Security

from api.routes.edge import StrictRoute
from api.routes.parts import Member, TheInstance, lookups_of, reader
from api.routes.problems import described
from schemas.documents import Envelope
from schemas.lookups import (
    EvaluationAnswer,
    EvaluationRequest,
    LookupAnswer,
    LookupQuery,
    NetworkInfo,
)

ANSWER_BYTES = 256
"""Of a plain answer, for each identifier asked about."""

BUCKET_TYPE = "application/vnd.parasol.bucket"
U32 = Annotated[int, Path(ge=0, le=2**32 - 1)]

router = APIRouter(
    prefix="/v1",
    tags=["look-ups"],
    route_class=StrictRoute,
    responses=described(401, 403, 404, 409, 422, 429),
)


@router.post("/evaluations", response_model=EvaluationAnswer)
async def evaluate(query: EvaluationRequest, caller: Member, request: Request) -> Response:
    answer = lookups_of(request).evaluate(query, caller)
    # At once: it is valid already.
    return Response(answer.model_dump_json(), media_type="application/json")


@router.get(
    "/buckets/{epoch}/{bits}/{index}",
    response_class=Response,
    responses={200: {"content": {BUCKET_TYPE: {}}}, 304: {"description": "Not modified"}},
)
async def bucket(
    epoch: U32, bits: U32, index: U32, _: Member, request: Request,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:  # fmt: skip
    sealed = lookups_of(request).bucket(epoch, bits, index)
    headers = {"ETag": sealed.etag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and not _tags(if_none_match).isdisjoint((sealed.etag, "*")):
        return Response(status_code=304, headers=headers)
    return Response(sealed.file, media_type=BUCKET_TYPE, headers=headers)


@router.get("/network")
async def network(request: Request) -> NetworkInfo:
    return lookups_of(request).network()


# Described as open, too: a partner shows no token, but signs its request (PROTOCOL.md §8).
@router.get(
    "/identity",
    response_model_exclude_none=True,
    dependencies=[Security(reader)],
    openapi_extra={"security": [{}]},
)
def identity(
    instance: TheInstance,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Envelope:
    return instance.envelope(version)


@router.post("/lookups", response_model=LookupAnswer)
async def look_up(query: LookupQuery, caller: Member, request: Request) -> Response:
    answer = (await lookups_of(request).answer(query, caller)).model_dump_json().encode()
    length = ANSWER_BYTES * len(query.identifiers)
    return Response(answer.ljust(length), media_type="application/json")


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
