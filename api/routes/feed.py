"""What partner instances fetch, each request signed by one of them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.routes.edge import StrictRoute
from api.routes.parts import TheFeed, ThePartner
from api.routes.problems import described
from schemas.base import LogId
from schemas.documents import Envelope
from schemas.feed import MOST_ENTRIES, Page, WellKnown

JSON = "application/json"
FURTHEST = 2**53 - 1

router = APIRouter(
    tags=["feed"],
    route_class=StrictRoute,
    responses=described(401, 403, 404, 409, 410, 422),
)

From = Annotated[int, Query(alias="from", ge=0, le=FURTHEST)]
Limit = Annotated[int, Query(ge=1, le=FURTHEST)]


@router.get("/.well-known/parasol")
async def well_known(feed: TheFeed) -> WellKnown:
    return feed.well_known()


@router.get("/feed/v1/checkpoint")
def checkpoint(feed: TheFeed, _: ThePartner) -> Envelope:
    return feed.checkpoint()


@router.get("/feed/v1/entries", response_model=Page)
def entries(feed: TheFeed, _: ThePartner, first: From, limit: Limit = MOST_ENTRIES) -> Response:
    return Response(feed.entries(first, limit), media_type=JSON)


@router.get("/feed/v1/witness")
def witness(feed: TheFeed, _: ThePartner, log: Annotated[LogId, Query()]) -> Envelope:
    return feed.witness(log)


@router.get("/feed/v1/returns/identity")
def returned_identity(
    feed: TheFeed, partner: ThePartner, version: Annotated[int, Query(ge=1, le=2**31 - 1)]
) -> Envelope:
    return feed.returned_identity(partner, version)


@router.get("/feed/v1/returns", response_model=Page)
def returns(
    feed: TheFeed, partner: ThePartner, first: From, limit: Limit = MOST_ENTRIES
) -> Response:
    return Response(feed.returns(partner, first, limit), media_type=JSON)
