"""A partner that tests play by hand."""

from collections.abc import Iterator

import pytest

from tests.factories import World
from tests.hostile import Peer, followed


@pytest.fixture
def peer(world: World) -> Iterator[Peer]:
    """An instance that `world` has added as partner, with policy `auto`."""
    with followed(world) as one:
        yield one
