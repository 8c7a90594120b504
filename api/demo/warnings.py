"""The invented warnings, moved in time so that they are as old today as when they were written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from api.crypto.identifiers import Identifier, parse_identifier
from schemas.base import Category, Severity
from schemas.reports import Account, Actor, Consent, Flag, Police, Status, Warn

FILE = Path(__file__).with_name("warnings.json")
MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class SyntheticWarning:
    """One invented warning, and what is to become of it."""

    ref: str
    identifiers: tuple[Identifier, ...]
    categories: tuple[Category, ...]
    severity: Severity
    month: str
    collective: str
    reporter: str
    consent: Consent
    account: Account
    status: Status


def read_warnings(today: date, file: Path = FILE) -> list[SyntheticWarning]:
    """Return the warnings of `file`, oldest first, as if its `as_of` were `today`."""
    content = json.loads(file.read_text(encoding="utf-8"))
    as_of = date.fromisoformat(content["as_of"])
    later = (today.year - as_of.year) * MONTHS_A_YEAR + today.month - as_of.month
    found = [_warning(one, later) for one in content["warnings"]]
    return sorted(found, key=lambda one: (one.month, one.ref))


def _warning(one: Mapping[str, Any], later: int) -> SyntheticWarning:
    return SyntheticWarning(
        ref=one["ref"],
        identifiers=tuple(
            parse_identifier(given["type"], given["as_typed"], given.get("region"))
            for given in one["identifiers"]
        ),
        categories=tuple(Category(name) for name in one["categories"]),
        severity=Severity(one["severity"]),
        month=_moved(one["incident_month"], later),
        collective=one["collective"],
        reporter=one["reporter"],
        consent=Consent(
            warn=Warn(one["consent"]["warn"]),
            police=Police(one["consent"]["police"]),
            research=one["consent"]["research"],
        ),
        account=Account(
            # The file names areas in words, which are no ISO 3166-2: they stand in the text.
            text=SecretStr(f"{one['moderator_note']} ({one['area']})"),
            flags=tuple(Flag(name) for name in one["flags"]),
            actor=Actor(one["actor"]),
        ),
        status=Status(one["status"]),
    )


def _moved(month: str, later: int) -> str:
    day = date.fromisoformat(f"{month}-01")
    months = day.year * MONTHS_A_YEAR + day.month - 1 + later
    return f"{months // MONTHS_A_YEAR:04}-{months % MONTHS_A_YEAR + 1:02}"
