"""Commands on an instance's host: found it, serve it, look after it."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from api.cli.host import data_option, parts_of, passphrase, settings_for
from api.crypto.words import fingerprint_words
from api.founding import found
from api.keyring import Keyring
from api.server import run
from api.services.backups import lock_keys, read_rows, unlock_keys, write_rows
from api.services.health import check_schema
from api.services.identities import Founding
from api.store.engine import Store, open_engine
from api.store.schema import migrate as migrate_database
from api.trust import root_fingerprint
from schemas.documents import Argon2id

ROWS, KEYS = "database.jsonl", "keys.locked"
PRIVATE = 0o700

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
@click.option("--m-kib", default=65536, show_default=True, help="Argon2id memory, for ever.")
@click.option("--t", default=3, show_default=True, help="Argon2id passes, for ever.")
@data_option
def init(
    network: str, origin: str, address: str, root: Path | None, m_kib: int, t: int, data: Path
) -> None:
    """Found an instance: its keys, its database, and the first version of its identity."""
    root_file = root or data / "root.key"
    cost = Argon2id(m_kib=m_kib, t=t)
    founding = Founding(network, origin, address.rstrip("/"), cost)
    identity = found(settings_for(data), founding, root_file)
    fingerprint = root_fingerprint(identity.root)
    click.echo(f"Founded {origin} in network {network}. Root fingerprint:")
    click.echo(f"  {fingerprint.hex()}\n  {fingerprint_words(fingerprint)}")
    click.echo(f"The root key is in {root_file}.")
    click.echo("Take it away now: keep it offline, twice, and bring it only for identity sign.")
    click.echo("Next: parasol collective add ID, then parasol serve")


@click.command()
@data_option
def migrate(data: Path) -> None:
    """Bring the database to this version's schema."""
    migrate_database(settings_for(data).url)
    click.echo("The schema is up to date.")


@click.command()
@click.option("--host", help="Where to listen (or PARASOL_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Likewise (or PARASOL_PORT).")
@data_option
def serve(host: str | None, port: int | None, data: Path) -> None:
    """Serve the instance until interrupted."""
    chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run(settings_for(data).model_copy(update=chosen))


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
        overview = parts.health.overview()
    if as_json:
        click.echo(json.dumps(asdict(overview) | {"warnings": overview.warnings}))
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
    for warning in overview.warnings:
        click.echo(f"! {warning}")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@passphrase_option
@data_option
def backup(folder: Path, passphrase_file: Path | None, data: Path) -> None:
    """Write a backup into the new FOLDER: the database, and apart from it the locked keys."""
    settings = settings_for(data)
    ring = Keyring.load(settings.keys)
    secret = passphrase(passphrase_file, confirm=True)
    folder.mkdir(mode=PRIVATE, parents=True)
    with parts_of(data) as parts, (folder / ROWS).open("x", encoding="ascii") as file:
        for line in write_rows(parts.store):
            file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    (folder / KEYS).write_bytes(lock_keys(ring, secret, os.urandom))
    click.echo(f"Wrote {folder / ROWS} and {folder / KEYS}. Keep the two in different places.")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@passphrase_option
@data_option
def restore(folder: Path, passphrase_file: Path | None, data: Path) -> None:
    """Restore the backup in FOLDER into a data folder that holds no instance yet."""
    settings = settings_for(data)
    secret = passphrase(passphrase_file, confirm=False)
    ring = unlock_keys((folder / KEYS).read_bytes(), secret)
    settings.data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    migrate_database(settings.url)
    store = Store(open_engine(settings.url))
    try:
        check_schema(store)
        with (folder / ROWS).open(encoding="ascii") as file:
            rows = read_rows(store, file)
    finally:
        store.close()
    ring.save(settings.keys)
    click.echo(f"Restored {rows} rows and the keys. What was decided since the backup is lost.")
