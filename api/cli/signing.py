"""What commands share that let the root keys sign: which keys, and what is compared before."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from api.cli import Plain
from api.crypto.envelopes import public_key
from api.crypto.words import key_words
from api.keyring import read_key
from api.services.rosters import newcomers
from schemas.documents import Identity, Root

CHANGED = "Moderators came or went in the meantime: nothing was signed. Run it again."
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

yes_option = click.option("--yes", is_flag=True, help="All was compared already.")


def roots_option(
    name: str = "--root", *, required: bool = True, text: str = "A root key file; repeat it until "
    "the threshold is met."
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
    """Add an option that names root key files, and may be repeated."""
    return click.option(
        name, f"{name.removeprefix('--')}s", multiple=True, required=required, type=FILE, help=text
    )


def seeds_of(files: Sequence[Path]) -> list[bytes]:
    """Return the keys of root key files, each once."""
    return list(dict.fromkeys(read_key(path) for path in files))


def check_roots(root: Root, seeds: Sequence[bytes]) -> None:
    """Refuse keys that are not enough, before anything is made ready for them to sign."""
    ours = {public_key(seed) for seed in seeds} & set(root.keys)
    if len(ours) < root.threshold:
        raise Plain(
            f"{len(ours)} of these are root keys of this instance, and "
            f"{root.threshold} must sign: nothing was signed."
        )


def compare(pinned: Identity, draft: Identity, *, yes: bool) -> None:
    """Let the operator compare the very keys that are about to be signed."""
    for collective, one in newcomers(pinned, draft):
        words = key_words(one.sign, one.box)
        click.echo(f"new moderator {one.id} of {collective}; her device must show:")
        click.echo(f"  {words}")
        if not yes and not click.confirm("Did she read you these words?"):
            raise Plain(f"Nothing was signed. To keep her out: parasol moderator revoke {one.id}")
