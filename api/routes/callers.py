"""Becoming a caller, and ceasing to be one."""

from http import HTTPStatus

from fastapi import APIRouter

from api.routes.edge import StrictRoute
from api.routes.parts import Member, TheCallers
from schemas.callers import JoinAnswer, JoinRequest

router = APIRouter(prefix="/v1/tokens", tags=["callers"], route_class=StrictRoute)


@router.post("")
def redeem(request: JoinRequest, callers: TheCallers) -> JoinAnswer:
    return callers.redeem(request)


@router.delete("/current", status_code=HTTPStatus.NO_CONTENT)
def leave(caller: Member, callers: TheCallers) -> None:
    callers.leave(caller)
