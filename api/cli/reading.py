"""How reports look on a moderator's screen, in the words of PROTOCOL.md §11."""

import unicodedata
from collections.abc import Iterable, Sequence

from api.moderating import Opened
from schemas.base import Category, Severity
from schemas.documents import ReportDocument, Retract, RetractReason
from schemas.held import HeldItem, HeldKind, Why
from schemas.moderation import ApprovalAnswer, QueueItem
from schemas.reports import Consent, Police, Status, Warn

SHORT_ID = 8

SEVERITIES = {
    Severity.DANGER: "DANGER (do not meet)",
    Severity.RISK: "RISK (take care)",
    Severity.NUISANCE: "nuisance",
}
# Line ends, and the joiners without which some scripts can't be read.
_KEPT = frozenset("\n\u200c\u200d")
_LIVE = frozenset({Status.APPROVED, Status.PUBLISHED, Status.DISPUTED})
_ORDER = tuple(SEVERITIES)
_WARN = {
    Warn.NETWORK: "warn everyone in the network",
    Warn.LOCAL: "warn only here, on this instance",
    Warn.STATISTICS: "warn nobody; keep it for statistics",
    Warn.NONE: "warn nobody; only count it",
}
_POLICE = {
    Police.NEVER: "never tell the police",
    Police.ANONYMOUS: "the police may know, without her",
    Police.CONTACT_ME: "ask her before telling the police",
}
_COLUMNS = ("ID", "SEVERITY", "WAITING", "CATEGORIES", "MONTH", "STATUS", "SIGNED", "SAME REPORTER")

_HELD_COLUMNS = ("ENTRY", "SEVERITY", "WHAT", "CATEGORIES", "MONTH", "FROM", "ALSO KNOWN")
_ERASED = (
    "It was erased where it comes from, with more that day than are erased here without a look. "
    "Accepted, it is deleted here; refused, it stays as it is."
)
_HELD = {
    (HeldKind.REPORT, Why.POLICY): "It warns nobody here until a moderator accepts it: so the "
    "operator chose for what comes from there.",
    (HeldKind.REPORT, Why.QUOTA): "It warns nobody here until a moderator accepts it: more "
    "reports came from there that day than are taken without a look.",
    (HeldKind.ERASURE, Why.POLICY): _ERASED,
    (HeldKind.ERASURE, Why.QUOTA): _ERASED,
}


def table(items: Iterable[QueueItem]) -> list[str]:
    """Return the lines of a table of reports, danger first, without any account."""
    ordered = sorted(items, key=lambda item: _ORDER.index(item.severity))
    return _lined([_COLUMNS, *(_row(item) for item in ordered)])


def held_table(items: Sequence[HeldItem]) -> list[str]:
    """Return the lines of a table of what is held, as it came: danger first."""
    return _lined([_HELD_COLUMNS, *(_held_row(item) for item in items)])


def held_lines(item: HeldItem) -> list[str]:
    """Return what a moderator reads of a partner's report before she decides about it."""
    lines = [
        f"{SEVERITIES[item.severity]}: {categories_text(item.categories)}, {item.month}",
        f"From {item.collective} at {item.origin}, {item.issued}. Its last day: {item.expires}.",
        f"Other reports that count and hold the same number or address: {item.known}",
    ]
    return [*lines, _HELD[item.kind, item.why]]


def opened_lines(opened: Opened) -> list[str]:
    """Return what a moderator reads of one report. The only place where an account is shown."""
    item, account = opened.item, opened.account
    flags = ", ".join(_words(flag) for flag in account.flags) or "none"
    area = account.area.get_secret_value() if account.area else "not said"
    lines = [
        f"{SEVERITIES[item.severity]}: {categories_text(item.categories)}",
        f"Report {item.id}, {_words(item.status)}, month {item.month}",
        *(f"Reported {one.kind}: {printable(one.canonical)}" for one in opened.identifiers),
        f"Flags: {flags}",
        f"The reported person appeared as: {_words(account.actor)}",
        f"Area: {printable(area)}",
        f"The reporter allows: {consent_text(item.consent)}",
    ]
    if item.wait_days:
        lines.append(f"She asks to wait {item.wait_days} days before it is published.")
    if item.same_reporter:
        lines.append(f"Same reporter, same number: {_short(item.same_reporter)}")
    text = printable(account.text.get_secret_value()) or "(no account)"
    return [
        *lines,
        "",
        *(f"  {line}" for line in text.split("\n")),
        "",
        "Compared: all that the instance shows of it is what the reporter sealed.",
    ]


