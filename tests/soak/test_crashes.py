"""Killed as in the suite, ten times as often."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FIGURE
from tests.killing import came_through


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_doubled_or_half_done_through_a_hundred_deaths(
    kind: str, tmp_path: Path, sqlite_template: Path,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    record_property(FIGURE, came_through(tmp_path, kind, sqlite_template, 100, 10, 1.5))
