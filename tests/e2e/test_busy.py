"""A server all of whose places for Argon2id are taken."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from api.app import create_app
from api.crypto.stretching import stretch
from tests.factories import World, awaited

MakeWorld = Callable[..., World]

PLACES = 100
"""More than the threads that every other route shares."""
SECONDS = 20


def plain(number: int) -> dict[str, Any]:
    return {"identifiers": [{"kind": "phone", "value": f"+447700900{number:03}"}]}


async def ask_while_all_is_taken(
    world: World, bearer: str, taken: threading.Event, go: threading.Event
) -> None:
    app = create_app(world.settings, world.clock)
    headers = {"Authorization": f"Bearer {bearer}"}
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://a", headers=headers) as http,
        asyncio.TaskGroup() as group,
    ):
        waiting = [
            group.create_task(http.post("/v1/lookups", json=plain(number)))
            for number in range(PLACES)
        ]
        try:
            async with asyncio.timeout(SECONDS):
                await asyncio.to_thread(taken.wait, SECONDS)
                while app.state.parts.stretching.held < PLACES:  # noqa: ASYNC110  (it tells nobody)
                    await asyncio.sleep(0.01)
                over = await http.post("/v1/lookups", json=plain(PLACES))
                others = [await http.get(path) for path in ("/readyz", "/v1/identity")]
        finally:
            go.set()
    assert (over.status_code, over.json()["code"]) == (503, "unavailable")
    assert [one.status_code for one in others] == [204, 200]
    assert [one.result().status_code for one in waiting] == [200] * PLACES


def test_others_are_answered_while_all_places_for_argon2id_are_taken(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(stretching_threads=2, stretching_queue=PLACES - 2)
    world.collective("rose")
    bearer = world.member("rose").bearer.get_secret_value()
    taken, go = threading.Event(), threading.Event()

    def slow(*identifier_network_cost: Any) -> bytes:
        taken.set()
        assert go.wait(SECONDS)
        return stretch(*identifier_network_cost)

    monkeypatch.setattr("api.services.stretching.stretch", slow)
    awaited(ask_while_all_is_taken(world, bearer, taken, go))
