"""The database's schema: which revision the code expects, and how to get there."""

from pathlib import Path

from alembic import command
from alembic.config import Config

HEAD = "0001"
"""The newest revision in `alembic/versions`; a test holds the two together."""

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def configuration(url: str) -> Config:
    """Return Alembic's configuration for the database `url`."""
    return Config(toml_file=PROJECT, attributes={"url": url})


def migrate(url: str) -> None:
    """Bring the database `url` to the newest revision."""
    command.upgrade(configuration(url), "head")
