"""The entries of a log: what moderators sign, and what the log itself does."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import TypeVar

from api.crypto.failures import InvalidInput
from api.crypto.ristretto import element
from api.trust.envelopes import check_sole_signature, decoded
from api.trust.moderators import rosters
from schemas.base import Category, Severity
from schemas.documents import (
    DOCUMENTS,
    Close,
    Envelope,
    Erase,
    Identity,
    Keys,
    ReportDocument,
    Retract,
)

# Somewhere it is already tomorrow, and some clocks are wrong.
GRACE = timedelta(days=1)
YEARS = {Severity.DANGER: 5, Severity.RISK: 2, Severity.NUISANCE: 1}

# Of an enumeration a member is found more slowly than a name of the module's.
_OTHER = Category.OTHER
_Entry = TypeVar("_Entry", ReportDocument, Retract)

LogEntry = Erase | Keys | Close
_LOG_ENTRIES: Mapping[str, type[LogEntry]] = {
    kind.payload_type: kind for kind in (Erase, Keys, Close)
}


@lru_cache(maxsize=1024)
def latest_expiry(month: str, severity: Severity) -> date:
    """Return the last day on which a report of this incident month can count."""
    incident = date.fromisoformat(f"{month}-01")
    year = incident.year + YEARS[severity]
    return date(year, incident.month, monthrange(year, incident.month)[1])


def open_report(
    envelope: Envelope, identity: Identity, *, today: date, earlier_epochs: bool = False
) -> ReportDocument:
    """Return the report in an envelope; who signed it says `signers`.

    `identity` is the one in force where the report stands; with `earlier_epochs` the report may
    have been approved before a rotation. Raises `unsupported`, `malformed`, `foreign-origin`,
    `unknown-key` (a collective it does not list), `wrong-network`, `wrong-epoch`,
    `future-dated`, `expiry-too-long`, `expired`.
    """
    report = _opened(envelope, ReportDocument, identity, today)
    if report.network != identity.network:
        raise InvalidInput("wrong-network")
    if report.epoch != identity.epoch and not (earlier_epochs and report.epoch < identity.epoch):
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


def open_log_entry(envelope: Envelope, identity: Identity) -> LogEntry:
    """Return what the log itself says in an envelope: the key of `identity`'s log signed it.

    What it says of other entries, or of identities, is the caller's to check. Raises
    `unsupported` for every other type, `malformed` (also for more signatures than one),
    `foreign-origin`, `unknown-key`, `bad-signature`.
    """
    kind = _LOG_ENTRIES.get(envelope.payload_type)
    if kind is None:
        raise InvalidInput("unsupported")
    entry = decoded(envelope, kind, "malformed")
    if entry.origin != identity.origin:
        raise InvalidInput("foreign-origin")
    check_sole_signature(envelope, identity.log_key)
    return entry


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
    if _OTHER in report.categories:
        raise InvalidInput("malformed")
    try:
        for identifier in report.identifiers:
            element(identifier.token)
    except InvalidInput:
        raise InvalidInput("malformed") from None


def _check_days(report: ReportDocument, today: date) -> None:
    if f"{report.month}-01" > f"{today + GRACE}":
        raise InvalidInput("future-dated")
    expires = date.fromisoformat(report.expires)
    if expires > latest_expiry(report.month, report.severity):
        raise InvalidInput("expiry-too-long")
    if expires < today:
        raise InvalidInput("expired")
