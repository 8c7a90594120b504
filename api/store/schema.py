"""The database's schema: which revision the code expects, and how to get there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from api.store.engine import faults_named

HEAD = "0002"
"""The newest revision in `alembic/versions`; a test holds the two together."""

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class UnknownSchema(Exception):  # noqa: N818  (a state of things, not an error in them)
    """The database's revision is none of ours: it belongs to a newer version, or to others."""


def configuration(url: str) -> Config:
    """Return Alembic's configuration for the database `url`."""
    return Config(toml_file=PROJECT, attributes={"url": url})


def migrate(url: str) -> None:
    """Bring the database `url` to the newest revision; raise UnknownSchema or Unavailable."""
    try:
        with faults_named():
            command.upgrade(configuration(url), "head")
    except CommandError:
        raise UnknownSchema from None
