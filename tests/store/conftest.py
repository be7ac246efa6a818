from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from monitor.store import opening
from monitor.store.group import Run
from monitor.store.sql import SqlStore

Engine = Callable[[], AbstractAsyncContextManager[SqlStore]]
"""Opens the store; the second time, the same store again."""


async def inline(job: Callable[[], Any]) -> Any:
    return job()


RUNS: dict[str, Run] = {
    "sqlite-on-a-thread": anyio.to_thread.run_sync,
    "sqlite-inline": inline,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "monitor.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture(params=RUNS)
def engine(request: pytest.FixtureRequest, url: str) -> Engine:
    return lambda: opening.opened(url, run=RUNS[request.param])
