"""`parasol member`: invitations and tokens of workers (on the instance's host)."""

from pathlib import Path

import click

from api.cli import Plain
from api.cli.collective import HOW_LONG, no_collective
from api.cli.host import data_option, invitation_lines, or_say, parts_of
from api.errors import NotFound
from api.parts import Parts
from schemas.callers import Role


@click.group()
def member() -> None:
    """Invite members and end their tokens (on the instance's host)."""


@member.command()
@click.argument("collective_id", metavar="COLLECTIVE")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 20))
@data_option
def invite(collective_id: str, count: int, data: Path) -> None:
    """Print invitations for new members of COLLECTIVE, each with the id that can end it."""
    with parts_of(data) as parts, or_say(NotFound, no_collective(collective_id)):
        issued = parts.callers.invite(collective_id, Role.MEMBER, count)
        lines = invitation_lines(parts.instance.identity, issued)
    for one, line in zip(issued.invitations, lines, strict=True):
        click.echo(line)
        click.echo(f"  its id: {one.id}", err=True)
    click.echo(HOW_LONG, err=True)


@member.command()
@click.argument("collective_id", metavar="COLLECTIVE")
@click.argument("member_id", metavar="[ID]", required=False)
@click.option("--all", "everyone", is_flag=True, help="End all tokens of the collective.")
@data_option
def revoke(collective_id: str, member_id: str | None, data: Path, *, everyone: bool) -> None:
    """End the token or the unused invitation ID, or all of COLLECTIVE with --all."""
    if everyone == (member_id is not None):
        raise click.UsageError("give either an ID or --all")
    with parts_of(data) as parts:
        _check(parts, collective_id)
        ended = parts.callers.revoke(collective_id, member_id)
    if member_id is not None and not ended:
        raise Plain(f"{collective_id} has no token or invitation of that id.")
    click.echo(f"Ended: {ended}. It holds within seconds.")


@member.command(name="list")
@click.argument("collective_id", metavar="COLLECTIVE")
@data_option
def list_(collective_id: str, data: Path) -> None:
    """Show the ids of COLLECTIVE's tokens. Nothing else about anyone is known."""
    with parts_of(data) as parts:
        _check(parts, collective_id)
        for member_id, role in parts.callers.members(collective_id):
            click.echo(f"{member_id}  {role}")


def _check(parts: Parts, collective_id: str) -> None:
    roster = parts.identities.roster()
    if all(one.collective != collective_id for one in roster):
        raise Plain(no_collective(collective_id))
