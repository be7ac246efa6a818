"""Opening the store: one owner, the schema of today, and clear words when that fails.

Whatever is wrong with the file or the database is found here, before anything is
watched, and ends in ``errors.Misconfigured``; what breaks later is an
``errors.StoreError``.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import anyio
import anyio.to_thread
from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from monitor import errors
from monitor.holdings import Holdings
from monitor.store import postgres, sqlite
from monitor.store.group import Group, Owned, Run, Work
from monitor.store.journal import Journal
from monitor.store.sql import SqlStore

PATIENCE: Final = postgres.PATIENCE


@asynccontextmanager
async def opened(
    url: str, *, run: Run = anyio.to_thread.run_sync, patience: float = PATIENCE
) -> AsyncIterator[SqlStore]:
    """Open the store at *url*, and own it or a part of it until the end.

    Raises errors.Misconfigured where another daemon owns a file, where it is no
    database, comes from a newer version, or cannot be written, and errors.Away where
    it cannot be reached. *patience*: seconds to wait for a database that is away;
    without end, also for one that cannot be written, since it could be before.
    """
    async with _shared(parsed(url), run, patience) as ours:
        group = Group(ours.transact, ours.journal, run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(group.run, name="store")
            try:
                yield SqlStore(group, ours)
            finally:
                ours.closing()
                tasks.cancel_scope.cancel()


def parsed(url: str) -> URL:
    # The URL may hold a password, so no message repeats it.
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise errors.Misconfigured(
            "store: that is no database URL; try sqlite:///monitor.db"
        ) from None


def _shared(url: URL, run: Run, patience: float) -> AbstractAsyncContextManager[Owned]:
    if postgres.speaks(url):
        return postgres.joined(url, run, patience=patience)
    return _in_file(url)


def owned(
    url: URL, run: Run, patience: float = PATIENCE
) -> AbstractAsyncContextManager[Owned]:
    """Own the whole store at *url* until the end, brought up to date."""
    if postgres.speaks(url):
        return postgres.owned(url, run, patience=patience)
    return _in_file(url)


@asynccontextmanager
async def _in_file(url: URL) -> AsyncIterator[Owned]:
    with sqlite.owned(url) as (connection, position):

        def transact(work: Work, _: Collection[int]) -> None:
            with connection.begin():
                work(connection)

        yield Owned(transact, Journal(position), Holdings())
