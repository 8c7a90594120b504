import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from sqlalchemy import Engine, create_engine, text

from api.store.schema import migrate
from tests.databases import Databases
from tests.factories import World
from tests.services import postgresql, turn, valkey

FIGURE = "figure"
"""The name under which a test's report carries what it has measured."""

TURNS = "turns"
_folder = pytest.StashKey[str]()

T = TypeVar("T")

pytest.register_assert_rewrite("tests.storm", "tests.life")  # whatever fails there shows its values


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give the processes of one run a folder in which they take turns."""
    stash = node.config.stash
    if _folder not in stash:
        folder = tempfile.TemporaryDirectory(prefix="turns-")
        node.config.add_cleanup(folder.cleanup)
        stash[_folder] = folder.name
    node.workerinput[TURNS] = stash[_folder]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the work, begin with the files that take longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.nodeid.split("::")[0].count("/"), reverse=True)
        items.sort(key=lambda item: not item.nodeid.startswith("tests/e2e/"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test that is marked `alone` wait for those of other processes, and these for it."""
    folder = getattr(item.config, "workerinput", {}).get(TURNS)
    with ExitStack() as stack:
        if folder is not None:
            alone = item.get_closest_marker("alone") is not None
            stack.enter_context(turn(Path(folder), alone=alone))
        return (yield)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was measured."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    lines = {text for one in reports for name, text in one.user_properties if name == FIGURE}
    for line in sorted(lines):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Let all databases of a kind share what has been compiled for it: half of the work of a test.

    Else each engine compiles every statement anew, which a server does once in its life.
    """
    kept: dict[str, Engine] = {}

    def sharing(url: str, **options: Any) -> Engine:
        engine = create_engine(url, **options)
        first = kept.setdefault(engine.name, engine)
        engine.dialect = engine.pool._dialect = first.dialect  # noqa: SLF001  (there is no other way)
        engine._compiled_cache = first._compiled_cache  # noqa: SLF001
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.store.engine.create_engine", sharing)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL with a migrated database `template`; a loud skip where there is none."""
    with needed("PostgreSQL", postgresql()) as server:
        engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE template"))
        engine.dispose()
        migrate(f"{server}/template")
        yield server


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A Valkey for all tests of a process; a loud skip where there is none."""
    with needed("Valkey", valkey()) as (url, _):
        yield url


@contextmanager
def needed(name: str, server: AbstractContextManager[T]) -> Iterator[T]:
    """What `server` gives, for the block; where it is missing here, a loud skip."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except (ImportError, OSError) as missing:
            without(name, missing)
        yield running


def without(server: str, missing: Exception) -> NoReturn:
    """Skip what needs a server that this machine lacks; where nothing may be skipped, fail."""
    message = f"no {server}: {type(missing).__name__}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def postgresql_databases(postgresql_server: str) -> Databases:
    """Migrated databases on it, as many as are wanted."""
    return Databases(postgresql_server, "template")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database made by the migrations, as in production; each test gets a copy."""
    path = tmp_path_factory.mktemp("template") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database of its own, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db")
        yield f"sqlite:///{copy}"
        return
    databases: Databases = request.getfixturevalue("postgresql_databases")
    with databases.lent() as url:
        yield url


@pytest.fixture
def make_world(database_url: str, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Make an instance with settings of the test's choice."""
    with ExitStack() as stack:

        def make(**options: Any) -> World:
            world = World(tmp_path, database_url, options=options)
            stack.callback(world.close)
            return world

        yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """An instance with the ordinary settings, but generous quotas."""
    return make_world()
