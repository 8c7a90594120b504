"""What counts, and what of partners' reports waits for a moderator here (PROTOCOL.md §§3, 8).

Most are conditions over `ForeignReportRow`, its `PartnerRow` and its `PolicyRow`, if it has one.
They are asked whenever something is counted: a policy or a decision holds at once, and is undone
as easily as done.
"""

from typing import TypeAlias

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, func, or_

from schemas.feed import Policy
from schemas.held import Decision
from schemas.partner_tables import (
    ForeignIdentifierRow,
    ForeignReportRow,
    PartnerRow,
    PolicyRow,
)
from schemas.tables import ReportRow

STANDING = "standing"

Day: TypeAlias = str | ColumnElement[str]
"""A day, or the place of one in a statement that is made once."""


def published() -> ColumnElement[bool]:
    """Tell whether a report of our own is published.

    Not by the index of its status: nearly all are, and SQLite would read every one of them.
    PostgreSQL knows that they are, which of any other expression it would not.
    """
    return (col(ReportRow.status) == "published").is_(True)


def its_report() -> ColumnElement[bool]:
    """Join a token to the report that holds it."""
    return and_(
        col(ForeignReportRow.partner) == col(ForeignIdentifierRow.partner),
        col(ForeignReportRow.log) == col(ForeignIdentifierRow.log),
        col(ForeignReportRow.seq) == col(ForeignIdentifierRow.seq),
    )


def its_partner() -> ColumnElement[bool]:
    """Join a report to the partner that it came from."""
    return col(PartnerRow.id) == col(ForeignReportRow.partner)


def its_policy() -> ColumnElement[bool]:
    """Join a report to the policy of its collective, which not every collective has."""
    return and_(
        col(PolicyRow.partner) == col(ForeignReportRow.partner),
        col(PolicyRow.collective) == col(ForeignReportRow.collective),
    )


def in_force() -> ColumnElement[str]:
    """Return the policy for a report: its collective's, else the partner's."""
    return func.coalesce(col(PolicyRow.policy), col(PartnerRow.policy))


def counts(today: Day) -> ColumnElement[bool]:
    """Tell whether a report counts on the day `today`; one whose erasure is held still does."""
    return and_(
        _may_count(today),
        or_(
            col(ForeignReportRow.decision) == Decision.ACCEPTED,
            and_(
                col(ForeignReportRow.decision).is_(None),
                col(ForeignReportRow.over_quota).is_(False),
                in_force() == Policy.AUTO,
            ),
        ),
    )


def waits(today: Day) -> ColumnElement[bool]:
    """Tell whether a report, or its erasure, waits for a decision on the day `today`."""
    undecided = and_(
        _may_count(today),
        col(ForeignReportRow.decision).is_(None),
        or_(col(ForeignReportRow.over_quota), in_force() == Policy.HOLD),
    )
    # Whatever the policy: what its own instance erased is to go from here, too.
    erasing = and_(col(ForeignReportRow.erasing), col(ForeignReportRow.expires) >= today)
    return or_(undecided, erasing)


def _may_count(today: Day) -> ColumnElement[bool]:
    """Tell whether a report stands, has not expired and is not blocked; a partner's block wins."""
    return and_(
        col(ForeignReportRow.standing) == STANDING,
        col(ForeignReportRow.expires) >= today,
        col(PartnerRow.policy) != Policy.BLOCK,
        in_force() != Policy.BLOCK,
    )
