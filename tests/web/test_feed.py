"""Events as they are recorded, followed by many at their own pace."""

from collections.abc import Sequence

import anyio
import pytest

from monitor.core.message import Message
from monitor.ports import Reading
from monitor.web.feed import BATCH, KEPT, Entry, Feed
from tests.store.changes import an_event

pytestmark = pytest.mark.looptime


class Log:
    """A log in memory; *reads* counts how often it was read."""

    def __init__(self, events: int = 0) -> None:
        self.entries: list[Entry] = []
        self.reads = 0
        self.add(events)

    @property
    def position(self) -> int:
        return len(self.entries)

    def add(self, events: int) -> None:
        for _ in range(events):
            number = self.position + 1
            self.entries.append((number, an_event(number)))

    async def logged(
        self, wanted: Reading, after: int | None, most: int
    ) -> list[Entry]:
        assert not wanted.newest_first
        self.reads += 1
        start = after or 0
        return self.entries[start : start + most]


async def followed(feed: Feed, after: int, most: int) -> list[int]:
    """Follow until *most* events have come."""
    found: list[int] = []
    with anyio.fail_after(60):
        async for batch in feed.follow(after):
            found += positions(batch)
            if len(found) >= most:
                break
    return found


def positions(batch: Sequence[tuple[int, Message]]) -> list[int]:
    return [position for position, _ in batch]


async def test_who_follows_hears_what_comes() -> None:
    log = Log(3)
    feed = Feed(log)
    async with anyio.create_task_group() as tasks:
        heard: list[int] = []

        async def hear() -> None:
            heard.extend(await followed(feed, feed.end, 2))

        tasks.start_soon(hear)
        await anyio.sleep(1)
        log.add(2)
        feed.wake()

    assert heard == [4, 5]


async def test_who_comes_again_goes_on_where_it_broke_off() -> None:
    log = Log(BATCH + 10)
    feed = Feed(log)
    found = await followed(feed, 2, BATCH + 8)

    assert found == list(range(3, BATCH + 11))


async def test_a_position_that_is_none_yet_is_the_end() -> None:
    log = Log(3)
    feed = Feed(log)
    log.add(1)
    async with anyio.create_task_group() as tasks:
        heard: list[int] = []

        async def hear() -> None:
            heard.extend(await followed(feed, 10**9, 1))

        tasks.start_soon(hear)
        await anyio.sleep(1)
        log.add(1)
        feed.wake()

    assert heard == [5]


async def test_many_who_are_up_to_date_read_the_log_once() -> None:
    log = Log()
    feed = Feed(log)
    heard: list[list[int]] = []

    async def hear() -> None:
        heard.append(await followed(feed, 0, 3))

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(hear)
        await anyio.sleep(1)
        before = log.reads
        log.add(3)
        feed.wake()

    assert heard == [[1, 2, 3]] * 100
    assert log.reads - before == 1


async def test_who_is_far_behind_misses_nothing() -> None:
    log = Log()
    feed = Feed(log)
    for _ in range(3):
        log.add(KEPT)
        await followed(feed, log.position - KEPT, KEPT)
    found = await followed(feed, 0, 3 * KEPT)

    assert found == list(range(1, 3 * KEPT + 1))


class Busy(Log):
    """A log that answers once it is *free*."""

    def __init__(self) -> None:
        super().__init__()
        self.free = anyio.Event()
        self.free.set()

    async def logged(
        self, wanted: Reading, after: int | None, most: int
    ) -> list[Entry]:
        await self.free.wait()
        return await super().logged(wanted, after, most)


async def test_who_waits_for_what_another_reads_misses_nothing() -> None:
    log, heard = Busy(), list[int]()
    feed = Feed(log)
    log.add(KEPT)
    await followed(feed, 0, KEPT)
    log.add(BATCH)
    log.free = anyio.Event()

    async def hear() -> None:
        heard.extend(await followed(feed, 100, KEPT + BATCH - 100))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(followed, feed, KEPT, BATCH)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(hear)
        await anyio.wait_all_tasks_blocked()
        log.free.set()

    assert heard == list(range(101, KEPT + BATCH + 1))


async def test_a_feed_that_closes_lets_everybody_go() -> None:
    feed = Feed(Log(3))
    async with anyio.create_task_group() as tasks:

        async def hear() -> None:
            async for _ in feed.follow(feed.end):
                pass

        for _ in range(3):
            tasks.start_soon(hear)
        await anyio.sleep(1)
        feed.close()

    assert not tasks.cancel_scope.cancel_called
