"""What is on record of deliveries: dead letters, what was given up, who was told instead."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from monitor.core import explaining
from monitor.core.explaining import Fate, SinkData
from monitor.core.message import Kind, Message
from monitor.core.subscription import Subscription
from monitor.ports import Delivery, Notice, Telling
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

T = NOW.timestamp()
ALWAYS = (0.0, T + 1e6)
SINK = "oncall"


async def subscribed(store: SqlStore) -> None:
    await store.enrol(SINK)
    await store.adopt([Subscription(sink=SINK, send=(Kind.EVENTS, Kind.ALERTS))])


async def explained(store: SqlStore, sequence: int) -> SinkData:
    found = await store.recorded(KEY, sequence)
    assert found is not None
    known = await store.facts(found.event.id, [SINK], found.position)
    [facts] = [each for each in known if each.sink == SINK]
    return explaining.of_event(found, facts)


async def told(
    store: SqlStore, number: int, sinks: Sequence[str] = (SINK,), *, over: bool = False
) -> None:
    """Tell *sinks*; *over*: that nothing holds any more."""
    message = a_notification(number)
    tellings = [
        Telling(
            sink=sink,
            told=structs.replace(TOLD, alerts={}) if over else TOLD,
            delivery=a_delivery(message, sink=sink),
        )
        for sink in sinks
    ]
    await store.tell([Notice(group=KEY, number=number, tellings=tellings)])


async def waiting(store: SqlStore, sink: str = SINK) -> list[Delivery]:
    """Take what waits, one after the other; the first of a line hides the others."""
    found: list[Delivery] = []
    while heads := await store.lines(sink, 100):
        found += heads
        await store.delivered(heads)
    return found


def ids(found: Sequence[Delivery]) -> list[str]:
    return [delivery.message.id for delivery in found]


# Dead letters.


async def test_a_dead_letter_is_listed_until_it_is_on_its_way_again(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.bury(a_delivery(an_event(1), tries=3, error="410"), T)
        [letter] = await store.letters(10)
        added = await store.put([a_delivery(an_event(1))])
        left = await store.letters(10)
        on_its_way = await waiting(store)

    assert (letter.sink, letter.message, letter.died_at) == (SINK, an_event(1), T)
    assert (letter.tries, letter.error) == (3, "410")
    assert added == {an_event(1).id}
    assert left == []
    assert [each.tries for each in on_its_way] == [0]


async def test_letters_are_given_a_page_at_a_time_the_oldest_first(
    engine: Engine,
) -> None:
    async with engine() as store:
        for number in (3, 1, 2):
            await store.bury(a_delivery(an_event(number)), T + number)
        await store.bury(a_delivery(an_event(1), sink="other"), T + 1)
        first = await store.letters(2)
        last = first[-1]
        rest = await store.letters(9, (last.died_at, last.sink, last.message.id))
        mine = await store.letters(9, sink=SINK)
        named = await store.letters(9, ids=[an_event(1).id])

    assert [(x.sink, x.message.sequence) for x in (*first, *rest)] == [
        (SINK, 1),
        ("other", 1),
        (SINK, 2),
        (SINK, 3),
    ]
    assert [x.message.sequence for x in mine] == [1, 2, 3]
    assert [x.sink for x in named] == [SINK, "other"]


async def test_what_is_thrown_away_is_known_to_have_been(engine: Engine) -> None:
    async with engine() as store:
        await subscribed(store)
        await remember(store, a_change(1))
        await store.read(SINK, 1, [])
        await store.bury(a_delivery(an_event(1)), T)
        await store.drop_letters(await store.letters(9), "by hand", T)
        dropped = await explained(store, 1)
        await store.put([a_delivery(an_event(1))])
        again = await explained(store, 1)

    assert (dropped.told, dropped.reason) == (False, Fate.DROPPED)
    assert dropped.delivery is not None
    assert dropped.delivery.error == "by hand"
    assert again.reason == Fate.WAITING


async def test_what_waits_already_is_not_put_on_its_way_twice(engine: Engine) -> None:
    async with engine() as store:
        await store.put([a_delivery(an_event(1), tries=2)])
        added = await store.put([a_delivery(an_event(1)), a_delivery(an_event(2))])
        found = await waiting(store)

    assert added == {an_event(2).id}
    assert [(x.message.sequence, x.tries) for x in found] == [(1, 2), (2, 0)]


async def test_an_event_that_is_read_anew_after_its_letter_was_sent_again_waits_once(
    engine: Engine,
) -> None:
    async with engine() as store:
        await subscribed(store)
        await remember(store, a_change(1))
        await store.bury(a_delivery(an_event(1)), T)
        await store.put([a_delivery(an_event(1))])
        await store.read(SINK, 1, [a_delivery(an_event(1), tries=1)])
        found = await waiting(store)

    assert [(x.message.sequence, x.tries) for x in found] == [(1, 0)]


async def test_what_was_passed_over_meanwhile_is_not_read_again(engine: Engine) -> None:
    async with engine() as store:
        await subscribed(store)
        await remember(store, a_change(1, events=5))
        await store.unread(SINK, 2)
        await store.shed(SINK, 1, T)
        await store.read(SINK, 2, [])
        left = await store.unread(SINK, 9)

    assert [message.sequence for _, message in left.events] == [5]


# Too much.


async def test_the_oldest_of_what_waits_goes_and_is_known_to_have_gone(
    engine: Engine,
) -> None:
    async with engine() as store:
        await subscribed(store)
        await remember(store, a_change(1, events=5))
        failed = [a_delivery(an_event(number)) for number in range(1, 6)]
        await store.read(SINK, 5, failed)
        shed = await store.shed(SINK, 2, T)
        reasons = [(await explained(store, number)).reason for number in range(1, 6)]
        left = await waiting(store)

    assert shed.messages == 3
    assert shed.lines == {KEY: {an_event(number).id for number in (1, 2, 3)}}
    assert ids(left) == [an_event(4).id, an_event(5).id]
    assert reasons[:3] == [Fate.DROPPED] * 3
    assert Fate.DROPPED not in reasons[3:]


async def test_events_that_are_passed_over_are_known_and_can_be_sent_later(
    engine: Engine,
) -> None:
    async with engine() as store:
        await subscribed(store)
        await remember(store, a_change(1, events=5))
        shed = await store.shed(SINK, 2, T)
        unread = await store.unread(SINK, 9)
        before = await explained(store, 2)
        _, second = (await store.events_within(SINK, ALWAYS, 0, 9))[1]
        await store.put([a_delivery(second)])
        await waiting(store)
        after = await explained(store, 2)

    assert (shed.messages, shed.lines) == (3, {})
    assert [message.sequence for _, message in unread.events] == [4, 5]
    assert before.reason == Fate.DROPPED
    assert after.reason == Fate.DELIVERED


async def test_within_its_bounds_nothing_goes(engine: Engine) -> None:
    async with engine() as store:
        await subscribed(store)
        await remember(store, a_change(1, events=5))
        await store.put([a_delivery(an_event(1)), a_delivery(an_event(2), tries=1)])
        shed = await store.shed(SINK, 5, T)
        standing = await store.standing(SINK)

    assert shed.messages == 0
    assert (standing.waiting, standing.unread, standing.dead) == (2, 5, 0)
    assert standing.retried == 1
    assert standing.oldest == T


# Somebody else.


async def test_who_was_told_himself_is_not_told_instead(engine: Engine) -> None:
    async with engine() as store:
        await told(store, 1, [SINK, "mail"])
        passed = await store.pass_on(SINK, "mail", T, T)
        found = await waiting(store, "mail")

    assert passed == 0
    assert ids(found) == [a_notification(1).id]


@pytest.mark.parametrize("restarts", [False, True])
async def test_who_was_told_instead_hears_all_of_it_to_its_end(
    engine: Engine, *, restarts: bool
) -> None:
    async with engine() as store:
        await told(store, 1)
        await store.pass_on(SINK, "mail", T, T)
        if not restarts:
            await the_rest(store)
    if restarts:
        async with engine() as store:
            await store.settle({SINK: "mail"})
            await the_rest(store)
    async with engine() as store:
        instead = await waiting(store, "mail")
        himself = await waiting(store)

    assert ids(instead) == [a_notification(number).id for number in (1, 2, 3)]
    assert ids(himself) == [a_notification(number).id for number in (1, 2, 3, 4)]


async def the_rest(store: SqlStore) -> None:
    await told(store, 2)
    await told(store, 3, over=True)
    await told(store, 4)


async def test_who_is_a_fallback_no_longer_hears_no_more(engine: Engine) -> None:
    async with engine() as store:
        await told(store, 1)
        await store.pass_on(SINK, "mail", T, T)
        await store.settle({SINK: "pager"})
        await told(store, 2)
        instead = await waiting(store, "mail")

    assert ids(instead) == [a_notification(1).id]


async def test_to_whom_it_was_passed_on_is_known(engine: Engine) -> None:
    async with engine() as store:
        await told(store, 1)
        await store.pass_on(SINK, "mail", T, T)
        [facts] = await store.facts(a_notification(1).id, [SINK])

    delivery = explaining.of_delivery(facts)
    assert (delivery.state, delivery.passed_on) == (Fate.WAITING, "mail")


# Again.


def sequences(found: Sequence[tuple[object, Message]]) -> list[int | None]:
    return [message.sequence for _, message in found]


async def test_events_of_a_time_are_given_as_far_as_they_were_read(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol(SINK)
        for version in range(1, 6):
            await remember(store, a_change(version, at=NOW + version * DAY))
        await store.read(SINK, 4, [])
        day = DAY.total_seconds()
        all_ = await store.events_within(SINK, ALWAYS, 0, 9)
        some = await store.events_within(SINK, (T + 2 * day, T + 4 * day), 0, 9)
        behind = await store.events_within(SINK, ALWAYS, 2, 9)
        nobody = await store.events_within("nobody", ALWAYS, 0, 9)

    assert sequences(all_) == [1, 2, 3, 4]
    assert sequences(some) == [2, 3]
    assert sequences(behind) == [3, 4]
    assert nobody == []


async def test_notifications_that_arrived_are_still_there_for_whom_they_were_meant(
    engine: Engine,
) -> None:
    async with engine() as store:
        await told(store, 1, [SINK, "mail"])
        await told(store, 2)
        await waiting(store)
        mine = await store.notifications_within(SINK, ALWAYS, None, 9)
        rest = await store.notifications_within(SINK, ALWAYS, mine[0][0], 9)
        his = await store.notifications_within("mail", ALWAYS, None, 9)

    assert [message for _, message in mine] == [a_notification(1), a_notification(2)]
    assert [message for _, message in rest] == [a_notification(2)]
    assert [message for _, message in his] == [a_notification(1)]


async def test_what_is_older_than_it_is_kept_goes(engine: Engine) -> None:
    async with engine() as store:
        await subscribed(store)
        await told(store, 1)
        await waiting(store)
        await store.bury(a_delivery(an_event(1)), T)
        await store.drop_letters(await store.letters(9), "by hand", T)
        while await store.forget(NOW + DAY, [SINK]):
            continue
        left = await store.notifications_within(SINK, ALWAYS, None, 9)
        [facts] = [
            each
            for each in await store.facts(an_event(1).id, [SINK])
            if each.sink == SINK
        ]

    assert left == []
    assert facts.dropped is None
