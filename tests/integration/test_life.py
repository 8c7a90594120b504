"""Whatever happens to reports in whatever order, an instance does what the plain model says."""

from pathlib import Path

import pytest

from tests.life import live


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_reports_live_as_the_protocol_tells(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    live(kind, request, tmp_path, examples=3, steps=60)
