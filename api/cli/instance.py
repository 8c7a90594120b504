"""Commands on an instance's host: found it, serve it, look after it."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType

import click
from pydantic import ValidationError

from api.cli import Plain
from api.cli.host import (
    NO_DATABASE,
    data_option,
    look_at_database,
    or_say,
    parts_of,
    passphrase,
    patiently,
    settings_for,
    wait_option,
)
from api.crypto.failures import InvalidInput
from api.crypto.words import fingerprint_words
from api.errors import Conflict, Unavailable
from api.founding import found
from api.founding import restore as restore_instance
from api.keyring import KeyFileError, Keyring, private_file, sync_folder
from api.parts import Parts
from api.server import run
from api.services.backups import BackupError, lock_keys, unlock_keys, write_rows
from api.services.drafts import Founding
from api.services.health import OutdatedSchema
from api.store.engine import Store
from api.store.schema import UnknownSchema
from api.store.schema import migrate as migrate_database
from api.trust import root_fingerprint
from schemas.documents import Argon2id, Identity

ROWS, KEYS, ROOT = "database.jsonl", "keys.locked", "root.key"
PRIVATE = 0o700
OPTIONS: Mapping[str, str] = MappingProxyType(
    {"network": "--network", "origin": "--origin", "log": "--origin", "feed": "--address"}
)
UNFIT: Mapping[str, str] = MappingProxyType(
    {
        "weak-cost": "So cheap a cost would let a seized list be guessed: keep to the default.",
        "excessive-cost": "No phone can pay so high a cost: keep to the default.",
        "invalid-address": "An address is https://HOST, or http:// for localhost and .onion.",
    }
)
OCCUPIED = "The database is not empty: nothing was changed. Each instance has one of its own."
RESTORED = """\
What was decided since the backup is undone: end again whose access was ended since, and ask for
reports that were withdrawn since to be withdrawn again, before you serve."""

SILENT: Mapping[str, str] = MappingProxyType(
    {
        "valkey": "Valkey does not answer: each process counts for itself.",
        "replica": "The replica does not answer, or lags: it is hardly read.",
    }
)
MOMENT = 1.0

COUNT = click.IntRange(min=1)
passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that only its owner can read; without it the passphrase is asked for.",
)


@click.command()
@click.option("--network", required=True, help="The network's id, such as north-sea.")
@click.option("--origin", required=True, help="This instance's host name, for ever.")
@click.option("--address", required=True, help="Its public URL, such as https://parasol.example.")
@click.option("--root", type=click.Path(path_type=Path), help="Where to write the root key.")
@click.option(
    "--m-kib", default=65536, show_default=True, type=COUNT, help="Argon2id memory, for ever."
)
@click.option("--t", default=3, show_default=True, type=COUNT, help="Argon2id passes, for ever.")
@data_option
def init(
    network: str, origin: str, address: str, root: Path | None, m_kib: int, t: int, data: Path
) -> None:
    """Found an instance: its keys, its database, and the first version of its identity."""
    settings = settings_for(data, new=True)
    root_file = (root or settings.data / ROOT).absolute()
    cost = Argon2id(m_kib=m_kib, t=t)
    founding = Founding(network, origin, address.rstrip("/"), cost)
    with on_an_empty_database():
        try:
            identity = found(settings, founding, root_file)
        except (ValidationError, InvalidInput) as error:
            raise Plain(unfit(error)) from None
    founded(identity, root_file)


@click.command()
@wait_option
@data_option
def migrate(data: Path, wait: int) -> None:
    """Bring the database to this version's schema."""
    settings = settings_for(data)
    try:
        with or_say(Unavailable, NO_DATABASE):
            patiently(partial(migrate_database, settings.url), wait)
    except UnknownSchema:
        raise Plain("The database is of a newer version of Parasol: install that one.") from None
    click.echo("The schema is up to date.")


@click.command()
@click.option("--host", help="Where to listen (or PARASOL_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Likewise (or PARASOL_PORT).")
@click.option(
    "--workers", type=click.IntRange(1, 64), help="How many processes (or PARASOL_WORKERS)."
)
@wait_option
@data_option
def serve(data: Path, wait: int, **given: str | int | None) -> None:
    """Serve the instance until interrupted."""
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = settings_for(data).model_copy(update=chosen)
    with or_say(Unavailable, NO_DATABASE):
        if wait:
            patiently(partial(look_at_database, settings.url), wait)
        run(settings)


@click.command(name="run-once")
@data_option
def run_once(data: Path) -> None:
    """Publish, expire and seal what is due now, as the running server does by itself."""
    with parts_of(data) as parts:
        done = parts.timekeeper.run_once()
    if done is None:
        click.echo("The running server does this.")
    else:
        click.echo(", ".join(f"{name} {number}" for name, number in done.counts().items()))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@data_option
