"""The real store, run in place: a worker thread would not keep virtual time."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from monitor.store import opening
from monitor.store.sql import SqlStore


async def inline(function: Callable[[], Any]) -> Any:
    return function()


def opened(directory: Path) -> AbstractAsyncContextManager[SqlStore]:
    return opening.opened(f"sqlite:///{directory}/m.db", run=inline)
