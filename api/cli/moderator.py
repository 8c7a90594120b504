"""`parasol moderator`: the queue and its decisions, on the moderator's own device."""

import re
import secrets
from itertools import islice
from pathlib import Path

import click

from api.cli import Plain, reading
from api.cli import held as holding
from api.cli.choices import OneOf
from api.cli.desk import (
    LISTED,
    LIVE,
    OPEN,
    client_of,
    confirm,
    echo,
    keys_option,
    list_reports,
    new_passphrase,
    one_report,
    passphrase_option,
    places,
    profile_option,
    read_first,
    shown,
    with_desk,
    with_docket,
    write_keys,
    yes_option,
)
from api.cli.worker import join_refusal, read_identifier
from api.client import Refused, Unreachable, join_and_save
from api.crypto.bearers import parse_invitation
from api.crypto.words import key_words
from api.moderating import Desk, Docket, ModeratorKeys
from api.moderating.docket import PAGE
from schemas.base import CATEGORIES, Category, Severity
from schemas.documents import RetractReason
from schemas.moderation import QueueItem, RejectReason
from schemas.reports import Status, Warn

PUBLISHABLE = [one for one in Category if one is not Category.OTHER]
RETRACT_REASONS = [one for one in RetractReason if one is not RetractReason.DISPUTED]

id_argument = click.argument("report_id", metavar="ID")
# Not the operator's own option, which is required: `invite` is also a moderator's.
data_option = click.option(
    "--data",
    envvar="PARASOL_DATA",
    type=click.Path(file_okay=False, path_type=Path),
    help="The operator's, on the host: the instance's folder (or PARASOL_DATA).",
)


@click.group()
def moderator() -> None:
    """Read, decide and sign reports (on the moderator's own device)."""


moderator.add_command(holding.held)


