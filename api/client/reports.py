"""Writing a report so that only the collective's moderators can read the account (§6)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from pydantic import SecretStr

from api.client.failures import CouldNotCheck
from api.client.lookup import Chance
from api.crypto.envelopes import key_id
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier
from api.crypto.sealing import seal_account
from api.trust import active_moderators, latest_expiry
from schemas.base import Category, Kind, Month, Severity
from schemas.documents import Identity
from schemas.reports import (
    MOST_PLAINTEXT,
    Account,
    Consent,
    ReportRequest,
    SealedAccount,
    SealedPlaintext,
    SealedSubmission,
    TokenIdentifier,
)

_REQUEST_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker reports; `identifiers` (one to four) are of one reported person."""

    identifiers: Sequence[Identifier] = field(repr=False)
    categories: Sequence[Category]
    severity: Severity
    month: Month
    consent: Consent
    wait_days: int = 0
    account: Account = field(default_factory=Account, repr=False)


def check_month(month: str, severity: Severity, today: date) -> None:
    """Accept a month in which a report can have happened that still counts today.

    Raises InvalidInput `future-dated` or `expired`.
    """
    if month > f"{today:%Y-%m}":
        raise InvalidInput("future-dated")
    if latest_expiry(month, severity) < today:
        raise InvalidInput("expired")


def sealed_report(
    report: Report, identity: Identity, collective: str, tokens: Sequence[bytes], chance: Chance
) -> bytes:
    """Return the body of `POST /v1/reports`, sealed to the active moderators of `collective`.

    `tokens` belong to the report's identifiers; `chance(n)` gives n random bytes.
    Raises CouldNotCheck if nobody could read the account, InvalidInput `account-too-long`;
    pydantic's ValidationError (a ValueError) for a report that breaks a rule of its form.
    """
    readers = active_moderators(identity, collective)
    if not readers:
        raise CouldNotCheck("Your collective has no moderator who could read a report.")
    request = ReportRequest(
        epoch=identity.epoch,
        identifiers=[
            TokenIdentifier(kind=Kind(one.kind), token=token)
            for one, token in zip(report.identifiers, tokens, strict=True)
        ],
        categories=list(report.categories),
        severity=report.severity,
        month=report.month,
        consent=report.consent,
        wait_days=report.wait_days,
        request_id=chance(_REQUEST_ID_BYTES).hex(),
    )
    plaintext = SealedPlaintext(
        request=request,
        canonical=[SecretStr(one.canonical) for one in report.identifiers],
        account=report.account,
    ).encode()
    if len(plaintext) > MOST_PLAINTEXT:
        raise InvalidInput("account-too-long")
    parts = seal_account(plaintext, {key_id(one.sign): one.box for one in readers}, chance)
    sealed = SealedAccount.of(parts.nonce, parts.box, parts.keys)
    submission = SealedSubmission.model_validate({**dict(request), "sealed": sealed})
    return submission.model_dump_json().encode()
