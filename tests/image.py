"""The files from which an operator makes containers, read as an engine reads them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE, COMPOSE = ROOT / "Dockerfile", ROOT / "docker-compose.yml"


def instructions(name: str) -> list[str]:
    """Return what follows each instruction of that name, continued lines as one."""
    lines = DOCKERFILE.read_text().replace("\\\n", " ")
    return [line.strip() for line in re.findall(rf"^{name} +(.*)$", lines, re.MULTILINE)]
