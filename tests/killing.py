"""Kills a server, or its PostgreSQL, at any moment of a storm, again and again."""

import itertools
import random
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.conftest import needed
from tests.crashing import Cluster, Command, await_writing, cluster, in_database, until
from tests.factories import Clock
from tests.pairs import befriend, copied, listening, pair
from tests.storm import Storm

SOONEST, LATEST = 0.2, 1.2
"""Seconds after everything is there again until the next one dies."""
JUST_AFTER = 0.005
"""Seconds after something was written within which the next step may be half done."""


@contextmanager
def underway(
    folder: Path, url: str, other_url: str, seed: int, pause: float, **beside: Any
) -> Iterator[tuple[Storm, Command]]:
    """Two instances of one network that follow each other, the first by `parasol serve`.

    What is `beside` goes to the command.
    """
    with pair(folder, url, other_url, Clock(datetime.now(UTC))) as (world, partner):
        storm = Storm(world, partner, seed, pause)
        with listening(world, partner):
            befriend(world, partner)
        for here, there in ((world, partner), (partner, world)):
            here.parts.partners.set_quotas(there.origin, 100_000, 100_000)
            here.parts.timekeeper.stop()
        in_database(world, "UPDATE partner SET retry_at = 0")  # it was to be asked tomorrow
        command = Command(world, **{"output": folder / "output"} | beside)
        try:
            command.begin()
            until(command.is_ready, command.output)
            with listening(partner):
                yield storm, command
        finally:
            command.end()


def killed_again_and_again(
    storm: Storm, command: Command, place: Cluster | None, kills: int, every: int
) -> None:
    """Kill the server, or its PostgreSQL, so often; change the key once in `every` rounds."""
    chance, left = random.Random(storm.seed), kills
    with storm.at_work() as all_well, ThreadPoolExecutor(1) as pool:
        for number in itertools.count():
            change = pool.submit(storm.rotate, command, chance) if number % every == 1 else None
            time.sleep(chance.uniform(SOONEST, LATEST))
            if chance.random() < 0.7:  # in the middle of something, and not between
                await_writing(storm.world, place)
                time.sleep(chance.uniform(0, JUST_AFTER))
            if place is not None and chance.random() < 0.6:
                place.kill()
                place.begin()
            else:
                command.kill()
                command.begin()
                if left > 1 and chance.random() < 0.2:  # while it starts, too
                    time.sleep(chance.uniform(0, 1))
                    command.kill()
                    command.begin()
                    left -= 1
            until(command.is_ready, command.output)
            if change is not None:
                change.result()
                storm.pass_on()
            all_well()
            storm.holds()
            left -= 1
            if left == 0:
                return


def came_through(
    folder: Path, kind: str, template: Path, kills: int, every: int, pause: float
) -> str:
    """Kill an instance over a database of a kind so often; return what happened meanwhile."""
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")  # noqa: T201  (shown where a test fails)
    with ExitStack() as stack:
        place = None
        if kind == "sqlite":
            url, other = (copied(template, made(folder / name)) for name in ("one", "other"))
        else:
            place = stack.enter_context(needed("PostgreSQL", cluster()))
            url, other = place.url, copied(template, folder)
        storm, command = stack.enter_context(underway(folder, url, other, seed, pause))
        killed_again_and_again(storm, command, place, kills, every)
        storm.came_through()
    heard = ", ".join(f"{count} × {what}" for what, count in sorted(storm.heard.items()))
    return f"{kind}: {kills} kills, {len(storm.filed)} reports, none lost or doubled; {heard}"


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
