"""What the loops may rely on, whatever engine is below."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, timezone

import anyio
import pytest
from msgspec import structs
from sqlalchemy import insert

from monitor import errors
from monitor.core import matchers, member
from monitor.core.clusters import Tail
from monitor.core.decisions import Decision, Verdict
from monitor.core.hazard import Table
from monitor.core.model import Failure, HostId, InstanceKey, Snapshot, Step
from monitor.core.quiet import Ack, Daily, Entry, Maintenance, Silence
from monitor.core.shards import ALL as EVERY
from monitor.core.state import Change, Phase, State
from monitor.core.transitions import Attempt
from monitor.core.watch import Added, Options, Pause, Place, Severity, Watch
from monitor.experience import Experience
from monitor.ports import (
    Account,
    Delivery,
    Head,
    Ledger,
    Notice,
    Outbox,
    Telling,
    Unread,
)
from monitor.store import housekeeping, rows, shelf
from monitor.store.schema import hazards
from monitor.store.sql import SqlStore
from tests.store.changes import (
    ALERT,
    DAY,
    KEY,
    NOW,
    TOLD,
    a_change,
    a_delivery,
    a_notification,
    an_event,
    ids,
    remember,
)
from tests.store.conftest import Engine

OTHER = "prod/biz/2/20000154"
ALL = 10_000


async def at_once(store: SqlStore, changes: Sequence[Change]) -> list[bool]:
    """Commit so that the changes share a transaction."""
    kept = [False] * len(changes)

    async def commit(number: int) -> None:
        kept[number] = await store.commit(changes[number])

    async with anyio.create_task_group() as tasks:
        for number in range(len(changes)):
            tasks.start_soon(commit, number)
    return kept


async def unread(outbox: Outbox, sink: str = "journal", most: int = ALL) -> list[str]:
    unread = await outbox.unread(sink, most, EVERY)
    return ids([message for _, message in unread.events])


# Memory.


async def test_of_what_was_never_seen_nothing_is_known(engine: Engine) -> None:
    async with engine() as store:
        assert await store.load(KEY) == State(key=KEY)


async def test_a_state_comes_back_as_it_was_also_after_a_restart(
    engine: Engine,
) -> None:
    host = HostId("0:10.0.0.1")
    step = Step(
        step_instance_id=2**63 - 1,
        status=4,
        execute_count=2,
        name="<b>重启</b>\x00",
        started_at=NOW,
        hosts={host: 104, HostId("3:"): 7},
        stale=frozenset({host}),
        failures={host: Failure(104, 1)},
    )
    alert = structs.replace(ALERT, attempt=Attempt(1, 0, "push"))
    change = a_change(
        snapshot=Snapshot(status=77, steps=(step,), outcome=4, created_at=NOW),
        alerts={alert.id: alert},
        gone=True,
        finished_at=NOW + timedelta(microseconds=1),
        tails={step.step_instance_id: {host: Tail(1, "磁盘已满\n")}},
    )

    async with engine() as store:
        await remember(store, change)
        assert await store.load(KEY) == change.state

    async with engine() as store:
        assert await store.load(KEY) == change.state


async def test_a_change_based_on_an_older_version_is_dropped(engine: Engine) -> None:
    async with engine() as store:
        await store.enrol("journal")
        newest = a_change(2, alerts={ALERT.id: ALERT})
        await remember(store, a_change(1), newest)

        assert not await store.commit(a_change(2))
        assert not await store.commit(a_change(1))
        assert not await store.commit(a_change(4))

        assert await store.load(KEY) == newest.state
        assert await unread(store) == [f"{KEY}#1", f"{KEY}#2"]


async def test_a_change_of_what_was_never_seen_must_be_the_first(
    engine: Engine,
) -> None:
    async with engine() as store:
        assert not await store.commit(a_change(2))

        assert await store.load(KEY) == State(key=KEY)


async def test_a_lost_race_drops_that_change_alone(engine: Engine) -> None:
    async with engine() as store:
        await store.enrol("journal")
        changes = [a_change(1, OTHER), a_change(1), a_change(1), a_change(2)]

        assert await at_once(store, changes) == [True, True, False, True]
        assert await unread(store) == [f"{OTHER}#1", f"{KEY}#1", f"{KEY}#2"]


async def test_state_events_and_alerts_appear_together(engine: Engine) -> None:
    async with engine() as store:
        await store.enrol("journal")
        change = a_change(events=3, alerts={ALERT.id: ALERT})
        await remember(store, change)

        assert await store.load(KEY) == change.state
        assert await store.unread("journal", ALL) == Unread(
            [(position, event) for position, event in enumerate(change.events, 1)], 3
        )
        assert await store.alerting() == [KEY]


async def test_state_events_and_alerts_appear_together_or_not_at_all(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol("journal")
        await remember(store, a_change(1))
        repeats_an_id = a_change(2, after=0, alerts={ALERT.id: ALERT})

        with pytest.raises(errors.StoreError):
            await store.commit(repeats_an_id)

        assert await store.load(KEY) == a_change(1).state
        assert await unread(store) == [f"{KEY}#1"]
        assert await store.alerting() == []


async def test_what_cannot_be_written_fails_its_own_visit_only(
    engine: Engine,
) -> None:
    too_large = Snapshot(status=2**70)

    async with engine() as store:
        with pytest.raises(OverflowError):
            await store.commit(a_change(snapshot=too_large))

        assert await at_once(store, [a_change()]) == [True]


async def test_heads_tell_what_the_poller_keeps_of_each_instance(
    engine: Engine,
) -> None:
    ended = a_change(1, phase=Phase.RETIRED, finished_at=NOW + DAY)
    fresh = a_change(1, OTHER, changed_at=None)

    async with engine() as store:
        await remember(store, ended, fresh)

        assert sorted(await store.heads("prod"), key=lambda head: head.key) == [
            Head(KEY, Phase.RETIRED, NOW, NOW + DAY),
            Head(OTHER, Phase.WATCHED, None, None),
        ]


async def test_heads_of_a_source_are_of_no_other_with_a_similar_name(
    engine: Engine,
) -> None:
    sources = ["a_b", "axb", "a_bc", "a", "xa_b", "a%"]

    async with engine() as store:
        for source in sources:
            await remember(store, a_change(1, f"{source}/biz/2/1"))
        await remember(store, a_change(1, "a_b"), a_change(1, "a_b/biz/2"))

        found = {source: await store.heads(source) for source in [*sources, "%", "b"]}

    assert {name: sorted(h.key for h in heads) for name, heads in found.items()} == {
        **{source: [f"{source}/biz/2/1"] for source in sources},
        "a_b": ["a_b/biz/2", "a_b/biz/2/1"],
        "%": [],
        "b": [],
    }


async def test_times_are_kept_to_the_microsecond_and_in_utc(engine: Engine) -> None:
    beijing = timezone(timedelta(hours=8))
    moment = datetime(2026, 11, 23, 18, 0, 0, 123457, beijing)

    async with engine() as store:
        await remember(store, a_change(1, changed_at=moment))
        (head,) = await store.heads("prod")

    assert head.changed_at == moment
    assert head.changed_at is not None
    assert head.changed_at.tzinfo is UTC


# Outbox: events.


async def test_a_new_sink_reads_what_is_recorded_from_now_on(engine: Engine) -> None:
    async with engine() as store:
        await remember(store, a_change(1))
        await store.enrol("journal")
        await remember(store, a_change(2))

        assert await unread(store) == [f"{KEY}#2"]


async def test_enrolling_again_changes_nothing(engine: Engine) -> None:
    async with engine() as store:
        await store.enrol("journal")
        await remember(store, a_change(1))
        await store.enrol("journal")

        assert await unread(store) == [f"{KEY}#1"]


async def test_a_sink_that_never_enrolled_has_nothing_to_read(engine: Engine) -> None:
    async with engine() as store:
        await remember(store, a_change(1))

        assert await unread(store, "stranger") == []


async def test_events_are_read_in_the_order_of_recording_over_restarts(
    engine: Engine,
) -> None:
    expected = []
    async with engine() as store:
        await store.enrol("journal")
    for version in (1, 2, 3):
        async with engine() as store:
            changes = [
                a_change(version, key, after=2 * version - 2, events=2)
                for key in (OTHER, KEY)
            ]
            await at_once(store, changes)
            expected += [event.id for change in changes for event in change.events]

            assert await unread(store) == expected
            assert await unread(store, most=3) == expected[:3]


async def test_each_sink_reads_at_its_own_pace(engine: Engine) -> None:
    async with engine() as store:
        await store.enrol("journal")
        await store.enrol("oncall")
        await remember(store, a_change(1), a_change(2))
        (position, _), _ = (await store.unread("journal", ALL)).events
        await store.read("journal", position, [])

        assert await unread(store, "journal") == [f"{KEY}#2"]
        assert await unread(store, "oncall") == [f"{KEY}#1", f"{KEY}#2"]


async def test_what_failed_waits_once_the_cursor_has_passed_it(
    engine: Engine,
) -> None:
    failed = a_delivery(an_event(1), tries=1, error="no route", due=5.5, since=4.25)

    async with engine() as store:
        await store.enrol("oncall")
        await remember(store, a_change(1))
        await store.read("oncall", 1, [failed])

    async with engine() as store:
        assert await unread(store, "oncall") == []
        assert await store.lines("oncall", ALL) == [structs.replace(failed, number=1)]


async def test_the_cursor_stays_where_the_failures_cannot_be_kept(
    engine: Engine,
) -> None:
    twice = [a_delivery(an_event(1)), a_delivery(an_event(1))]

    async with engine() as store:
        await store.enrol("oncall")
        await remember(store, a_change(1))

        with pytest.raises(errors.StoreError):
            await store.read("oncall", 1, twice)

        assert await unread(store, "oncall") == [f"{KEY}#1"]
        assert await store.waiting("oncall") == {}


async def test_positions_are_not_used_again_after_everything_was_forgotten(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol("journal")
        await remember(store, a_change(1))
        await store.read("journal", 1, [])
        await store.forget(NOW + DAY, ["journal"])

    async with engine() as store:
        await remember(store, a_change(2))

        assert await store.unread("journal", ALL) == Unread([(2, an_event(2))], 2)


# Outbox: what waits.


async def waiting(store: SqlStore, *deliveries: Delivery) -> None:
    for delivery in deliveries:
        await store.read(delivery.sink, 0, [delivery])


async def heads_of_line(outbox: Outbox, most: int = ALL) -> list[str]:
    lines = await outbox.lines("oncall", most, EVERY)
    return ids([delivery.message for delivery in lines])


async def test_only_the_first_of_a_line_is_given_the_most_urgent_line_first(
    engine: Engine,
) -> None:
    async with engine() as store:
        await waiting(
            store,
            a_delivery(an_event(1), due=30.0),
            a_delivery(an_event(2), due=1.0),
            a_delivery(an_event(1, OTHER), due=20.0),
            a_delivery(a_notification(1), due=10.0),
            a_delivery(an_event(9, "prod/biz/2/9"), sink="another", due=0.0),
        )

        expected = [f"{KEY}!1", f"{OTHER}#1", f"{KEY}#1"]
        assert await heads_of_line(store) == expected
        assert await heads_of_line(store, most=2) == expected[:2]


async def test_the_next_of_a_line_follows_when_the_first_is_delivered(
    engine: Engine,
) -> None:
    async with engine() as store:
        await waiting(store, a_delivery(an_event(1)), a_delivery(an_event(2)))
        await store.delivered(await store.lines("oncall", ALL))
        await waiting(store, a_delivery(an_event(3)))

        assert await heads_of_line(store) == [f"{KEY}#2"]


async def test_many_deliveries_are_done_at_once_and_none_is_fine(
    engine: Engine,
) -> None:
    keys = [f"prod/biz/2/{number}" for number in range(1, 2_001)]

    async with engine() as store:
        await store.read("oncall", 0, [a_delivery(an_event(1, key)) for key in keys])
        await store.delivered(await store.lines("oncall", ALL))
        await store.delivered([])

        assert await store.waiting("oncall") == {}


async def test_a_postponed_delivery_keeps_its_place_in_the_line(
    engine: Engine,
) -> None:
    async with engine() as store:
        await waiting(store, a_delivery(an_event(1)), a_delivery(an_event(2)))
        (first,) = await store.lines("oncall", ALL)
        later = structs.replace(first, due=9e9, tries=7, error="still no route")
        await store.postpone(later)

        assert await store.lines("oncall", ALL) == [later]


async def test_waiting_names_what_waits_in_each_line_of_that_sink(
    engine: Engine,
) -> None:
    async with engine() as store:
        await waiting(
            store,
            a_delivery(an_event(1)),
            a_delivery(an_event(2)),
            a_delivery(a_notification(1)),
            a_delivery(an_event(1), sink="another"),
        )

        assert await store.waiting("oncall") == {
            KEY: {f"{KEY}#1", f"{KEY}#2"},
            f"{KEY}!": {f"{KEY}!1"},
        }


async def test_a_buried_delivery_frees_its_line(engine: Engine) -> None:
    async with engine() as store:
        await waiting(store, a_delivery(an_event(1)), a_delivery(an_event(2)))
        (first,) = await store.lines("oncall", ALL)
        await store.bury(first, NOW.timestamp())

        assert await heads_of_line(store) == [f"{KEY}#2"]


async def test_a_delivery_may_be_buried_twice(engine: Engine) -> None:
    never_waited = a_delivery(an_event(1))
    elsewhere = a_delivery(an_event(1), sink="another")

    async with engine() as store:
        await store.bury(never_waited, NOW.timestamp())
        await store.bury(never_waited, NOW.timestamp())
        await store.bury(elsewhere, NOW.timestamp())

        assert await store.forget(NOW + DAY, []) == 2


# Ledger.


def told(sink: str, *numbers: int) -> list[Telling]:
    return [
        Telling(
            sink=sink, told=TOLD, delivery=a_delivery(a_notification(number), sink=sink)
        )
        for number in numbers
    ]


async def test_of_a_group_nobody_was_told_of_there_is_nothing(engine: Engine) -> None:
    async with engine() as store:
        await remember(store, a_change(1))

        assert (await store.accounts([KEY]))[KEY] == Account(told={}, notifications=0)


async def test_members_are_what_is_known_of_those_of_whom_anything_is(
    engine: Engine,
) -> None:
    async with engine() as store:
        change = a_change(
            1,
            alerts={ALERT.id: ALERT},
            snapshot=Snapshot(status=4, name="deploy", plan_id=7),
        )
        await remember(store, change, a_change(1, OTHER))

        found = await store.members([KEY, OTHER, "prod/biz/2/404"])

        assert {each.key: each for each in found} == {
            KEY: member.of(change.state),
            OTHER: member.of(a_change(1, OTHER).state),
        }


async def test_decisions_are_kept_and_given_the_newest_first(engine: Engine) -> None:
    verdicts = [
        Verdict(group=KEY, at=NOW, decisions=(Decision(sink="oncall", reason=reason),))
        for reason in ("first", "already_told", "resolved")
    ]
    async with engine() as store:
        for verdict in verdicts:
            await store.tell([Notice(group=KEY, number=0, verdict=verdict)])

        assert await store.verdicts(KEY, 2) == [verdicts[2], verdicts[1]]
        assert await store.verdicts(OTHER, 2) == []


async def test_what_is_told_is_remembered_counted_and_on_its_way(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.tell(
            [
                Notice(
                    group=KEY, number=1, tellings=[*told("oncall", 1), *told("chat", 1)]
                )
            ]
        )

    async with engine() as store:
        assert (await store.accounts([KEY]))[KEY] == Account(
            told={"oncall": TOLD, "chat": TOLD},
            notifications=1,
        )
        assert await heads_of_line(store) == [f"{KEY}!1"]
        assert await store.waiting("chat") == {f"{KEY}!": {f"{KEY}!1"}}


async def test_numbers_of_a_group_rise_with_each_telling(engine: Engine) -> None:
    async with engine() as store:
        await store.tell(
            [
                Notice(
                    group=KEY, number=2, tellings=[*told("oncall", 1), *told("chat", 2)]
                )
            ]
        )
        await store.tell([Notice(group=KEY, number=3, tellings=told("oncall", 3))])

        assert (await store.accounts([KEY]))[KEY].notifications == 3
        assert (await store.accounts([OTHER]))[OTHER].notifications == 0
        assert await store.waiting("oncall") == {f"{KEY}!": {f"{KEY}!1", f"{KEY}!3"}}


async def test_what_is_told_is_remembered_only_with_what_is_on_its_way(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.tell([Notice(group=KEY, number=1, tellings=told("oncall", 1))])
        same_id = [Telling(sink="chat", told=TOLD, delivery=None), *told("oncall", 1)]

        with pytest.raises(errors.StoreError):
            await store.tell([Notice(group=KEY, number=2, tellings=same_id)])

        account = (await store.accounts([KEY]))[KEY]
        assert (set(account.told), account.notifications) == ({"oncall"}, 1)


async def test_silence_changes_what_was_told_and_not_the_number(
    engine: Engine,
) -> None:
    quiet = structs.replace(TOLD, alerts={})

    async with engine() as store:
        await store.tell(
            [
                Notice(
                    group=KEY, number=1, tellings=[*told("oncall", 1), *told("chat", 1)]
                )
            ]
        )
        await store.tell(
            [
                Notice(
                    group=KEY,
                    number=9,
                    tellings=[
                        Telling(sink="oncall", told=quiet, delivery=None),
                        Telling(sink="chat", told=None, delivery=None),
                    ],
                )
            ]
        )

        account = (await store.accounts([KEY]))[KEY]
        assert (account.told, account.notifications) == ({"oncall": quiet}, 1)


async def test_alerting_names_what_holds_and_informed_what_was_told_each_once(
    engine: Engine,
) -> None:
    async with engine() as store:
        holding = a_change(1, alerts={ALERT.id: ALERT})
        await remember(store, holding, a_change(1, OTHER), a_change(1, "prod/biz/2/1"))
        await store.tell(
            [
                Notice(
                    group=KEY, number=1, tellings=[*told("oncall", 1), *told("chat", 1)]
                )
            ]
        )
        await store.tell(
            [
                Notice(
                    group=OTHER,
                    number=0,
                    tellings=[Telling(sink="oncall", told=TOLD, delivery=None)],
                )
            ]
        )

        assert await store.alerting() == [KEY]
        assert sorted(await store.informed()) == [KEY, OTHER]


async def test_what_is_over_and_was_not_told_is_not_alerting(engine: Engine) -> None:
    async with engine() as store:
        ledger: Ledger = store
        await remember(store, a_change(1, alerts={ALERT.id: ALERT}), a_change(2))

        assert await ledger.alerting() == []


# Housekeeping.


async def all_forgotten(
    store: SqlStore, before: datetime, readers: Sequence[str] = ()
) -> list[int]:
    slices: list[int] = []
    while slices[-1:] != [0]:
        slices.append(await store.forget(before, readers))
    return slices[:-1]


async def test_what_is_older_is_forgotten_and_what_is_younger_kept(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol("journal")
        await remember(store, a_change(1, at=NOW - DAY), a_change(2, at=NOW))

        assert await all_forgotten(store, NOW) == [1]
        assert await unread(store) == [f"{KEY}#2"]


async def test_events_that_a_sink_has_yet_to_read_are_kept(engine: Engine) -> None:
    async with engine() as store:
        for sink in ("journal", "oncall", "removed"):
            await store.enrol(sink)
        await remember(store, *(a_change(version) for version in (1, 2, 3)))
        await store.read("journal", 3, [])
        await store.read("oncall", 1, [])

        readers = ["journal", "oncall", "reads no events"]
        assert await all_forgotten(store, NOW + DAY, readers) == [1]
        assert await unread(store, "oncall") == [f"{KEY}#2", f"{KEY}#3"]


async def test_dead_letters_are_forgotten_by_the_time_they_died(
    engine: Engine,
) -> None:
    async with engine() as store:
        for number, died_at in ((1, NOW - DAY), (2, NOW)):
            await store.bury(a_delivery(an_event(number)), died_at.timestamp())

        assert await all_forgotten(store, NOW) == [1]


async def test_what_waits_for_a_sink_is_kept_until_the_sink_is_removed(
    engine: Engine,
) -> None:
    async with engine() as store:
        await waiting(store, a_delivery(an_event(1)), a_delivery(a_notification(1)))

        assert await all_forgotten(store, NOW + DAY, ["oncall"]) == []
        assert await all_forgotten(store, NOW - DAY, ["journal"]) == []
        assert await all_forgotten(store, NOW + DAY, ["journal"]) == [2]
        assert await store.waiting("oncall") == {}


@pytest.mark.parametrize("phase", [Phase.RETIRED, Phase.UNWATCHED])
async def test_of_an_instance_nobody_watches_the_sequence_is_kept_for_ever(
    engine: Engine, phase: Phase
) -> None:
    last = a_change(2, after=1, events=3, phase=phase, finished_at=NOW)

    async with engine() as store:
        await remember(store, a_change(1), last)
        await store.tell([Notice(group=KEY, number=1, tellings=told("oncall", 1))])
        await all_forgotten(store, NOW + DAY)

        assert await store.load(KEY) == State(
            key=KEY, version=3, sequence=4, phase=phase
        )
        account = (await store.accounts([KEY]))[KEY]
        assert (account.told, account.notifications) == ({}, 1)
        assert await store.heads("prod") == [Head(KEY, phase, None, None)]
        assert await all_forgotten(store, NOW + 9999 * DAY) == []


async def test_an_instance_seen_again_goes_on_where_its_sequence_was(
    engine: Engine,
) -> None:
    async with engine() as store:
        await store.enrol("journal")
        await remember(store, a_change(1, events=5, phase=Phase.UNWATCHED))
        await all_forgotten(store, NOW + DAY)
        known = await store.load(KEY)

        assert not await store.commit(a_change(1))
        assert not await store.commit(a_change(2, after=5))
        again = a_change(known.version + 1, after=known.sequence)
        await remember(store, again)
        assert (await unread(store))[-1] == f"{KEY}#6"


async def test_a_watched_instance_is_not_forgotten_however_quiet(
    engine: Engine,
) -> None:
    change = a_change(1, alerts={ALERT.id: ALERT})

    async with engine() as store:
        await remember(store, change)
        await all_forgotten(store, NOW + 9999 * DAY)

        assert await store.load(KEY) == change.state


async def test_forgetting_goes_in_slices(engine: Engine) -> None:
    events = 2 * housekeeping.SLICE + 1

    async with engine() as store:
        await remember(store, a_change(1, events=events))

        assert await all_forgotten(store, NOW + DAY) == [
            housekeeping.SLICE,
            housekeeping.SLICE,
            1,
        ]


async def test_a_message_comes_back_as_it_was(engine: Engine) -> None:
    strange = structs.replace(an_event(1), subject=None, data=b'"\xe9"', traits={})
    change = Change(state=a_change(1).state, events=(strange,))

    async with engine() as store:
        await store.enrol("journal")
        await remember(store, change)

        assert await store.unread("journal", ALL) == Unread([(1, strange)], 1)


# What people said about when to be quiet.


SILENCE = Silence(
    id="s1",
    matchers=(matchers.parse('team=~"sre|dba"'),),
    starts_at=NOW,
    ends_at=NOW + DAY,
    author="alice",
    comment="磁盘",
)
WINDOW = Maintenance(
    name="s1",
    matchers=SILENCE.matchers,
    daily=Daily(start=time(22), end=time(6), days=frozenset({0, 6})),
)
ACK = Ack(group=KEY, author="alice", at=NOW, sticky=True)


async def said(store: SqlStore) -> set[Entry]:
    return {*await store.said()}


async def test_what_people_said_comes_back_as_it_was(engine: Engine) -> None:
    async with engine() as store:
        for entry in (SILENCE, WINDOW, ACK):
            await store.say(entry)

        assert await said(store) == {SILENCE, WINDOW, ACK}


async def test_what_is_said_again_takes_the_place_of_what_was_said(
    engine: Engine,
) -> None:
    later = structs.replace(SILENCE, ends_at=NOW + 2 * DAY)

    async with engine() as store:
        for entry in (SILENCE, WINDOW, later):
            await store.say(entry)

        assert await said(store) == {later, WINDOW}


async def test_what_is_taken_back_is_gone_and_nothing_else(engine: Engine) -> None:
    async with engine() as store:
        for entry in (SILENCE, WINDOW, ACK):
            await store.say(entry)
        await store.unsay(SILENCE)

        assert await said(store) == {WINDOW, ACK}


async def test_what_is_over_for_long_is_forgotten_and_what_has_no_end_is_kept(
    engine: Engine,
) -> None:
    async with engine() as store:
        for entry in (SILENCE, WINDOW, ACK):
            await store.say(entry)
        await all_forgotten(store, NOW + DAY)
        so_far = await said(store)
        await all_forgotten(store, NOW + 2 * DAY)

        assert so_far == {SILENCE, WINDOW, ACK}
        assert await said(store) == {WINDOW, ACK}


# Wishes.

NUMBERED = (InstanceKey("prod", "biz", "2", 1), InstanceKey("test", "biz", "2", 2))
WATCH = Watch(
    key=NUMBERED[0],
    labels={"team": "sre"},
    options=Options(severity=Severity.CRITICAL, settle=DAY, until=NOW + DAY),
    place=Place("api"),
    added=Added(at=NOW, author="alice", comment="磁盘"),
)
PAUSE = Pause(key=NUMBERED[0], at=NOW, ends_at=NOW + DAY, author="bob", comment="x")


async def test_what_was_found_is_read_on_from_where_one_was(engine: Engine) -> None:
    other = structs.replace(WATCH, key=InstanceKey("prod", "biz", "2", 2))
    again = structs.replace(WATCH, labels={"team": "dba"})
    async with engine() as store:
        await store.add([WATCH, other])
        first = await store.found("prod")
        await store.add([again])
        second = await store.found("prod", first.upto)
        await store.drop([other.key])
        third = await store.found("prod", second.upto)
        left = await store.keys("prod")

    assert (first.watches, first.in_all) == ([WATCH, other], 2)
    assert (second.watches, second.in_all) == ([again], 2)
    assert (third.watches, third.in_all) == ([], 1)
    assert left == [WATCH.key]


async def test_added_watches_and_pauses_survive_a_restart_as_they_were(
    engine: Engine,
) -> None:
    other = structs.replace(WATCH, key=NUMBERED[1], labels={})
    endless = Pause(key=NUMBERED[1], at=NOW)
    async with engine() as store:
        for watch in (WATCH, other):
            await store.keep_watch(watch)
        for pause in (PAUSE, endless):
            await store.keep_pause(pause)

    async with engine() as store:
        added, paused = await store.added(), await store.paused()

    assert sorted(added, key=lambda watch: watch.key) == [WATCH, other]
    assert sorted(paused, key=lambda pause: pause.key) == [PAUSE, endless]


async def test_a_wish_about_the_same_instance_takes_the_place_of_the_last(
    engine: Engine,
) -> None:
    later = structs.replace(WATCH, labels={"team": "dba"})
    longer = structs.replace(PAUSE, ends_at=None)
    async with engine() as store:
        for watch in (WATCH, later):
            await store.keep_watch(watch)
        for pause in (PAUSE, longer):
            await store.keep_pause(pause)

        assert await store.added() == [later]
        assert await store.paused() == [longer]


async def test_wishes_that_are_taken_back_are_gone_and_no_others(
    engine: Engine,
) -> None:
    other = structs.replace(WATCH, key=NUMBERED[1])
    async with engine() as store:
        for watch in (WATCH, other):
            await store.keep_watch(watch)
        await store.keep_pause(PAUSE)
        await store.drop_watches([WATCH.key])
        kept = await store.added(), await store.paused()
        await store.drop_pauses([PAUSE.key])

        assert kept == ([other], [PAUSE])
        assert await store.paused() == []


# What was learnt.

DEPLOY, BACKUP = (
    ("prod/2 deploy", "prod/2", "prod"),
    ("prod/2 backup", "prod/2", "prod"),
)


async def test_what_several_daemons_learn_is_added_up_and_survives_a_restart(
    engine: Engine,
) -> None:
    async with engine() as store:
        one, other = Experience("prod", store), Experience("prod", store)
        for kinds in (DEPLOY, BACKUP):
            one.saw_end(kinds, 600.0)
            other.saw_end(kinds, 30.0)
            await one.save()
            await other.save()
        await one.save()

    async with engine() as store:
        classes = await store.newest("prod", 9)
        learnt = await store.learnt(classes)
        elsewhere = await store.newest("test", 9)

    seconds = {key: table.seconds for key, table in learnt.items()}
    assert seconds == pytest.approx(
        {DEPLOY[0]: 630, BACKUP[0]: 630, "prod/2": 1260, "prod": 1260}, rel=0.01
    )
    assert elsewhere == []


async def test_of_what_was_forgotten_all_is_kept_that_is_known_to_who_uses_it(
    engine: Engine,
) -> None:
    once, known = Table((9.0,), (1.0,), 9.0), Table((99.0,), (11.0,), 99.0)
    learnt, all_known = dict.fromkeys(("prod", "prod/2"), once), {"prod": known}
    async with engine() as store:
        await store.keep("prod", {"prod/2": once}, {"prod/2": once})
        found = await store.keep("prod", learnt, all_known | {"prod/2": known})

        assert await store.learnt(["prod", "prod/2"]) == found
        assert found["prod"] == known
        assert found["prod/2"].completions == pytest.approx(2, abs=0.01)


async def test_what_was_learnt_of_last_comes_first(engine: Engine) -> None:
    once = Table((9.0,), (1.0,), 9.0)
    async with engine() as store:
        for sequence, key in enumerate(("prod/2", "prod/3", "prod/2"), 1):
            await remember(store, a_change(sequence))
            await store.keep("prod", {key: once}, {key: once})

        assert await store.newest("prod", 9) == ["prod/2", "prod/3"]
        assert await store.newest("prod", 1) == ["prod/2"]


async def test_of_too_many_classes_of_a_source_those_learnt_of_last_are_kept(
    engine: Engine,
) -> None:
    of = {"shard": 1, "body": rows.encode(Table())}
    crowd = [
        {**of, "source": "prod", "key": f"prod/{n}", "position": n}
        for n in range(shelf.MOST + 3)
    ]
    alone = {**of, "source": "test", "key": "test", "position": 0}
    async with engine() as store:
        await store._group.do(lambda c: c.execute(insert(hazards), [*crowd, alone]))
        gone = await all_forgotten(store, NOW)
        kept = await store.newest("prod", 2 * shelf.MOST)

        assert gone == [3]
        assert (len(kept), kept[-1]) == (shelf.MOST, "prod/3")
        assert await store.newest("test", 9) == ["test"]
