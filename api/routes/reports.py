"""Filing reports, and following them by receipt."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.routes.edge import StrictRoute
from api.routes.parts import Body, Member, TheReports
from api.routes.problems import described
from schemas.reports import (
    PlainSubmission,
    ReceiptAnswer,
    ReceiptQuery,
    SealedSubmission,
    StatusAnswer,
)

router = APIRouter(
    prefix="/v1",
    tags=["reports"],
    route_class=StrictRoute,
    responses=described(401, 403, 404, 409, 422, 429),
)


@router.post("/reports", status_code=HTTPStatus.CREATED)
def submit(
    submission: SealedSubmission | PlainSubmission, body: Body, caller: Member, reports: TheReports
) -> ReceiptAnswer:
    return reports.submit(submission, body, caller)


@router.post("/receipts/status", response_model=StatusAnswer)
def status(query: ReceiptQuery, reports: TheReports) -> Response:
    answer = reports.status(query).model_dump_json()  # at once: a refusal takes no longer
    return Response(answer, media_type="application/json")


@router.post("/receipts/withdraw")
def withdraw(query: ReceiptQuery, reports: TheReports) -> StatusAnswer:
    return reports.withdraw(query)
