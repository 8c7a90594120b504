"""`parasol partner witness`: whether everybody was shown the same logs."""

from pathlib import Path

import click

from api.cli import Plain
from api.cli.host import data_option, parts_of
from api.cli.reasons import no_partner, why
from api.errors import NotFound
from api.parts import Parts
from api.services.inspection import Agreement
from api.services.positions import QUARANTINED

NOBODY = "  nobody else could say"
VERDICTS = {
    Agreement.SAME: "the same as is stored here",
    Agreement.LONGER: "MORE THAN IS STORED HERE: this is an old copy of our log",
    Agreement.OTHER: "ANOTHER LOG THAN IS STORED HERE: somebody has our log key",
}


@click.command()
@click.argument("origin", metavar="[ORIGIN]", required=False)
@data_option
def witness(origin: str | None, data: Path) -> None:
    """Ask the other partners what they saw of ORIGIN's log; without it, of all logs, and ours.

    Who showed others another log than us is put in quarantine, and the exit status is 2.
    """
    with parts_of(data) as parts:
        origins = [one.origin for one in parts.partners.all()]
        if origin is not None and origin not in origins:
            raise Plain(no_partner(origin))
        faults = [
            fault for one in (origins if origin is None else [origin])
            if (fault := _compared(parts, one)) is not None
        ]  # fmt: skip
        if origin is None:
            faults += _ours(parts)
    if faults:
        raise Plain(faults[0])


def _compared(parts: Parts, origin: str) -> str | None:
    """Print what others saw of a partner's log; return what is wrong, if anything is."""
    try:
        seen = parts.witnessing.compare(origin)
    except NotFound:
        click.echo(f"{origin}: not reached yet")
        return None
    row = parts.positions.row(origin)
    click.echo(f"{origin}, log {row.log}, of which {row.size} entries are here:")
    for one in seen:
        click.echo(f"  {one.by} has verified {one.checkpoint.size} entries")
    if not seen:
        click.echo(NOBODY)
    if row.state == QUARANTINED and row.code is not None:
        return f"{origin}: {why(row.code)}"
    if seen:
        click.echo("  and nothing of it contradicts what is here")
    return None


def _ours(parts: Parts) -> list[str]:
    try:
        head = parts.inspection.head()
    except NotFound:
        return []
    click.echo(f"our own log, {head.log}, {head.size} entries:")
    seen = parts.witnessing.of_log(head.log, head.key)
    faults = []
    for one in seen:
        verdict = parts.inspection.agrees(one.checkpoint)
        click.echo(f"  {one.by} has verified {one.checkpoint.size} entries: {VERDICTS[verdict]}")
        if verdict is not Agreement.SAME:
            faults.append("Of our own log others have seen what is not here.")
    if not seen:
        click.echo(NOBODY)
    return faults
