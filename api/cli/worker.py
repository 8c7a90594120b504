"""A worker's commands: join, check, and what a receipt is good for."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import httpx2
import phonenumbers

from api.cli import Plain
from api.client import (
    Client,
    CouldNotCheck,
    Profile,
    ReceiptAction,
    Refused,
    Unreachable,
    ask_receipt,
    default_profile_path,
    explain,
    join_and_save,
)
from api.client import leave as end_token
from api.crypto.buckets import Counts
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier, parse_identifier
from api.keyring import KeyFileError
from schemas.lookups import MOST_ELEMENTS
from schemas.reports import Status

Command = Callable[..., Any]

NO_WARNING = "No warning found. This does not mean safe."
MATCH, UNCHECKED = 1, 2
USED_UP = "The invitation is used up: ask for another one, and compare the line."
_SATURATED = 255
_SHORTEST_NUMBER = 3
_SERIOUS = {
    "danger": "danger: do not meet",
    "risk": "risk: take care",
    "nuisance": "nuisance",
}
_STATUSES = {
    Status.SUBMITTED: "it waits for a moderator",
    Status.IN_REVIEW: "a moderator is looking at it",
    Status.APPROVED: "it is going to warn others soon",
    Status.PUBLISHED: "it warns others",
    Status.DISPUTED: "it is hidden while it is looked at again",
    Status.EXPIRED: "its time is over, and it no longer warns",
    Status.RECORDED: "it was recorded, and warns nobody, as you asked",
    Status.REJECTED: "a moderator did not publish it",
    Status.MERGED: "it became part of another report about the same person",
    Status.WITHDRAWN: "it was taken back",
    Status.REMOVED: "it no longer warns",
}


def profile_option(command: Command) -> Command:
    """Add `--profile`, the file that `parasol join` writes."""
    return click.option(
        "--profile",
        "path",
        type=click.Path(dir_okay=False, path_type=Path),
        default=default_profile_path,
        help="Your profile (or PARASOL_PROFILE).",
    )(command)


def region_option(command: Command) -> Command:
    """Add `--region`, which is never guessed."""
    return click.option(
        "--region", metavar="GB", help="The country whose number it is, if written without +."
    )(command)


@click.command()
@click.argument("invitation", required=False)
@profile_option
@click.pass_obj
def join(transport: httpx2.BaseTransport | None, invitation: str | None, path: Path) -> None:
    """Become a member, with an invitation; without one in the command it is asked for."""
    if path.exists():
        raise Plain(f"There is a profile already: {path}. Choose another with --profile.")
    line = invitation or click.prompt("Invitation", hide_input=True)
    try:
        profile = join_and_save(line, path, transport=transport)
    except Refused as refused:
        raise Plain(join_refusal(refused)) from None
    except CouldNotCheck as doubt:
        raise Plain(f"{doubt.reason} {USED_UP}") from None
    click.echo(f"You are a member of {profile.collective} at {profile.address}.")
    click.echo(f"Your profile is {path}: whoever has it can look up and report as you.")


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask again.")
@profile_option
@click.pass_obj
def leave(transport: httpx2.BaseTransport | None, path: Path, *, yes: bool) -> None:
    """Give your access back: the token ends, and the profile is deleted."""
    profile = Profile.load(path)
    if not yes:
        click.confirm("You will need a new invitation to come back. Leave?", abort=True)
    try:
        end_token(profile, transport=transport)
    except Refused as refused:
        if refused.code != "unauthenticated":  # it had ended already
            raise
    path.unlink()
    click.echo("Your token has ended, and your profile is deleted.")


@click.command()
@click.argument("values", nargs=-1, metavar="VALUE...")
@region_option
@click.option("--plain", is_flag=True, help="Let the instance see what is checked.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@profile_option
@click.pass_context
def check(
    ctx: click.Context, values: tuple[str, ...], region: str | None, path: Path,
    *, plain: bool, as_json: bool,
) -> None:  # fmt: skip
    """Look for warnings about phone numbers or e-mail addresses.

    Without a VALUE it is asked for, and stays out of your shell's history. The exit status is 1
    if there is a warning, else 2 if anything could not be checked, else 0.
    """
    asked = values or (click.prompt("Phone number or e-mail address"),)
    if not values and region is None and _is_national(asked[0]) and "@" not in asked[0]:
        region = click.prompt("In which country (two letters, such as GB)")
    answers = [_read(value, region) for value in asked]
    _look_up(answers, path, ctx.obj, plain=plain)
    if as_json:
        click.echo(json.dumps([answer.members() for answer in answers]))
    else:
        if len(answers) == 1 and answers[0].understood:
            # Beside the answer: a number read in the wrong country must not look like a clear one.
            click.echo(f"Understood as {answers[0].understood}", err=True)
        for number, answer in enumerate(answers, start=1):
            who = answer.understood or f"Number {number}"
            click.echo(f"{who}: {answer.sentence()}" if len(answers) > 1 else answer.sentence())
    results = {answer.result for answer in answers}
    ctx.exit(MATCH if "match" in results else UNCHECKED if "unchecked" in results else 0)


@click.group()
def receipt() -> None:
    """Follow or withdraw a report by its receipt. Your profile's token is not sent."""


