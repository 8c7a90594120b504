"""`parasol partner held`: what is held of partners' reports, for the operator."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from api.cli import Plain, reading
from api.cli.host import data_option, or_say, parts_of
from api.errors import Conflict, NotFound
from api.parts import Parts
from schemas.held import Decision, HeldItem, HeldKind

AT_ONCE = 100
_ENTRY = re.compile("[0-9a-f]{4,64}")
_DECISIONS = {"accept": Decision.ACCEPTED, "refuse": Decision.REFUSED, "reopen": None}
_DONE = {
    "accept": "Accepted. It counts here within a minute.",
    "refuse": "Refused. It warns nobody here.",
    "reopen": "It waits again, and warns nobody here until then.",
}


@click.command()
@click.argument("decision", type=click.Choice(tuple(_DECISIONS)), required=False)
@click.argument("entry", metavar="[ENTRY]", required=False)
@click.option("--decided", is_flag=True, help="List what was decided instead.")
@data_option
def held(decision: str | None, entry: str | None, data: Path, *, decided: bool) -> None:
    """List partners' reports that wait; accept, refuse or reopen the one whose ENTRY begins so.

    Moderators decide of them too: parasol moderator held, or at the desk. What they decided can be
    decided otherwise here. Of an erasure that waits, `accept` deletes the report.
    """
    with parts_of(data) as parts:
        if decision is None:
            items = list(_items(parts, decided=decided))
            nothing = "Nothing was decided." if decided else "Nothing is held."
            click.echo("\n".join(reading.held_table(items) if items else [nothing]))
            return
        if entry is None:
            raise click.UsageError("Say which, by the first letters and digits of its ENTRY.")
        item = _one(parts, entry, decision)
        changed = "This has changed in the meantime: look at the list again."
        with or_say(Conflict, changed), or_say(NotFound, changed):
            parts.held.settle(bytes.fromhex(item.entry), _DECISIONS[decision], item.kind)
    if item.kind is HeldKind.ERASURE:
        click.echo("Erased." if decision == "accept" else "Refused. The report stays.")
    else:
        click.echo(_DONE[decision])


def _items(parts: Parts, *, decided: bool) -> Iterator[HeldItem]:
    after = None
    while True:
        page = parts.held.list_for_operator(after, AT_ONCE, decided=decided)
        yield from page.items
        after = page.next
        if after is None:
            return


def _one(parts: Parts, text: str, decision: str) -> HeldItem:
    """Return the one whose id begins with `text` and of which that can be decided."""
    if not _ENTRY.fullmatch(text):
        raise click.UsageError("An ENTRY is at least the first four of its letters and digits.")
    waiting = [] if decision == "reopen" else list(_items(parts, decided=False))
    waiting = [one for one in waiting if one.entry.startswith(text)]
    decided = [
        one
        for one in _items(parts, decided=True)
        if one.entry.startswith(text) and one.decision != _DECISIONS[decision]
    ]
    found = waiting or decided
    if not found:
        raise Plain("Nothing of the kind has such an ENTRY: see also --decided.")
    if len(found) > 1:
        raise Plain("Several have an ENTRY that begins so: give more of it.")
    return found[0]
