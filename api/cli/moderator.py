"""`parasol moderator`: the queue and its decisions, on the moderator's own device."""

import secrets
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from mnemonic import Mnemonic

from api.cli import docket
from api.client import Client, Profile, default_profile_path
from api.client import join as redeem
from api.crypto.identifiers import parse_identifier
from api.keyring import KeyFileError, refuse_if_open, write_secret
from api.moderating import Desk, Docket, Mismatch, ModeratorKeys, Opened
from schemas.base import Category, Severity
from schemas.documents import RetractReason
from schemas.reports import QueueItem, RejectReason, Status

SHORTEST_PASSPHRASE = 12
SUGGESTED_WORDS = 6
LIVE = (Status.APPROVED, Status.PUBLISHED, Status.DISPUTED)

Command = Callable[..., None]
PathOption = click.Path(dir_okay=False, path_type=Path)

yes_option = click.option("--yes", is_flag=True, help="Do not ask again.")


def _with_docket(command: Command) -> Command:
    """Give `command` a Docket: what needs the profile, but none of her keys."""

    @click.option("--profile", type=PathOption, help="Your profile; see `moderator join`.")
    @wraps(command)
    def run(profile: Path | None, **options: Any) -> None:
        with Client(Profile.load(profile or default_profile_path())) as client:
            command(Docket(client), **options)

    return run
