from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from sqlalchemy import URL

from monitor.store import opening
from monitor.store.group import Run
from monitor.store.sql import SqlStore
from tests.support import databases

Engine = Callable[[], AbstractAsyncContextManager[SqlStore]]
"""Opens the store; the second time, the same store again."""


async def inline(job: Callable[[], Any]) -> Any:
    return job()


RUNS: dict[str, Run] = {
    "sqlite-on-a-thread": anyio.to_thread.run_sync,
    "sqlite-inline": inline,
    "postgresql": anyio.to_thread.run_sync,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "monitor.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def template() -> Iterator[URL]:
    """A database with all tables, to be copied."""
    with databases.migrated(databases.found()) as made:
        yield made


@pytest.fixture
def database(template: URL) -> Iterator[str]:
    """The URL of a database of one's own, with all tables and nothing in them."""
    with databases.created(databases.found(), str(template.database)) as made:
        yield databases.written(made)


@pytest.fixture(params=RUNS)
def engine(request: pytest.FixtureRequest, url: str) -> Engine:
    run = RUNS[request.param]
    if request.param == "postgresql":
        url = request.getfixturevalue("database")
    return lambda: opening.opened(url, run=run)
