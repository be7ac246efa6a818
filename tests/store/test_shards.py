"""Of some shards only: what is read, what waits, and what moves, on every engine."""

from typing import Final

import pytest

from monitor import errors
from monitor.core.shards import ALL, shard
from monitor.ports import Notice, Standing, Telling, Unread
from monitor.store import housekeeping
from monitor.store.outbox import IDLE
from monitor.store.sql import SqlStore
from tests.store.changes import (
    DAY,
    KEY,
    NOW,
    TOLD,
    a_change,
    a_delivery,
    a_notification,
    an_event,
    remember,
)
from tests.store.conftest import Engine

OTHER: Final = "prod/biz/2/20000154"
OURS: Final = frozenset({shard(KEY)})
THEIRS: Final = ALL - OURS
SINK: Final = "oncall"
T: Final = NOW.timestamp()

assert shard(OTHER) in THEIRS


async def unread(store: SqlStore, shards: frozenset[int], most: int = 99) -> list[str]:
    found = await store.unread(SINK, most, shards)
    return [message.id for _, message in found.events]


async def both(store: SqlStore, events: int = 2) -> None:
    """Record as much about one instance of ours as about one of theirs."""
    await store.enrol(SINK)
    for version in range(1, events + 1):
        await remember(store, a_change(version), a_change(version, OTHER))


async def test_events_of_some_shards_are_read_and_no_others(engine: Engine) -> None:
    async with engine() as store:
        await both(store)

        assert await unread(store, OURS) == [f"{KEY}#1", f"{KEY}#2"]
        assert await unread(store, THEIRS) == [f"{OTHER}#1", f"{OTHER}#2"]
        assert await unread(store, frozenset()) == []


async def test_reading_some_shards_moves_the_cursors_of_no_others(
    engine: Engine,
) -> None:
    async with engine() as store:
        await both(store)
        await store.read(SINK, 4, [], OURS)

        assert await unread(store, OURS) == []
        assert await unread(store, THEIRS) == [f"{OTHER}#1", f"{OTHER}#2"]


async def test_shards_that_came_differently_far_are_read_on_from_where_each_is(
    engine: Engine,
) -> None:
    async with engine() as store:
        await both(store, events=3)
        await store.read(SINK, 3, [], OURS)

        assert await unread(store, ALL) == [
            f"{OTHER}#1",
            f"{OTHER}#2",
            f"{KEY}#3",
            f"{OTHER}#3",
        ]
        assert await unread(store, ALL, most=1) == [f"{OTHER}#1"]


async def test_a_cursor_that_is_ahead_does_not_go_back(engine: Engine) -> None:
    async with engine() as store:
        await both(store, events=3)
        await store.read(SINK, 6, [], OURS)
        await store.read(SINK, 2, [], ALL)

        assert await unread(store, ALL) == [f"{OTHER}#2", f"{OTHER}#3"]


async def test_what_was_gained_meanwhile_is_not_skipped_by_what_was_read_before(
    engine: Engine,
) -> None:
    async with engine() as store:
        await both(store)
        begun = await store.unread(SINK, 99, OURS)
        assert begun.upto == 4
        await store.read(SINK, begun.upto, [], OURS)  # by then ALL are owned

        assert await unread(store, ALL) == [f"{OTHER}#1", f"{OTHER}#2"]


async def test_a_page_that_is_full_goes_no_further_than_its_last_event(
    engine: Engine,
) -> None:
    async with engine() as store:
        await both(store)
        full = await store.unread(SINK, 1, OURS)
        whole = await store.unread(SINK, 2, OURS)
        rest = await store.unread(SINK, 3, OURS)

    assert [full.upto, whole.upto, rest.upto] == [1, 3, 4]