def status(data: Path, *, as_json: bool) -> None:
    """Show queue ages, the identity's expiry, the schema and the age of the buckets."""
    with parts_of(data) as parts:
        overview, beside = parts.health.overview(), _beside(parts)
    warnings = (*overview.warnings, *(SILENT[name] for name, good in beside.items() if not good))
    if as_json:
        click.echo(json.dumps(asdict(overview) | beside | {"warnings": warnings}))
        return
    click.echo(f"network {overview.network}, epoch {overview.epoch}, schema {overview.schema}")
    click.echo(
        f"identity version {overview.identity_version}, {overview.identity_days_left} days left"
    )
    sealed = "never" if overview.sealed_hours_ago is None else f"{overview.sealed_hours_ago} h ago"
    click.echo(f"buckets {overview.buckets}, sealed {sealed}")
    for group in overview.reports:
        flag = "  OVERDUE" if group.overdue else ""
        click.echo(
            f"reports {group.status}, {group.severity}: {group.number}, "
            f"oldest {group.oldest_hours} h{flag}"
        )
    for role, number in overview.bearers.items():
        click.echo(f"tokens of {role}s: {number}")
    together = overview.federation
    if together.partners:
        click.echo(f"partners {together.partners}, log {together.log}, held {together.held}")
    for warning in warnings:
        click.echo(f"! {warning}")
    if (data / ROOT).exists():
        click.echo(f"! The root key is still on this machine: take {data / ROOT} away.")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@passphrase_option
@data_option
def backup(folder: Path, passphrase_file: Path | None, data: Path) -> None:
    """Write a backup into the new FOLDER: the database, and apart from it the locked keys.

    The root key is in neither: keep copies of that yourself.
    """
    ring = Keyring.load(settings_for(data).keys)
    if folder.exists():
        raise Plain(f"{folder} is there already: name a new folder for each backup.")
    locked = lock_keys(ring, passphrase(passphrase_file, new=True), os.urandom)
    with parts_of(data) as parts, _whole_or_not_at_all(folder) as beside:
        _write(parts.store, ring, locked, beside)
    click.echo(f"Wrote {folder / ROWS} and {folder / KEYS}. Keep the two in different places.")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@passphrase_option
@data_option
def restore(folder: Path, passphrase_file: Path | None, data: Path) -> None:
    """Restore the backup whose two files are in FOLDER, where there is no instance yet."""
    settings = settings_for(data, new=True)
    try:
        locked = (folder / KEYS).read_bytes()
        rows = (folder / ROWS).open("rb")
    except OSError:
        raise Plain(f"{KEYS} and {ROWS} must both be in {folder}, and readable.") from None
    with rows:
        ring = _unlocked(locked, passphrase(passphrase_file, new=False))
        try:
            with on_an_empty_database():
                count = restore_instance(settings, rows, ring)
        except BackupError as error:
            raise Plain(f"Nothing was restored: {error}.") from None
    click.echo(f"Restored {count} rows and the keys.\n{RESTORED}")


def _beside(parts: Parts) -> dict[str, bool]:
    """Tell of what an instance may have besides its database whether it is as it should be."""
    parts.look()
    found = {}
    if parts.counts:
        found["valkey"] = parts.counts.answers
    if parts.replica:
        # It has a moment to come to where the database is now.
        until = time.monotonic() + MOMENT
        while not parts.replica.shows(MOMENT) and time.monotonic() < until:
            time.sleep(MOMENT / 20)
            parts.replica.look()
        found["replica"] = parts.replica.shows(MOMENT)
    return found


def founded(identity: Identity, root_file: Path) -> None:
    """Say what an operator must know of a new instance."""
    fingerprint = root_fingerprint(identity.root)
    click.echo(f"Founded {identity.origin} in network {identity.network}. Root fingerprint:")
    click.echo(f"  {fingerprint.hex()}\n  {fingerprint_words(fingerprint)}")
    click.echo(f"The root key is in {root_file}.")
    click.echo("Take it away now: keep it offline, twice, and bring it only for identity sign.")
    click.echo("Next: parasol collective add ID, then parasol serve")


@contextmanager
def on_an_empty_database() -> Iterator[None]:
    """Say what stands in the way where an instance is to begin."""
    # Not the usual advice for an outdated schema: it may be an instance that others use.
    occupied = or_say(Conflict, OCCUPIED), or_say(OutdatedSchema, OCCUPIED)
    with occupied[0], occupied[1], or_say(Unavailable, NO_DATABASE):
        yield


def _write(store: Store, ring: Keyring, locked: bytes, folder: Path) -> None:
    with private_file(folder / KEYS) as file:
        file.write(locked.decode("ascii") + "\n")
    with private_file(folder / ROWS) as file:
        file.writelines(write_rows(store, ring))


@contextmanager
def _whole_or_not_at_all(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `folder` at the end; nothing stays of a failure."""
    beside = folder.with_name(f".{folder.name}.partial")
    try:
        folder.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        beside.mkdir(mode=PRIVATE)
    except OSError:
        raise KeyFileError(f"{beside} cannot be made, or is there already") from None
    try:
        yield beside
        beside.rename(folder)
        sync_folder(folder.parent)
    except OSError:
        raise KeyFileError(f"{folder} cannot be written") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unlocked(locked: bytes, secret: str) -> Keyring:
    try:
        return unlock_keys(locked, secret)
    except InvalidInput as error:
        if error.code == "malformed":
            raise Plain(f"Nothing was restored: {KEYS} is damaged.") from None
        raise


def unfit(error: ValidationError | InvalidInput) -> str:
    """Name what an instance cannot be founded with."""
    if isinstance(error, InvalidInput):
        return UNFIT.get(error.code, f"Something here is not valid ({error.code}).")
    fields = {str(one["loc"][0]) for one in error.errors(include_input=False) if one["loc"]}
    names = sorted(OPTIONS[field] for field in fields & set(OPTIONS))
    return f"Not a value that can be used: {', '.join(names) or 'the origin'}."
