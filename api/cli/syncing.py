"""`parasol sync`: ask partners now, as the running server does by itself."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click

from api.cli import Plain
from api.cli.host import data_option, parts_of
from api.cli.reasons import no_partner, of_partner
from api.parts import Parts
from api.services.following import Progress, Synced
from api.services.positions import QUARANTINED

SHOWN_EVERY = 1.0
"""Seconds between two lines of a long catch-up."""
STOPPED = "Stopped. What came is kept, and the next time goes on from there."


@click.command()
@click.argument("origin", metavar="[ORIGIN]", required=False)
@data_option
def sync(origin: str | None, data: Path) -> None:
    """Ask all partners for what is new, or ORIGIN alone; the exit status is 2 if one failed."""
    with parts_of(data) as parts:
        origins = [one.origin for one in parts.partners.all()]
        if origin is not None and origin not in origins:
            raise Plain(no_partner(origin))
        failed = False
        for one in origins if origin is None else [origin]:
            came = synced(parts, one)
            if came.code is None:
                click.echo(f"{one}: {came.entries} new entries")
            else:
                failed = True
                (line,) = (line for line in parts.partners.all() if line.origin == one)
                reason = of_partner(line, came.code)
                click.echo(f"{one}: {came.entries} new entries. {reason}", err=True)
    if failed:
        raise click.exceptions.Exit(Plain.exit_code)


def synced(parts: Parts, origin: str) -> Synced:
    """Ask a partner now, showing how far it is; raise NotFound, or Plain where we are stopped.

    When something came, the other partners are asked whether they saw the same.
    """
    with _stoppable(parts) as stopped:
        came = parts.following.sync(origin, _shown(origin, stopped))
        if came.entries and came.code is None and not stopped.is_set():
            parts.witnessing.compare(origin)
    if stopped.is_set():
        raise Plain(STOPPED)
    # In quarantine it may be by what others have seen.
    row = parts.positions.row(origin)
    return replace(came, code=row.code) if row.state == QUARANTINED else came


def _shown(origin: str, stopped: threading.Event) -> Progress:
    """Return what tells on stderr how many entries of how many are here, once in a while."""
    last = time.monotonic()

    def progress(here: int, everything: int) -> bool:
        nonlocal last
        if time.monotonic() - last >= SHOWN_EVERY:
            last = time.monotonic()
            click.echo(f"{origin}: {here} of {everything} entries", err=True)
        return not stopped.is_set()

    return progress


@contextmanager
def _stoppable(parts: Parts) -> Iterator[threading.Event]:
    """Let Ctrl-C end the block between two pages; the answer that is awaited is given up."""
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()
        # In a thread of its own: this one may hold what `stop` waits for.
        threading.Thread(target=parts.remote.stop, name="stopping", daemon=True).start()

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
