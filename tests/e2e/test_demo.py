"""The demo, run as a newcomer runs it: a process, a port, and what it prints."""

import base64
import json
import re
import sys
from pathlib import Path

import httpx2

from api.client import Client, Profile
from api.crypto.identifiers import parse_identifier
from api.moderating import ModeratorKeys
from api.trust import active_moderators
from tests.e2e.demo import Demo
from tests.independent.client import IndependentClient

PARASOL = Path(sys.executable).with_name("parasol")
DEADLINE = 120

MATCHES = {
    "+447700900113": (2, 2),
    "+16045550143": (2, 2),
    "+17785550127": (1, 1),
    "+33639982014": (2, 1),
    "+447700900245": (1, 1),
    "+12025550188": (1, 1),
    "+61491570156": (1, 1),
    "+61491570157": (1, 1),
    "+33639987702": (1, 1),
    "+353209112345": (1, 1),
    "quiet.rowan@example.org": (1, 1),
    "contact.lune@example.org": (1, 1),
    "j.harrow@example.org": (1, 1),
}
"""Reports and collectives."""

NO_MATCHES = {
    "+442079460018": "disputed",
    "+447700900377": "expired",
    "+447700900901": "expired",
    "same.handle@example.org": "expired",
    "+447700900378": "withdrawn",
    "+46701740642": "recorded",
    "+493023125064": "in review",
    "upper.case@example.org": "in review",
    "+441632960555": "rejected",
    "+447700900999": "never reported",
}


def test_the_pasted_check_reads_as_the_readme_says(demo: Demo) -> None:
    command = next(line for line in demo.printed.splitlines() if '"07700 900113"' in line)
    arguments = re.match(r'\s*\S*parasol check "([^"]+)" --region GB (--profile) (\S+)$', command)
    assert arguments is not None
    answer = demo.parasol("check", arguments[1], "--region", "GB", arguments[2], arguments[3])
    expected = "2 reports from 2 collectives, most serious: danger: do not meet\n"
    assert (answer.stdout, answer.returncode) == (expected, 1)


def test_the_address_comes_first_and_shows_a_page(demo: Demo) -> None:
    first, second, *_ = demo.printed.splitlines()
    assert first == f"address: {demo.line('address')}"
    assert second.startswith(f"invitation: {demo.line('address')}/join#")
    for path in ("/", "/join", "/desk"):
        page = httpx2.get(demo.line("address") + path, trust_env=False)
        assert (page.status_code, "<main" in page.text) == (200, True)


def test_the_desk_s_lines_are_what_two_moderators_and_one_with_a_report_need(demo: Demo) -> None:
    shown = re.findall(
        r"^  (\S+)\n    key file: (\S+)\n    passphrase: (.+)\n"
        r"    access: ([^.]+)\.[a-z0-9-]+\.([0-9a-f]{64})$",
        demo.printed,
        re.MULTILINE,
    )
    names = ["northern-collective-demo-1", "northern-collective-demo-2", "spreelicht-demo-1"]
    assert [name for name, *_ in shown] == names
    for name, file, passphrase, token, root in shown:
        keys = ModeratorKeys.unlock(Path(file).read_bytes(), passphrase)
        profile = Profile(address=demo.line("address"), token=token, root=bytes.fromhex(root))
        with Client(profile) as client:
            listed = active_moderators(client.identity(), name.rpartition("-")[0])
        assert keys.public_sign in {one.sign for one in listed}


def test_an_unlisted_number_reads_as_no_warning_found(demo: Demo) -> None:
    answer = demo.parasol("check", "07700 900999", "--region", "GB", "--profile", str(demo.profile))
    expected = "No warning found. This does not mean safe.\n"
    assert (answer.stdout, answer.returncode) == (expected, 0)


def test_every_invented_warning_answers_as_expected(demo: Demo) -> None:
    asked = [*MATCHES, *NO_MATCHES]
    identifiers = [parse_identifier("email" if "@" in one else "phone", one, None) for one in asked]
    with Client(Profile.load(demo.profile)) as client:
        privately = client.check(identifiers)
        plainly = client.check_plainly(identifiers)
    assert privately == plainly
    found = {
        one: (counts.total, counts.collectives)
        for one, counts in zip(asked, privately, strict=True)
        if counts is not None
    }
    assert found == MATCHES


def test_an_independent_client_gets_the_same_answers(demo: Demo) -> None:
    profile = json.loads(demo.profile.read_text())
    client = IndependentClient(
        profile["address"], profile["token"], base64.b64decode(profile["root"])
    )
    asked = [*MATCHES, *NO_MATCHES]
    found = {}
    for start in range(0, len(asked), 10):
        batch = asked[start : start + 10]
        items = [("email" if "@" in one else "phone", one, None) for one in batch]
        for one, counts in zip(batch, client.check(items), strict=True):
            if counts is not None:
                found[one] = (counts.danger + counts.risk + counts.nuisance, counts.collectives)
    assert found == MATCHES


def test_the_printed_invitation_makes_a_member(demo: Demo, tmp_path: Path) -> None:
    profile = tmp_path / "mine.json"
    joined = demo.parasol("join", demo.line("invitation"), "--profile", str(profile))
    assert joined.returncode == 0, joined.stderr
    answer = demo.parasol("check", "+16045550143", "--profile", str(profile))
    assert answer.stdout.startswith("2 reports from 2 collectives")
    other = str(tmp_path / "other.json")
    assert demo.parasol("join", demo.line("invitation"), "--profile", other).returncode == 2
    assert demo.parasol("join", demo.line("another invitation"), "--profile", other).returncode == 0


def test_a_moderator_reads_and_decides_with_the_printed_files(demo: Demo) -> None:
    found = re.search(
        r"^moderator spreelicht-demo-1: (--profile \S+) (--keys \S+)$", demo.printed, re.MULTILINE
    )
    assert found is not None
    files = [*found[1].split(), *found[2].split()]
    phrase = Path(files[1]).with_name("spreelicht-demo-1.passphrase")
    assert f"({'in ' + str(phrase)})" in demo.printed
    queue = demo.parasol("moderator", "queue", *files[:2])
    assert "RISK" in queue.stdout
    number = next(line for line in queue.stdout.splitlines() if "RISK" in line).split()[0]
    opened = demo.parasol("moderator", "open", number, *files, "--passphrase-file", str(phrase))
    assert "flat number" in opened.stdout, opened.stderr


def test_several_identifiers_are_answered_one_by_one(demo: Demo) -> None:
    answer = demo.parasol(
        "check", "07700 900113", "upper.case@example.org", "12", "--region", "GB",
        "--json", "--profile", str(demo.profile),
    )  # fmt: skip
    results = [one["result"] for one in json.loads(answer.stdout)]
    assert (results, answer.returncode) == (["match", "none", "unchecked"], 1)
