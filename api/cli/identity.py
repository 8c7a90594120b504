"""`parasol identity`: who this instance is, signed by the operator's root key."""

import hashlib
from pathlib import Path

import click

from api.cli.host import address_of, data_option, identities_of
from api.crypto.words import fingerprint_words
from api.keyring import read_key
from api.services.identities import signed
from api.trust import root_fingerprint


@click.group()
def identity() -> None:
    """Show and sign the instance's identity (on the instance's host)."""


@identity.command()
@data_option
def show(data: Path) -> None:
    """Show the identity in force and the fingerprint of its root keys."""
    with identities_of(data) as identities:
        current = identities.current()
    root = root_fingerprint(current.root)
    click.echo(f"version {current.version}, issued {current.issued}, expires {current.expires}")
    click.echo(f"address {address_of(current)}, origin {current.origin}")
    click.echo(f"network {current.network}, epoch {current.epoch}")
    click.echo(f"root {root.hex()} ({current.root.threshold} of {len(current.root.keys)} keys)")
    click.echo(f"     {fingerprint_words(root)}")
    for one in current.collectives:
        active = sum(moderator.status == "active" for moderator in one.moderators)
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
    with identities_of(data) as identities:
        for collective, moderator, sign_key, box_key in identities.pending():
            words = fingerprint_words(hashlib.sha256(sign_key + box_key).digest())
            click.echo(f"new moderator {moderator} of {collective}; her device must show:")
            click.echo(f"  {words}")
            if not yes:
                click.confirm("Did she read you these words?", abort=True)
        draft = identities.draft()
        accepted = identities.accept(signed(draft, [read_key(path) for path in roots]))
    click.echo(f"Identity version {accepted.version} is in force until {accepted.expires}.")
    click.echo("Take the root key off this machine again.")
