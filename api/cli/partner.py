"""`parasol partner`: the instances whose warnings count here, and whose do not."""

import io
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
import segno

from api.cli import Plain
from api.cli.choices import OneOf
from api.cli.host import address_of, data_option, or_say, parts_of
from api.cli.reasons import no_partner, of_partner, why
from api.cli.settling import held
from api.cli.syncing import synced
from api.cli.witness import witness
from api.crypto.words import fingerprint_words
from api.errors import Conflict, NotFound, PartnerFailure
from api.parts import Parts
from api.services.partners import PartnerLine
from api.trust import root_fingerprint
from schemas.documents import Envelope
from schemas.feed import Policy, WellKnown

DEFAULT = "default"
CHOICES = [*(one.value for one in Policy), DEFAULT]
EFFECTS = {
    Policy.AUTO: "what it signs counts here at once",
    Policy.HOLD: "a moderator here must accept what it signs before it counts",
    Policy.BLOCK: "nothing of it counts, and it may not read our log",
}
NONE_YET = "There are no partners yet: parasol partner add ADDRESS"
OTHER_FINGERPRINT = (
    "The root fingerprint at this address is another one than you gave: nothing was added."
)

origin_argument = click.argument("origin", metavar="ORIGIN")
yes_option = click.option("--yes", is_flag=True, help="Do not ask again.")


@click.group()
def partner() -> None:
    """Add partner instances, and choose what their warnings are worth (on the host)."""


partner.add_command(held)
partner.add_command(witness)


@partner.command()
@click.argument("address", metavar="ADDRESS")
@click.option("--policy", type=OneOf(Policy), default=Policy.HOLD, show_default=True)
@click.option(
    "--fingerprint",
    metavar="HEX",
    help="Its root fingerprint as its operator gave it to you; then nothing is asked.",
)
@data_option
def add(address: str, policy: Policy, fingerprint: str | None, data: Path) -> None:
    """Follow the instance at ADDRESS, such as https://beta.example, after comparing its words."""
    with parts_of(data) as parts:
        known = _met(parts, address)
        _refuse_known(parts, known)
        if fingerprint is None:
            _compare(known)
        elif fingerprint.strip().lower() != known.root_sha256:
            raise Plain(OTHER_FINGERPRINT)
        with or_say(Conflict, f"{known.origin} is a partner already."):
            parts.partners.add(known, policy)
        click.echo(f"Added {known.origin}, policy {policy}: {EFFECTS[policy]}.")
        _first_sync(parts, known.origin)


@partner.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@data_option
def list_(data: Path, *, as_json: bool) -> None:
    """Show how far each partner is followed, what of it counts, and what is wrong."""
    with parts_of(data) as parts:
        lines = parts.partners.all()
    if as_json:
        shown = [asdict(one) | {"reason": one.code and of_partner(one, one.code)} for one in lines]
        click.echo(json.dumps(shown))
    elif not lines:
        click.echo(NONE_YET)
    else:
        for one in lines:
            _show(one)


@partner.command()
@origin_argument
@click.argument("policy", type=click.Choice(CHOICES), metavar="[POLICY]", required=False)
@click.option("--collective", metavar="ID", help="For one of its collectives only.")
@click.option("--reports", type=click.IntRange(min=0), help="Taken a day without a look.")
@click.option("--erasures", type=click.IntRange(min=0), help="Likewise.")
@data_option
def policy(
    origin: str, policy: str | None, collective: str | None,
    reports: int | None, erasures: int | None, data: Path,
) -> None:  # fmt: skip
    """Choose what ORIGIN's reports are worth: they count (auto), wait (hold), or do not (block).

    It holds for what is here already, too, and can be changed back at any time. With --collective
    it is for one of its collectives, and `default` makes that one like the others again.
    """
    if policy is None and reports is None and erasures is None:
        raise click.UsageError("give a policy, --reports or --erasures")
    if (policy is None and collective) or (policy == DEFAULT and collective is None):
        raise click.UsageError("--collective goes with a policy, `default` with --collective")
    with parts_of(data) as parts, or_say(NotFound, no_partner(origin)):
        if collective is not None:
            chosen = None if policy == DEFAULT else Policy(str(policy))
            parts.partners.set_collective_policy(origin, collective, chosen)
            _warn_unknown(parts, origin, collective)
        elif policy is not None:
            parts.partners.set_policy(origin, Policy(policy))
        if reports is not None or erasures is not None:
            parts.partners.set_quotas(origin, reports, erasures)
        _show(_line(parts, origin))


@partner.command()
@origin_argument
@yes_option
@data_option
def purge(origin: str, data: Path, *, yes: bool) -> None:
    """Delete all that ORIGIN said; none of it can come back."""
    with parts_of(data) as parts, or_say(NotFound, no_partner(origin)):
        line = _line(parts, origin)
        click.echo(f"{line.reports} reports of {origin} are here; {line.counted} of them count.")
        _confirm("Delete them? This cannot be undone.", yes=yes)
        deleted = parts.partners.purge(origin)
    click.echo(f"Deleted: {deleted} reports. What it publishes from now on comes as before;")
    click.echo(f"against that: parasol partner policy {origin} block")


@partner.command()
@origin_argument
@yes_option
@data_option
def remove(origin: str, data: Path, *, yes: bool) -> None:
    """Be no partner of ORIGIN any more: nothing of it stays, and it reads nothing here."""
    with parts_of(data) as parts, or_say(NotFound, no_partner(origin)):
        line = _line(parts, origin)
        click.echo(f"{line.reports} reports of {origin} and the evidence against it are deleted.")
        _confirm("Remove it? This cannot be undone.", yes=yes)
        parts.partners.remove(origin)
    click.echo(f"Removed {origin}. What it has read of our log it may keep.")


