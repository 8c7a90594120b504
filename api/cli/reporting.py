"""`parasol report`: what happened, step by step; what the options don't say is asked."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TextIO, TypeVar

import click
import httpx2
from pydantic import SecretStr, TypeAdapter, ValidationError

from api.cli import Plain
from api.cli.choices import OneOf
from api.cli.worker import profile_option, read_identifier, region_option, understood
from api.client import Client, Profile, Report, explain
from api.client.reports import check_month
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier
from schemas.base import CATEGORIES, Category, Month, Severity
from schemas.reports import AREA, MOST_IDENTIFIERS, Account, Actor, Consent, Flag, Police, Warn

MOST_CATEGORIES = 4
LONGEST_ACCOUNT = 20_000
MOST_DAYS = 30

WARN = """\
Who may be warned?
  network     everyone who looks up here or at a partner
  local       only those who look up here
  statistics  nobody: only what happened and when is counted
  none        nobody"""
POLICE = """\
Do you want the police to learn of this? Parasol itself tells nobody.
  never, anonymous (without you), contact_me (speak with me first)"""
WAIT = """\
The warning can wait for some days, so that the reported person can guess less who reported."""
RECEIPT = """\
Write it down, it is shown only this once. Whoever has it, also without a profile, can follow
the report with `parasol receipt status` and take it back with `parasol receipt withdraw`."""

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


@click.command()
@click.option("--identifier", "values", multiple=True, help="A number or address; up to 4.")
@region_option
@click.option("--category", "categories", multiple=True, help="What happened; up to 4.")
@click.option("--severity", help="danger, risk or nuisance.")
@click.option("--month", help="When, as YYYY-MM.")
@click.option("--text-file", type=click.File(encoding="utf-8"), help="The account; - is stdin.")
@click.option("--flag", "flags", multiple=True, type=OneOf(Flag))
@click.option("--actor", type=OneOf(Actor), help="As what the person appeared.")
@click.option("--area", help="Where, as ISO 3166-2, such as GB-LND.")
@click.option("--warn", help="Who may be warned: network, local, statistics or none.")
@click.option("--police", help="never, anonymous or contact_me.")
@click.option("--research/--no-research", default=None, help="May it be used for research?")
@click.option("--wait-days", help="Days before others are warned, 0 to 30.")
@click.option("--yes", is_flag=True, help="Send without asking again, and ask no extras.")
@profile_option
@click.pass_obj
def report(  # a report has these parts
    transport: httpx2.BaseTransport | None, path: Path, values: tuple[str, ...],
    region: str | None, categories: tuple[str, ...], severity: str | None, month: str | None,
    text_file: TextIO | None, flags: tuple[Flag, ...], actor: Actor | None, area: str | None,
    warn: str | None, police: str | None, wait_days: str | None,
    *, research: bool | None, yes: bool,
) -> None:  # fmt: skip
    """Report a client, for the moderators of your collective.

    The account is sealed on this device: only they can read it.
    """
    with Client(
        Profile.load(path), transport=transport, remember=lambda newer: newer.save(path)
    ) as client:
        client.identity()  # before anyone has written an account that can't be sent
        who = _who(values, region)
        what = _what(categories)
        usual = min((CATEGORIES[one].severity for one in what), key=list(Severity).index)
        grave = _severity(severity, usual, yes=yes)
        when = _ask(month, _month_for(grave), "In which month (YYYY-MM)", f"{_today():%Y-%m}")
        account = _account(text_file, flags, actor, area, ask=not yes)
        consent, days = _consent(warn, police, wait_days, research=research, ask=not yes)
        written = Report(
            identifiers=who, categories=what, severity=grave, month=when,
            consent=consent, wait_days=days, account=account,
        )  # fmt: skip
        if not yes:
            _confirm(written)
        digits = client.report(written, again=_again)
    click.echo("Your report has arrived. Its receipt is")
    click.echo("  " + " ".join(digits[i : i + 4] for i in range(0, len(digits), 4)))
    click.echo(RECEIPT)


def _ask(given: str | None, parse: Callable[[str], T], question: str, default: str | None) -> T:
    """Return what `parse` makes of an option, or of the answer to a question."""
    if given is not None:
        return parse(given)
    answer: T = click.prompt(question, default=default, value_proc=parse)
    return answer


def _one_of(kind: type[E]) -> Callable[[str], E]:
    def parse(text: str) -> E:
        try:
            return kind(text.strip().lower().replace("-", "_"))
        except ValueError:
            raise click.BadParameter(f"choose one of: {', '.join(kind)}") from None

    return parse


def _who(values: Sequence[str], region: str | None) -> list[Identifier]:
    if values:
        identifiers = [read_identifier(value, region) for value in values]
    else:
        click.echo(f"Who? Up to {MOST_IDENTIFIERS} numbers or e-mail addresses of one person.")
        identifiers = _asked_identifiers(region)
    identifiers = list(dict.fromkeys(identifiers))
    if len(identifiers) > MOST_IDENTIFIERS:
        raise Plain(f"A report can name {MOST_IDENTIFIERS} numbers or addresses.")
    return identifiers


def _asked_identifiers(region: str | None) -> list[Identifier]:
    identifiers: list[Identifier] = []
    while len(identifiers) < MOST_IDENTIFIERS:
        default = "" if identifiers else None
        question = "Another one, or nothing" if identifiers else "Number or address"
        value = click.prompt(question, default=default, show_default=False)
        if not value.strip():
            break
        try:
            identifiers.append(_asked_identifier(value, region))
        except InvalidInput as refused:
            click.echo(explain(refused))
        else:
            click.echo(f"Understood: {understood(identifiers[-1])}")
    return identifiers


def _asked_identifier(value: str, region: str | None) -> Identifier:
    try:
        return read_identifier(value, region)
    except InvalidInput as refused:
        if refused.code != "region-missing":
            raise
    return read_identifier(value, click.prompt("Which country's number is it? Two letters, as GB"))


def _what(given: Sequence[str]) -> list[Category]:
    if given:
        return _categories(",".join(given))
    click.echo("What happened?")
    for number, category in enumerate(Category, start=1):
        click.echo(f"  {number:2}  {category:20}  {CATEGORIES[category].severity}")
    return _ask(None, _categories, "Up to four, by number or name, with commas", None)


def _categories(text: str) -> list[Category]:
    known = {str(number): one for number, one in enumerate(Category, start=1)}
    chosen = []
    for word in text.replace(",", " ").split():
        name = word.lower().replace("-", "_")
        chosen.append(known[name] if name in known else _one_of(Category)(name))
    chosen = list(dict.fromkeys(chosen))
    if not 0 < len(chosen) <= MOST_CATEGORIES:
        raise click.BadParameter(f"choose one to {MOST_CATEGORIES}")
    return chosen


def _severity(given: str | None, usual: Severity, *, yes: bool) -> Severity:
    if given is None and yes:
        return usual
    question = "How serious: danger (do not meet), risk (take care) or nuisance"
    return _ask(given, _one_of(Severity), question, usual)


def _month_for(severity: Severity) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            month: str = TypeAdapter(Month).validate_python(text.strip())
            check_month(month, severity, _today())
        except ValidationError:
            raise click.BadParameter("write it as YYYY-MM") from None
        except InvalidInput as refused:
            raise click.BadParameter(explain(refused)) from None
        return month

    return parse


def _account(
    file: TextIO | None, flags: Sequence[Flag], actor: Actor | None, area: str | None,
    *, ask: bool,
) -> Account:  # fmt: skip
    text = file.read() if file else ""
    if ask and file is None:
        click.echo(
            "What should the moderators know? Only they can read it. End with an empty line."
        )
        text = "\n".join(
            iter(lambda: click.prompt(">", "", show_default=False, prompt_suffix=" "), "")
        )
    if ask and not flags:
        question = f"Anything of this, with commas ({', '.join(Flag)})"
        flags = _ask(None, _flags, question, "")
    if ask and actor is None:
        question = f"As what did the person appear ({', '.join(Actor)})"
        actor = _ask(None, _one_of(Actor), question, Actor.UNKNOWN)
    where = _area(area or "")
    if ask and area is None:
        where = _ask(None, _area, "Where, as ISO 3166-2 such as GB-LND, or nothing", "")
    if len(text) > LONGEST_ACCOUNT:
        raise InvalidInput("account-too-long")
    return Account(
        # What a terminal passes on undecoded could not be sent.
        text=SecretStr(text.encode(errors="replace").decode().strip()),
        flags=tuple(dict.fromkeys(flags)),
        actor=actor or Actor.UNKNOWN,
        area=SecretStr(where) if where else None,
    )


def _area(text: str) -> str:
    area = text.strip().upper()
    if area and not AREA.fullmatch(area):
        raise click.BadParameter("write it as GB or GB-LND")
    return area


def _flags(text: str) -> list[Flag]:
    return [_one_of(Flag)(word) for word in text.replace(",", " ").split()]


def _consent(
    warn: str | None, police: str | None, wait_days: str | None,
    *, research: bool | None, ask: bool,
) -> tuple[Consent, int]:  # fmt: skip
    """Return what the reporter allows. Nothing is taken for granted: consent is always asked."""
    if warn is None:
        click.echo(WARN)
    warned = _ask(warn, _one_of(Warn), "Choose", None)
    if police is None:
        click.echo(POLICE)
    told = _ask(police, _one_of(Police), "Choose", Police.NEVER)
    if research is None:
        research = ask and click.confirm("May it be used for research, without numbers or texts?")
    if wait_days is None and ask:
        click.echo(WAIT)
    days = _ask("0" if wait_days is None and not ask else wait_days, _days, "Days (0 to 30)", "0")
    return Consent(warn=warned, police=told, research=research), days


def _days(text: str) -> int:
    number = int(text) if text.strip().isdecimal() else -1
    if not 0 <= number <= MOST_DAYS:
        raise click.BadParameter(f"a number from 0 to {MOST_DAYS}")
    return number


def _confirm(written: Report) -> None:
    people = ", ".join(understood(one) for one in written.identifiers)
    click.echo(f"\nReported person: {people}")
    click.echo(f"{', '.join(written.categories)}; {written.severity}; {written.month}")
    consent = written.consent
    click.echo(f"Warn: {consent.warn}. Police: {consent.police}. Wait: {written.wait_days} days.")
    if not click.confirm("Send this report?"):
        raise Plain("Nothing was sent.")


def _again() -> bool:
    click.echo("No answer came. The report may have arrived or not; sending it again is harmless.")
    return click.confirm("Send it again?", default=True)


def _today() -> date:
    return datetime.now(UTC).date()
