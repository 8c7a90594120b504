"""What the moderator's commands share: her profile, her keys, and finding one report."""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from mnemonic import Mnemonic

from api.cli import Plain, reading
from api.client import Client, CouldNotCheck, Profile, Refused, default_profile_path
from api.crypto.keyfiles import LONGEST
from api.keyring import KeyFileError, refuse_if_open, write_secret
from api.moderating import Desk, Docket, Mismatch, ModeratorKeys
from schemas.moderation import QueueItem
from schemas.reports import Status

SHORTEST_PASSPHRASE = 12
SUGGESTED_WORDS = 6
# Where no status is asked for, the queue gives what is open.
OPEN = (None,)
LISTED = (Status.APPROVED, Status.PUBLISHED)
LIVE = (*LISTED, Status.DISPUTED)

Command = Callable[..., None]
_FILE = click.Path(dir_okay=False, path_type=Path)
_ID = re.compile("[0-9a-f]{4,32}")
_WHOLE_ID = 32
NOT_A_MODERATOR = "You are no moderator there: has the operator signed your keys already?"

profile_option = click.option(
    "--profile", "profile_path", type=_FILE, help="Your profile (or PARASOL_PROFILE)."
)
keys_option = click.option(
    "--keys", "keys_path", type=_FILE, help="Your keys; by default moderator.keys beside it."
)
passphrase_option = click.option(
    "--passphrase-file", type=_FILE, help="A file that nobody else can read, instead of asking."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask again.")


def with_docket(command: Command) -> Command:
    """Give `command` her Docket, which needs the profile and none of her keys."""

    @profile_option
    @keys_option  # neither is needed, but all commands should take the same options
    @passphrase_option
    @wraps(command)
    def run(
        profile_path: Path | None,
        keys_path: Path | None,
        passphrase_file: Path | None,
        **options: Any,  # noqa: ANN401  (click's)
    ) -> None:
        del keys_path, passphrase_file
        with client_of(profile_path) as client:
            command(Docket(client), **options)

    return run


def with_desk(command: Command) -> Command:
    """Give `command` her Desk, for which it asks her passphrase."""

    @profile_option
    @keys_option
    @passphrase_option
    @wraps(command)
    def run(
        profile_path: Path | None,
        keys_path: Path | None,
        passphrase_file: Path | None,
        **options: Any,  # noqa: ANN401  (click's)
    ) -> None:
        with client_of(profile_path) as client:
            _, path = places(profile_path, keys_path)
            command(Desk(client, unlocked(path, passphrase_file)), **options)

    return run


def places(profile_path: Path | None, keys_path: Path | None) -> tuple[Path, Path]:
    """Return where the profile and the keys are, if nothing else is said."""
    profile = profile_path or default_profile_path()
    return profile, keys_path or profile.with_name("moderator.keys")


@contextmanager
def client_of(profile_path: Path | None) -> Iterator[Client]:
    """Open her client, which notes newer identities in the profile. Raises KeyFileError."""
    path, _ = places(profile_path, None)
    try:
        with Client(Profile.load(path), remember=lambda profile: profile.save(path)) as client:
            yield client
    except Refused as refused:
        if refused.code == "forbidden":
            raise CouldNotCheck(NOT_A_MODERATOR) from None
        raise


def unlocked(path: Path, passphrase_file: Path | None) -> ModeratorKeys:
    """Return the keys in `path`. Raises KeyFileError, and InvalidInput `wrong-passphrase`."""
    refuse_if_open(path)
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError:
        raise KeyFileError(f"{path} cannot be read") from None
    if passphrase_file is not None:
        return ModeratorKeys.unlock(data, _passphrase_in(passphrase_file))
    asked = str(click.prompt("Passphrase of your keys", hide_input=True, err=True))
    return ModeratorKeys.unlock(data, asked)


def new_passphrase(file: Path | None) -> str:
    """Return a passphrase for new keys, from `file` or asked for twice; raise a usage error."""
    if file is not None:
        return _long_enough(_passphrase_in(file))
    words = Mnemonic("english").wordlist
    example = " ".join(secrets.choice(words) for _ in range(SUGGESTED_WORDS))
    click.echo(f"A passphrase protects your keys. Six words make a good one, as: {example}")
    asked = click.prompt(
        f"New passphrase ({SHORTEST_PASSPHRASE} characters or more)",
        hide_input=True,
        confirmation_prompt="The same again",
        err=True,
        value_proc=_long_enough,
    )
    return str(asked)


def write_keys(path: Path, keys: ModeratorKeys, passphrase: str) -> None:
    """Write the new file `path` with `keys` under `passphrase`. Raises KeyFileError."""
    locked = keys.lock(passphrase, secrets.token_bytes)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(path, locked.decode("ascii") + "\n")
    except OSError:
        raise KeyFileError(f"{path} cannot be written") from None


def one_report(docket: Docket, text: str, statuses: Sequence[Status | None]) -> QueueItem:
    """Return the report of a status in `statuses` whose id begins with `text`; else refuse."""
    if not _ID.fullmatch(text):
        raise click.UsageError("An ID is at least the first four of its letters and digits.")
    found = {}
    for status in statuses:
        for item in docket.queue(status=status):
            if item.id.startswith(text):
                found[item.id] = item
        if len(text) == _WHOLE_ID and found:
            break
    if not found:
        raise Plain("No report here that this can be done with has such an ID.")
    if len(found) > 1:
        raise Plain("Several reports have an ID that begins so: give more of it.")
    return next(iter(found.values()))


def shown(docket: Docket, text: str, statuses: Sequence[Status | None]) -> QueueItem:
    """Find a report as `one_report` does, and show its line of the queue."""
    item = one_report(docket, text, statuses)
    echo(reading.table([item]))
    return item


def read_first(desk: Desk, text: str, statuses: Sequence[Status | None]) -> QueueItem:
    """Find a report, and show its account before something is decided about it.

    One that can't be compared may be the very one to be taken away, so that is asked; never
    passed over by `--yes`.
    """
    item = one_report(desk, text, statuses)
    try:
        opened = desk.open(item)
        echo(reading.opened_lines(opened))
        signed = desk.signed(opened)
        if signed is not None:
            echo(reading.changes(item, signed))
    except Mismatch as mismatch:
        echo(reading.table([item]))
        click.echo(f"Beware: {mismatch.reason}", err=True)
        click.confirm("Go on without having compared it?", abort=True, err=True)
    return item


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what can't be undone; abort at no."""
    if not yes:
        click.confirm(question, abort=True)


def echo(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)


def list_reports(items: Iterable[QueueItem]) -> None:
    """Print the table of reports."""
    held = list(items)
    echo(reading.table(held) if held else ["No reports."])


def _passphrase_in(file: Path) -> str:
    refuse_if_open(file)
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError):
        raise KeyFileError(f"{file} cannot be read") from None


def _long_enough(passphrase: str) -> str:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise click.UsageError(f"A passphrase has at least {SHORTEST_PASSPHRASE} characters.")
    return passphrase
