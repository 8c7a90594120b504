"""Following and withdrawing a report by its receipt, without an account (PROTOCOL.md §6)."""

import re
from enum import StrEnum

import httpx2

from api.client.clocks import utc_now
from api.client.session import Session
from api.crypto.failures import InvalidInput
from schemas.reports import Status, StatusAnswer

_RECEIPT = re.compile("[0-9]{16}")


class ReceiptAction(StrEnum):
    """What a receipt is good for."""

    STATUS = "status"
    WITHDRAW = "withdraw"


def ask_receipt(
    address: str,
    action: ReceiptAction,
    receipt: str,
    *,
    transport: httpx2.BaseTransport | None = None,
) -> Status:
    """Return where the report of `receipt` stands, after withdrawing it if that is the action.

    Spaces and hyphens between the digits are allowed. Nothing is sent that tells whose report it
    is: no token goes with the receipt.
    Raises InvalidInput `invalid-receipt`, Refused (`not-found` for a wrong one), Unreachable.
    """
    digits = re.sub(r"[\s-]", "", receipt)
    if not _RECEIPT.fullmatch(digits):
        raise InvalidInput("invalid-receipt")
    with Session(address, None, utc_now, transport) as session:
        path = f"/v1/receipts/{action}"
        return session.message(StatusAnswer, "POST", path, json={"receipt": digits}).status