@moderator.command()
@click.argument("invitation", required=False)
@profile_option
@keys_option
@passphrase_option
def join(
    invitation: str | None,
    profile_path: Path | None,
    keys_path: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Make your keys on this device, and redeem INVITATION; without it, it is asked for."""
    profile_path, keys_path = places(profile_path, keys_path)
    for path in (profile_path, keys_path):
        if path.exists():
            raise Plain(f"{path} is there already: choose another place.")
    line = invitation or str(click.prompt("Invitation", hide_input=True))
    parse_invitation(line)
    passphrase = new_passphrase(passphrase_file)
    keys = ModeratorKeys.generate(secrets.token_bytes)
    write_keys(keys_path, keys, passphrase)
    try:
        join_and_save(line, profile_path, keys.prove)
    except Refused as refused:
        keys_path.unlink()
        if refused.code == "invalid-request":
            raise Plain("This invitation is a member's: join with `parasol join`.") from None
        raise Plain(join_refusal(refused)) from None
    except Unreachable:
        click.echo(f"The code may have been used: {keys_path} is kept for the operator to see.")
        raise
    except BaseException:
        keys_path.unlink()
        raise
    click.echo(f"Your keys are in {keys_path}. Nobody can restore them: keep a copy.")
    click.echo("Until the operator has signed them you can look up and report, not decide.")
    click.echo("Read these words to the operator, in person or by a call, to be compared:")
    click.echo(f"  {keys.words}")


@moderator.command()
@click.option("--status", type=OneOf(Status), help="By default those that are open.")
@with_docket
def queue(docket: Docket, status: Status | None) -> None:
    """List your collective's reports, danger first, and what waits for a second signature."""
    if status is not None:
        list_reports(docket.queue(status=status))
        return
    listed = [item for one in LISTED for item in docket.queue(status=one)]
    waiting = [item for item in listed if item.retraction is not None]
    list_reports([*docket.queue(), *docket.queue(status=Status.DISPUTED), *waiting])
    held = len(list(islice(docket.held(), PAGE)))
    if held:
        more = " or more" if held == PAGE else ""
        click.echo(f"From partners {held}{more} wait, too: see `parasol moderator held`.")


@moderator.command()
@click.argument("number", required=False)
@click.option("--region", help="The country of a number without +, as GB.")
@with_docket
def find(docket: Docket, number: str | None, region: str | None) -> None:
    """List your collective's reports about NUMBER, or an e-mail address, in any status.

    Without NUMBER it is asked for, and stays out of the shell's history.
    """
    text = number or str(click.prompt("Number or e-mail address"))
    list_reports(docket.find(read_identifier(text, region)))


@moderator.command(name="open")
@id_argument
@with_desk
def open_(desk: Desk, report_id: str) -> None:
    """Read the account of report ID, and compare it with what the instance shows."""
    opened = desk.open(one_report(desk, report_id, (*OPEN, *LIVE)))
    echo(reading.opened_lines(opened))
    signed = desk.signed(opened)
    if signed is not None:
        echo(reading.changes(opened.item, signed))
    echo(reading.pending(opened.item))
    if desk.excluded(opened.item):
        click.echo("A colleague cannot read it yet: see `parasol moderator reseal`.")


@moderator.command()
@with_desk
def reseal(desk: Desk) -> None:
    """Let colleagues who joined later read the reports that came before them."""
    waiting: dict[str, list[QueueItem]] = {}
    colleagues = {}
    for status in (*OPEN, *LIVE):
        for item in desk.queue(status=status):
            for one in desk.excluded(item):
                colleagues[one.id] = one
                waiting.setdefault(one.id, []).append(item)
    for name, one in colleagues.items():
        click.echo(f"{name} cannot read {len(waiting[name])} reports. Her device must show:")
        click.echo(f"  {key_words(one.sign, one.box)}")
        confirm("Do you know her, and did she read you these words?", yes=False)
        given = sum(desk.reseal(item, one) for item in waiting[name])
        click.echo(f"She can read {given} more.")
    if not colleagues:
        click.echo("Everybody can read everything.")


@moderator.command()
@id_argument
@click.option(
    "--category", "categories", multiple=True, type=OneOf(PUBLISHABLE), help="Up to four."
)
@click.option("--severity", type=OneOf(Severity))
@click.option("--month", help="The month in which it happened, as 2026-10.")
@yes_option
@with_desk
def approve(
    desk: Desk,
    report_id: str,
    categories: tuple[Category, ...],
    severity: Severity | None,
    month: str | None,
    *,
    yes: bool,
) -> None:
    """Sign report ID after reading and comparing it; what you don't give stays as it is."""
    if len(set(categories)) > 4:  # noqa: PLR2004  (PROTOCOL.md §6)
        raise click.UsageError("Choose up to four categories.")
    if month is not None and not re.fullmatch("[0-9]{4}-(0[1-9]|1[0-2])", month):
        raise click.UsageError("A month is written as 2026-10.")
    opened = desk.open(one_report(desk, report_id, OPEN))
    echo(reading.opened_lines(opened))
    item = opened.item
    if item.consent.warn in {Warn.STATISTICS, Warn.NONE}:
        click.echo("The reporter wants no warning: it is recorded, and not published.")
    elif (signed := desk.signed(opened)) is not None:
        echo(reading.changes(item, signed))
    else:
        chosen = [one for one in categories or item.categories if one is not Category.OTHER]
        if not chosen:
            raise click.UsageError("“other” is never published: choose a --category.")
        if categories and severity is None:
            # Another category may be graver than what was reported.
            usual = [CATEGORIES[one].severity for one in chosen]
            severity = min((*usual, item.severity), key=list(Severity).index)
        echo(reading.proposal(severity or item.severity, chosen, month or item.month))
    confirm("Approve it?", yes=yes)
    click.echo(reading.outcome(desk.approve(opened, categories or None, severity, month)))


@moderator.command()
@id_argument
@click.option("--reason", type=OneOf(RejectReason), required=True)
@yes_option
@with_docket
def reject(docket: Docket, report_id: str, reason: RejectReason, *, yes: bool) -> None:
    """End report ID unpublished; its tokens and account are deleted."""
    item = shown(docket, report_id, OPEN)
    confirm("Reject it, and delete its account?", yes=yes)
    docket.reject(item.id, reason)
    click.echo("Rejected.")


@moderator.command()
@id_argument
@click.option("--into", "into_id", metavar="ID", required=True)
@yes_option
@with_docket
def merge(docket: Docket, report_id: str, into_id: str, *, yes: bool) -> None:
    """End report ID as part of another one about the same identifier."""
    item = shown(docket, report_id, OPEN)
    into = shown(docket, into_id, (*OPEN, *LIVE))
    confirm("Merge the first into the second?", yes=yes)
    docket.merge(item.id, into.id)
    click.echo("Merged.")


@moderator.command()
@id_argument
@yes_option
@with_desk
def dispute(desk: Desk, report_id: str, *, yes: bool) -> None:
    """Hide report ID while it is reviewed; danger needs a colleague too."""
    item = read_first(desk, report_id, LISTED)
    confirm("Hide it?", yes=yes)
    click.echo(reading.outcome(desk.dispute(item)))


@moderator.command()
@id_argument
@yes_option
@with_docket
def release(docket: Docket, report_id: str, *, yes: bool) -> None:
    """End a dispute, to review the report anew, or take back what lacks a signature."""
    item = shown(docket, report_id, (*OPEN, *LIVE))
    confirm("Release it?", yes=yes)
    try:
        status = docket.release(item.id).status
    except Refused as refused:
        if refused.code != "conflict":
            raise
        raise Plain("Nothing of it is pending.") from None
    click.echo(reading.released(item, status))


@moderator.command()
@id_argument
@click.option(
    "--reason",
    type=OneOf(RETRACT_REASONS),
    required=True,
)
@yes_option
@with_desk
def retract(desk: Desk, report_id: str, reason: RetractReason, *, yes: bool) -> None:
    """Take report ID away for good; danger needs a colleague too."""
    item = read_first(desk, report_id, LIVE)
    confirm("Take it away for good?", yes=yes)
    click.echo(reading.outcome(desk.retract(item, reason)))


@moderator.command()
@click.argument("collective_id", metavar="[COLLECTIVE]", required=False)
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 20))
@profile_option
@data_option
def invite(
    collective_id: str | None, count: int, profile_path: Path | None, data: Path | None
) -> None:
    """Print invitations for members of your collective, each with the id that can end it.

    With COLLECTIVE it is the operator's, on the host: one for a new moderator of it.
    """
    if collective_id is not None:
        # Only now: a moderator's device need not load the server.
        from api.cli.collective import invite_moderator  # noqa: PLC0415

        invite_moderator(collective_id, _given(data))
        return
    with client_of(profile_path) as client:
        for member, line in Docket(client).invite(count):
            click.echo(line)
            click.echo(f"  its id: {member}", err=True)
    click.echo("Each works once and for seven days. Hand it over in person.", err=True)