@receipt.command()
@click.argument("digits", nargs=-1)
@click.option("--address", help="The instance's address, if you have no profile any more.")
@profile_option
@click.pass_obj
def status(
    transport: httpx2.BaseTransport | None, digits: tuple[str, ...], address: str | None, path: Path
) -> None:
    """Show where a report stands; without DIGITS the receipt is asked for."""
    _use_receipt(transport, ReceiptAction.STATUS, digits, address, path)


@receipt.command()
@click.argument("digits", nargs=-1)
@click.option("--address", help="The instance's address, if you have no profile any more.")
@profile_option
@click.pass_obj
def withdraw(
    transport: httpx2.BaseTransport | None, digits: tuple[str, ...], address: str | None, path: Path
) -> None:
    """Take a report back, published or not; without DIGITS the receipt is asked for."""
    _use_receipt(transport, ReceiptAction.WITHDRAW, digits, address, path)


def read_identifier(value: str, region: str | None) -> Identifier:
    """Return the identifier that was typed: what holds an @ is an e-mail address.

    Raises InvalidInput `invalid-identifier`, `invalid-region` or `region-missing`.
    """
    kind = "email" if "@" in unicodedata.normalize("NFKC", value) else "phone"
    country = region.strip().upper() if region else None
    if country is not None and country not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput("invalid-region")
    try:
        return parse_identifier(kind, value, country)
    except InvalidInput:
        if kind == "phone" and country is None and _is_national(value):
            raise InvalidInput("region-missing") from None
        raise


def understood(identifier: Identifier) -> str:
    """Return an identifier as a person reads it."""
    if identifier.kind == "email":
        return identifier.canonical
    number = phonenumbers.parse(identifier.canonical)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


@dataclass(slots=True)
class _Answer:
    """What is known about one value; nobody has looked yet while `looked` is False."""

    identifier: Identifier | None = None
    counts: Counts | None = None
    looked: bool = False
    reason: str = ""

    @property
    def understood(self) -> str | None:
        return understood(self.identifier) if self.identifier else None

    @property
    def result(self) -> str:
        if not self.looked:
            return "unchecked"
        return "none" if self.counts is None else "match"

    def sentence(self) -> str:
        if not self.looked:
            return f"Could not check: {self.reason}"
        return NO_WARNING if self.counts is None else _warning(self.counts)

    def members(self) -> dict[str, object]:
        counts = self.counts or Counts(danger=0, risk=0, nuisance=0, collectives=0, recent=0)
        reports = {"total": counts.total, **asdict(counts)}
        collectives = reports.pop("collectives")
        return {
            "understood": self.understood,
            "result": self.result,
            "reports": reports if self.looked else None,
            "collectives": collectives if self.looked else None,
            "reason": None if self.looked else self.reason,
        }


def _read(value: str, region: str | None) -> _Answer:
    try:
        return _Answer(read_identifier(value, region))
    except InvalidInput as refused:
        return _Answer(reason=explain(refused))


def _look_up(
    answers: Sequence[_Answer], path: Path, transport: httpx2.BaseTransport | None, *, plain: bool
) -> None:
    """Fill in `answers`. What was found before something failed stays found."""
    open_ = [answer for answer in answers if answer.identifier]
    if not open_:
        return
    try:
        with Client(
            Profile.load(path), transport=transport, remember=lambda newer: newer.save(path)
        ) as client:
            ask = client.check_plainly if plain else client.check
            for start in range(0, len(open_), MOST_ELEMENTS):
                batch = open_[start : start + MOST_ELEMENTS]
                found = ask([answer.identifier for answer in batch if answer.identifier])
                for answer, counts in zip(batch, found, strict=True):
                    answer.counts, answer.looked = counts, True
    except (CouldNotCheck, Unreachable, InvalidInput, KeyFileError) as failure:
        for answer in open_:
            answer.reason = explain(failure)


def _warning(counts: Counts) -> str:
    worst = next(words for name, words in _SERIOUS.items() if getattr(counts, name))
    reports = _counted(counts.total, "report")
    return f"{reports} from {_counted(counts.collectives, 'collective')}, most serious: {worst}"


def _counted(number: int, noun: str) -> str:
    text = f"{_SATURATED} or more" if number >= _SATURATED else str(number)
    return f"{text} {noun}" if number == 1 else f"{text} {noun}s"


def _is_national(value: str) -> bool:
    digits = sum(c.isdecimal() for c in value)
    abroad = value.strip().startswith(("+", "00"))
    return digits >= _SHORTEST_NUMBER and not abroad and not any(c.isalpha() for c in value)


def join_refusal(refused: Refused) -> str:
    """Return why an invitation was refused, in words for whoever was given it."""
    if refused.code == "not-found":
        return "This invitation was used already, or has expired: ask for another one."
    if refused.code == "invalid-request":
        return "This invitation is a moderator's: join with `parasol moderator join`."
    return explain(refused)


def _use_receipt(
    transport: httpx2.BaseTransport | None, action: ReceiptAction, digits: Sequence[str],
    address: str | None, path: Path,
) -> None:  # fmt: skip
    text = "".join(digits) or click.prompt("Receipt", hide_input=True)
    where = address.rstrip("/") if address else Profile.load(path).address
    try:
        state = ask_receipt(where, action, text, transport=transport)
    except Refused as refused:
        if refused.code == "not-found":
            raise Plain("No report has this receipt.") from None
        if refused.code == "conflict":
            raise Plain("This report has ended already, and warns nobody.") from None
        raise
    click.echo(f"{state.value}: {_STATUSES[state]}")
