"""What people said at run time about who is watched, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from monitor import wishes
from monitor.core.model import InstanceKey
from monitor.core.watch import Added, Options, Pause, Place, Watch
from monitor.store.sql import SqlStore
from monitor.wishes import Wishes
from tests.support import clock, stores
from tests.support.wishes import Heard

pytestmark = pytest.mark.looptime

FIRST, SECOND = (InstanceKey("prod", "biz", "2", number) for number in (1, 2))
ELSEWHERE = InstanceKey("test", "biz", "2", 3)
HOUR = timedelta(hours=1)


def a_watch(key: InstanceKey = FIRST, **options: object) -> Watch:
    return Watch(
        key=key,
        options=Options(**options),  # type: ignore[arg-type]
        place=Place("api"),
        added=Added(at=clock.now()),
    )


@asynccontextmanager
async def at_work(store: SqlStore) -> AsyncIterator[tuple[Wishes, Heard]]:
    heard = Heard()
    known = Wishes(store, heard.hearers, now=clock.now)
    await known.load()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(known.run)
        yield known, heard
        tasks.cancel_scope.cancel()


async def test_what_is_added_is_watched_at_once_and_after_a_restart(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        async with at_work(store) as (known, heard):
            await known.add(a_watch())
            await known.add(a_watch(ELSEWHERE))
        async with at_work(store) as (again, _):
            found = [*again.of("prod"), *again.of("test")]

    assert heard.lines == [f"added {FIRST}", f"added {ELSEWHERE}"]
    assert found == [FIRST, ELSEWHERE]


async def test_what_is_removed_is_watched_no_more(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store, at_work(store) as (known, heard):
        await known.add(a_watch())
        await known.remove(FIRST)
        left = await store.added()

    assert (left, known.of("prod")) == ([], {})
    assert heard.lines[1:] == ["removed in prod"]


async def test_a_pause_ends_by_itself_when_it_is_time(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store, at_work(store) as (known, heard):
        await known.pause(Pause(key=FIRST, at=clock.now(), ends_at=clock.now() + HOUR))
        await known.pause(Pause(key=SECOND, at=clock.now()))
        await anyio.sleep(3590)
        before = known.paused(FIRST), list(heard.lines)
        await anyio.sleep(20)
        left = await store.paused()

    assert before == (True, [f"paused {FIRST}", f"paused {SECOND}"])
    assert heard.lines[2:] == [f"resumed {FIRST}"]
    assert [pause.key for pause in left] == [SECOND]


async def test_a_pause_that_ended_while_nobody_ran_is_none(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        await store.keep_pause(
            Pause(key=FIRST, at=clock.now(), ends_at=clock.now() - HOUR)
        )
        async with at_work(store) as (known, _):
            paused = known.paused(FIRST)
            await anyio.sleep(1)
            left = await store.paused()

    assert (paused, left) == (False, [])


async def test_of_whom_nobody_looks_at_any_more_all_is_forgotten(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store, at_work(store) as (known, heard):
        await known.add(a_watch())
        await known.pause(Pause(key=FIRST, at=clock.now()))
        await known.pause(Pause(key=SECOND, at=clock.now()))
        known.ended([FIRST])
        await anyio.sleep(1)
        left = await store.added(), [pause.key for pause in await store.paused()]

    assert left == ([], [SECOND])
    assert heard.lines[-1] == "removed in prod"


async def test_what_is_added_again_before_it_is_forgotten_stays(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store, at_work(store) as (known, _):
        await known.add(a_watch())
        known.ended([FIRST])
        await known.add(a_watch())
        await anyio.sleep(1)

        assert [watch.key for watch in await store.added()] == [FIRST]


async def test_a_watch_whose_end_date_passed_while_nobody_ran_is_forgotten(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        await store.keep_watch(a_watch(until=clock.now() - HOUR))
        async with at_work(store):
            await anyio.sleep(1)
            left = await store.added()

    assert left == []


async def test_there_is_room_for_so_many_and_for_those_that_are_known(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        keys = [InstanceKey("prod", "biz", "2", n + 1) for n in range(wishes.MOST)]
        async with anyio.create_task_group() as tasks:
            for key in keys:
                tasks.start_soon(store.keep_watch, a_watch(key))
        async with at_work(store) as (known, _):
            room = known.room_to_add(keys[0]), known.room_to_add(ELSEWHERE)

    assert room == (True, False)
