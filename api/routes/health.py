"""Whether the process lives, and whether it can answer."""

from http import HTTPStatus

from fastapi import APIRouter

from api.routes.parts import TheHealth

router = APIRouter(tags=["health"])


@router.get("/livez", status_code=HTTPStatus.NO_CONTENT)
async def live() -> None:
    return


@router.get("/readyz", status_code=HTTPStatus.NO_CONTENT)
def ready(health: TheHealth) -> None:
    health.check()
