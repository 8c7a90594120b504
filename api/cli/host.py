"""What the operator's commands share: they run on the host, never over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from api.app import Parts, utc_now
from api.crypto.bearers import Invitation, format_invitation
from api.keyring import refuse_if_open
from api.services.identities import Identities
from api.settings import Settings
from api.store.engine import Store, open_engine
from api.trust import root_fingerprint
from schemas.callers import InvitationAnswer
from schemas.documents import Identity

Command = Callable[..., Any]


def data_option(command: Command) -> Command:
    """Add `--data`, the instance's folder."""
    return click.option(
        "--data",
        envvar="PARASOL_DATA",
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="The instance's folder (or PARASOL_DATA).",
    )(command)


def settings_for(data: Path) -> Settings:
    """Return the settings of the instance in `data`; all else comes from the environment."""
    return Settings(data=data)


@contextmanager
def parts_of(data: Path) -> Iterator[Parts]:
    """Open an instance for one command."""
    parts = Parts(settings_for(data))
    try:
        yield parts
    finally:
        parts.close()


@contextmanager
def identities_of(data: Path) -> Iterator[Identities]:
    """Open the identities of an instance, which need none of its keys."""
    store = Store(open_engine(settings_for(data).url))
    try:
        yield Identities(store, utc_now)
    finally:
        store.close()


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


def passphrase(file: Path | None, *, confirm: bool) -> str:
    """Return a passphrase from `file`, which must be its owner's alone, or ask for it."""
    if file is None:
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm))
    refuse_if_open(file)
    return file.read_text(encoding="utf-8").strip()
