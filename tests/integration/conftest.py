"""A partner that tests play by hand."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.hostile")

from tests.factories import World  # noqa: E402  (asserts of helpers explain themselves, too)
from tests.hostile import Peer, followed  # noqa: E402


@pytest.fixture
def peer(world: World) -> Iterator[Peer]:
    """An instance that `world` has added as partner, with policy `auto`."""
    with followed(world) as one:
        yield one
