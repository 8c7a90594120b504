"""`parasol network`: the key that makes instances one network, shared and changed (§9)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from pydantic import ValidationError

from api.cli import Plain
from api.cli.host import data_option, or_say, parts_of, settings_for
from api.cli.instance import founded, on_an_empty_database, unfit
from api.cli.signing import FILE, check_roots, compare, roots_option, seeds_of, yes_option
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import Scalar
from api.errors import Conflict
from api.founding import found, joining
from api.keyring import KeyFileError, private_file
from api.parts import Parts, utc_now
from api.services.drafts import signed
from api.services.sharing import (
    Shared,
    forget_request,
    open_shared,
    request_key,
    request_words,
)
from schemas.canonical import MalformedDocument
from schemas.documents import Identity
from schemas.network import FILE_LIMIT, KeyRequest, SealedKey

ROOT = "root.key"
STOPPED = "Stopped. What is converted is kept: run it again to go on."
OVERTAKEN = "Moderators came or went, or somebody else does the same: run it again to go on."
READY = """\
All is converted, and nothing has changed yet. To go over to the next key, bring the root key:
  parasol network rotate --root FILE"""
SHUT_OUT = """\
Back up the keys now. For each other instance of the network that is to stay in it:
  parasol network request FILE         there, and bring FILE here
  parasol network share-delta FILE OUT here, and bring OUT there
  parasol network rotate --delta OUT   there
