"""Behind PgBouncer in transaction mode the store is what it is without."""

import anyio
import pytest
from sqlalchemy import make_url

from monitor.store import opening
from tests.store.changes import a_change, a_delivery, an_event, remember
from tests.store.test_postgres import asked
from tests.support import databases, poolers


@pytest.mark.parametrize("sessions", [1, 3])
async def test_a_store_behind_a_pooler_keeps_what_it_is_told(
    database: str, sessions: int
) -> None:
    keys = [f"prod/biz/2/{number}" for number in range(60)]
    with poolers.pooling(make_url(database), sessions=sessions) as pooled:
        url = databases.written(pooled)
        for version in (1, 2, 3):
            async with opening.opened(url) as store:
                await store.enrol("journal")
                async with anyio.create_task_group() as tasks:
                    for key in keys:
                        tasks.start_soon(remember, store, a_change(version, key))
                        tasks.start_soon(store.load, key)
                await store.read("oncall", 1, [a_delivery(an_event(version))])
        async with opening.opened(url) as store:
            assert {(await store.load(key)).version for key in keys} == {3}
            assert len((await store.unread("journal", 999)).events) == 3 * len(keys)
            async with opening.opened(url) as other:
                assert (await other.load(keys[0])).version == 3


async def test_nothing_is_left_in_a_session_for_whoever_has_it_next(
    database: str,
) -> None:
    with poolers.pooling(make_url(database), sessions=1) as pooled:
        url = databases.written(pooled)
        async with opening.opened(url) as store:
            await remember(store, a_change(1))
            left = [
                asked(url, f"SHOW {name}")
                for name in ("statement_timeout", "lock_timeout")
            ]
            locks = asked(url, "SELECT * FROM pg_locks WHERE locktype = 'advisory'")
            prepared = asked(url, "SELECT * FROM pg_prepared_statements")

    assert left == [[("0",)], [("0",)]]
    assert (locks, prepared) == ([], [])