@partner.command()
@origin_argument
@data_option
def resume(origin: str, data: Path) -> None:
    """Ask ORIGIN again, which is in quarantine: after its operator explained what happened."""
    with parts_of(data) as parts, or_say(NotFound, no_partner(origin)):
        with or_say(Conflict, f"{origin} is not in quarantine."):
            parts.partners.resume(origin)
        click.echo(f"{origin} is asked again. The evidence is kept.")


@partner.command()
@origin_argument
@data_option
def evidence(origin: str, data: Path) -> None:
    """Print what ORIGIN signed and cannot both be true, as JSON, to be shown to others."""
    with parts_of(data) as parts, or_say(NotFound, no_partner(origin)):
        root = _line(parts, origin).root
        found = [
            {
                "origin": origin,
                "root_sha256": root,
                "code": one.code,
                "found": f"{_moment(one.at):%Y-%m-%dT%H:%M:%SZ}",
                "ours": _members(one.ours),
                "theirs": _members(one.theirs),
            }
            for one in parts.partners.evidence(origin)
        ]
    click.echo(json.dumps(found, indent=1))


def _met(parts: Parts, address: str) -> WellKnown:
    if not address.startswith(("https://", "http://")):
        raise Plain("Write the whole address, such as https://beta.example")
    if address.startswith("http://") and not parts.instance.is_test:
        raise Plain("Partners are reached by https, but in networks named test-…")
    try:
        return parts.partners.meet(address)
    except PartnerFailure as failed:
        raise Plain(f"Nothing was added. {why(failed.code)}") from None


def _refuse_known(parts: Parts, known: WellKnown) -> None:
    """Refuse before anybody compares words for nothing."""
    if known.origin == parts.instance.identity.origin:
        raise Plain("At this address is this instance itself.")
    if any(one.origin == known.origin for one in parts.partners.all()):
        raise Plain(f"{known.origin} is a partner already.")


def _compare(known: WellKnown) -> None:
    """Show who lives there, and wait until the operator has compared it elsewhere."""
    click.echo(f"At this address is {known.origin}. Its root fingerprint:")
    _print_fingerprint(known.root_sha256)
    click.echo("Compare it with its operator in person or by a call, never by what came from")
    click.echo("that address: parasol identity show prints it there. The square says the same.")
    if not click.confirm("Is it the same, word for word?"):
        raise Plain("Nothing was added.")


def _print_fingerprint(fingerprint: str) -> None:
    click.echo(f"  {fingerprint}\n  {fingerprint_words(bytes.fromhex(fingerprint))}")
    drawn = io.StringIO()
    segno.make(fingerprint, micro=False, error="l").terminal(drawn, border=2, compact=True)
    try:
        drawn.getvalue().encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return  # a terminal that cannot draw it; the words say the same
    click.echo(drawn.getvalue(), nl=False)


def _first_sync(parts: Parts, origin: str) -> None:
    """Try whether it answers, and say what is missing."""
    code = synced(parts, origin).code
    line = _line(parts, origin)
    if code is None:
        click.echo(f"Reached it: {line.entries} entries, {line.counted} reports of it count now.")
        return
    click.echo(f"Nothing came yet. {of_partner(line, code)}")
    if code == "not-a-partner" and not line.identity_version:
        identity = parts.instance.identity
        root = root_fingerprint(identity.root)
        click.echo("There: parasol partner add " + address_of(identity))
        click.echo(f"Read its operator our words:\n  {fingerprint_words(root)}")
    click.echo("A running server asks again by itself; parasol sync does so at once.")


def _line(parts: Parts, origin: str) -> PartnerLine:
    found = (one for one in parts.partners.all() if one.origin == origin)
    line = next(found, None)
    if line is None:
        raise NotFound
    return line


def _show(one: PartnerLine) -> None:
    reached = "never" if one.synced_at is None else f"{_moment(one.synced_at):%Y-%m-%d %H:%M} UTC"
    click.echo(f"{one.origin}  {one.state}, policy {one.policy}")
    for collective, its_own in one.policies.items():
        click.echo(f"  collective {collective}: policy {its_own}")
    click.echo(f"  {one.feed.removesuffix('/feed/v1/')}, identity version {one.identity_version}")
    click.echo(f"  root {one.root}")
    click.echo(f"       {fingerprint_words(bytes.fromhex(one.root))}")
    click.echo(
        f"  entries {one.entries}; reports that count {one.counted} of {one.reports}; "
        f"last reached {reached}"
    )
    click.echo(f"  taken a day without a look: {one.reports_a_day} reports, "
               f"{one.erasures_a_day} erasures")  # fmt: skip
    if one.refused:
        codes = ", ".join(f"{code} {number}" for code, number in sorted(one.refused.items()))
        click.echo(f"  entries refused: {codes}")
    if one.code is not None:
        click.echo(f"  ! {of_partner(one, one.code)}")
    if one.evidence:
        click.echo(f"  ! evidence ({', '.join(one.evidence)}): parasol partner evidence")


def _warn_unknown(parts: Parts, origin: str, collective: str) -> None:
    """Say so where a policy is for nobody: else a mistyped id would look like a block."""
    try:
        announced = {one.id for one in parts.positions.read(origin).identity.collectives}
    except NotFound:
        return
    if collective not in announced:
        click.echo(f"! {origin} announces no collective {collective}.", err=True)


def _confirm(question: str, *, yes: bool) -> None:
    if not yes and not click.confirm(question):
        raise Plain("Nothing was changed.")


def _members(envelope: Envelope | None) -> object:
    return None if envelope is None else json.loads(envelope.model_dump_json())


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
