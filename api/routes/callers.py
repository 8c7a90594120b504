"""Becoming a caller, and ceasing to be one."""

from http import HTTPStatus

from fastapi import APIRouter

from api.routes.edge import StrictRoute
from api.routes.parts import Member, TheCallers
from api.routes.problems import described
from schemas.callers import JoinAnswer, JoinRequest

router = APIRouter(
    prefix="/v1/tokens",
    tags=["callers"],
    route_class=StrictRoute,
    responses=described(401, 404, 409, 422, 429),
)


@router.post("")
def redeem(request: JoinRequest, callers: TheCallers) -> JoinAnswer:
    return callers.redeem(request)


@router.delete("/current", status_code=HTTPStatus.NO_CONTENT)
def leave(caller: Member, callers: TheCallers) -> None:
    callers.leave(caller)
