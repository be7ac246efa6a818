"""What changes hands between daemons: nothing is lost, repeated, ended or told twice.

Two of everything on one real store, in virtual time.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from monitor.core import reach, state
from monitor.core.message import Message
from monitor.core.model import InstanceKey
from monitor.core.routing import Route
from monitor.core.shards import ALL, shard
from monitor.core.state import Change, Phase, State
from monitor.core.wording import Frame
from monitor.dispatcher import UNSURE, Dispatcher
from monitor.holdings import Holdings
from monitor.notifier import Habits
from monitor.outlet import AT_ONCE
from monitor.ports import Reading
from monitor.recorder import Recorder
from monitor.store import opening
from monitor.store.sql import MEMBERS, SqlStore
from monitor.storm import Bound
from tests.support import clock, log, stores
from tests.support.answers import (
    FAILED,
    KEY,
    RECOVERED,
    RETRYING,
    RUNNING,
    SUCCEEDED,
    a_key,
    a_watch,
)
from tests.support.desk import RULES, Desk, telling_to
from tests.support.sink import RecordingSink, down, told
from tests.support.source import ScriptedSource
from tests.support.watching import watching

pytestmark = pytest.mark.looptime

OTHER = a_key(2)
DAY = 86_400.0
CHANGING = frozenset({shard(str(KEY))})
STAYING = frozenset({shard(str(OTHER))})
SOURCE = frozenset({shard("prod")})

assert STAYING.isdisjoint(CHANGING | SOURCE)


def gained(holdings: Holdings, shards: frozenset[int] = CHANGING) -> None:
    holdings.take(dict.fromkeys(shards, 1))


def unheard(_: Change) -> None:
    """Somebody else's daemon."""


# Who delivers.


class Carrier:
    """One daemon's dispatcher of a sink that several have."""

    def __init__(
        self, store: SqlStore, sink: RecordingSink, owned: frozenset[int]
    ) -> None:
        self.holdings = Holdings(())
        gained(self.holdings, owned)
        self.dispatcher = Dispatcher(
            sink,
            store,
            lambda _: True,
            now=clock.now,
            luck=clock.middling,
            holdings=self.holdings,
        )

    async def give(self, shards: frozenset[int] = CHANGING) -> None:
        self.holdings.leave(shards)
        await self.dispatcher.let_go(shards)
        self.holdings.drop(shards)

    async def take(self, shards: frozenset[int] = CHANGING) -> None:
        gained(self.holdings, shards)
        await self.dispatcher.gain(shards)


@asynccontextmanager
async def carrying(
    store: SqlStore, sink: RecordingSink, *owned: frozenset[int]
) -> AsyncIterator[list[Carrier]]:
    await store.enrol(sink.name)
    carriers = [Carrier(store, sink, shards) for shards in owned]
    async with anyio.create_task_group() as tasks:
        for carrier in carriers:
            tasks.start_soon(carrier.dispatcher.run)
        yield carriers
        tasks.cancel_scope.cancel()


def recording(store: SqlStore, *carriers: Carrier) -> Recorder:
    def wake(_: Change) -> None:
        for carrier in carriers:
            carrier.dispatcher.wake()

    return Recorder(store, wake)


def events(numbers: range, key: InstanceKey = KEY) -> list[str]:
    return [f"{key}#{number}" for number in numbers]


async def test_each_delivers_what_is_of_its_own_shards(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink, STAYING) as [one]:
            recorder = recording(store, one)
            await log.saw(recorder, FAILED)
            await log.saw(recorder, FAILED, OTHER)
            await anyio.sleep(DAY)

        assert sink.ids == events(range(1, 6), OTHER)


