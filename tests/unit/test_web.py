"""The promises of the pages' own code, in Node."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITES = sorted(file.name for file in (ROOT / "tests/web").glob("*.test.js"))


def test_every_suite_is_found() -> None:
    assert len(SUITES) > 10


@pytest.mark.parametrize("suite", SUITES)
def test_the_promises_of_the_pages_hold_in_node(suite: str) -> None:
    command = ["api/web/with-node", "node", "--test", "--test-reporter=tap", f"tests/web/{suite}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout
