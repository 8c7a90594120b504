"""Partners' reports on hold, for moderators of every collective here."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.routes.edge import StrictRoute
from api.routes.parts import Moderator, TheHeld
from api.routes.problems import described
from schemas.held import EntryId, HeldAnswer, HeldCursor, HeldPage, HeldQuestion

MOST_ITEMS = 100

router = APIRouter(
    prefix="/v1/moderation/held",
    tags=["moderation"],
    route_class=StrictRoute,
    responses=described(401, 403, 404, 409, 422, 429),
)

Entry = Annotated[EntryId, Path()]


@router.get("", response_model_exclude_none=True)
def held(
    held: TheHeld, caller: Moderator, after: HeldCursor | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = MOST_ITEMS,
) -> HeldPage:  # fmt: skip
    return held.page(after, limit, caller)


@router.post("/{entry}/accept")
def accept(
    entry: Entry, caller: Moderator, held: TheHeld, question: HeldQuestion | None = None
) -> HeldAnswer:
    return held.decide(bytes.fromhex(entry), caller, accept=True, question=question)


@router.post("/{entry}/refuse")
def refuse(
    entry: Entry, caller: Moderator, held: TheHeld, question: HeldQuestion | None = None
) -> HeldAnswer:
    return held.decide(bytes.fromhex(entry), caller, accept=False, question=question)
