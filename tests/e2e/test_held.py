"""A partner's report on hold, over HTTP and with the moderator's command."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.cli import main
from api.client import Profile
from api.trust import root_fingerprint
from schemas.base import Severity
from schemas.feed import Policy
from schemas.held import HeldPage
from tests.e2e.conftest import Cast, Server, eventually, problem_of, this_month
from tests.factories import World
from tests.foreign import Partner

NUMBER = 301
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def partner(shared_world: World) -> Iterator[Partner]:
    partner = Partner(shared_world, f"{secrets.token_hex(4)}.example")
    yield partner
    # What waits is shown to all moderators here, whichever test they are in.
    shared_world.parts.partners.remove(partner.origin)


@pytest.fixture
def moderator(
    server: Server, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run `parasol moderator` as one of the collective `rose`; return status and output."""
    path = tmp_path / "profile.json"
    Profile(
        address=server.address,
        token=cast.rose[0].bearer,
        root=root_fingerprint(server.world.identity.root),
        collective="rose",
    ).save(path)
    monkeypatch.setenv("PARASOL_PROFILE", str(path))

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["moderator", *arguments])
        return result.exit_code, result.output

    return run


def total(server: Server, member: str, number: int) -> int:
    """Ask the running server for the reports about a reserved number."""
    identifier = {"kind": "phone", "value": f"+44 7700 900{number}"}
    answer = server.ask("POST", "/v1/lookups", member, json={"identifiers": [identifier]})
    reports: int = answer.json()["results"][0]["reports"]["total"]
    return reports


def test_a_moderator_accepts_a_partner_s_report_and_it_warns(
    server: Server, cast: Cast, moderator: Command, partner: Partner
) -> None:
    month = this_month(partner.world)
    entry = partner.report(NUMBER, month=month)
    assert "From partners" in moderator("queue")[1]
    status, listed = moderator("held")
    assert (status, f"{entry[:8]}  DANGER (do not meet)  report" in listed) == (0, True)
    assert partner.origin in listed
    status, said = moderator("held", "accept", entry[:8], "--yes")
    assert (status, said.splitlines()[-1]) == (0, "Accepted. It counts here within a minute.")
    eventually(lambda: total(server, cast.member, NUMBER) == 1)
    status, said = moderator("held", "refuse", entry[:8], "--yes")
    assert (status, said) == (2, "Nothing that is held has such an ENTRY.\n")


def test_a_moderator_deletes_what_was_erased_where_it_comes_from(
    server: Server, cast: Cast, moderator: Command, partner: Partner
) -> None:
    number = NUMBER + 1
    partner.set_policy(Policy.AUTO)
    entry = partner.report(number, month=this_month(partner.world), erasing=True)
    eventually(lambda: total(server, cast.member, number) == 1)
    status, said = moderator("held", "accept", entry, "--yes")
    assert (status, said.splitlines()[-1]) == (0, "Erased.")
    eventually(lambda: total(server, cast.member, number) == 0)


def test_what_is_held_says_only_what_was_agreed(
    server: Server, cast: Cast, partner: Partner
) -> None:
    entry = partner.report(NUMBER + 2, severity=Severity.RISK, month=this_month(partner.world))
    answer = server.ask("GET", "/v1/moderation/held", cast.thorn[0].bearer)
    (item,) = [one for one in answer.json()["items"] if one["entry"] == entry]
    assert set(item) == {
        "entry", "kind", "why", "origin", "collective", "issued", "expires", "categories",
        "severity", "month", "identifiers", "known",
    }  # fmt: skip
    assert set(answer.json()) == {"items"}
    page = server.ask("GET", "/v1/moderation/held?limit=1", cast.rose[0].bearer).json()
    assert len(HeldPage(**page).items) == 1
    path = f"/v1/moderation/held/{entry}/refuse"
    answer = server.ask("POST", path, cast.thorn[0].bearer)
    assert (answer.status_code, answer.json()) == (200, {"decision": "refused"})
    problem_of(server.ask("POST", path, cast.rose[0].bearer), 409, "conflict")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "?after=0.1.1", None),
        ("GET", "?after=2.1.1.1", None),
        ("GET", "?limit=0", None),
        ("GET", "?limit=101", None),
        ("POST", "/abc/accept", None),
        ("POST", f"/{'A' * 64}/accept", None),
        ("POST", f"/{'0' * 64}/accept", {"kind": "account"}),
        ("POST", f"/{'0' * 64}/accept", {"reason": "error"}),
    ],
)
def test_other_questions_are_refused(
    server: Server, cast: Cast, method: str, path: str, body: dict[str, str] | None
) -> None:
    sent = {} if body is None else {"json": body}
    answer = server.ask(method, f"/v1/moderation/held{path}", cast.rose[0].bearer, **sent)
    problem_of(answer, 422, "invalid-request")
