"""The list is made bucket by bucket: each must cost what it holds, and not the whole list."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import text

from api.store.engine import Store, open_engine


# PostgreSQL plans by what is there, and here nothing is.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("analysed", [False, True])
def test_a_bucket_is_read_by_the_places_of_its_tokens(database_url: str, *, analysed: bool) -> None:
    engine = open_engine(database_url)
    asked: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    if analysed:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    with Store(engine).read() as tx:
        assert list(tx.buckets.listed(0, 2**24 - 1, "2026-11-23")) == []
    statement, values = next(one for one in asked if "foreign_identifier" in one[0])
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        plan = "\n".join(str(row[-1]) for row in rows)
    engine.dispose()
    assert "ix_identifier_word" in plan
    assert "ix_foreign_identifier_word" in plan
    assert "ix_report_due" not in plan
    assert "ix_report_expires" not in plan


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_round_does_not_read_every_report_to_find_those_that_are_over(database_url: str) -> None:
    engine = open_engine(database_url)
    asked: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    with Store(engine).read() as tx:
        assert tx.reports.expired("2026-11-23") == []
        assert tx.reports.due(0) == []
    plans = []
    with engine.connect() as connection:
        for statement, values in [one for one in asked if "FROM report" in one[0]]:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.append("\n".join(str(row[-1]) for row in rows))
    engine.dispose()
    assert len(plans) == 2
    assert not any("SCAN" in plan for plan in plans)
