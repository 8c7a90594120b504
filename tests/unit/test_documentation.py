"""What the documents promise is there: tests, commands, settings."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from api.cli import main
from api.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README, SECURITY = ROOT / "README.md", ROOT / "SECURITY.md"
OPERATIONS, POSTGRESQL = ROOT / "docs/operations.md", ROOT / "docs/postgresql.md"


def test_every_test_that_security_names_is_there() -> None:
    named = set(re.findall(r"`([a-z0-9_/]+\.py)::(test_\w+)`", SECURITY.read_text()))
    assert len(named) > 100
    missing = [
        f"{file}::{name}"
        for file, name in sorted(named)
        if f"def {name}(" not in (ROOT / "tests" / file).read_text()
    ]
    assert missing == []


def test_every_setting_is_in_the_readme() -> None:
    told = set(re.findall(r"`PARASOL_([A-Z_]+)`", README.read_text()))
    assert {name.upper() for name in Settings.model_fields} <= told


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `parasol …` in code, as far as they can be commands."""
    code = [*re.findall(r"```\w*\n(.*?)```", text, re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]
    for line in "\n".join(code).splitlines():
        for words in re.findall(r"parasol ((?:[a-z-]+ ?)+)", line):
            yield words.split()


@pytest.mark.parametrize(
    "document", [README, SECURITY, OPERATIONS, POSTGRESQL], ids=lambda path: path.name
)
def test_every_command_that_is_named_is_there(document: Path) -> None:
    context = click.Context(main)
    for words in commands(document.read_text()):
        group: click.Command = main
        for word in words:
            if not isinstance(group, click.Group):
                break
            found = group.get_command(context, word)
            assert found is not None, f"parasol {' '.join(words)}"
            group = found
