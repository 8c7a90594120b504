"""Filing reports, and following them by receipt."""

from http import HTTPStatus

from fastapi import APIRouter

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


@router.post("/receipts/status")
def status(query: ReceiptQuery, reports: TheReports) -> StatusAnswer:
    return reports.status(query)


@router.post("/receipts/withdraw")
def withdraw(query: ReceiptQuery, reports: TheReports) -> StatusAnswer:
    return reports.withdraw(query)