def changes(item: QueueItem, signed: ReportDocument) -> list[str]:
    """Return what was signed of a report, and how it differs from what was reported."""
    reported = [one for one in item.categories if one is not Category.OTHER]
    pairs = (
        ("severity", SEVERITIES[item.severity], SEVERITIES[signed.severity]),
        ("categories", categories_text(sorted(reported)), categories_text(signed.categories)),
        ("month", item.month, signed.month),
    )
    changed = [f"  {name}: {was} → {now}" for name, was, now in pairs if was != now]
    head = "It was signed" if item.status in _LIVE else "A colleague has signed it"
    head += ", changed:" if changed else " as it was reported."
    return [head, *changed, f"  Its last day: {signed.expires}."]


def pending(item: QueueItem) -> list[str]:
    """Return what a colleague wants to do with a listed report, if one does."""
    if item.retraction is None:
        return []
    reason = Retract.decode(item.retraction.payload).reason
    if reason is RetractReason.DISPUTED:
        return [f"A colleague disputes it. To agree: parasol moderator dispute {short(item.id)}"]
    command = f"parasol moderator retract {short(item.id)} --reason {reason}"
    return [f"A colleague wants it taken away ({reason}). To agree: {command}"]


def released(item: QueueItem, status: Status) -> str:
    """Return one sentence about what a release led to."""
    if item.status is Status.DISPUTED:
        return f"It is in review and warns nobody. To publish it: approve {short(item.id)} anew."
    return f"What was pending is taken back. It is {_words(status)}."


def proposal(severity: Severity, categories: Sequence[Category], month: str) -> list[str]:
    """Return what would be signed."""
    return ["To be signed:", f"  {SEVERITIES[severity]}: {categories_text(categories)}, {month}"]


def outcome(answer: ApprovalAnswer) -> str:
    """Return one sentence about what a decision led to."""
    if answer.status is Status.RECORDED:
        return "Recorded. Nothing of it will be published."
    if answer.approvals < answer.needed:
        return f"Signed by {answer.approvals} of {answer.needed}: a colleague must sign it too."
    return {
        Status.APPROVED: "Approved. Danger is published at once, all else after 1 to 48 hours, by "
        "chance, so that nobody can tell who reported; and never before the waiting days.",
        Status.DISPUTED: "Disputed. It is hidden while it is reviewed.",
        Status.REMOVED: "Retracted. It is removed.",
    }.get(answer.status, f"Done: {_words(answer.status)}.")


def categories_text(categories: Sequence[Category]) -> str:
    """Return categories in words."""
    return ", ".join(_words(one) for one in categories)


def consent_text(consent: Consent) -> str:
    """Return what a reporter allows, in words."""
    research = "research may use it" if consent.research else "no research"
    return f"{_WARN[consent.warn]}; {_POLICE[consent.police]}; {research}"


def printable(text: str) -> str:
    """Return `text` without what moves a cursor, or turns the direction of writing.

    The account is written by anybody: an escape sequence could repaint the screen on which a
    moderator decides.
    """
    text = text.replace("\r\n", "\n").replace("\t", " ")
    return "".join(
        "\ufffd" if unicodedata.category(c).startswith("C") and c not in _KEPT else c for c in text
    )


def short(report: str) -> str:
    """Return the beginning of an id, by which it can be named."""
    return report[:SHORT_ID]


def _lined(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _short(reports: Sequence[str]) -> str:
    return " ".join(short(one) for one in reports)


def _held_row(item: HeldItem) -> tuple[str, ...]:
    return (
        short(item.entry),
        SEVERITIES[item.severity],
        "erasure" if item.kind is HeldKind.ERASURE else "report",
        categories_text(item.categories),
        item.month,
        f"{item.collective} at {item.origin}",
        str(item.known),
    )


def _row(item: QueueItem) -> tuple[str, ...]:
    return (
        short(item.id),
        SEVERITIES[item.severity],
        "OVERDUE" if item.overdue else "",
        categories_text(item.categories),
        item.month,
        _words(item.status),
        f"{item.approvals}/{item.needed}",
        _short(item.same_reporter),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
