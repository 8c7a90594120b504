"""What the operator's commands share: they run on the host, never over HTTP."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from api.cli import Plain
from api.crypto.bearers import Invitation, format_invitation
from api.errors import Unavailable
from api.keyring import KeyFileError, Keyring, refuse_if_open
from api.parts import Parts, utc_now
from api.services.health import OutdatedSchema, check_schema
from api.services.identities import Identities
from api.services.log import Log
from api.settings import Settings
from api.store.engine import Store, open_engine
from api.trust import root_fingerprint
from schemas.callers import InvitationAnswer
from schemas.documents import Identity

Command = Callable[..., Any]

NO_DATABASE = "The database does not answer. Is it running, and PARASOL_DATABASE_URL right?"
WAITING = "Waiting for the database, or for `parasol migrate`."
LONGEST_WAIT = 3_600
SHORTEST_PASSPHRASE = 12


def data_option(command: Command) -> Command:
    """Add `--data`, the instance's folder."""
    return click.option(
        "--data",
        envvar="PARASOL_DATA",
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="The instance's folder (or PARASOL_DATA).",
    )(command)


def wait_option(command: Command) -> Command:
    """Add `--wait`, for whom nothing else starts in order."""
    return click.option(
        "--wait",
        type=click.IntRange(0, LONGEST_WAIT),
        default=0,
        metavar="SECONDS",
        help="How long to wait for a database that does not answer, or is not migrated yet.",
    )(command)


def settings_for(data: Path, *, new: bool = False) -> Settings:
    """Return the settings of the instance in `data`; all else comes from the environment.

    Unless a `new` one begins there, `data` is there already: SQLite would make a database anew
    in a folder whose name was mistyped.
    """
    try:
        settings = Settings(data=data)
    except ValidationError as error:
        raise Plain(_unfit(error)) from None
    if not new and not settings.data.is_dir():
        raise Plain(f"{settings.data} is not there: found an instance with `parasol init`.")
    return settings


@contextmanager
def parts_of(data: Path) -> Iterator[Parts]:
    """Open an instance for one command."""
    with or_say(Unavailable, NO_DATABASE):
        parts = Parts(settings_for(data))
        try:
            yield parts
        finally:
            parts.close()


def patiently(attempt: Callable[[], None], seconds: int) -> None:
    """Call `attempt` every second while the database is not ready, for `seconds`.

    Raises what the last attempt raises.
    """
    until, told = time.monotonic() + seconds, False
    while True:
        try:
            attempt()
        except (Unavailable, OutdatedSchema):
            if time.monotonic() >= until:
                raise
        else:
            return
        if not told:
            click.echo(WAITING, err=True)
            told = True
        time.sleep(1)


def look_at_database(url: str) -> None:
    """Raise Unavailable or OutdatedSchema unless the database at `url` is ready."""
    store = Store(open_engine(url))
    try:
        check_schema(store)
    finally:
        store.close()


@contextmanager
def identities_of(data: Path) -> Iterator[Identities]:
    """Open the identities of an instance; its keys are read only where one comes into force."""
    settings = settings_for(data)
    keys = partial(Keyring.load, settings.keys)
    log = Log(lambda number: keys().log_seed(number), utc_now, os.urandom)
    with or_say(Unavailable, NO_DATABASE):
        store = Store(open_engine(settings.url))
        try:
            check_schema(store)
            yield Identities(store, utc_now, log, keys)
        finally:
            store.close()


@contextmanager
def or_say(kind: type[BaseException], sentence: str) -> Iterator[None]:
    """End the command with `sentence` where the block raises `kind`."""
    try:
        yield
    except kind:
        raise Plain(sentence) from None


def address_of(identity: Identity) -> str:
    """Return the address at which an instance is reached."""
    return identity.feed.removesuffix("/feed/v1/")


def invitation_lines(identity: Identity, issued: InvitationAnswer) -> list[str]:
    """Return the lines to hand over, one for each code."""
    root = root_fingerprint(identity.root)
    return [
        format_invitation(Invitation(address=address_of(identity), code=one.code, root=root))
        for one in issued.invitations
    ]


def passphrase(file: Path | None, *, new: bool) -> str:
    """Return a passphrase from `file`, which must be its owner's alone, or ask for it.

    Never from the command line, which other users of the host can read. A `new` one is asked for
    twice, and is not short.
    """
    if file is None:
        text = str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True))
    else:
        refuse_if_open(file)
        try:
            text = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeError):
            raise KeyFileError(f"{file} cannot be read") from None
    if new and len(text) < SHORTEST_PASSPHRASE:
        raise click.UsageError(f"A passphrase has at least {SHORTEST_PASSPHRASE} characters.")
    return text


def _unfit(error: ValidationError) -> str:
    names = (f"PARASOL_{one['loc'][0]}".upper() for one in error.errors(include_input=False))
    return f"Not a value that can be used: {', '.join(names)}."
