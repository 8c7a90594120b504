"""The entries that moderators sign: reports and retractions."""

from calendar import monthrange
from datetime import date, timedelta
from typing import TypeVar

from api.crypto.failures import InvalidInput
from api.crypto.ristretto import element
from api.trust.envelopes import decoded
from api.trust.moderators import rosters
from schemas.base import Category, Severity
from schemas.documents import DOCUMENTS, Envelope, Identity, ReportDocument, Retract

# Somewhere it is already tomorrow, and some clocks are wrong.
GRACE = timedelta(days=1)
YEARS = {Severity.DANGER: 5, Severity.RISK: 2, Severity.NUISANCE: 1}

_Entry = TypeVar("_Entry", ReportDocument, Retract)


def latest_expiry(month: str, severity: Severity) -> date:
    """Return the last day on which a report of this incident month can count."""
    incident = date.fromisoformat(f"{month}-01")
    year = incident.year + YEARS[severity]
    return date(year, incident.month, monthrange(year, incident.month)[1])


def open_report(envelope: Envelope, identity: Identity, *, today: date) -> ReportDocument:
    """Return the report in an envelope; who signed it says `signers`.

    `identity` is the one in force where the report stands. Raises `unsupported`, `malformed`,
    `foreign-origin`, `unknown-key` (a collective it does not list), `wrong-network`,
    `wrong-epoch`, `future-dated`, `expiry-too-long`, `expired`.
    """
    report = _opened(envelope, ReportDocument, identity, today)
    if report.network != identity.network:
        raise InvalidInput("wrong-network")
    if report.epoch != identity.epoch:
        raise InvalidInput("wrong-epoch")
    _check_content(report)
    _check_days(report, today)
    return report


def open_retract(envelope: Envelope, identity: Identity, *, today: date) -> Retract:
    """Return the retraction in an envelope; whose report it is about is the caller's to check.

    Raises `unsupported`, `malformed`, `foreign-origin`, `unknown-key` (a collective that
    `identity` does not list), `future-dated`.
    """
    return _opened(envelope, Retract, identity, today)


def _opened(envelope: Envelope, kind: type[_Entry], identity: Identity, today: date) -> _Entry:
    if envelope.payload_type not in DOCUMENTS:
        raise InvalidInput("unsupported")
    entry = decoded(envelope, kind, "malformed")
    if entry.origin != identity.origin:
        raise InvalidInput("foreign-origin")
    if entry.collective not in rosters(identity):
        raise InvalidInput("unknown-key")
    if date.fromisoformat(entry.issued) > today + GRACE:
        raise InvalidInput("future-dated")
    return entry


def _check_content(report: ReportDocument) -> None:
    if Category.OTHER in report.categories:
        raise InvalidInput("malformed")
    try:
        for identifier in report.identifiers:
            element(identifier.token)
    except InvalidInput:
        raise InvalidInput("malformed") from None


def _check_days(report: ReportDocument, today: date) -> None:
    if date.fromisoformat(f"{report.month}-01") > today + GRACE:
        raise InvalidInput("future-dated")
    expires = date.fromisoformat(report.expires)
    if expires > latest_expiry(report.month, report.severity):
        raise InvalidInput("expiry-too-long")
    if expires < today:
        raise InvalidInput("expired")
