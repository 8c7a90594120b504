"""The database's schema: which revision the code expects, and how to get there."""

from pathlib import Path
from typing import TYPE_CHECKING

from api.store.engine import faults_named

# A server that starts knows its revision; to load what changes one would take it a while.
if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0005"
"""The newest revision in `alembic/versions`; a test holds the two together."""

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class UnknownSchema(Exception):  # noqa: N818  (a state of things, not an error in them)
    """The database's revision is none of ours: it belongs to a newer version, or to others."""


def configuration(url: str) -> "Config":
    """Return Alembic's configuration for the database `url`."""
    from alembic.config import Config  # noqa: PLC0415  (loaded only where it is asked for)

    return Config(toml_file=PROJECT, attributes={"url": url})


def migrate(url: str) -> None:
    """Bring the database `url` to the newest revision; raise UnknownSchema or Unavailable."""
    from alembic import command  # noqa: PLC0415  (likewise)
    from alembic.util import CommandError  # noqa: PLC0415  (likewise)

    try:
        with faults_named():
            command.upgrade(configuration(url), "head")
    except CommandError:
        raise UnknownSchema from None
