"""Messages on their way to one sink: order, retries, dead letters; real store."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from looptime import LoopTimeProxy
from structlog.testing import capture_logs

from monitor import errors
from monitor.core.message import Message
from monitor.dispatcher import Dispatcher
from monitor.outlet import DEADLINE, Condition
from monitor.ports import Delivery, Notice, Telling
from monitor.recorder import Recorder
from monitor.store.sql import SqlStore
from tests.support import clock, log, stores
from tests.support.answers import FAILED, KEY, RETRYING, RUNNING, a_key
from tests.support.sink import RecordingSink, down

pytestmark = pytest.mark.looptime

OTHER = a_key(2)
DAY = 86_400.0


def everything(_: Message) -> bool:
    return True


def refusing(
    *ids: str, why: Callable[[Message], Exception] = down
) -> Callable[[Message], Exception | None]:
    return lambda message: why(message) if message.id in ids else None


class Line:
    """One sink and its dispatcher; what is recorded through it wakes the dispatcher."""

    def __init__(
        self,
        store: SqlStore,
        sink: RecordingSink,
        wants: Callable[[Message], bool] | None = everything,
        *,
        luck: float = 0.5,
        fallback: str = "",
    ) -> None:
        self.sink = sink
        self.dispatcher = Dispatcher(
            sink, store, wants, now=clock.now, luck=lambda: luck, fallback=fallback
        )
        self.recorder = Recorder(store, lambda _: self.dispatcher.wake())


@asynccontextmanager
async def carrying(
    store: SqlStore,
    sink: RecordingSink,
    wants: Callable[[Message], bool] | None = everything,
    *,
    luck: float = 0.5,
    fallback: str = "",
) -> AsyncIterator[Line]:
    if wants is not None:
        await store.enrol(sink.name)
    line = Line(store, sink, wants, luck=luck, fallback=fallback)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.dispatcher.run)
        yield line
        tasks.cancel_scope.cancel()


def numbers(messages: list[str], key: object = KEY) -> list[int]:
    return [int(i.partition("#")[2]) for i in messages if i.startswith(f"{key}#")]


async def post(store: SqlStore, sink: RecordingSink, number: int) -> None:
    """Put a notification on its way, as the notifier does."""
    seconds = clock.now().timestamp()
    message = Message(
        id=f"{KEY}!{number}",
        key=str(KEY),
        type="bkjob.notification",
        source="prod",
        subject=None,
        time=clock.now(),
        data=b"{}",
    )
    delivery = Delivery(sink=sink.name, message=message, due=seconds, since=seconds)
    await store.tell(
        [
            Notice(
                group=str(KEY),
                number=number,
                tellings=[Telling(sink=sink.name, told=None, delivery=delivery)],
            )
        ]
    )


async def test_events_of_an_instance_arrive_in_order(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda message: 5 / (message.sequence or 1)
        async with carrying(store, sink) as line:
            await log.saw(line.recorder, RUNNING)
            await log.saw(line.recorder, FAILED)
            await log.saw(line.recorder, FAILED, OTHER)
            await anyio.sleep(60)

        assert numbers(sink.ids) == [1, 2, 3, 4, 5, 6, 7]
        assert numbers(sink.ids, OTHER) == [1, 2, 3, 4, 5]


async def test_nothing_that_arrived_is_tried_again(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await anyio.sleep(DAY)
        async with carrying(store, sink):
            await anyio.sleep(DAY)

        assert len(sink.tried) == 5


async def test_a_sink_gets_what_it_wants_and_nothing_else(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(
            store, sink, lambda message: "hosts" in message.type
        ) as line:
            await log.saw(line.recorder)
            await anyio.sleep(1)

        assert [message.type for message in sink.delivered] == ["bkjob.hosts.failed"]


async def test_a_new_sink_starts_with_what_happens_from_now(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        await log.saw(Recorder(store, lambda _: None), RUNNING)
        sink = RecordingSink()
        async with carrying(store, sink) as line:
            await anyio.sleep(1)
            before = sink.ids
            await log.saw(line.recorder, FAILED)
            await anyio.sleep(1)

        assert before == []
        assert numbers(sink.ids)[0] == 2


async def test_a_sink_for_alerts_alone_reads_no_events(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink, None) as line:
            await log.saw(line.recorder)
            await post(store, sink, 1)
            line.dispatcher.wake()
            await anyio.sleep(60)

        assert sink.ids == [f"{KEY}!1"]


async def test_an_instance_that_fails_is_held_back_while_others_go_on(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#2"))
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await log.saw(line.recorder, FAILED, OTHER)
            await anyio.sleep(60)
            await log.saw(line.recorder, RETRYING)
            await log.saw(line.recorder, RETRYING, OTHER)
            await anyio.sleep(60)
            held = numbers(sink.ids)
            sink.refuse = lambda _: None
            await anyio.sleep(DAY)

        assert held == [1]
        assert numbers(sink.ids) == [1, 2, 3, 4, 5, 6, 7]
        assert numbers(sink.ids, OTHER) == [1, 2, 3, 4, 5, 6, 7]


async def test_events_that_fail_do_not_hold_back_notifications(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#1"))
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await post(store, sink, 1)
            line.dispatcher.wake()
            await anyio.sleep(10)

        assert sink.ids == [f"{KEY}!1"]


@pytest.mark.parametrize(("luck", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
async def test_tries_climb_a_ladder(tmp_path: Path, luck: float, factor: float) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink, luck=luck) as line:
            await log.saw(line.recorder, RUNNING)
            await anyio.sleep(DAY)

        times = [when for when, _ in sink.tried]
        waits = [later - sooner for sooner, later in pairwise(times)]
        rungs = [1, 5, 30, 120, 600, 3600, 10_800, 10_800]
        assert waits[:8] == pytest.approx([rung * factor for rung in rungs], abs=0.1)


async def test_retry_after_is_a_floor_and_no_ceiling(tmp_path: Path) -> None:
    def busy(_: Message) -> Exception:
        return errors.Undelivered("429", retry_after=timedelta(seconds=20))

    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=busy)
        async with carrying(store, sink) as line:
            await log.saw(line.recorder, RUNNING)
            await anyio.sleep(200)

        times = [when for when, _ in sink.tried]
        waits = [later - sooner for sooner, later in pairwise(times)]
        assert waits == pytest.approx([20, 20, 30, 120], abs=0.1)


async def test_what_is_rejected_becomes_a_dead_letter_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    def never(_: Message) -> Exception:
        return errors.Rejected("410 gone")

    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#2", why=never))
        with capture_logs() as lines:
            async with carrying(store, sink) as line:
                await log.saw(line.recorder)
                await anyio.sleep(DAY)

        assert numbers([i for _, i in sink.tried]) == [1, 2, 3, 4, 5]
        assert numbers(sink.ids) == [1, 3, 4, 5]
        assert [(x["event"], x["id"], x["reason"]) for x in lines] == [
            ("delivery.buried", f"{KEY}#2", "410 gone")
        ]


async def test_after_three_days_a_delivery_is_given_up(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#1"))
        with capture_logs() as lines:
            async with carrying(store, sink) as line:
                await log.saw(line.recorder, RUNNING)
                await anyio.sleep(2.9 * DAY)
                buried_by_then = [x for x in lines if x["event"] == "delivery.buried"]
                await anyio.sleep(0.3 * DAY)
                await log.saw(line.recorder, FAILED)
                await anyio.sleep(60)

        buried = [x["id"] for x in lines if x["event"] == "delivery.buried"]
        assert buried_by_then == []
        assert buried == [f"{KEY}#1"]
        assert numbers(sink.ids) == [2, 3, 4, 5, 6, 7]


async def test_what_waits_is_resumed_after_a_restart_in_order_with_its_ids(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        dead = RecordingSink(refuse=down)
        async with carrying(store, dead) as line:
            await log.saw(line.recorder, RUNNING)
            await log.saw(line.recorder, FAILED)
            await anyio.sleep(100)
    async with stores.opened(tmp_path) as store:
        alive = RecordingSink()
        async with carrying(store, alive) as line:
            await log.saw(line.recorder, RETRYING)
            await anyio.sleep(DAY)

        assert numbers(alive.ids) == list(range(1, 10))


async def test_what_was_recorded_while_nobody_ran_is_delivered_after_the_restart(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink):
            await anyio.sleep(1)
        await log.saw(Recorder(store, lambda _: None))
        async with carrying(store, sink):
            await anyio.sleep(1)

        assert numbers(sink.ids) == [1, 2, 3, 4, 5]


async def test_a_sink_that_hangs_is_given_up_after_the_deadline_and_tried_again(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: DAY
        with capture_logs() as lines:
            async with carrying(store, sink) as line:
                await log.saw(line.recorder, RUNNING)
                await anyio.sleep(DEADLINE + 0.5)
                sink.latency = lambda _: 0
                await anyio.sleep(2)

        assert [when for when, _ in sink.tried] == pytest.approx(
            [0, DEADLINE + 1], abs=0.1
        )
        assert numbers(sink.ids) == [1]
        assert [(x["event"], x["log_level"]) for x in lines] == [
            ("sink.failing", "warning"),
            ("sink.recovered", "info"),
        ]


async def test_a_sink_that_hangs_disturbs_no_other_sink(
    tmp_path: Path, looptime: LoopTimeProxy
) -> None:
    async with stores.opened(tmp_path) as store:
        hanging, other = RecordingSink("hanging"), RecordingSink("other")
        hanging.latency = lambda _: DAY
        async with carrying(store, hanging) as slow, carrying(store, other) as quick:
            await log.saw(slow.recorder)
            await quick.dispatcher.drain()

            assert numbers(other.ids) == [1, 2, 3, 4, 5]
            assert looptime < 1


async def test_few_deliveries_are_under_way_at_once(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 1
        async with carrying(store, sink) as line:
            for number in range(1, 41):
                await log.saw(line.recorder, RUNNING, a_key(number))
            await anyio.sleep(60)

        assert len(sink.delivered) == 40
        assert sink.most_at_once == 8


async def test_a_notification_does_not_wait_for_all_events_that_were_read(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 1
        async with carrying(store, sink) as line:
            for number in range(1, 101):
                await log.saw(line.recorder, RUNNING, a_key(number))
            await anyio.sleep(2.5)
            tried = len(sink.tried)
            await post(store, sink, 1)
            line.dispatcher.wake()
            await anyio.sleep(60)

        assert len(sink.delivered) == 101
        assert tried < 40
        assert [id_ for _, id_ in sink.tried].index(f"{KEY}!1") <= tried + 8


async def test_a_bug_in_a_sink_is_contained_and_tried_again(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#2", why=lambda _: KeyError("x")))
        with capture_logs() as lines:
            async with carrying(store, sink) as line:
                await log.saw(line.recorder)
                await anyio.sleep(3)
                sink.refuse = lambda _: None
                await anyio.sleep(10)

        assert numbers(sink.ids) == [1, 2, 3, 4, 5]
        crashed = [x for x in lines if x["event"] == "delivery.crashed"]
        assert {x["id"] for x in crashed} == {f"{KEY}#2"}
        assert all(x["exc_info"] for x in crashed)


async def test_an_outage_of_a_sink_is_one_line_down_and_one_line_up(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        with capture_logs() as lines:
            async with carrying(store, sink) as line:
                for number in range(1, 11):
                    await log.saw(line.recorder, FAILED, a_key(number))
                await anyio.sleep(DAY)
                sink.refuse = lambda _: None
                await anyio.sleep(DAY)

        assert [x["event"] for x in lines] == ["sink.failing", "sink.recovered"]
        assert len(sink.delivered) == 50


async def test_drain_returns_once_all_has_gone(
    tmp_path: Path, looptime: LoopTimeProxy
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 2
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await post(store, sink, 1)
            await line.dispatcher.drain()

            assert len(sink.delivered) == 6
            assert 10 <= looptime < 10.1


async def test_drain_does_not_wait_for_what_waits_for_another_try(
    tmp_path: Path, looptime: LoopTimeProxy
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#1", f"{KEY}!1"))
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await post(store, sink, 1)
            await log.saw(line.recorder, FAILED, OTHER)
            await line.dispatcher.drain()

            assert numbers(sink.ids, OTHER) == [1, 2, 3, 4, 5]
            assert looptime < 1


async def test_drain_is_not_held_up_by_what_is_recorded_meanwhile(
    tmp_path: Path, looptime: LoopTimeProxy
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 2
        async with carrying(store, sink) as line, anyio.create_task_group() as tasks:
            await log.saw(line.recorder, RUNNING)
            tasks.start_soon(line.dispatcher.drain)
            await anyio.sleep(1)
            await post(store, sink, 1)
            line.dispatcher.wake()
            await anyio.lowlevel.checkpoint()

        assert sink.ids == [f"{KEY}#1"]
        assert looptime < 10


async def test_drain_of_a_sink_that_has_nothing_returns_at_once(
    tmp_path: Path, looptime: LoopTimeProxy
) -> None:
    async with (
        stores.opened(tmp_path) as store,
        carrying(store, RecordingSink()) as line,
    ):
        await line.dispatcher.drain()

        assert looptime < 0.1


async def test_what_is_recorded_while_a_batch_is_read_is_not_forgotten(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 0.003
        async with carrying(store, sink) as line:
            for number in range(1, 301):
                await log.saw(line.recorder, RUNNING, a_key(number))
            await anyio.sleep(1)

        assert len(sink.ids) == len(set(sink.ids)) == 300


# A sink that is down.


async def outage(line: Line, instances: int = 8) -> None:
    for number in range(1, instances + 1):
        await log.saw(line.recorder, RUNNING, a_key(number))


async def test_a_sink_that_is_down_is_asked_by_one_message_at_a_time(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink) as line:
            await outage(line, 100)
            await anyio.sleep(60)
            early = len(sink.tried)
            await anyio.sleep(600)

        times = [when for when, _ in sink.tried[early:]]
        assert len(times) == len(set(times)) == pytest.approx(600 / 30, abs=2)


async def test_while_a_sink_is_down_no_events_are_read_for_it(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink) as line:
            await outage(line)
            await anyio.sleep(60)
            waiting = (await store.standing(sink.name)).waiting
            await outage(line, 200)
            await anyio.sleep(60)
            standing = await store.standing(sink.name)

        assert standing.waiting == waiting
        assert standing.unread >= 192


async def test_once_a_sink_is_back_all_comes_at_once_and_in_order(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink) as line:
            for number in range(1, 11):
                await log.saw(line.recorder, RUNNING, a_key(number))
            await anyio.sleep(DAY)
            for number in range(1, 11):
                await log.saw(line.recorder, FAILED, a_key(number))
            sink.refuse = lambda _: None
            await anyio.sleep(61)

        for number in range(1, 11):
            key = a_key(number)
            assert numbers(sink.ids, key) == list(range(1, 8))


async def test_a_probe_is_the_message_that_was_tried_least(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink) as line:
            await outage(line, 8)
            await anyio.sleep(60)
            early = len(sink.tried)
            await anyio.sleep(300)

        probes = [id_ for _, id_ in sink.tried[early:]]
        assert len({*probes[:5]}) == 5


async def test_one_bad_message_does_not_keep_others_from_a_sink_that_is_back(
    tmp_path: Path,
) -> None:
    bad = f"{a_key(3)}#1"
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink) as line:
            await outage(line)
            await anyio.sleep(60)
            sink.refuse = refusing(bad)
            await anyio.sleep(120)

        assert len(sink.ids) == 7
        assert bad not in sink.ids


async def test_who_asks_for_peace_is_left_in_peace_by_all(tmp_path: Path) -> None:
    def busy(_: Message) -> Exception:
        return errors.Undelivered("429", retry_after=timedelta(seconds=90))

    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=busy)
        async with carrying(store, sink) as line:
            await log.saw(line.recorder, RUNNING)
            await anyio.sleep(1)
            sink.refuse = lambda _: None
            await log.saw(line.recorder, RUNNING, OTHER)
            await post(store, sink, 1)
            line.dispatcher.wake()
            await anyio.sleep(88)
            meanwhile = sink.ids
            await anyio.sleep(2)

        assert meanwhile == []
        assert sorted(sink.ids) == [f"{KEY}!1", f"{KEY}#1", f"{OTHER}#1"]


async def test_drain_does_not_wait_for_a_sink_that_is_down(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink) as line:
            await outage(line)
            await anyio.sleep(60)
            before = anyio.current_time()
            await line.dispatcher.drain()

            assert anyio.current_time() - before < 1


async def test_health_says_since_when_and_why_and_when_it_is_over(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#1"))
        async with carrying(store, sink) as line:
            well = line.dispatcher.outlet.health()
            await log.saw(line.recorder, RUNNING)
            await anyio.sleep(3)
            failing = line.dispatcher.outlet.health()
            sink.refuse = down
            await outage(line)
            await anyio.sleep(3)
            resting = line.dispatcher.outlet.health()
            sink.refuse = lambda _: None
            await anyio.sleep(120)
            again = line.dispatcher.outlet.health()

        assert well.condition == again.condition == Condition.WELL
        assert failing.condition == Condition.FAILING
        assert failing.error == "503"
        assert resting.condition == Condition.RESTING
        assert resting.since == failing.since is not None
        assert again.since is None


# Again.


async def test_what_is_put_on_its_way_again_keeps_its_id_and_comes_once(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await anyio.sleep(1)
            first = list(sink.delivered)
            assert await line.dispatcher.put(first) == 5
            await anyio.sleep(DAY)

        assert sink.ids == [message.id for message in first] * 2


async def test_what_waits_already_is_not_put_on_its_way_twice(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#1"))
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await anyio.sleep(1)
            unread = await store.unread("somebody", 10)
            waiting = [delivery.message for delivery in await store.lines(sink.name, 9)]
            assert unread.events == []
            assert await line.dispatcher.put(waiting) == 0
            sink.refuse = lambda _: None
            await anyio.sleep(60)
            await log.saw(line.recorder, RETRYING)
            await anyio.sleep(60)

        assert numbers(sink.ids) == list(range(1, 8))


async def test_a_dead_letter_that_is_replayed_arrives_and_is_dead_no_more(
    tmp_path: Path,
) -> None:
    def never(_: Message) -> Exception:
        return errors.Rejected("410 gone")

    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=never)
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await anyio.sleep(1)
            letters = await store.letters(10, sink=sink.name)
            sink.refuse = lambda _: None
            assert await line.dispatcher.put([it.message for it in letters]) == 5
            await anyio.sleep(1)

        assert numbers(sink.ids) == [1, 2, 3, 4, 5]
        assert await store.letters(10) == []


async def test_events_that_come_meanwhile_wait_behind_what_is_replayed(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await anyio.sleep(1)
            sink.latency = lambda _: 1
            await line.dispatcher.put(list(sink.delivered))
            await log.saw(line.recorder, RETRYING)
            await anyio.sleep(DAY)

        assert numbers(sink.ids) == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6, 7]


# Too much.


async def test_of_too_much_that_waits_the_oldest_is_given_up(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=down)
        async with carrying(store, sink) as line:
            await outage(line, 30)
            await anyio.sleep(60)
            with capture_logs() as lines:
                await line.dispatcher.keep_in_bounds(10)
            standing = await store.standing(sink.name)
            sink.refuse = lambda _: None
            await anyio.sleep(120)

        tried = standing.waiting  # until it was left in peace, after five
        assert tried in range(5, 9)
        assert standing.unread == 10
        shed = [("delivery.shed", 20 - tried)]
        assert [(x["event"], x["messages"]) for x in lines] == shed
        kept = (*range(1, tried + 1), *range(21, 31))
        assert {*sink.ids} == {f"{a_key(n)}#1" for n in kept}


async def test_of_too_many_that_failed_the_oldest_is_given_up(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refusing(f"{KEY}#1"))
        async with carrying(store, sink) as line:
            await log.saw(line.recorder)
            await anyio.sleep(60)
            await line.dispatcher.keep_in_bounds(3)
            await anyio.sleep(DAY)
            await log.saw(line.recorder, RETRYING)
            await anyio.sleep(1)

        assert numbers(sink.ids) == [3, 4, 5, 6, 7]


async def test_of_too_many_dead_letters_the_oldest_are_given_up(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=lambda _: errors.Rejected("400"))
        async with carrying(store, sink) as line:
            await outage(line, 30)
            await anyio.sleep(60)
            await line.dispatcher.keep_in_bounds(10)
            left = await store.letters(100)

        assert [it.message.key for it in left] == [str(a_key(n)) for n in range(21, 31)]


# Somebody else is told.


def told(ids: list[str]) -> list[int]:
    return [int(id_.partition("!")[2]) for id_ in ids]


@asynccontextmanager
async def a_pair(
    store: SqlStore, refuse: Callable[[Message], Exception | None]
) -> AsyncIterator[tuple[Line, Line]]:
    sink, other = RecordingSink(refuse=refuse), RecordingSink("mail")
    async with (
        carrying(store, sink, None, fallback="mail") as line,
        carrying(store, other, None) as stand_in,
    ):
        yield line, stand_in


async def tell(store: SqlStore, pair: tuple[Line, Line], number: int) -> None:
    await post(store, pair[0].sink, number)
    for line in pair:
        line.dispatcher.wake()


async def pass_on(pair: tuple[Line, Line]) -> int:
    passed = await pair[0].dispatcher.pass_on(300)
    pair[1].dispatcher.wake()
    return passed


async def test_what_a_sink_has_not_taken_for_long_the_fallback_is_told(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store, a_pair(store, down) as pair:
        await tell(store, pair, 1)
        await anyio.sleep(299)
        assert await pass_on(pair) == 0
        await anyio.sleep(2)
        assert await pass_on(pair) == 1
        assert await pass_on(pair) == 0
        await anyio.sleep(1)
        pair[0].sink.refuse = lambda _: None
        await anyio.sleep(DAY)

        assert told(pair[1].sink.ids) == [1]
        assert told(pair[0].sink.ids) == [1]


async def test_what_a_sink_will_never_take_the_fallback_is_told_at_once(
    tmp_path: Path,
) -> None:
    async with (
        stores.opened(tmp_path) as store,
        a_pair(store, lambda _: errors.Rejected("401")) as pair,
    ):
        await tell(store, pair, 1)
        await anyio.sleep(1)
        pair[1].dispatcher.wake()
        await anyio.sleep(1)

        assert told(pair[1].sink.ids) == [1]
        assert len(await store.letters(10, sink="oncall")) == 1


async def test_who_was_told_instead_is_told_of_the_same_until_it_is_over(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store, a_pair(store, down) as pair:
        await tell(store, pair, 1)
        await anyio.sleep(301)
        await pass_on(pair)
        pair[0].sink.refuse = lambda _: None
        await anyio.sleep(DAY)
        await tell(store, pair, 2)  # nothing holds any more: the end of it
        await anyio.sleep(60)
        await tell(store, pair, 3)  # and another incident
        await anyio.sleep(60)

        assert told(pair[0].sink.ids) == [1, 2, 3]
        assert told(pair[1].sink.ids) == [1, 2]


async def test_no_event_goes_to_a_fallback(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink, other = RecordingSink(refuse=down), RecordingSink("mail")
        async with (
            carrying(store, sink, fallback="mail") as line,
            carrying(store, other, None) as stand_in,
        ):
            await log.saw(line.recorder)
            await anyio.sleep(301)
            passed = await line.dispatcher.pass_on(300)
            stand_in.dispatcher.wake()
            await anyio.sleep(1)

        assert passed == 0
        assert other.tried == []
