"""The life of reports as in the suite, a hundred times longer."""

from pathlib import Path

import pytest

from tests.life import live


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_reports_live_as_the_protocol_tells_through_thousands_of_moves(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    live(kind, request, tmp_path, examples=100, steps=150)
