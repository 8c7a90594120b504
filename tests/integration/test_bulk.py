"""Promises about rows that are handed to the database many at once."""

import pytest
from sqlalchemy import create_engine, text

from api.errors import Conflict, Unavailable
from api.store.conversion import Converted
from tests.factories import World
from tests.hostile import rows_of

ROWS: list[Converted] = [(7, b"1" * 32, 2, 9, b"2" * 32), (8, b"3" * 32, 2, 9, b"4" * 32)]
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_rows_come_back_as_they_were_given(world: World) -> None:
    with world.parts.store.begin() as tx:
        tx.conversion.add(ROWS)
    assert sorted(tuple(row.values()) for row in rows_of(world, "converted")) == ROWS


def test_who_comes_second_is_told_that_it_was_done_and_keeps_nothing(world: World) -> None:
    with world.parts.store.begin() as tx:
        tx.conversion.add(ROWS[1:])
    with pytest.raises(Conflict), world.parts.store.begin() as tx:
        tx.conversion.add(ROWS)
    with world.parts.store.read() as tx:
        assert tx.conversion.done() == 1


@on_postgresql
def test_a_database_that_goes_away_in_the_middle_does_not_answer(world: World) -> None:
    def add_all() -> None:
        with world.parts.store.begin() as tx:
            tx.conversion.add(ROWS[:1])
            _end_whoever_writes(world)
            tx.conversion.add(ROWS[1:])

    with pytest.raises(Unavailable):
        add_all()
    with world.parts.store.read() as tx:
        assert tx.conversion.done() == 0


def _end_whoever_writes(world: World) -> None:
    engine = create_engine(world.settings.url)
    with engine.connect() as connection:
        ended = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE state = 'idle in transaction' AND datname = current_database()"
            )
        )
        assert ended.all() == [(True,)]
    engine.dispose()
