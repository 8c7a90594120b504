"""`parasol feed`: the log of what this instance has published."""

import os
from datetime import timedelta
from pathlib import Path

import click

from api.cli import Plain
from api.cli.host import data_option, or_say, parts_of, settings_for
from api.cli.reasons import why
from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.errors import Conflict, NotFound, PartnerFailure, Unavailable
from api.keyring import KEY_BYTES, add_key, read_key
from api.services.drafts import Changes, signed
from api.services.instance import number_of

UNANSWERED = "No partner answers: nothing is signed until one has said what it saw."
NOT_GIVEN_BACK = "No partner gave back what is lost: try again later."
UNHEALABLE = {
    "fork": (
        "Partners have seen another log than this copy can become: only a new one can go on. "
        "Restore a newer backup, or: parasol feed succeed"
    ),
    "identity-refused": (
        "Partners know an identity that does not follow this copy's: restore a newer backup."
    ),
}
CHANGED = "Moderators came or went in the meantime: nothing was signed. Run it again."
NOT_SIGNED = "These root keys are not those of this instance, or too few: nothing was signed."
NOT_SAID = "did not say which identities it has seen."
WITHOUT = (
    "Nothing was signed: who has seen a newer identity would refuse this one for ever. Run it "
    "again when they answer, and do not block this instance; if they never will, with --without."
)
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


@feed.command()
@data_option
def heal(data: Path) -> None:
    """After a restore: fetch back from partners what they saw, then sign again.

    The running server tries this by itself, every minute.
    """
    with parts_of(data) as parts:
        if not parts.healing.is_needed() and not parts.healing.suspect():
            click.echo("Nothing is lost: no partner has seen more of the log than is here.")
            return
        try:
            entries = parts.healing.heal()
        except Unavailable:
            raise Plain(UNANSWERED) from None
        except PartnerFailure as failed:
            raise Plain(f"{NOT_GIVEN_BACK} ({failed.code})") from None
        except InvalidInput as refused:
            raise Plain(UNHEALABLE.get(refused.code, UNHEALABLE["fork"])) from None
    click.echo(f"The log is whole again: {entries} entries came back, and what they did is done.")


@feed.command()
@click.option(
    "--root",
    "roots",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A root key file; repeat it until the threshold is met.",
)
@click.option("--without", is_flag=True, help="Though partners did not say what they have seen.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def succeed(roots: tuple[Path, ...], data: Path, *, without: bool, yes: bool) -> None:
    """Begin another log, with another key, where this one cannot go on.

    For a log that partners have seen otherwise, or whose key was seized. What is published goes
    into the new one; partners that are in quarantine have to resume.
    """
    seeds = [read_key(path) for path in dict.fromkeys(roots)]
    with parts_of(data) as parts:
        lost, silent = parts.healing.identities()
        if lost:
            click.echo(f"{lost} versions of the identity came back from partners.")
        for origin, code in silent.items():
            click.echo(f"! {origin} {NOT_SAID} {why(code)}")
        if silent and not without:
            raise Plain(WITHOUT)
        number = number_of(parts.identities.current().log) + 1
        if not yes:
            click.confirm(f"End this log for good, and begin log {number}?", abort=True)
        folder = settings_for(data).keys
        name = f"log-{number}"
        # One that was made by a former attempt, which did not come to its end, is as good.
        if not (folder / f"{name}.key").exists():
            add_key(folder, name, os.urandom(KEY_BYTES))
        key = public_key(read_key(folder / f"{name}.key"))
        try:
            with or_say(Conflict, CHANGED):
                draft = parts.identities.draft(Changes(log_key=key))
                accepted = parts.identities.accept(signed(draft, seeds))
        except InvalidInput:
            raise Plain(NOT_SIGNED) from None
    click.echo(f"Log {accepted.log} goes on, from identity version {accepted.version}.")
    click.echo("Back up the keys now, and tell your partners' operators.")


@feed.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def close(data: Path, *, yes: bool) -> None:
    """End the log in good order, with the instance: partners keep what was published."""
    if not yes:
        click.confirm("Nothing can be published after this. End the log?", abort=True)
    with parts_of(data) as parts, or_say(Unavailable, "The log is not open."):
        parts.healing.close()
    click.echo("The log is closed. Keep serving until your partners have fetched its end.")


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
