"""`parasol collective`: the collectives of this instance, and their moderators."""

from pathlib import Path

import click

from api.cli.host import data_option, identities_of, invitation_lines, parts_of
from schemas.callers import Role
from schemas.documents import Status

HOW_LONG = "It works once and for seven days. Hand it over in person or by a safe channel."


@click.group()
def collective() -> None:
    """Add and end collectives (on the instance's host)."""


@collective.command()
@click.argument("collective_id", metavar="COLLECTIVE")
@data_option
def add(collective_id: str, data: Path) -> None:
    """Add COLLECTIVE, an id of small letters, digits and hyphens: not a name that tells."""
    with identities_of(data) as identities:
        identities.add_collective(checked_id(collective_id))
    click.echo(f"Added {collective_id}. Next: parasol moderator invite {collective_id}")


@collective.command()
@click.argument("collective_id", metavar="COLLECTIVE")
@click.option("--revoke", is_flag=True, help="Its keys can no longer be trusted.")
@data_option
def end(collective_id: str, data: Path, *, revoke: bool) -> None:
    """End COLLECTIVE and all its tokens at once."""
    status = Status.REVOKED if revoke else Status.ENDED
    with identities_of(data) as identities:
        tokens = identities.end_collective(collective_id, status)
    click.echo(f"Ended {collective_id} and {tokens} tokens. Next: parasol identity sign")


@collective.command(name="list")
@data_option
def list_(data: Path) -> None:
    """Show collectives and moderators by their ids."""
    with identities_of(data) as identities:
        for one in identities.current().collectives:
            click.echo(f"{one.id}  {one.status}")
            for moderator in one.moderators:
                click.echo(f"  {moderator.id}  {moderator.status}")
        for collective_id, moderator_id, _, _ in identities.pending():
            click.echo(f"  {moderator_id}  pending, of {collective_id}")


def checked_id(text: str) -> str:
    """Return `text` if it can be an id; raise a usage error."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if not 1 <= len(text) <= 40 or not set(text) <= allowed:  # noqa: PLR2004  (PROTOCOL.md §7)
        raise click.BadParameter("use up to 40 small letters, digits and hyphens")
    return text


def invite_moderator(collective_id: str, data: Path) -> None:
    """Print an invitation for a new moderator of `collective_id`."""
    with parts_of(data) as parts:
        issued = parts.callers.invite(collective_id, Role.MODERATOR, 1)
        click.echo(invitation_lines(parts.instance.identity, issued)[0])
    click.echo(HOW_LONG, err=True)


def end_moderator(moderator_id: str, status: str, data: Path) -> None:
    """End a moderator's tokens now; the next identity ends her keys for everybody."""
    with identities_of(data) as identities:
        identities.end_moderator(moderator_id, Status(status))
    click.echo(f"{moderator_id} can do nothing here any more. Next: parasol identity sign")
