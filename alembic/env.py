"""Runs migrations against the database of the settings, or the one that the caller names."""

from typing import Any, Literal

from alembic import context
from sqlmodel import AutoString

from api.settings import Settings
from api.store.engine import open_engine
from schemas.tables import Table


def plain_type(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write SQLAlchemy's own types into migrations, which must outlive the code."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def run() -> None:
    """Upgrade or downgrade, or print the SQL when called with --sql."""
    url = context.config.attributes.get("url") or Settings().url
    options: dict[str, Any] = {
        "target_metadata": Table.metadata,
        "render_as_batch": True,
        "render_item": plain_type,
    }
    if context.is_offline_mode():
        context.configure(url=url, literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = open_engine(url)
    with engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
