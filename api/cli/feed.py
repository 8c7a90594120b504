"""`parasol feed`: the log of what this instance has published."""

from datetime import timedelta
from pathlib import Path

import click

from api.cli import Plain
from api.cli.host import data_option, or_say, parts_of
from api.crypto.failures import InvalidInput
from api.errors import NotFound

EMPTY = "Nothing is in the log yet."
STATES = {
    "open": "open",
    "unverified": "unverified: restored from a backup, and not compared with partners yet",
    "closed": "closed: nothing more is appended to it",
}
FAULTS = {
    "wrong-order": "an entry is missing",
    "root-mismatch": "an entry, or a root made of the entries, is not what was signed",
    "bad-signature": "a checkpoint is not signed by this instance's log key",
}


@click.group()
def feed() -> None:
    """Look at the log of what this instance has published (on the instance's host)."""


@feed.command()
@data_option
def show(data: Path) -> None:
    """Show the log's id, size and root, and the age of its newest checkpoint."""
    with parts_of(data) as parts, or_say(NotFound, EMPTY):
        head = parts.inspection.head()
    click.echo(f"log {head.log}, {head.size} entries, {head.erased} of them erased")
    click.echo(f"state {STATES.get(head.state, head.state)}")
    click.echo(f"root {head.root}")
    click.echo(f"checkpoint signed {ago(head.age)}")


@feed.command()
@data_option
def verify(data: Path) -> None:
    """Hash all that is stored of the log anew, and compare it with what was signed."""
    with parts_of(data) as parts:
        try:
            size, erased = parts.inspection.verify()
        except InvalidInput as found:
            fault = FAULTS.get(found.code, "an entry is damaged")
            raise Plain(f"The log does not hold: {fault} ({found.code}).") from None
    click.echo(f"The log holds: {size} entries, {erased} of them erased.")


def ago(seconds: int) -> str:
    """Return how long ago something was, in words."""
    if seconds < 0:
        return "in the future, by this machine's clock"
    passed = timedelta(seconds=seconds)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        number = int(passed.total_seconds()) // length
        if number:
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "less than a minute ago"
