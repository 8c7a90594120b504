"""`parasol identity`: who this instance is, signed by the operator's root key."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from api.cli import Plain
from api.cli.host import address_of, data_option, identities_of, or_say, parts_of
from api.cli.signing import (
    CHANGED,
    check_roots,
    compare,
    roots_option,
    seeds_of,
    yes_option,
)
from api.crypto.envelopes import public_key
from api.crypto.failures import InvalidInput
from api.crypto.words import fingerprint_words
from api.errors import Conflict, NotFound
from api.keyring import KEY_BYTES, KeyFileError, write_secret
from api.parts import Parts
from api.services.drafts import Changes, signed
from api.trust import root_fingerprint
from schemas.documents import Identity, Root, Status

NO_IDENTITY = "There is no instance here yet: found one with `parasol init`."
TAKE_AWAY = "Take the root key off this machine again."
IN_USE = "One of these keys has another use already: nothing was signed. Make new ones."
ONE_HTTP = "There is only one http key in force: nothing to retire. First: identity rotate-http"


@click.group()
def identity() -> None:
    """Show and sign the instance's identity (on the instance's host)."""


@identity.command()
@data_option
def show(data: Path) -> None:
    """Show the identity in force and the fingerprint of its root keys."""
    with identities_of(data) as identities, or_say(NotFound, NO_IDENTITY):
        current = identities.current()
    click.echo(f"version {current.version}, issued {current.issued}, expires {current.expires}")
    click.echo(f"address {address_of(current)}, origin {current.origin}")
    click.echo(f"network {current.network}, epoch {current.epoch}")
    _show_root(current)
    for one in current.collectives:
        active = sum(moderator.status is Status.ACTIVE for moderator in one.moderators)
        click.echo(f"collective {one.id}: {one.status}, {active} active moderators")


@identity.command()
@roots_option()
@yes_option
@data_option
def sign(roots: tuple[Path, ...], data: Path, *, yes: bool) -> None:
    """Issue the next identity, which announces the moderators who joined."""
    with identities_of(data) as identities, or_say(NotFound, NO_IDENTITY):
        seeds = seeds_of(roots)
        pinned, draft = identities.current(), identities.draft()
        check_roots(pinned.root, seeds)
        compare(pinned, draft, yes=yes)
        with or_say(Conflict, CHANGED):
            accepted = identities.accept(signed(draft, seeds))
    _tell(accepted)


@identity.command(name="new-key")
@click.argument("file", type=click.Path(path_type=Path))
def new_key(file: Path) -> None:
    """Make a root key in the new FILE: for one more holder, or to replace a lost one.

    It counts when `identity rotate-root` has named it.
    """
    seed = os.urandom(KEY_BYTES)
    try:
        write_secret(file, seed.hex() + "\n")
    except OSError:
        raise KeyFileError(f"{file} cannot be written, or is there already") from None
    click.echo(f"The root key is in {file}; its public key is {public_key(seed).hex()}.")


@identity.command(name="rotate-root")
@roots_option("--old", text="A root key in force; repeat it until the threshold is met.")
@roots_option("--new", text="A root key from now on, all of them: also one that stays.")
@click.option(
    "--threshold", type=click.IntRange(min=1), required=True, help="How many of the new must sign."
)
@yes_option
@data_option
def rotate_root(
    olds: tuple[Path, ...], news: tuple[Path, ...], threshold: int, data: Path, *, yes: bool
) -> None:
    """Replace the root keys; the old and the new ones sign.

    Members' devices and partners follow by themselves; invitations that were handed out and not
    used name the former root, and work as long as the identities lead from there.
    """
    old, new = seeds_of(olds), seeds_of(news)
    if threshold > len(new):
        raise Plain(f"Of {len(new)} keys {threshold} can never sign: nothing was signed.")
    root = Root(keys=tuple(sorted({public_key(seed) for seed in new})), threshold=threshold)
    with identities_of(data) as identities, or_say(NotFound, NO_IDENTITY):
        pinned = identities.current()
        check_roots(pinned.root, old)
        with or_say(InvalidInput, IN_USE):
            draft = identities.draft(Changes(root=root))
        compare(pinned, draft, yes=yes)
        with or_say(Conflict, CHANGED):
            accepted = identities.accept(signed(draft, list(dict.fromkeys([*old, *new]))))
    _tell(accepted)
    _show_root(accepted)
    click.echo("Tell the operators of partner instances these words, and destroy the former keys.")


@identity.command(name="rotate-http")
@roots_option()
@click.option("--retire", is_flag=True, help="Announce the newest http key alone.")
@yes_option
@data_option
def rotate_http(roots: tuple[Path, ...], data: Path, *, retire: bool, yes: bool) -> None:
    """Add a new key for requests to partners; later, with --retire, end the former ones.

    In between partners learn of the new one, from the next entry of our log that they read.
    """
    seeds = seeds_of(roots)

    def draft(parts: Parts) -> Identity:
        return parts.renewal.newest_http_alone() if retire else parts.renewal.http()

    with parts_of(data) as parts:
        accepted = _issued(parts, draft, seeds, yes=yes)
    _tell(accepted)
    if not retire:
        click.echo("Back up the keys. In a week or so: parasol identity rotate-http --retire")


def _issued(
    parts: Parts, draft_of: Callable[[Parts], Identity], seeds: list[bytes], *, yes: bool
) -> Identity:
    pinned = parts.identities.current()
    check_roots(pinned.root, seeds)
    with or_say(Conflict, ONE_HTTP), or_say(InvalidInput, IN_USE):
        draft = draft_of(parts)
    compare(pinned, draft, yes=yes)
    with or_say(Conflict, CHANGED):
        return parts.identities.accept(signed(draft, seeds))


def _tell(accepted: Identity) -> None:
    click.echo(f"Identity version {accepted.version} is in force until {accepted.expires}.")
    click.echo(TAKE_AWAY)


def _show_root(current: Identity) -> None:
    root = root_fingerprint(current.root)
    click.echo(f"root {root.hex()} ({current.root.threshold} of {len(current.root.keys)} keys)")
    click.echo(f"     {fingerprint_words(root)}")
