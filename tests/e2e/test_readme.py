"""The README's federation section, followed to the letter by somebody with two terminals."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal
from tests.e2e.test_federation import NOT_WARNED, WARNED, two_ports

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse battery staple"
ANSWERS = {
    "New passphrase (12 characters or more): ": PASSPHRASE,
    "The same again: ": PASSPHRASE,
    "Passphrase of your keys: ": PASSPHRASE,
    "[y/N]: ": "y",
}
BOTH = "both terminals"
STEP = re.compile(
    r"\*\*(First terminal|Second terminal|both terminals)\*\*.*?\n```\n(.*?)```", re.DOTALL
)


def steps() -> list[tuple[str, list[str]]]:
    """Who types what, in order."""
    section = (ROOT / "README.md").read_text().split("## Federation\n")[1].split("\n## ")[0]
    return [(who, block.splitlines()) for who, block in STEP.findall(section)]


@pytest.fixture
def terminals() -> Iterator[dict[str, Terminal]]:
    both = {name: Terminal(ROOT, ANSWERS) for name in ("First terminal", "Second terminal")}
    yield both
    for one in both.values():
        one.close()


@pytest.mark.timeout(600)  # some thirty commands, one after the other
def test_the_federation_section_does_what_it_says(
    terminals: dict[str, Terminal], tmp_path: Path
) -> None:
    port, report, expected = two_ports(), "", [NOT_WARNED, WARNED, NOT_WARNED]
    for who, lines in steps():
        for terminal in (one for name, one in terminals.items() if who in (name, BOTH)):
            for line in lines:
                typed = line.replace("/tmp/two", f"{tmp_path}/two").replace(" ID ", f" {report} ")
                typed = typed.replace("8001", str(port)).replace("8002", str(port + 1))
                shown = terminal.types(typed)
                assert "Usage:" not in shown, shown
                if " queue " in line:
                    report = shown.splitlines()[-1].split()[0]
                if " check " in line:
                    # On a machine that does much else the ten seconds may not be enough.
                    answers = (terminal.types(typed) for _ in range(20))
                    answer = expected.pop(0)
                    assert any(one.endswith(answer) for one in chain([shown], answers)), "\n".join(
                        one.shown for one in terminals.values()
                    )
    assert expected == []
