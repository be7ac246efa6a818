"""What the store keeps is forgotten in time, by whichever daemon owns that."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Never

import anyio
import anyio.lowlevel

from monitor.ports import Now
from monitor.store.sql import HOUSEKEEPING, SqlStore

EVERY: Final = timedelta(hours=1)

KEPT_LISTS: Final = timedelta(days=1)
"""For which what a machine said is kept at least that is there no more."""


async def run(
    store: SqlStore, readers: Sequence[str], retention: timedelta, now: Now
) -> Never:
    """*readers* are the sinks that may have yet to read what is old."""
    while True:
        before = now() - retention
        while _is_ours(store) and await store.forget(before, readers):
            await anyio.lowlevel.checkpoint()
        if store.membership is not None and _is_ours(store):
            age = max(retention, KEPT_LISTS)
            await store.forget_lists(age.total_seconds())
        await anyio.sleep(EVERY.total_seconds())


def _is_ours(store: SqlStore) -> bool:
    return store.holdings.owns(HOUSEKEEPING)
