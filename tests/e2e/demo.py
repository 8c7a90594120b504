"""The demo, run as a newcomer runs it: a process, a port, and what it prints."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import free_port

PARASOL = Path(sys.executable).with_name("parasol")
DEADLINE = 120


@dataclass(frozen=True)
class Demo:
    printed: str
    profile: Path

    def line(self, name: str) -> str:
        found = re.search(rf"^{name}: (.+)$", self.printed, re.MULTILINE)
        assert found is not None, f"the demo printed no line “{name}: …”"
        return found[1]

    def parasol(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [PARASOL, *arguments], capture_output=True, text=True, check=False, timeout=60
        )


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """Run it until the block ends, from the moment when it has printed everything."""
    output = folder / "output"
    environment = os.environ | {"PORT": str(free_port()), "DATA": str(folder / "data")}
    with output.open("w") as written, (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [PARASOL, "demo"], stdout=written, stderr=errors, env=environment
        )
    try:
        until = time.monotonic() + DEADLINE
        while "In a second terminal" not in output.read_text() or "999" not in output.read_text():
            assert process.poll() is None, (folder / "errors").read_text()
            assert time.monotonic() < until, "the demo took too long"
            time.sleep(0.2)
        yield Demo(output.read_text(), folder / "data/people/reader.json")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
