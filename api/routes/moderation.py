"""The moderators' decisions, each about a report of their own collective."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.routes.edge import StrictRoute
from api.routes.parts import Moderator, TheCallers, TheModeration, TheQueue
from api.routes.problems import described
from api.services.queue import Question
from schemas.base import Key32, Rid
from schemas.callers import InvitationAnswer, InvitationRequest, MemberId, Role
from schemas.moderation import (
    Approval,
    ApprovalAnswer,
    Dispute,
    Merge,
    QueueCursor,
    QueuePage,
    Rejection,
    Reseal,
    Retraction,
)
from schemas.reports import Status, StatusAnswer

MOST_ITEMS = 100

router = APIRouter(
    prefix="/v1/moderation",
    tags=["moderation"],
    route_class=StrictRoute,
    responses=described(401, 403, 404, 409, 422, 429),
)

Id = Annotated[Rid, Path()]


@router.get("/reports", response_model_exclude_none=True)
def queue(
    queue: TheQueue, caller: Moderator, status: Status | None = None,
    token: Annotated[Key32 | None, Query()] = None, after: QueueCursor | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = MOST_ITEMS,
) -> QueuePage:  # fmt: skip
    return queue.page(Question(status, token, after, limit), caller)


@router.post("/reports/{report_id}/approve")
def approve(
    report_id: Id, approval: Approval, caller: Moderator, moderation: TheModeration
) -> ApprovalAnswer:
    return moderation.approve(report_id, approval, caller)


@router.post("/reports/{report_id}/reject")
def reject(
    report_id: Id, rejection: Rejection, caller: Moderator, moderation: TheModeration
) -> StatusAnswer:
    return moderation.reject(report_id, rejection, caller)


@router.post("/reports/{report_id}/merge")
def merge(
    report_id: Id, merge: Merge, caller: Moderator, moderation: TheModeration
) -> StatusAnswer:
    return moderation.merge(report_id, merge, caller)


@router.post("/reports/{report_id}/retract")
def retract(
    report_id: Id, retraction: Retraction, caller: Moderator, moderation: TheModeration
) -> ApprovalAnswer:
    return moderation.retract(report_id, retraction, caller)


@router.post("/reports/{report_id}/dispute")
def dispute(
    report_id: Id, dispute: Dispute, caller: Moderator, moderation: TheModeration
) -> ApprovalAnswer:
    return moderation.dispute(report_id, dispute, caller)


@router.post("/reports/{report_id}/release")
def release(report_id: Id, caller: Moderator, moderation: TheModeration) -> StatusAnswer:
    return moderation.release(report_id, caller)


@router.post("/reports/{report_id}/reseal")
def reseal(
    report_id: Id, reseal: Reseal, caller: Moderator, moderation: TheModeration
) -> StatusAnswer:
    return moderation.reseal(report_id, reseal, caller)


@router.post("/invitations")
def invite(request: InvitationRequest, caller: Moderator, callers: TheCallers) -> InvitationAnswer:
    return callers.invite(caller.collective, Role.MEMBER, request.count)


@router.delete("/members/{member}", status_code=HTTPStatus.NO_CONTENT)
def end_member(member: Annotated[MemberId, Path()], caller: Moderator, callers: TheCallers) -> None:
    callers.end_member(caller, member)
