"""What moderators see of partners' reports on hold, and decide (PROTOCOL.md §§6, 8)."""

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from schemas.base import Category, Count, Day, HostName, Identifier, Message, Month, Severity
from schemas.reports import TokenIdentifier

EntryId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
"""An entry id (§7) as lower-case hex."""
HeldCursor = Annotated[str, StringConstraints(pattern=r"^[01](\.[0-9]{1,9}){2}\.[0-9]{1,18}$")]
"""The `next` of a page: rank, and the place in a partner's log."""


class HeldKind(StrEnum):
    """What waits: a report that does not count yet, or the erasure of one that may count."""

    REPORT = "report"
    ERASURE = "erasure"


class Why(StrEnum):
    """Why it waits: the operator's policy, or more came that day than is usual."""

    POLICY = "policy"
    QUOTA = "quota"


class Decision(StrEnum):
    """What a moderator here decided."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class HeldItem(Message):
    """A partner's report, as moderators of every collective here see it."""

    entry: EntryId
    kind: HeldKind
    why: Why
    origin: HostName
    collective: Identifier
    issued: Day
    expires: Day
    categories: list[Category]
    severity: Severity
    month: Month
    identifiers: list[TokenIdentifier]
    known: Count
    """How many other reports count that hold one of these tokens."""
    decision: Decision | None = None
    """What was decided about the report; only the operator is shown such."""


class HeldPage(Message):
    """A page of what is held; `next`, where there is more, is the `after` of the next page."""

    items: list[HeldItem]
    next: str | None = None


class HeldQuestion(Message):
    """As what the moderator saw it: she must not erase what she meant to accept."""

    kind: HeldKind | None = None


class HeldAnswer(Message):
    """What was decided."""

    decision: Decision
