"""Killed at any moment: nothing acknowledged is lost, doubled or half-done, and nothing missed."""

from pathlib import Path

import pytest

from tests.killing import came_through


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_doubled_or_half_done_when_all_is_killed_at_any_moment(
    kind: str, tmp_path: Path, sqlite_template: Path
) -> None:
    came_through(tmp_path, kind, sqlite_template, 10, 8, 0.5)