async def test_letting_go_takes_until_what_is_under_way_is_done(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 5.0
        async with carrying(store, sink, ALL) as [one]:
            await log.saw(recording(store, one), RUNNING)
            await anyio.sleep(1)
            began = sink.ids
            await one.give()
            took, done = anyio.current_time(), sink.ids
            await log.saw(recording(store, one), FAILED)
            await anyio.sleep(DAY)

        assert (began, done) == ([], events(range(1, 2)))
        assert took == pytest.approx(5, abs=0.1)
        assert sink.ids == done


async def test_over_a_handover_everything_arrives_once_and_in_order(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 1.0
        async with carrying(store, sink, ALL, frozenset()) as [one, other]:
            recorder = recording(store, one, other)
            await log.saw(recorder, RUNNING)
            await log.saw(recorder, FAILED)
            async with anyio.create_task_group() as tasks:
                await anyio.sleep(2.5)
                tasks.start_soon(log.saw, recorder, RETRYING)
                await one.give()
                await other.take()
            await anyio.sleep(60)
            await other.give()
            await log.saw(recorder, RECOVERED)
            await one.take()
            await anyio.sleep(60)
            known = await store.load(str(KEY))

        assert sink.ids == events(range(1, known.sequence + 1))
        assert len(sink.tried) == known.sequence > 10


async def test_what_waits_holds_back_its_line_whoever_delivers_it(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=lambda m: down(m) if m.sequence == 1 else None)
        async with carrying(store, sink, ALL, frozenset()) as [one, other]:
            recorder = recording(store, one, other)
            await log.saw(recorder, FAILED)
            await anyio.sleep(1)
            await one.give()
            await other.take()
            await log.saw(recorder, RETRYING)
            await anyio.sleep(60)
            held = sink.ids
            sink.refuse = lambda _: None
            await anyio.sleep(DAY)

        assert held == []
        assert sink.ids == events(range(1, 8))


async def test_what_another_puts_on_its_way_again_holds_back_its_line(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink, ALL, frozenset()) as [owner, other]:
            recorder = recording(store, owner)
            await log.saw(recorder, FAILED)
            await anyio.sleep(1)
            sink.refuse = lambda m: down(m) if m.sequence == 1 else None
            logged = await store.logged(Reading(newest_first=False), None, 2)
            await other.dispatcher.put([message for _, message in logged])
            owner.dispatcher.hear()
            await anyio.sleep(1)
            await log.saw(recorder, RETRYING)
            await anyio.sleep(1)
            held = sink.ids
            sink.refuse = lambda _: None
            await anyio.sleep(DAY)
            await log.saw(recorder, RECOVERED)
            await anyio.sleep(1)
            waiting = await store.waiting(sink.name)

        again = [*events(range(1, 6)), *events(range(1, 3)), *events(range(6, 8))]
        assert held == events(range(1, 6))
        assert sink.ids[: len(again)] == again
        assert len(sink.ids) > len(again)
        assert waiting == {}


async def test_what_was_let_go_of_holds_back_nothing_once_it_comes_back(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=lambda m: down(m) if m.sequence == 1 else None)
        async with carrying(store, sink, ALL, frozenset()) as [one, other]:
            recorder = recording(store, one, other)
            await log.saw(recorder, FAILED)
            await anyio.sleep(1)
            await one.give()
            sink.refuse = lambda _: None
            await other.take()
            await anyio.sleep(DAY)
            await other.give()
            await one.take()
            before = sink.ids
            await log.saw(recorder, RETRYING)
            await anyio.sleep(1)

        assert before == events(range(1, 6))
        assert sink.ids == events(range(1, 8))


async def test_who_is_not_sure_sends_nothing_until_it_is(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        async with carrying(store, sink, ALL) as [one]:
            one.holdings.deadline = 0.0
            await log.saw(recording(store, one), FAILED)
            await anyio.sleep(60)
            unsure = sink.tried[:]
            one.holdings.deadline = 1000.0
            await anyio.sleep(UNSURE + 0.1)

        assert unsure == []
        assert sink.ids == events(range(1, 6))


async def test_who_becomes_unsure_goes_on_with_nothing(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 1.0
        async with carrying(store, sink, ALL) as [one]:
            one.holdings.deadline = 1.5
            await log.saw(recording(store, one), FAILED)
            await anyio.sleep(60)
            begun = sink.ids
            one.holdings.deadline = 1000.0
            await anyio.sleep(60)

        assert begun == events(range(1, 3))
        assert sink.ids == events(range(1, 6))
        assert len(sink.tried) == 5


async def put(carrier: Carrier, keys: list[InstanceKey]) -> list[str]:
    """Let a message about each of *keys* be sent again; give their ids."""
    messages = [
        Message(
            id=f"{key}#1",
            key=str(key),
            type="bkjob.instance.appeared",
            source="prod",
            subject=None,
            time=clock.now(),
            data=b"{}",
            sequence=1,
        )
        for key in keys
    ]
    await carrier.dispatcher.put(messages)
    return [message.id for message in messages]


def key_of(id_: str) -> str:
    return id_.partition("#")[0]


MANY = [a_key(number) for number in range(1, 41)]


async def test_what_waits_for_its_turn_is_not_sent_once_it_is_unsure(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 5.0
        async with carrying(store, sink, ALL) as [one]:
            one.holdings.deadline = 7.0
            ids = await put(one, MANY)
            await anyio.sleep(60)
            begun = sink.tried[:]
            one.holdings.deadline = 1000.0
            await anyio.sleep(60)

        assert max(at for at, _ in begun) < 7.0
        assert len(begun) == 2 * AT_ONCE
        assert sorted(sink.ids) == sorted(ids)


async def test_what_waits_for_its_turn_is_not_sent_once_it_is_let_go_of(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 5.0
        async with carrying(store, sink, ALL) as [one]:
            ids = await put(one, MANY)
            await anyio.sleep(1)
            begun = {id_ for _, id_ in sink.tried}
            left = frozenset({shard(str(MANY[-1]))})
            await one.give(left)
            await anyio.sleep(DAY)

        kept = {id_ for id_ in ids if shard(key_of(id_)) not in left}
        assert len(begun) == AT_ONCE
        assert {id_ for _, id_ in sink.tried} == begun | kept
        assert begun | kept != {*ids}


@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
async def test_nobody_waits_for_a_whole_batch_and_nothing_of_it_is_passed_over(
    tmp_path: Path,
    place: int,
) -> None:
    left = frozenset({shard(str(MANY[place]))})
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 5.0
        async with carrying(store, sink, ALL, frozenset()) as [one, other]:
            for key in MANY:
                await log.saw(Recorder(store, unheard), FAILED, key)
            one.dispatcher.wake()
            await anyio.sleep(1)
            began = anyio.current_time()
            await one.give(left)
            took = anyio.current_time() - began
            begun = len(sink.tried)
            await other.take(left)
            await log.saw(recording(store, one, other), RETRYING, MANY[0])
            await log.saw(recording(store, one, other), RETRYING, MANY[-1])
            await anyio.sleep(DAY)

        assert took < 5.0
        assert begun == AT_ONCE
        assert len(sink.tried) == len(MANY) * 5 + 4
        for key in MANY:
            last = 7 if key in {MANY[0], MANY[-1]} else 5
            mine = [id_ for id_ in sink.ids if key_of(id_) == str(key)]
            assert mine == events(range(1, last + 1), key)


async def test_what_is_gained_during_a_batch_is_not_passed_over_with_it(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 5.0
        async with carrying(store, sink, STAYING) as [one]:
            nobody_hears = Recorder(store, unheard)
            await log.saw(nobody_hears, RUNNING)
            await log.saw(nobody_hears, RUNNING, OTHER)
            one.dispatcher.wake()
            await anyio.sleep(1)
            await one.take()
            await anyio.sleep(DAY)

        assert sink.ids == [*events(range(1, 2), OTHER), *events(range(1, 2))]


async def test_what_was_sent_is_on_record_as_read_though_it_was_let_go_of(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 5.0
        mine, none = CHANGING | STAYING, frozenset[int]()
        async with carrying(store, sink, mine, none) as [one, other]:
            await log.saw(recording(store, one), RUNNING)
            await anyio.sleep(1)
            await one.give()
            await other.take()
            await anyio.sleep(DAY)

        assert len(sink.tried) == 1


async def test_nobody_waits_for_all_that_waits(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink()
        sink.latency = lambda _: 5.0
        async with carrying(store, sink, ALL, frozenset()) as [one, other]:
            ids = await put(one, MANY)
            await anyio.sleep(1)
            began = anyio.current_time()
            await one.give()
            took = anyio.current_time() - began
            await other.take()
            await anyio.sleep(DAY)

        assert took < 5.0
        assert sorted(sink.ids) == sorted(ids)


# Who records.


async def test_what_is_somebody_else_s_to_record_is_not_recorded(
    tmp_path: Path,
) -> None:
    asked: list[State] = []

    def decide(known: State) -> Change | None:
        asked.append(known)
        return None

    async with stores.opened(tmp_path) as store:
        recorder = Recorder(store, unheard, Holdings(STAYING).owns)

        assert await recorder.record(str(KEY), decide) is None
        await recorder.insist(str(KEY), decide)
        assert asked == []
        assert await recorder.record(str(OTHER), decide) == State(key=str(OTHER))


async def test_what_is_being_recorded_can_be_waited_for(tmp_path: Path) -> None:
    changes: list[Change] = []
    async with stores.opened(tmp_path) as store:
        holdings = Holdings()
        recorder = Recorder(store, changes.append, holdings.owns)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.saw, recorder)
            tasks.start_soon(log.saw, recorder, RECOVERED)
            await anyio.lowlevel.checkpoint()
            holdings.leave(CHANGING)
            await recorder.settled()
            settled = len(changes)

    assert settled == len(changes) == 1


# Who watches.

WATCHES = [a_watch(KEY), a_watch(OTHER)]


async def test_letting_go_of_an_instance_ends_nothing(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, WATCHES) as seen:
            await anyio.sleep(1)
            seen.holdings.leave(CHANGING)
            await seen.poller.let_go(CHANGING)
            seen.holdings.drop(CHANGING)
            asked = source.counts[KEY]
            await seen.poller.watch(WATCHES)
            await anyio.sleep(600)
        phases = [(await store.load(str(key))).phase for key in (KEY, OTHER)]

    assert source.counts[KEY] == asked == 1
    assert source.counts[OTHER] > 10
    assert phases == [Phase.WATCHED, Phase.WATCHED]
    assert seen.types == ["instance.appeared"] * 2


async def test_an_answer_that_is_under_way_is_recorded_before_others_may_look(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    source.latency = 3.0
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, WATCHES) as seen,
    ):
        await anyio.sleep(1)
        seen.holdings.leave(CHANGING)
        await seen.poller.let_go(CHANGING)
        known = await store.load(str(KEY))

    assert known.snapshot is not None
    assert KEY not in seen.poller.tracks


async def test_an_answer_that_comes_too_late_is_not_recorded(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    source.latency = 20.0
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, WATCHES) as seen:
            await anyio.sleep(1)
            seen.holdings.leave(CHANGING)
            await seen.poller.let_go(CHANGING)
            await anyio.sleep(60)

        assert await store.load(str(KEY)) == State(key=str(KEY))
        assert {event.key for event in seen.events} == {str(OTHER)}


async def test_what_was_gained_is_watched_on_and_appears_no_second_time(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(FAILED)
    async with stores.opened(tmp_path) as store:
        await log.saw(Recorder(store, unheard), RUNNING)
        async with watching(store, source, WATCHES, holdings=Holdings(STAYING)) as seen:
            await anyio.sleep(60)
            before = source.counts[KEY]
            gained(seen.holdings)
            seen.poller.gain(CHANGING)
            await seen.poller.watch(WATCHES)
            await anyio.sleep(60)
        mine = [event for event in seen.events if event.key == str(KEY)]

    assert before == 0
    assert source.counts[KEY] > 0
    assert mine[0].type == "bkjob.instance.finished"
    assert [event.sequence for event in mine] == [*range(2, 2 + len(mine))]


async def retired(store: SqlStore) -> None:
    """Let somebody see KEY through to its end."""
    recorder = Recorder(store, unheard)
    await log.saw(recorder, SUCCEEDED)
    frame = log.a_frame()
    await recorder.record(
        str(KEY),
        lambda known: state.ended(known, Phase.RETIRED, frame, clock.now()),
    )


async def test_who_retired_elsewhere_stays_retired_where_it_is_gained(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    async with stores.opened(tmp_path) as store:
        await retired(store)
        holdings = Holdings(STAYING)
        async with watching(store, source, WATCHES, holdings=holdings) as seen:
            gained(holdings)
            seen.poller.gain(CHANGING)
            await seen.poller.watch(WATCHES)
            await anyio.sleep(DAY)

        assert seen.poller.retired == {KEY}
        assert source.counts[KEY] == 0


# Who tells.


async def test_groups_of_others_are_known_and_told_by_nobody_here(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, holdings=Holdings(STAYING)) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(DAY)

        assert desk.grouping.groups() == {str(KEY)}
        assert oncall.tried == []


async def test_whoever_gains_a_group_tells_what_holds_there(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, holdings=Holdings(STAYING)) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
            await take_over(desk)
            await anyio.sleep(60)

        assert oncall.said == ["first"]


async def take_over(desk: Desk) -> None:
    gained(desk.holdings)
    for dispatcher in desk.dispatchers:
        await dispatcher.gain(CHANGING)
    await desk.notifier.gain(CHANGING)


async def test_what_its_owner_recorded_last_is_told_by_whoever_gains_it(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, holdings=Holdings(STAYING)) as desk:
            elsewhere = Recorder(store, unheard)
            await log.saw(elsewhere, FAILED)
            await take_over(desk)
            await anyio.sleep(60)
            desk.holdings.leave(CHANGING)
            await desk.notifier.let_go(CHANGING)
            await log.saw(elsewhere, RECOVERED)
            await take_over(desk)
            await anyio.sleep(60)

        assert oncall.said == ["first", "resolved"]
        assert desk.grouping.groups() == set()


async def test_what_ends_while_what_was_gained_is_read_is_over(tmp_path: Path) -> None:
    keys = [a_key(number) for number in range(1, MEMBERS + 2)]
    async with stores.opened(tmp_path) as store:
        await log.saw_all(Recorder(store, unheard), FAILED, keys)
        async with telling_to(store, RecordingSink(), holdings=Holdings(())) as desk:
            await anyio.sleep(60)
            gained(desk.holdings, ALL)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(desk.notifier.gain, ALL)
                tasks.start_soon(log.saw_all, desk.recorder, RECOVERED, keys)

        assert desk.grouping.groups() == set()


async def test_what_ends_elsewhere_while_all_that_holds_is_read_is_over(
    tmp_path: Path,
) -> None:
    async def run(job: Callable[[], Any]) -> Any:
        found = job()
        await anyio.sleep(1)
        return found

    async with opening.opened(f"sqlite:///{tmp_path}/m.db", run=run) as store:
        elsewhere = Recorder(store, unheard)
        keys = [a_key(number) for number in range(1, 2 * MEMBERS + 2)]
        await log.saw_all(elsewhere, FAILED, keys)
        async with telling_to(store, RecordingSink(), holdings=Holdings(())) as desk:
            await anyio.sleep(0.5)
            await log.saw(elsewhere, RECOVERED, keys[0])
            await desk.notifier.learn([str(keys[0])])
            await anyio.sleep(60)

        assert desk.grouping.groups() == {str(key) for key in keys[1:]}


async def test_what_others_record_about_a_group_of_ours_is_told(
    tmp_path: Path,
) -> None:
    oncall = RecordingSink()
    by_team = Route(name="default", sinks=(oncall.name,), by=("team",), rules=RULES)
    elsewhere = Holdings(ALL - CHANGING)
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, oncall, route=by_team, holdings=elsewhere) as desk,
    ):
        desk.labels[KEY] = {"team": "dba"}
        await log.saw(Recorder(store, unheard), FAILED)
        await anyio.sleep(60)
        before = oncall.said
        events = await store.logged(Reading(), None, 100)
        await desk.notifier.changed_elsewhere([event for _, event in events])
        await anyio.sleep(60)
        [group] = desk.grouping.groups()

    assert elsewhere.owns(group)
    assert (before, oncall.said) == ([], ["first"])


async def restored_elsewhere(desk: Desk) -> Sequence[Message]:
    """Let another daemon record that the source is seen; give what it recorded."""
    frame, elsewhere = Frame(source="prod", key="prod"), Recorder(desk.store, unheard)
    for kind in (reach.Kind.LOST, reach.Kind.RESTORED):
        await elsewhere.record(
            "prod",
            partial(
                state.reached,
                kind=kind,
                cause=reach.Cause.UNREACHABLE,
                frame=frame,
                now=clock.now(),
            ),
        )
    logged = await desk.store.logged(Reading(), None, 100)
    return [event for _, event in logged if event.key == "prod"]


async def test_what_was_withheld_is_told_though_the_news_came_before_it_was_seen(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, holdings=Holdings(ALL - SOURCE)) as desk:
            desk.lost.add("prod")
            await log.saw(desk.recorder, FAILED, OTHER)
            await anyio.sleep(60)
            await desk.notifier.changed_elsewhere(await restored_elsewhere(desk))
            await anyio.sleep(60)
            before = oncall.said
            desk.lost.clear()
            desk.notifier.seen_again()
            await anyio.sleep(60)

        assert (before, oncall.said) == ([], ["first"])


async def test_what_was_withheld_is_told_by_who_gains_a_source_that_is_back(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, holdings=Holdings(ALL - SOURCE)) as desk:
            desk.lost.add("prod")
            await log.saw(desk.recorder, FAILED, OTHER)
            await anyio.sleep(60)
            await restored_elsewhere(desk)
            desk.lost.clear()
            gained(desk.holdings, SOURCE)
            await desk.notifier.gain(SOURCE)
            await anyio.sleep(60)

        assert (str(OTHER), "first") in [
            (m.key, told(m).reason) for m in oncall.delivered
        ]


@pytest.mark.parametrize("jobs", range(3))
async def test_what_is_looked_at_while_its_source_is_seen_again_is_told(
    tmp_path: Path, jobs: int
) -> None:
    meanwhile: list[Callable[[], None]] = []

    async def run(job: Callable[[], Any]) -> Any:
        found = job()
        if meanwhile:
            meanwhile.pop(0)()
        return found

    async with opening.opened(f"sqlite:///{tmp_path}/m.db", run=run) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:

            def see() -> None:
                desk.lost.clear()
                desk.notifier.seen_again()

            desk.lost.add("prod")
            await log.saw(desk.recorder, FAILED)
            meanwhile[:] = [lambda: None] * jobs + [see]
            await anyio.sleep(60)

        assert meanwhile == []
        assert oncall.said == ["first"]


async def test_what_is_let_go_of_is_told_by_nobody_here(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, FAILED)
            await log.saw(desk.recorder, FAILED, OTHER)
            await anyio.sleep(0.5)
            desk.holdings.leave(CHANGING)
            await desk.notifier.let_go(CHANGING)
            await anyio.sleep(DAY)

        assert {message.key for message in oncall.delivered} == {str(OTHER)}


async def test_what_was_not_told_yet_is_told_by_whoever_gains_it_and_once(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        left, taken = RecordingSink(), RecordingSink()
        async with (
            telling_to(store, left) as one,
            telling_to(store, taken, holdings=Holdings(STAYING)) as other,
        ):
            await log.saw(one.recorder, FAILED)
            await anyio.sleep(0.5)
            one.holdings.leave(CHANGING)
            for dispatcher in one.dispatchers:
                await dispatcher.let_go(CHANGING)
            await one.notifier.let_go(CHANGING)
            one.holdings.drop(CHANGING)
            await take_over(other)
            await anyio.sleep(60)

        assert (left.said, taken.said) == ([], ["first"])


async def test_two_that_sum_up_a_storm_do_so_under_different_names(
    tmp_path: Path,
) -> None:
    one_a_minute = Habits(storm=Bound(messages=1, per=timedelta(minutes=1)))
    halves = frozenset(range(0, 64, 2)), frozenset(range(1, 64, 2))
    keys = [a_key(number) for number in range(1, 60)]
    digests: list[str] = []
    async with stores.opened(tmp_path) as store:
        for half in halves:
            oncall = RecordingSink()
            async with telling_to(
                store, oncall, habits=one_a_minute, holdings=Holdings(half)
            ) as desk:
                for key in keys:
                    if shard(str(key)) in half:
                        await log.saw(desk.recorder, FAILED, key)
                await anyio.sleep(300)
            assert oncall.said == ["first", "storm"]
            digests.append(oncall.delivered[-1].key)

    first, second = digests
    assert first != second
    assert shard(first) in halves[0]
    assert shard(second) in halves[1]