Whoever is not given it is shut out, and can match nothing that is published from now on. What it
signs counts here until you say otherwise: parasol partner policy ORIGIN block"""
REFUSED = {
    "sealed-unreadable": "This was not sealed to the request that was made here, or is damaged.",
    "malformed": "This is no such file, or it is damaged.",
    "wrong-network": "The key in it is not of this network: nothing was changed.",
    "wrong-epoch": "There is no change of the key in it that begins where this instance is.",
    "key-missing": "There is no network key in it: ask for `parasol network invite`.",
}

_out_argument = click.argument("out", type=click.Path(path_type=Path))
_request_argument = click.argument("request", type=FILE)


@click.group()
def network() -> None:
    """Share the network key with other instances, and change it (on the host)."""


@network.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
def request(file: Path, data: Path) -> None:
    """Write FILE, with which another instance can give this one the network key.

    FILE holds nothing secret. Read its words to the other operator, in person or by a call.
    """
    settings = settings_for(data, new=True)
    made = request_key(settings.data, os.urandom)
    try:
        file.write_bytes(made.encode() + b"\n")
    except OSError:
        raise KeyFileError(f"{file} cannot be written") from None
    click.echo(f"Bring {file} to an instance of the network. Its words:")
    click.echo(f"  {request_words(made)}")


@network.command()
@_request_argument
@_out_argument
@yes_option
@data_option
def invite(request: Path, out: Path, data: Path, *, yes: bool) -> None:
    """Seal the network key for the new instance that made REQUEST, and write it to OUT.

    Whoever has the key can match what all instances of the network have stored.
    """
    asked = _read_request(request, yes=yes)
    with parts_of(data) as parts, _refusals():
        _write(out, parts.sharing.key(asked))
    click.echo(f"Bring {out} to the new instance: parasol network join {out} …")
    click.echo("Its operator will ask you for the words of: parasol identity show")


@network.command(name="share-delta")
@_request_argument
@_out_argument
@yes_option
@data_option
def share_delta(request: Path, out: Path, data: Path, *, yes: bool) -> None:
    """Seal what leads to the present network key for the instance that made REQUEST.

    Only an instance that has the former key can use it. Give it to none that is to be shut out.
    """
    asked = _read_request(request, yes=yes)
    with parts_of(data) as parts, _refusals():
        _write(out, parts.sharing.deltas(asked))
    click.echo(f"Bring {out} to that instance: parasol network rotate --delta {out} --root FILE")
    click.echo("Its operator will ask you for the words of: parasol identity show")


@network.command()
@click.argument("sealed", type=FILE)
@click.option("--origin", required=True, help="This instance's host name, for ever.")
@click.option("--address", required=True, help="Its public URL, such as https://parasol.example.")
@click.option("--root", type=click.Path(path_type=Path), help="Where to write the root key.")
@yes_option
@data_option
def join(
    sealed: Path, origin: str, address: str, root: Path | None, data: Path, *, yes: bool
) -> None:
    """Found an instance in the network whose key is in SEALED.

    SEALED is what `parasol network invite` wrote for the request that was made here.
    """
    settings = settings_for(data, new=True)
    with _refusals():
        shared = open_shared(settings.data, _read_sealed(sealed), utc_now())
        _compare_root(shared, yes=yes)
    root_file = (root or settings.data / ROOT).absolute()
    with on_an_empty_database(), _refusals():
        try:
            founding = joining(shared, origin, address.rstrip("/"))
            identity = found(settings, founding, root_file, shared=shared)
        except ValidationError as error:
            raise Plain(unfit(error)) from None
    forget_request(settings.data)
    founded(identity, root_file)


@network.command()
@roots_option(required=False)
@click.option("--delta", type=FILE, help="What another instance gave: `network share-delta`.")
@yes_option
@data_option
def rotate(roots: tuple[Path, ...], delta: Path | None, data: Path, *, yes: bool) -> None:
    """Change the network key; without --root, only prepare it.

    Every stored token is converted, which takes about a minute for a million of them and can be
    stopped and begun again; look-ups and reports go on meanwhile. The root key then signs the next
    identity, and everything goes over to the next key at once.

    To shut an instance out, change the key, give what leads to it (`network share-delta`) to all
    others, and block it (`partner policy`).
    """
    seeds = seeds_of(roots)
    with parts_of(data) as parts, _refusals():
        pinned = parts.identities.current()
        if seeds:
            check_roots(pinned.root, seeds)
        if delta is None:
            chosen = parts.rotation.choose()
        else:
            shared = open_shared(data, _read_sealed(delta), utc_now())
            _compare_root(shared, yes=yes)
            chosen = parts.rotation.take(shared)
        with or_say(Conflict, OVERTAKEN), or_say(KeyboardInterrupt, STOPPED):
            parts.rotation.convert(chosen, _progress)
            if not seeds:
                click.echo(READY)
                return
            accepted = _switched(parts, pinned, chosen, seeds, yes=yes)
    if delta is not None:
        forget_request(data)
    click.echo(f"Epoch {accepted.epoch} is in force, in identity version {accepted.version}.")
    click.echo("Take the root key off this machine again.")
    click.echo(SHUT_OUT)


def _switched(
    parts: Parts, pinned: Identity, delta: Scalar, seeds: list[bytes], *, yes: bool
) -> Identity:
    draft = parts.rotation.draft(delta)
    compare(pinned, draft, yes=yes)
    return parts.rotation.switch(signed(draft, seeds), delta)


def _progress(done: int, total: int) -> None:
    # In place on a terminal; elsewhere a line now and then.
    if sys.stderr.isatty():
        click.echo(f"\rconverted {done} of {total}", err=True, nl=done >= total)
    elif done % 100_000 == 0 or done >= total:
        click.echo(f"converted {done} of {total}", err=True)


def _read_request(file: Path, *, yes: bool) -> KeyRequest:
    with _refusals():
        asked = KeyRequest.decode(_read(file))
    click.echo("Whoever made this request must read you these words:")
    click.echo(f"  {request_words(asked)}")
    if not yes and not click.confirm("Did they?"):
        raise Plain("Nothing was sealed: this request is somebody else's.")
    return asked


def _read_sealed(file: Path) -> SealedKey:
    return SealedKey.decode(_read(file))


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(FILE_LIMIT + 2).removesuffix(b"\n")


def _compare_root(shared: Shared, *, yes: bool) -> None:
    identity = shared.identity
    click.echo(f"This is from {identity.origin}, of the network {identity.network}.")
    click.echo("Its operator must read you these words, of its root fingerprint:")
    click.echo(f"  {shared.words}")
    if not yes and not click.confirm("Did they?"):
        raise Plain("Nothing was changed: this is somebody else's.")


def _write(out: Path, sealed: SealedKey) -> None:
    try:
        with private_file(out) as file:
            file.write(sealed.encode().decode("ascii") + "\n")
    except OSError:
        raise KeyFileError(f"{out} cannot be written, or is there already") from None


@contextmanager
def _refusals() -> Iterator[None]:
    """Say what is wrong with a file that was brought here."""
    try:
        yield
    except MalformedDocument:
        raise Plain(REFUSED["malformed"]) from None
    except InvalidInput as refused:
        if refused.code not in REFUSED:
            raise
        raise Plain(REFUSED[refused.code]) from None
