"""Somebody at the host's terminal, who runs commands as an operator does."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from api.founding import found
from api.parts import Parts
from api.services.identities import current_identity
from api.store.engine import Store, open_engine
from schemas.documents import Identity
from tests.factories import Clock


def clock_of_commands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let all commands go by a clock of the test's own."""
    clock = Clock()
    monkeypatch.setattr("api.cli.host.utc_now", clock)
    monkeypatch.setattr("api.cli.host.Parts", partial(Parts, clock=clock))
    monkeypatch.setattr("api.cli.instance.found", partial(found, clock=clock))
    return clock


@dataclass
class Operator:
    """Somebody at the host's terminal."""

    data: Path
    url: str
    clock: Clock = field(default_factory=Clock)

    def run(self, command: str, answers: str = "", **environment: str) -> Result:
        return CliRunner().invoke(
            main,
            command.split(),
            input=answers,
            env={"PARASOL_DATA": str(self.data), "PARASOL_DATABASE_URL": self.url} | environment,
        )

    def does(self, command: str, answers: str = "", **environment: str) -> str:
        """What a command prints that does what it should."""
        result = self.run(command, answers, **environment)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fails(self, command: str, answers: str = "", **environment: str) -> str:
        """The one line of a command that refuses."""
        result = self.run(command, answers, **environment)
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
        (line,) = result.stderr.strip().splitlines()[-1:]
        assert "Something went wrong" not in result.output
        return line

    @property
    def identity(self) -> Identity:
        store = Store(open_engine(self.url))
        with store.read() as tx:
            identity = current_identity(tx)
        store.close()
        return identity
