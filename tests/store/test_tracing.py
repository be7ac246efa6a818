"""What the store has on record for whoever asks why."""

from collections.abc import Sequence

from msgspec import structs

from monitor.core.decisions import Decision, Verdict
from monitor.core.explaining import Facts
from monitor.core.message import Kind
from monitor.core.subscription import Subscription
from monitor.ports import Notice, Telling
from monitor.store.sql import SqlStore
from tests.store.changes import (
    DAY,
    KEY,
    NOW,
    a_change,
    a_delivery,
    a_notification,
    an_event,
    remember,
)
from tests.store.conftest import Engine

SINK = "journal"


def asking(*match: str, sink: str = SINK, alone: bool = False) -> Subscription:
    send = (Kind.ALERTS,) if alone else (Kind.EVENTS,)
    return Subscription(sink=sink, send=send, match=match)


async def history(store: SqlStore, sink: str = SINK) -> list[tuple[Sequence[str], int]]:
    [found] = [each for each in await store.facts("?", ()) if each.sink == sink]
    return [(each.match, each.position) for each in found.history]


async def facts(store: SqlStore, id_: str) -> Facts:
    [found] = await store.facts(id_, [SINK])
    return found


async def read_to_the_end(store: SqlStore) -> int:
    position, _ = (await store.unread(SINK, 1000)).events[-1]
    await store.read(SINK, position, [])
    return position


async def test_what_a_sink_asks_for_is_kept_once_and_over_a_restart(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol(SINK)
        await store.adopt([asking("a=b")])
        await store.adopt([asking("a=b")])
    async with engine() as store:
        await store.adopt([asking("a=b")])

        assert await history(store) == [(("a=b",), 0)]


async def test_another_wish_counts_from_where_the_sink_has_read_to(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol(SINK)
        await store.adopt([asking("a=b")])
        await remember(store, a_change(events=3))
        position = await read_to_the_end(store)
        await remember(store, a_change(2, events=2, after=3))
        await store.adopt([asking("a=c")])

        assert await history(store) == [(("a=b",), 0), (("a=c",), position)]


async def test_a_sink_without_a_cursor_counts_from_the_end_of_the_log(
    engine: Engine,
) -> None:
    async with engine() as store:
        await remember(store, a_change(events=3))
        await store.adopt([asking(alone=True)])

        assert await history(store) == [((), 3)]


async def test_a_sink_that_is_gone_asks_for_nothing_from_then_on(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.adopt([asking("a=b"), asking(sink="other")])
        await store.adopt([asking(sink="other")])
        [found] = [each for each in await store.facts("?", ()) if each.sink == SINK]

    assert [each.send for each in found.history] == [(Kind.EVENTS,), ()]


async def test_what_was_asked_for_before_the_oldest_event_is_forgotten(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol(SINK)
        for number, match in enumerate(["a=b", "a=c", "a=d"]):
            await store.adopt([asking(match)])
            at = NOW + number * DAY
            await remember(store, a_change(number + 1, at=at))
            await read_to_the_end(store)
        # The first two go; the rule under which the third was read stays.
        await store.forget(NOW + 1.5 * DAY, [SINK])

        assert await history(store) == [(("a=d",), 2)]
        assert await store.recorded(KEY, 2) is None
        assert await store.recorded(KEY, 3) is not None


async def test_an_event_is_found_by_its_number_with_its_place_in_the_log(
    engine: Engine,
) -> None:
    async with engine() as store:
        await remember(store, a_change(key="prod/biz/2/7"), a_change(events=2))
        found = await store.recorded(KEY, 2)

    assert found is not None
    assert (found.position, found.event) == (3, an_event(2))


async def test_of_a_message_it_is_known_where_it_waits_and_behind_whom(
    engine: Engine,
) -> None:
    first = a_delivery(an_event(1), sink=SINK, tries=2, error="503")
    second = a_delivery(an_event(2), sink=SINK)
    async with engine() as store:
        await store.enrol(SINK)
        await store.read(SINK, 2, [first, second])
        head, behind = [await facts(store, f"{KEY}#{n}") for n in (1, 2)]

    assert head.waiting is not None
    assert behind.waiting is not None
    assert (head.waiting.tries, head.waiting.error) == (2, "503")
    assert (head.waiting.due, head.waiting.behind) == (NOW, "")
    assert behind.waiting.behind == f"{KEY}#1"
    assert head.cursor == 2


async def test_of_a_message_it_is_known_when_and_why_it_was_given_up(
    engine: Engine,
) -> None:
    letter = a_delivery(an_event(1), sink=SINK, tries=9, error="410")
    async with engine() as store:
        await store.bury(letter, NOW.timestamp())
        found = await facts(store, f"{KEY}#1")

    assert found.dead is not None
    assert (found.dead.at, found.dead.tries, found.dead.error) == (NOW, 9, "410")
    assert found.waiting is None
    assert found.cursor is None


async def test_the_decision_behind_a_notification_is_found_among_later_ones(
    engine: Engine,
) -> None:
    told = Decision(sink="oncall", reason="first", notification=f"{KEY}!1")
    first = Verdict(group=KEY, at=NOW, decisions=(told,))
    async with engine() as store:
        await store.tell([Notice(group=KEY, number=1, verdict=first)])
        for day in range(1, 4):
            later = structs.replace(first, at=NOW + day * DAY, decisions=())
            await store.tell([Notice(group=KEY, number=1, verdict=later)])

        assert await store.told_under(KEY, f"{KEY}!1") == first
        assert await store.told_under(KEY, f"{KEY}!2") is None
        assert await store.told_under("prod/biz/2/7", f"{KEY}!1") is None


async def test_events_of_some_types_are_listed_since_then_in_the_order_of_the_log(
    engine: Engine,
) -> None:
    other = "prod/biz/2/7"
    changed = ["bkjob.instance.changed"]
    async with engine() as store:
        await remember(store, a_change(events=2, at=NOW - DAY))
        await remember(store, a_change(key=other, events=2), a_change(2, after=2))
        of_both = await store.events_of(changed, NOW, most=9)
        of_one = await store.events_of(changed, NOW, key=KEY, most=9)
        page = await store.events_of(changed, NOW, after=of_both[0][0], most=1)
        none = await store.events_of(["bkjob.instance.gone"], NOW, most=9)

    assert [message.id for _, message in of_both] == [
        f"{other}#1",
        f"{other}#2",
        f"{KEY}#3",
    ]
    assert [message.id for _, message in of_one] == [f"{KEY}#3"]
    assert page == of_both[1:2]
    assert none == []


async def test_notifications_are_found_by_their_ids_after_they_were_delivered(
    engine: Engine,
) -> None:
    told = a_delivery(a_notification(1))
    telling = Telling(sink="oncall", told=None, delivery=told)
    async with engine() as store:
        await store.tell([Notice(group=KEY, number=1, tellings=[telling])])
        await store.delivered(await store.lines("oncall", 9))
        found = await store.notifications([f"{KEY}!1", f"{KEY}!2"])

    assert found == [a_notification(1)]