async def test_a_little_that_others_recorded_is_not_worth_moving_a_cursor(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol(SINK)
        await remember(store, a_change(1, OTHER, events=IDLE - 1))

        assert await store.unread(SINK, 99, OURS) == Unread([], None)


async def test_an_idle_shard_moves_on_once_others_recorded_much(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol(SINK)
        await remember(store, a_change(1, OTHER, events=IDLE))
        found = await store.unread(SINK, 99, OURS)
        await store.read(SINK, IDLE, [], OURS)
        await store.read(SINK, IDLE, [], THEIRS)
        moved = await store.unread(SINK, 99, ALL)
        forgotten = await store.forget(NOW + DAY, [SINK])

    assert found == Unread([], IDLE)
    assert moved == Unread([], None)
    assert forgotten == housekeeping.SLICE


async def test_what_waits_is_given_for_some_shards(engine: Engine) -> None:
    async with engine() as store:
        for key in (KEY, OTHER):
            await store.put(
                [a_delivery(an_event(1, key)), a_delivery(an_event(2, key))]
            )
        lines = await store.lines(SINK, 99, OURS)
        waiting = await store.waiting(SINK, THEIRS)

    assert [delivery.message.id for delivery in lines] == [f"{KEY}#1"]
    assert waiting == {OTHER: {f"{OTHER}#1", f"{OTHER}#2"}}


async def test_what_is_to_be_tried_at_once_is_so_for_some_shards(
    engine: Engine,
) -> None:
    async with engine() as store:
        for key in (KEY, OTHER):
            await store.put([a_delivery(an_event(1, key), due=T + 60)])
        await store.hasten(SINK, T, OURS)
        due = {x.message.key: x.due for x in await store.lines(SINK, 99)}

    assert due == {KEY: T, OTHER: T + 60}


async def test_what_is_behind_is_counted_for_some_shards(engine: Engine) -> None:
    async with engine() as store:
        await both(store, events=3)
        await store.put([a_delivery(a_notification(1), tries=2)])
        await store.bury(a_delivery(an_event(9, OTHER)), T)
        await store.read(SINK, 2, [], ALL)

        assert await store.standing(SINK, OURS) == Standing(
            waiting=1, retried=1, oldest=T, unread=2, dead=0
        )
        assert await store.standing(SINK, THEIRS) == Standing(unread=2, dead=1)


async def test_what_is_too_much_is_given_up_in_some_shards(engine: Engine) -> None:
    async with engine() as store:
        await both(store, events=3)
        for key in (KEY, OTHER):
            await store.put([a_delivery(a_notification(n, key)) for n in (1, 2)])
            for number in (7, 8):
                await store.bury(a_delivery(an_event(number, key)), T + number)
        shed = await store.shed(SINK, 1, T, OURS)
        left = await store.standing(SINK, OURS)
        theirs = await store.standing(SINK, THEIRS)

    assert shed.messages == 1 + 2 + 1
    assert shed.lines == {f"{KEY}!": {f"{KEY}!1"}}
    assert (left.waiting, left.unread, left.dead) == (1, 1, 1)
    assert (theirs.waiting, theirs.unread, theirs.dead) == (2, 3, 2)


async def test_what_is_passed_on_is_so_for_some_shards(engine: Engine) -> None:
    async with engine() as store:
        for key in (KEY, OTHER):
            delivery = a_delivery(a_notification(1, key))
            telling = Telling(sink=SINK, told=TOLD, delivery=delivery)
            await store.tell([Notice(group=key, number=1, tellings=[telling])])
        passed = await store.pass_on(SINK, "mail", T, T, OURS)

        assert passed == 1
        assert await store.waiting("mail") == {f"{KEY}!": {f"{KEY}!1"}}


async def test_heads_are_given_for_some_shards(engine: Engine) -> None:
    async with engine() as store:
        await remember(store, a_change(1), a_change(1, OTHER))

        assert [head.key for head in await store.heads("prod", OURS)] == [KEY]
        assert [head.key for head in await store.heads("prod", THEIRS)] == [OTHER]


async def test_after_a_failure_the_end_of_the_log_is_where_it_was(
    engine: Engine,
) -> None:
    async with engine() as store:
        await remember(store, a_change(1))
        with pytest.raises(errors.StoreError):
            await store.commit(a_change(2, after=0, events=5))  # an id is taken
        await store.enrol(SINK)  # a transaction that appends nothing
        known, there = store.position, await store.end()
        await remember(store, a_change(2))

    assert (known, there) == (1, 1)
    assert store.position == 2
