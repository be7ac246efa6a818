"""What daemons pin up for one another."""

from datetime import timedelta

import anyio

from monitor.ports import Shown
from monitor.store import board
from tests.store.changes import NOW
from tests.store.conftest import Engine
from tests.support.rows import a_row


async def test_hints_are_read_on_from_the_last_one(engine: Engine) -> None:
    async with engine() as store:
        await store.hint(1, NOW)
        place, _ = await store.pinned_up()
        await store.hint(2, NOW)
        await store.hint(3, NOW)
        found = await store.hinted(place)

        assert [id_ for _, id_ in found] == [2, 3]
        assert await store.hinted(found[-1][0]) == []


async def test_pages_are_read_as_they_were_shown(engine: Engine) -> None:
    page = Shown("prod", (a_row(1), a_row(2, status=4)), NOW)
    async with engine() as store:
        await store.show(page)
        _, place = await store.pinned_up()

        assert [shown for _, shown in await store.shown(0)] == [page]
        assert await store.shown(place) == []


async def test_what_is_older_than_a_minute_is_taken_down(engine: Engine) -> None:
    later = NOW + timedelta(seconds=board.FADES + 1)
    async with engine() as store:
        await store.hint(1, NOW)
        await store.hint(2, later)
        for at in (NOW, later):
            await store.show(Shown("prod", (a_row(),), at))

        assert [id_ for _, id_ in await store.hinted(0)] == [2]
        assert [shown.at for _, shown in await store.shown(0)] == [later]


async def test_no_more_than_a_thousand_hints_hang_there(engine: Engine) -> None:
    async with engine() as store:
        async with anyio.create_task_group() as tasks:
            for number in range(board.MOST + 5):
                tasks.start_soon(store.hint, number, NOW)

        assert len(await store.hinted(0)) == board.MOST
        await store.hint(7, NOW + timedelta(seconds=board.FADES + 1))
        assert [id_ for _, id_ in await store.hinted(0)] == [7]
