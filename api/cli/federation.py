"""`parasol demo-federation`: two instances that follow each other, to look at."""

import os
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import click

from api.cli import Plain
from api.cli.demo import COST, demo_settings, program, refuse_taken
from api.demo.federation import NUMBER, REGION, NeverHappened, Pair, Place, keep
from api.founding import found, joining
from api.parts import Parts, utc_now
from api.server import configure_logs
from api.services.drafts import Founding
from api.services.sharing import forget_request, open_shared, request_key
from api.web.assets import read_built

NETWORK = "test-demo"
POLL_SECONDS = 1
CAUGHT = ("fork", "rollback")


@click.command(name="demo-federation")
@click.option("--port", envvar="PORT", default=8000, show_default=True, help="And the next one.")
@click.option(
    "--data",
    envvar="DATA",
    type=click.Path(file_okay=False, path_type=Path),
    help="Or DATA: the demo's folder; by default a fresh one.",
)
@click.option("--once", is_flag=True, help="Also retract, and cheat; then end, instead of serving.")
def demo_federation(port: int, data: Path | None, *, once: bool) -> None:
    """Let two instances follow each other on this machine alone, and report something on one."""
    refuse_taken(port)
    refuse_taken(port + 1)
    read_built()  # or refuse before anything is founded
    folder = (data or Path(tempfile.mkdtemp(prefix="parasol-federation-"))).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configure_logs()
    pair = Pair(
        _place(folder / "north", "north.example", "northern-collective-demo", port),
        _place(folder / "south", "south.example", "river-collective-demo", port + 1),
    )
    _found(pair)
    try:
        _show(pair)
        if once:
            _show_the_rest(pair, folder / "before.db")
        else:
            _tell(pair)
            threading.Event().wait()
    except KeyboardInterrupt:
        click.echo(f"Stopped. All of the demo is in {folder}.", err=True)
    except NeverHappened as missing:
        raise Plain(f"This never came: {missing}.") from None
    finally:
        pair.stop()


def _place(folder: Path, origin: str, collective: str, port: int) -> Place:
    settings = demo_settings(folder, port).model_copy(update={"poll_seconds": POLL_SECONDS})
    return Place(origin, collective, settings, folder / "root.key", folder / "people")


def _found(pair: Pair) -> None:
    """Found one instance, and the other with the network key that the first one gives it."""
    one, other = pair.one, pair.other
    found(one.settings, Founding(NETWORK, one.origin, one.address, COST), one.root)
    with closing(Parts(one.settings)) as parts:
        sealed = parts.sharing.key(request_key(other.settings.data, os.urandom))
    shared = open_shared(other.settings.data, sealed, utc_now())
    found(other.settings, joining(shared, other.origin, other.address), other.root, shared=shared)
    forget_request(other.settings.data)


def _show(pair: Pair) -> None:
    one, other = pair.one, pair.other
    click.echo("Two instances begin: some fifteen seconds.", err=True)
    pair.meet()
    _say(f"{one.origin} and {other.origin} share a network key, and follow each other.")
    seconds = pair.tell()
    _say(
        f"{NUMBER} was reported at {one.origin} as danger, and approved by two moderators of "
        f"{one.collective}. {other.origin} warned of it {seconds:.1f} s later."
    )


def _show_the_rest(pair: Pair, before: Path) -> None:
    one, other = pair.one, pair.other
    keep(one.settings, before)
    seconds = pair.take_back()
    _say(f"Both retracted it. {other.origin} no longer warned of it {seconds:.1f} s later.")
    code = pair.cheat(before)
    _say(
        f"{one.origin} went back to its database of before, and signed something else in place of "
        f"the retraction. {other.origin} put it into quarantine: {code}."
    )
    if code not in CAUGHT:
        raise NeverHappened("the quarantine for that")


def _tell(pair: Pair) -> None:
    one, other = pair.one, pair.other
    parasol = program()
    check = f'  {parasol} check "{NUMBER}" --region {REGION} --profile {other.profile}'
    report = one.listed()
    lines = [
        f"address: {one.address}",
        f"invitation: {one.invitation()}",
        f"address: {other.address}",
        f"invitation: {other.invitation()}",
        "In a second terminal, in this folder, check at the other one:",
        check,
        "Retract it where it was reported, as one moderator and then the other:",
        *(
            f"  {parasol} moderator retract {report} --reason error --yes"
            f" --profile {device.profile} --keys {device.keys}"
            f" --passphrase-file {device.passphrase_file}"
            for device in one.devices
        ),
        "Some seconds later the check above finds no warning. What each knows of the other:",
        *(
            f"  {parasol} {command} --data {place.settings.data}"
            for place in (one, other)
            for command in ("partner list", "feed show")
        ),
    ]
    _say("\n".join(lines))


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
