"""`parasol identity`: who this instance is, signed by the operator's root key."""

from collections.abc import Sequence
from pathlib import Path

import click

from api.cli import Plain
from api.cli.host import address_of, data_option, identities_of, or_say
from api.crypto.envelopes import public_key
from api.crypto.words import fingerprint_words, key_words
from api.errors import Conflict, NotFound
from api.keyring import read_key
from api.services.drafts import signed
from api.services.rosters import newcomers
from api.trust import root_fingerprint
from schemas.documents import Identity, Status

NO_IDENTITY = "There is no instance here yet: found one with `parasol init`."
CHANGED = "Moderators came or went in the meantime: nothing was signed. Run it again."


@click.group()
def identity() -> None:
    """Show and sign the instance's identity (on the instance's host)."""


@identity.command()
@data_option
def show(data: Path) -> None:
    """Show the identity in force and the fingerprint of its root keys."""
    with identities_of(data) as identities, or_say(NotFound, NO_IDENTITY):
        current = identities.current()
    root = root_fingerprint(current.root)
    click.echo(f"version {current.version}, issued {current.issued}, expires {current.expires}")
    click.echo(f"address {address_of(current)}, origin {current.origin}")
    click.echo(f"network {current.network}, epoch {current.epoch}")
    click.echo(f"root {root.hex()} ({current.root.threshold} of {len(current.root.keys)} keys)")
    click.echo(f"     {fingerprint_words(root)}")
    for one in current.collectives:
        active = sum(moderator.status is Status.ACTIVE for moderator in one.moderators)
        click.echo(f"collective {one.id}: {one.status}, {active} active moderators")


@identity.command()
@click.option(
    "--root",
    "roots",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A root key file; repeat it until the threshold is met.",
)
@click.option("--yes", is_flag=True, help="The new keys were compared already.")
@data_option
def sign(roots: tuple[Path, ...], data: Path, *, yes: bool) -> None:
    """Issue the next identity, which announces the moderators who joined."""
    seeds = [read_key(path) for path in dict.fromkeys(roots)]
    with identities_of(data) as identities, or_say(NotFound, NO_IDENTITY):
        pinned, draft = identities.current(), identities.draft()
        _check_roots(pinned, seeds)
        _compare(pinned, draft, yes=yes)
        with or_say(Conflict, CHANGED):
            accepted = identities.accept(signed(draft, seeds))
    click.echo(f"Identity version {accepted.version} is in force until {accepted.expires}.")
    click.echo("Take the root key off this machine again.")


def _check_roots(pinned: Identity, seeds: Sequence[bytes]) -> None:
    ours = {public_key(seed) for seed in seeds} & set(pinned.root.keys)
    if len(ours) < pinned.root.threshold:
        raise Plain(
            f"{len(ours)} of these are root keys of this instance, and "
            f"{pinned.root.threshold} must sign: nothing was signed."
        )


def _compare(pinned: Identity, draft: Identity, *, yes: bool) -> None:
    """Let the operator compare the very keys that are about to be signed."""
    for collective, one in newcomers(pinned, draft):
        words = key_words(one.sign, one.box)
        click.echo(f"new moderator {one.id} of {collective}; her device must show:")
        click.echo(f"  {words}")
        if not yes and not click.confirm("Did she read you these words?"):
            raise Plain(f"Nothing was signed. To keep her out: parasol moderator revoke {one.id}")
