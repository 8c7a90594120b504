"""`parasol moderator held`: what is held of partners' reports, for moderators of any collective."""

import re

import click

from api.cli import Plain, reading
from api.cli.desk import confirm, echo, with_docket, yes_option
from api.moderating import Docket
from schemas.held import HeldItem, HeldKind

_ENTRY = re.compile("[0-9a-f]{4,64}")


@click.command()
@click.argument("decision", type=click.Choice(["accept", "refuse"]), required=False)
@click.argument("entry", required=False)
@yes_option
@with_docket
def held(docket: Docket, decision: str | None, entry: str | None, *, yes: bool) -> None:
    """List partners' reports that wait; accept or refuse the one whose ENTRY begins so."""
    if decision is None:
        items = list(docket.held())
        echo(reading.held_table(items) if items else ["Nothing is held."])
        return
    if entry is None:
        raise click.UsageError("Say which, by the first letters and digits of its ENTRY.")
    item = _one(docket, entry)
    echo(reading.held_lines(item))
    accept = decision == "accept"
    confirm(_QUESTIONS[item.kind, accept], yes=yes)
    docket.decide_held(item, accept=accept)
    click.echo(_DONE[item.kind, accept])


_QUESTIONS = {
    (HeldKind.REPORT, True): "Accept it, to warn everybody here?",
    (HeldKind.REPORT, False): "Refuse it?",
    (HeldKind.ERASURE, True): "Accept the erasure, and delete the report here?",
    (HeldKind.ERASURE, False): "Refuse the erasure, and keep the report?",
}
_DONE = {
    (HeldKind.REPORT, True): "Accepted. It counts here within a minute.",
    (HeldKind.REPORT, False): "Refused. It warns nobody here.",
    (HeldKind.ERASURE, True): "Erased.",
    (HeldKind.ERASURE, False): "Refused. The report stays.",
}


def _one(docket: Docket, text: str) -> HeldItem:
    """Return what waits of the entry whose id begins with `text`; else refuse."""
    if not _ENTRY.fullmatch(text):
        raise click.UsageError("An ENTRY is at least the first four of its letters and digits.")
    found = [item for item in docket.held() if item.entry.startswith(text)]
    if not found:
        raise Plain("Nothing that is held has such an ENTRY.")
    if len(found) > 1:
        raise Plain("Several have an ENTRY that begins so: give more of it.")
    return found[0]
