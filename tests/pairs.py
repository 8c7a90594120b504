"""Two instances of one network, each with a server of its own, that follow each other."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.app import create_app
from api.server import server_of
from schemas.feed import Policy
from tests.factories import Clock, World
from tests.services import free_port

DEADLINE = 20


@contextmanager
def pair(folder: Path, url: str, other_url: str, clock: Clock) -> Iterator[tuple[World, World]]:
    """Give two instances with one network key; the clock is both's."""
    made: list[World] = []
    for name, database in (("alpha", url), ("beta", other_url)):
        port = free_port()
        world = World(
            folder / name, database, clock, {"port": port, "poll_seconds": 86_400},
            f"{name}.example", f"http://127.0.0.1:{port}", made[0] if made else None,
        )  # fmt: skip
        made.append(world)
    try:
        yield made[0], made[1]
    finally:
        for world in made:
            world.close()


@contextmanager
def listening(*worlds: World) -> Iterator[None]:
    """Answer over HTTP for each of `worlds`, while the block lasts."""
    servers = [
        server_of(create_app(world.settings, world.clock), world.settings) for world in worlds
    ]
    threads = [threading.Thread(target=server.run, daemon=True) for server in servers]
    try:
        for thread in threads:
            thread.start()
        until = time.monotonic() + DEADLINE
        while not all(server.started for server in servers):
            assert time.monotonic() < until
            time.sleep(0.02)
        yield
    finally:
        for server in servers:
            server.should_exit = True
        for thread in threads:
            thread.join(DEADLINE)


def befriend(one: World, other: World) -> None:
    """Let two listening instances be partners, each with policy `auto`."""
    for here, there in ((one, other), (other, one)):
        here.parts.partners.add(here.parts.partners.meet(there.address), Policy.AUTO)
    # The first that asks is known by its claim alone.
    for here, there in ((one, other), (other, one), (one, other)):
        here.parts.following.sync(there.origin)


def copied(template: Path, folder: Path) -> str:
    """Return the URL of a migrated, empty SQLite database."""
    return f"sqlite:///{shutil.copy(template, folder / 'other.db')}"
