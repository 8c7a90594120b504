"""`parasol demo`: an instance with invented warnings, to look at."""

import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import uvicorn

from api.app import create_app
from api.cli import Plain
from api.client import Profile
from api.crypto.bearers import format_access
from api.demo.seed import DemoClock, Device, Seed
from api.founding import found
from api.server import configure_logs, server_of
from api.services.drafts import Founding
from api.settings import Settings
from api.web.assets import read_built
from schemas.callers import Role
from schemas.documents import Argon2id

HOST = "127.0.0.1"
NETWORK, ORIGIN = "demo", "demo.example"
COST = Argon2id(m_kib=65_536, t=3)
READER = "northern-collective-demo"
OPEN_QUEUE = "spreelicht-demo-1"
PASTED = "hi are u free at 8? 07700 900113"
PER_HOUR, PER_DAY = 1_000, 10_000


@click.command()
@click.option("--port", envvar="PORT", default=8000, show_default=True, help="Or PORT.")
@click.option(
    "--data",
    envvar="DATA",
    type=click.Path(file_okay=False, path_type=Path),
    help="Or DATA: the demo's folder; by default a fresh one.",
)
def demo(port: int, data: Path | None) -> None:
    """Found an instance, fill it with invented warnings, and serve it on this machine alone."""
    refuse_taken(port)
    read_built()  # or refuse before anything is founded
    folder = (data or Path(tempfile.mkdtemp(prefix="parasol-demo-"))).absolute()
    settings = demo_settings(folder, port)
    root, address = folder / "root.key", f"http://{HOST}:{port}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found(settings, Founding(NETWORK, ORIGIN, address, COST), root)
    configure_logs()
    clock = DemoClock()
    app = create_app(settings, clock)
    server = server_of(app, settings)
    people = folder / "people"
    people.mkdir(mode=0o700)
    filling = _Filling(server, Seed(app.state.parts, people, root, clock), people, address)
    filling.start()
    try:
        server.run()
    except KeyboardInterrupt:
        click.echo(f"Stopped. All of the demo is in {folder}.", err=True)
    filling.join()
    if filling.fault is not None:
        raise Plain(
            f"The demo could not be filled: {type(filling.fault).__name__}."
        ) from filling.fault


def demo_settings(folder: Path, port: int) -> Settings:
    """Return the settings of a demo's instance in `folder`: nobody is held up by quotas."""
    return Settings(
        data=folder / "instance",
        database_url=None,
        host=HOST,
        port=port,
        per_hour=PER_HOUR,
        per_day=PER_DAY,
        collective_per_day=PER_DAY * 10,
        moderator_per_hour=PER_HOUR,
        reports_per_day=PER_HOUR,
    )


def program() -> Path:
    """Return how to call this program from the folder where it was called."""
    parasol = Path(sys.argv[0]).with_name("parasol")
    return parasol.relative_to(Path.cwd()) if parasol.is_relative_to(Path.cwd()) else parasol


def refuse_taken(port: int) -> None:
    """Refuse a port on which somebody listens already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise Plain(f"port {port} is taken: choose another with PORT=") from None


class _Filling(threading.Thread):
    """Fills the running server from beside it, then tells how to use it."""

    def __init__(self, server: uvicorn.Server, seed: Seed, people: Path, address: str) -> None:
        super().__init__(name="filling", daemon=True)
        self._server = server
        self._seed = seed
        self._people = people
        self._address = address
        self.fault: Exception | None = None

    def run(self) -> None:
        """Wait for the server, fill it, print; end the server where that fails."""
        while not self._server.started:
            if self._server.should_exit:
                return
            time.sleep(0.05)
        try:
            click.echo("Filling the demo with invented warnings: some fifteen seconds.", err=True)
            self._seed.run()
            self._tell()
        except Exception as fault:  # noqa: BLE001  (told when the server has ended)
            self.fault = fault
            self._server.should_exit = True

    def _tell(self) -> None:
        lines = [*self._for_the_browser(), "", *self._for_the_terminal()]
        click.echo("\n".join(lines))
        sys.stdout.flush()

    def _for_the_browser(self) -> list[str]:
        shown = [
            device
            for device in self._seed.devices
            if device.collective == READER or device.name == OPEN_QUEUE
        ]
        return [
            f"address: {self._address}",
            f"invitation: {self._seed.invitation(READER, Role.MEMBER)}",
            "Open the address in a browser, paste the invitation there, and then this message:",
            f"  {PASTED}",
            f"What you report there, two moderators decide at {self._address}/desk, in a tab each,",
            "with the key file, the passphrase and the access line of each:",
            *(line for device in shown for line in _desk_lines(device)),
        ]

    def _for_the_terminal(self) -> list[str]:
        reader = self._seed.new_member(READER, "reader")
        parasol = program()
        profile = self._people / "reader.json"
        lines = [
            "In a second terminal, in this folder:",
            f'  {parasol} check "07700 900113" --region GB --profile {profile}',
            f'  {parasol} check "07700 900999" --region GB --profile {profile}',
            "As a moderator, with one report to decide:",
            f"  {parasol} moderator queue --profile {self._people / OPEN_QUEUE}.json",
            f"another invitation: {self._seed.invitation(READER, Role.MEMBER)}",
            f"member token: {reader.token}",
        ]
        for device in self._seed.devices:
            lines.append(
                f"moderator {device.name}: --profile {device.profile} --keys {device.keys}"
            )
            lines.append(f"  passphrase (in {device.passphrase_file}): {device.passphrase}")
        return lines


def _desk_lines(device: Device) -> list[str]:
    profile = Profile.load(device.profile)
    return [
        f"  {device.name}",
        f"    key file: {device.keys}",
        f"    passphrase: {device.passphrase}",
        f"    access: {format_access(profile.token, device.collective, profile.root)}",
    ]
