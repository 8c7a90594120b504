"""Two instances of one network, run as a newcomer runs them."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually
from tests.services import free_port

PARASOL = Path(sys.executable).with_name("parasol")
DEADLINE = 120
WARNED = "1 report from 1 collective, most serious: danger: do not meet\n"
NOT_WARNED = "No warning found. This does not mean safe.\n"


def two_ports() -> int:
    """A free port before another free one."""
    while True:
        port = free_port()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port + 1))
            return port


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PORT": str(two_ports()), "DATA": str(folder / "data")}


@pytest.fixture(scope="module")
def shown_once(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo prints that checks itself and ends."""
    folder = tmp_path_factory.mktemp("once")
    result = subprocess.run(
        [PARASOL, "demo-federation", "--once"], env=environment(folder), timeout=DEADLINE,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_warning_approved_at_one_instance_is_given_at_the_other(shown_once: str) -> None:
    assert re.search(r"^07700 900113 was reported at north\.example as danger.*south\.example "
                     r"warned of it \d", shown_once, re.MULTILINE)  # fmt: skip


def test_a_warning_retracted_at_one_is_given_at_none(shown_once: str) -> None:
    assert re.search(r"^Both retracted it\. south\.example no longer warned of it \d", shown_once,
                     re.MULTILINE)  # fmt: skip


def test_a_rewritten_log_is_caught(shown_once: str) -> None:
    assert shown_once.endswith("south.example put it into quarantine: fork.\n")


@dataclass(frozen=True)
class Running:
    """The demo that goes on serving."""

    printed: str

    @property
    def commands(self) -> list[list[str]]:
        """What it says to type in a second terminal."""
        found = re.findall(r"^  \S*parasol (.+)$", self.printed, re.MULTILINE)
        return [shlex.split(line) for line in found]

    def command(self, *beginning: str) -> list[list[str]]:
        return [one for one in self.commands if one[: len(beginning)] == [*beginning]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("running")
    output = folder / "output"
    with output.open("w") as written, (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [PARASOL, "demo-federation"], stdout=written, stderr=errors, env=environment(folder)
        )
    try:
        until = time.monotonic() + DEADLINE
        while "feed show" not in output.read_text():
            assert process.poll() is None, (folder / "errors").read_text()
            assert time.monotonic() < until, "the demo took too long"
            time.sleep(0.2)
        yield Running(output.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "Stopped. All of the demo is in" in (folder / "errors").read_text()


def parasol(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PARASOL, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_what_the_demo_says_to_type_does_what_it_says(running: Running) -> None:
    (check,) = running.command("check")
    assert parasol(*check).stdout == WARNED
    first, second = running.command("moderator", "retract")
    assert "a colleague must sign it too" in parasol(*first).stdout
    assert parasol(*check).stdout == WARNED
    assert parasol(*second).stdout.endswith("Retracted. It is removed.\n")
    eventually(lambda: parasol(*check).stdout == NOT_WARNED, 20)
    north, south = running.command("partner", "list")
    assert "south.example  following, policy auto" in parasol(*north).stdout
    (line,) = json.loads(parasol(*south, "--json").stdout)
    assert (line["origin"], line["reports"], line["counted"]) == ("north.example", 1, 0)
    for one in running.command("feed", "show"):
        assert "state open" in parasol(*one).stdout
        assert "The log holds" in parasol("feed", "verify", *one[2:]).stdout
