"""Killed at any moment: nothing acknowledged is lost, doubled or half-done, and nothing missed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FIGURE
from tests.killing import came_through


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_doubled_or_half_done_when_all_is_killed_at_any_moment(
    kind: str, tmp_path: Path, sqlite_template: Path,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    record_property(FIGURE, came_through(tmp_path, kind, sqlite_template, 10, 8, 0.5))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_doubled_or_half_done_through_a_hundred_deaths(
    kind: str, tmp_path: Path, sqlite_template: Path,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    record_property(FIGURE, came_through(tmp_path, kind, sqlite_template, 100, 10, 1.5))