@moderator.command(name="end-member")
@click.argument("member_id", metavar="MEMBER")
@with_docket
def end_member(docket: Docket, member_id: str) -> None:
    """End the token, or the unused invitation, MEMBER: a lost phone, or a member who left."""
    if not re.fullmatch("[0-9a-f]{32}", member_id):
        raise click.UsageError("A member's id has 32 letters and digits, as `invite` gave it.")
    docket.end_member(member_id)
    click.echo("Ended.")


@moderator.command()
@click.argument("moderator_id", metavar="MODERATOR")
@data_option
def revoke(moderator_id: str, data: Path | None) -> None:
    """End MODERATOR, whose keys can no longer be trusted (the operator's, on the host)."""
    _end_moderator(moderator_id, "revoked", data)


@moderator.command()
@click.argument("moderator_id", metavar="MODERATOR")
@data_option
def end(moderator_id: str, data: Path | None) -> None:
    """End MODERATOR, who leaves in good standing (the operator's, on the host)."""
    _end_moderator(moderator_id, "ended", data)


def _end_moderator(moderator_id: str, status: str, data: Path | None) -> None:
    from api.cli.collective import end_moderator  # noqa: PLC0415  (as above)

    end_moderator(moderator_id, status, _given(data))


def _given(data: Path | None) -> Path:
    if data is None:
        raise click.UsageError("Say where the instance is: --data, or PARASOL_DATA.")
    return data
