"""`parasol collective`: the collectives of this instance, and their moderators."""

from pathlib import Path

import click

from api.cli.choices import OneOf
from api.cli.host import data_option, identities_of, invitation_lines, or_say, parts_of
from api.errors import Conflict, NotFound
from schemas.base import CATEGORIES, Category, Sharing
from schemas.callers import Role
from schemas.documents import Status

HOW_LONG = "It works once and for seven days. Hand it over in person or by a safe channel."

OPTIONAL = [one for one in Category if CATEGORIES[one].shared is Sharing.OPT_IN]


@click.group()
def collective() -> None:
    """Add and end collectives (on the instance's host)."""


@collective.command()
@click.argument("collective_id", metavar="COLLECTIVE")
@data_option
def add(collective_id: str, data: Path) -> None:
    """Add COLLECTIVE, an id of small letters, digits and hyphens: not a name that tells."""
    checked_id(collective_id)
    known = f"There is, or was, a collective {collective_id}: an id is used once."
    with identities_of(data) as identities, or_say(Conflict, known):
        identities.add_collective(collective_id)
    click.echo(f"Added {collective_id}. Next: parasol moderator invite {collective_id}")


@collective.command()
@click.argument("collective_id", metavar="COLLECTIVE")
@click.option("--revoke", is_flag=True, help="Its keys can no longer be trusted.")
@data_option
def end(collective_id: str, data: Path, *, revoke: bool) -> None:
    """End COLLECTIVE, its tokens and its unused invitations, at once."""
    status = Status.REVOKED if revoke else Status.ENDED
    with identities_of(data) as identities, or_say(NotFound, no_collective(collective_id)):
        ended = identities.end_collective(collective_id, status)
    click.echo(f"Ended {collective_id}, and tokens and invitations: {ended}.")
    click.echo("Next: parasol identity sign")


@collective.command(name="list")
@data_option
def list_(data: Path) -> None:
    """Show collectives and moderators by their ids."""
    with identities_of(data) as identities:
        for one in identities.roster():
            click.echo(f"{one.collective}  {one.status}")
            if one.shares:
                click.echo(f"  shares with partners, too: {', '.join(one.shares)}")
            for moderator_id, moderator_status in one.moderators:
                click.echo(f"  {moderator_id}  {moderator_status}")


@collective.command()
@click.argument("collective_id", metavar="COLLECTIVE")
@click.argument("categories", nargs=-1, type=OneOf(OPTIONAL), metavar="[CATEGORY]...")
@click.option("--none", is_flag=True, help="None of them.")
@data_option
def share(
    collective_id: str, categories: tuple[Category, ...], data: Path, *, none: bool
) -> None:  # fmt: skip
    """Let COLLECTIVE's reports of these CATEGORIES leave this instance, from now on.

    They stay here unless the collective wants it: authority_abuse, harassment, non_payment, scam.
    Each time all are named that may leave; all other categories leave anyway, or never.
    """
    if none == bool(categories):
        raise click.UsageError("name the categories that may leave, or --none")
    with identities_of(data) as identities, or_say(NotFound, no_collective(collective_id)):
        identities.share(collective_id, categories)
    named = ", ".join(sorted(set(categories))) or "none of them"
    click.echo(f"Of what is published from now on may leave: {named}.")
    click.echo("What has left is not taken back: for that, moderators retract it.")


def checked_id(text: str) -> str:
    """Return `text` if it can be an id; raise a usage error."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if not 1 <= len(text) <= 40 or not set(text) <= allowed:  # noqa: PLR2004  (PROTOCOL.md §7)
        raise click.BadParameter("use up to 40 small letters, digits and hyphens")
    return text


def no_collective(collective_id: str) -> str:
    """Return the sentence for an id that is no active collective's."""
    return f"There is no active collective {collective_id}: see parasol collective list."


def invite_moderator(collective_id: str, data: Path) -> None:
    """Print an invitation for a new moderator of `collective_id`."""
    with parts_of(data) as parts, or_say(NotFound, no_collective(collective_id)):
        issued = parts.callers.invite(collective_id, Role.MODERATOR, 1)
        click.echo(invitation_lines(parts.instance.identity, issued)[0])
    click.echo(HOW_LONG, err=True)


def end_moderator(moderator_id: str, status: str, data: Path) -> None:
    """End a moderator's tokens now; the next identity ends her keys for everybody."""
    unknown = f"There is no active moderator {moderator_id}: see parasol collective list."
    with identities_of(data) as identities, or_say(NotFound, unknown):
        identities.end_moderator(moderator_id, Status(status))
    click.echo(f"{moderator_id} can do nothing here any more. Next: parasol identity sign")
