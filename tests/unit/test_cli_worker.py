"""What a worker reads, and the exit status that a program sees."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import httpx2
import pytest
from click.testing import CliRunner, Result

from api import cli
from api.cli import main
from api.client import Profile
from api.crypto.buckets import Counts
from api.crypto.identifiers import parse_identifier
from schemas.base import Category, Severity
from schemas.reports import SealedSubmission
from tests.unit.miniature import (
    CODE,
    LISTED,
    RECEIPT,
    TOKEN,
    Instance,
    first_identity,
    problem,
)

NO_WARNING = "No warning found. This does not mean safe.\n"
GB = ("--region", "GB")
WANT_REGION = "Add the country of this number, as in --region GB, or write it with +."
NO_IDENTIFIER = "This is not a phone number or e-mail address that can be checked."
Run = Callable[..., Result]
DAY = timedelta(days=1)
THIS_MONTH = f"{datetime.now(UTC):%Y-%m}"


@pytest.fixture
def instance() -> Instance:
    """An instance of today: the command line has no other clock."""
    now = datetime.now(UTC).replace(microsecond=0)
    issued, expires = (f"{now + days:%Y-%m-%dT%H:%M:%SZ}" for days in (-30 * DAY, 300 * DAY))
    instance = Instance(first_identity(issued=issued, expires=expires))
    instance.now = instance.sealed = now
    return instance


@pytest.fixture
def path(instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "profile.json"
    instance.profile.save(path)
    monkeypatch.setenv("PARASOL_PROFILE", str(path))
    return path


@pytest.fixture
def run(instance: Instance, path: Path) -> Run:
    assert path.exists()

    def run(*arguments: str, answers: str = "") -> Result:
        return CliRunner().invoke(main, arguments, obj=instance.transport, input=answers)

    return run


def listed(*counts: int) -> dict[Any, Counts]:
    danger, risk, nuisance, collectives = counts
    return {
        LISTED: Counts(
            danger=danger, risk=risk, nuisance=nuisance, collectives=collectives, recent=0
        )
    }


# What a check says.


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((2, 0, 0, 2), "2 reports from 2 collectives, most serious: danger: do not meet"),
        ((1, 0, 0, 1), "1 report from 1 collective, most serious: danger: do not meet"),
        ((0, 1, 3, 1), "4 reports from 1 collective, most serious: risk: take care"),
        ((0, 0, 1, 1), "1 report from 1 collective, most serious: nuisance"),
        (
            (300, 0, 0, 299),
            "255 or more reports from 255 or more collectives, most serious: danger: do not meet",
        ),
    ],
)
def test_a_warning_is_said_in_numbers_and_words(
    run: Run, instance: Instance, counts: tuple[int, ...], words: str
) -> None:
    instance.listed = listed(*counts)
    result = run("check", "07700 900113", *GB)
    assert (result.stdout, result.exit_code) == (f"{words}\n", 1)


def test_nothing_found_does_not_mean_safe(run: Run) -> None:
    result = run("check", "+44 7700 900114")
    assert (result.stdout, result.exit_code) == (NO_WARNING, 0)


def test_what_was_understood_is_said_beside_the_answer(run: Run) -> None:
    result = run("check", "07700 900113", "--region", "DE")
    assert result.stderr == "Understood as +49 7700 900113\n"
    assert result.stdout == NO_WARNING


def test_an_argument_with_an_at_sign_is_an_address(run: Run, instance: Instance) -> None:
    mail = parse_identifier("email", "x@example.org", None)
    instance.listed = {mail: listed(1, 0, 0, 1)[LISTED]}
    result = run("check", "X@Example.org", "someone@example.org")
    assert result.output == (
        "x@example.org: 1 report from 1 collective, most serious: danger: do not meet\n"
        f"someone@example.org: {NO_WARNING}"
    )


def test_several_are_each_answered_with_what_was_understood(run: Run) -> None:
    result = run("check", "07700 900113", "(07700) 900-114", "nobody", *GB)
    assert result.output == (
        "+44 7700 900113: 3 reports from 2 collectives, most serious: danger: do not meet\n"
        f"+44 7700 900114: {NO_WARNING}"
        f"Number 3: Could not check: {NO_IDENTIFIER}\n"
    )
    assert result.exit_code == 1


def test_what_could_not_be_checked_is_no_success(run: Run) -> None:
    result = run("check", "+44 7700 900114", "nobody")
    assert result.exit_code == 2
    assert result.output == (
        f"+44 7700 900114: {NO_WARNING}Number 2: Could not check: {NO_IDENTIFIER}\n"
    )


@pytest.mark.parametrize("value", ["07700 900113", "(030) 123456", "tel:07700900113"])
def test_a_region_is_asked_for_and_never_guessed(run: Run, instance: Instance, value: str) -> None:
    result = run("check", value)
    wanted = NO_IDENTIFIER if value.startswith("tel:") else WANT_REGION
    assert (result.stdout, result.exit_code) == (f"Could not check: {wanted}\n", 2)
    assert instance.asked == []


@pytest.mark.parametrize("region", ["UK", "XX", "Britain", "44"])
def test_a_region_that_is_none_is_refused(run: Run, instance: Instance, region: str) -> None:
    result = run("check", "07700 900113", "--region", region)
    assert result.exit_code == 2
    assert "two letters" in result.output
    assert instance.asked == []


def test_a_region_may_be_written_small(run: Run) -> None:
    assert run("check", "07700 900113", "--region", "gb").exit_code == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            lambda _: problem(429, "rate-limited", "600"),
            "Too many requests for now. Try again in 10 minutes.",
        ),
        (
            lambda _: httpx2.Response(200, html="<p>Sign in"),
            "What answered is not a Parasol instance: does this network ask you to sign in first?",
        ),
    ],
)
def test_the_reason_is_a_plain_sentence(
    run: Run, instance: Instance, answer: Any, reason: str
) -> None:
    instance.broken["/v1/evaluations"] = answer
    result = run("check", "07700 900113", *GB)
    assert (result.stdout, result.exit_code) == (f"Could not check: {reason}\n", 2)


def test_what_was_found_before_the_quota_was_over_is_said(run: Run, instance: Instance) -> None:
    numbers = [f"+44 7700 9001{n}" for n in range(13, 24)]
    answers = [None, problem(429, "rate-limited", "600")]

    def second_is_refused(request: httpx2.Request) -> httpx2.Response:
        return answers.pop(0) or instance._evaluations(request)  # noqa: SLF001

    instance.broken["/v1/evaluations"] = second_is_refused
    result = run("check", *numbers)
    lines = result.stdout.splitlines()
    assert lines[0].startswith("+44 7700 900113: 3 reports")
    assert lines[1:10] == [f"{number}: {NO_WARNING.strip()}" for number in numbers[1:10]]
    assert lines[10].startswith("+44 7700 900123: Could not check: Too many requests")
    assert result.exit_code == 1


def test_without_a_usable_profile_nothing_was_checked(run: Run, path: Path) -> None:
    path.chmod(0o644)
    result = run("check", "07700 900114", *GB)
    assert result.stdout.startswith(f"Could not check: {path} is open to others")
    assert result.exit_code == 2
    path.unlink()
    result = run("check", "07700 900114", *GB)
    assert result.stdout.startswith(f"Could not check: {path} is not there: join first")
    assert result.exit_code == 2


def test_a_check_can_ask_so_that_no_history_keeps_the_number(run: Run) -> None:
    result = run("check", *GB, answers="07700 900113\n")
    assert result.exit_code == 1


def test_the_pin_is_written_to_the_profile(run: Run, path: Path) -> None:
    assert Profile.load(path).version is None
    run("check", "+44 7700 900114")
    assert Profile.load(path).version == 1


def test_programs_read_json(run: Run) -> None:
    result = run("check", "07700 900113", "+447700900114", "nobody", "--json", *GB)
    zeros = {"total": 0, "danger": 0, "risk": 0, "nuisance": 0, "recent": 0}
    assert json.loads(result.output) == [
        {
            "understood": "+44 7700 900113",
            "result": "match",
            "reports": {"total": 3, "danger": 2, "risk": 1, "nuisance": 0, "recent": 2},
            "collectives": 2,
            "reason": None,
        },
        {
            "understood": "+44 7700 900114",
            "result": "none",
            "reports": zeros,
            "collectives": 0,
            "reason": None,
        },
        {
            "understood": None,
            "result": "unchecked",
            "reports": None,
            "collectives": None,
            "reason": NO_IDENTIFIER,
        },
    ]
    assert result.exit_code == 1


def test_a_plain_check_asks_in_clear(run: Run, instance: Instance) -> None:
    reports = {"total": 1, "danger": 1, "risk": 0, "nuisance": 0, "recent": 0}
    instance.plain = [{"match": True, "reports": reports, "collectives": 1}]
    result = run("check", "07700 900113", "--plain", *GB)
    assert result.stdout == "1 report from 1 collective, most serious: danger: do not meet\n"
    assert instance.asked == ["POST /v1/lookups"]
    instance.broken["/v1/lookups"] = lambda _: problem(403, "plain-lookups-disabled")
    result = run("check", "07700 900113", "--plain", *GB)
    assert result.stdout == "Could not check: This instance answers private look-ups only.\n"


# Joining.


def invitation(instance: Instance) -> str:
    return f"https://alpha.example/join#{CODE}.{instance.profile.root.hex()}"


def test_an_invitation_makes_a_profile_once(
    run: Run, instance: Instance, path: Path, tmp_path: Path
) -> None:
    result = run("join", invitation(instance))
    assert (result.exit_code, instance.asked) == (2, [])
    assert result.output.startswith("There is a profile already")
    path.unlink()
    result = run("join", answers=f"{invitation(instance)}\n")
    assert result.exit_code == 0
    assert "You are a member of rose at https://alpha.example." in result.output
    assert TOKEN not in result.output
    assert CODE not in result.output
    other = tmp_path / "other.json"
    assert run("join", invitation(instance), "--profile", str(other)).exit_code == 0
    assert Profile.load(other) == Profile.load(path)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "not-found", "This invitation was used already, or has expired"),
        (422, "invalid-request", "This invitation is a moderator's"),
        (503, "unavailable", "The instance cannot answer now"),
    ],
)
def test_a_refused_invitation_leaves_no_profile(
    run: Run, instance: Instance, path: Path, status: int, code: str, words: str
) -> None:
    path.unlink()
    instance.broken["/v1/tokens"] = lambda _: problem(status, code)
    result = run("join", invitation(instance))
    assert result.output.startswith(words)
    assert result.exit_code == 2
    assert not path.exists()


def test_another_line_is_no_invitation(run: Run, instance: Instance, path: Path) -> None:
    path.unlink()
    result = run("join", "https://alpha.example/")
    assert result.output == ("This is not an invitation: it is one line, ADDRESS/join#CODE.ROOT.\n")
    assert (result.exit_code, instance.asked) == (2, [])


# Reporting.


def submission(instance: Instance) -> SealedSubmission:
    (body,) = [one.content for one in instance.requests if one.url.path == "/v1/reports"]
    return SealedSubmission.model_validate_json(body)


def test_a_report_is_asked_for_step_by_step(run: Run, instance: Instance) -> None:
    answers = [
        "nobody", "07700 900113", "gb", "x@example.org", "",  # who
        "5, stalking", "", "", "He had a knife.", "He knew where I live.", "",  # what
        "weapon repeat", "", "gb-lnd",
        "network", "", "y", "3", "y",  # consent
    ]  # fmt: skip
    result = run("report", answers="\n".join(answers) + "\n")
    assert result.exit_code == 0, result.output
    assert NO_IDENTIFIER in result.output
    assert "Understood: +44 7700 900113" in result.output
    assert "Reported person: +44 7700 900113, x@example.org" in result.output
    assert "\n  1234 5678 9012 3456\n" in result.output
    sent = submission(instance)
    assert sent.categories == [Category.ROBBERY, Category.STALKING]
    assert sent.severity is Severity.DANGER
    assert sent.month == THIS_MONTH
    assert sent.consent.model_dump() == {"warn": "network", "police": "never", "research": True}
    assert sent.wait_days == 3
    assert [one.kind for one in sent.identifiers] == ["phone", "email"]


FULL = (
    "report", "--identifier", "07700 900113", "--region", "GB", "--category", "theft",
    "--month", THIS_MONTH, "--warn", "local", "--police", "never", "--yes",
)  # fmt: skip


def test_a_report_can_be_made_without_questions(
    run: Run, instance: Instance, tmp_path: Path
) -> None:
    story = tmp_path / "story.txt"
    story.write_text("Он забрал телефон. " * 500, encoding="utf-8")
    result = run(*FULL, "--text-file", str(story), "--wait-days", "2")
    assert result.exit_code == 0, result.output
    sent = submission(instance)
    assert (sent.severity, sent.month, sent.wait_days) == (Severity.RISK, THIS_MONTH, 2)
    assert sent.consent.research is False
    assert result.output.count("1234 5678 9012 3456") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--category", "rudeness"),
        ("--severity", "grave"),
        ("--month", "October"),
        ("--month", "2999-01"),
        ("--month", "1999-01"),
        ("--warn", "all"),
        ("--police", "yes"),
        ("--wait-days", "31"),
        ("--wait-days", "-1"),
        ("--actor", "king"),
        ("--area", "London"),
        ("--identifier", "nobody"),
    ],
)
def test_an_answer_that_is_none_is_refused(
    run: Run, instance: Instance, option: str, value: str
) -> None:
    result = run(*FULL, option, value)
    assert result.exit_code == 2
    assert "POST /v1/reports" not in instance.asked


def test_a_report_can_be_left_at_the_last_question(run: Run, instance: Instance) -> None:
    arguments = [one for one in FULL if one != "--yes"]
    answers = "\n" * 7 + "n\n" * 2
    result = run(*arguments, "--no-research", answers=answers)
    assert result.output.endswith("Nothing was sent.\n"), result.output
    assert result.exit_code == 2
    assert "POST /v1/reports" not in instance.asked


def test_a_lost_answer_can_be_asked_for_again(run: Run, instance: Instance) -> None:
    lost = [True, True, False]

    def answer(_: httpx2.Request) -> httpx2.Response:
        if lost.pop(0):
            raise httpx2.ReadTimeout("lost")
        return httpx2.Response(201, json={"receipt": RECEIPT})

    instance.broken["/v1/reports"] = answer
    result = run(*FULL, answers="y\n")
    assert "sending it again is harmless" in result.output
    assert "1234 5678 9012 3456" in result.output


def test_too_many_identifiers_are_refused(run: Run) -> None:
    more = [word for n in range(14, 18) for word in ("--identifier", f"+44 7700 9001{n}")]
    result = run(*FULL, *more)
    assert (result.exit_code, result.output) == (2, "A report can name 4 numbers or addresses.\n")


# Receipts.


def test_a_receipt_shows_where_a_report_stands(run: Run, path: Path) -> None:
    result = run("receipt", "status", "1234", "5678", "9012", "3456")
    assert (result.output, result.exit_code) == ("in_review: a moderator is looking at it\n", 0)
    path.unlink()
    result = run("receipt", "withdraw", "--address", "https://alpha.example", answers=RECEIPT)
    assert result.output.endswith("withdrawn: it was taken back\n")
    assert RECEIPT not in result.output


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("not-found", 404, "No report has this receipt.\n"),
        ("conflict", 409, "This report has ended already, and warns nobody.\n"),
    ],
)
def test_a_receipt_that_is_refused(
    run: Run, instance: Instance, code: str, status: int, words: str
) -> None:
    instance.broken["/v1/receipts/withdraw"] = lambda _: problem(status, code)
    result = run("receipt", "withdraw", RECEIPT)
    assert (result.output, result.exit_code) == (words, 2)
    assert run("receipt", "status", "12").output == "A receipt has 16 digits.\n"


# All commands.


def test_an_unexpected_error_is_told_without_its_data(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = "+44 7700 900113"

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(number)

    monkeypatch.setattr("api.cli.worker._look_up", broken)
    result = run("check", number)
    assert result.exit_code == 2
    assert result.output.endswith("Something went wrong in Parasol itself: RuntimeError\n")
    assert "900113" not in result.output


def test_stopping_is_not_taken_for_a_warning(run: Run) -> None:
    result = run("check", answers="")
    assert result.exit_code == 2
    assert result.stderr == "Stopped.\n"


def test_a_worker_does_not_wait_for_a_server_to_be_loaded() -> None:
    code = (
        "import sys, api.cli.worker, api.cli.reporting;"
        "print([n for n in ('fastapi', 'sqlalchemy', 'sqlmodel', 'api.services') "
        "if n in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout == b"[]\n"


def test_help_lists_every_command_and_imports_none() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for section in cli.SECTIONS.values():
        for name, (_, text) in section.items():
            assert name in result.output
            assert text in result.output
    assert CliRunner().invoke(main, ["nothing"]).exit_code == 2


@pytest.mark.parametrize("name", ["join", "check", "report", "receipt"])
def test_a_worker_reads_the_words_of_the_project(name: str) -> None:
    with click.Context(main) as ctx:
        command = main.get_command(ctx, name)
        assert command is not None
        text = command.get_help(click.Context(command, info_name=name, parent=ctx)).lower()
    for word in ("offender", "perpetrator", "blacklist", "victim", "suspect"):
        assert word not in text
