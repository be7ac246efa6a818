"""What visits make of the answers of one source; real store, virtual time."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from monitor import errors
from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.state import Phase
from monitor.core.watch import Severity
from monitor.store.sql import SqlStore
from tests.support import clock, stores
from tests.support.answers import (
    FAILED,
    KEY,
    RECOVERED,
    RETRYING,
    RUNNING,
    SUCCEEDED,
    WORSE,
    a_job,
    a_key,
    a_watch,
    hosts,
)
from tests.support.source import ScriptedSource
from tests.support.watching import Watching, watching

pytestmark = pytest.mark.looptime

EVERY_10_S = Rules(limits=Limits(floor=10.0, cap=10.0), spread=0.0)
FIRST_FAILURE = [
    "instance.appeared",
    "instance.finished",
    "hosts.failed",
    "alert.raised",
    "alert.raised",
]
OTHER = a_key(2)


def ids(seen: Watching) -> list[str]:
    return [event.id for event in seen.events]


async def recorded(store: SqlStore) -> list[str]:
    """List the ids in the log; the witness must have been enrolled."""
    unread = await store.unread("witness", 1000)
    return [message.id for _, message in unread.events]


async def test_at_first_sight_what_is_already_over_is_told(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), [a_watch()]) as seen:
            await anyio.sleep(1)

        assert seen.types == FIRST_FAILURE
        assert ids(seen) == [f"prod/biz/2/1#{n}" for n in range(1, 6)]


async def test_an_answer_that_says_nothing_new_writes_nothing(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(3600)

    assert len(source.asked) > 300
    assert len(seen.changes) == 1


async def test_rows_in_another_order_write_nothing(tmp_path: Path) -> None:
    shuffled = a_job(4, hosts(_2=104, _1=9))
    source = ScriptedSource(FAILED, shuffled, FAILED, shuffled)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(60)

    assert len(seen.changes) == 1


async def test_in_the_retry_window_the_retry_is_told_and_the_failure_holds(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(FAILED, RETRYING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(60)

        state = await store.load(str(KEY))
        assert seen.types == [
            *FIRST_FAILURE,
            "instance.reopened",
            "step.retried",
        ]
        assert sorted(state.alerts) == ["hosts_failed/7001", "job_failed"]


async def test_a_retry_that_succeeds_recovers_the_hosts_and_ends_the_alerts(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(FAILED, RETRYING, RECOVERED)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(60)

        state = await store.load(str(KEY))
        assert seen.types[len(FIRST_FAILURE) + 2 :] == [
            "instance.finished",
            "step.changed",
            "hosts.recovered",
            "alert.resolved",
            "alert.resolved",
        ]
        assert state.alerts == {}


async def test_three_times_missing_a_minute_apart_is_gone(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING, errors.Missing())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(10 + 119)
        before = seen.types
        await anyio.sleep(10)

    assert before == ["instance.appeared"]
    assert seen.types == ["instance.appeared", "instance.gone", "alert.raised"]


async def test_an_instance_that_was_never_seen_is_gone_as_well(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Missing())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()]) as seen,
    ):
        await anyio.sleep(3600)

    assert seen.types[:2] == ["instance.gone", "alert.raised"]


async def test_a_success_in_between_begins_the_count_anew(tmp_path: Path) -> None:
    missing = errors.Missing()
    source = ScriptedSource(missing, missing, RUNNING, missing, missing, RUNNING)
    rules = Rules(limits=Limits(floor=60.0), spread=0.0)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules) as seen,
    ):
        await anyio.sleep(3600)

    assert len(source.asked) > 6
    assert seen.types == ["instance.appeared"]


async def test_max_interval_binds_while_an_instance_is_missing(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Missing())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S),
    ):
        await anyio.sleep(45)

    assert source.times == [0, 10, 20, 30, 40]


async def test_what_is_gone_and_seen_again_appears_anew(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED, *[errors.Missing()] * 20, FAILED)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(300)

        state = await store.load(str(KEY))
        assert seen.types[len(FIRST_FAILURE) :] == [
            "instance.gone",
            "alert.raised",
            *FIRST_FAILURE[:3],
            "alert.resolved",
        ]
        assert sorted(state.alerts) == ["hosts_failed/7001", "job_failed"]


async def test_a_finished_instance_is_retired_once_it_has_settled(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(SUCCEEDED)
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, [a_watch()]) as seen:
            await anyio.sleep(1700)
            asked_by_then = len(source.asked)
            await anyio.sleep(200)
            asked_at_the_end = len(source.asked)
            await anyio.sleep(86_400)

        state = await store.load(str(KEY))
        assert asked_by_then < asked_at_the_end == len(source.asked)
        assert state.phase is Phase.RETIRED
        assert len(seen.scheduler) == len(seen.poller) == 0


async def test_alerts_of_a_retired_instance_end_as_unwatched(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), [a_watch()]) as seen:
            await anyio.sleep(3600)

        assert seen.types == [*FIRST_FAILURE, "alert.resolved", "alert.resolved"]
        assert all(b'"reason":"unwatched"' in e.data for e in seen.events[-2:])


async def test_a_retry_during_the_settling_time_starts_it_again(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED, RETRYING, RECOVERED)
    rules = Rules(
        limits=Limits(floor=10.0, cap=10.0), spread=0.0, settle=timedelta(seconds=25)
    )
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, [a_watch()], rules=rules):
            await anyio.sleep(3600)

        assert source.times == pytest.approx([0, 10, 20, 30, 40, 50], abs=0.1)


async def test_a_watch_may_have_a_settling_time_of_its_own(tmp_path: Path) -> None:
    source = ScriptedSource(SUCCEEDED)
    watches = [a_watch(settle=timedelta(seconds=15)), a_watch(OTHER)]
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, watches, rules=EVERY_10_S),
    ):
        await anyio.sleep(1000)

    assert source.counts[KEY] == 3
    assert source.counts[OTHER] > 90


async def test_a_watch_may_say_how_bad_a_failure_is(tmp_path: Path) -> None:
    watches = [a_watch(severity=Severity.WARNING)]
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), watches):
            await anyio.sleep(1)

        state = await store.load(str(KEY))
        severities = {alert.severity for alert in state.alerts.values()}
        assert severities == {Severity.WARNING}


async def test_another_severity_reaches_what_holds_already(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(5)
        await seen.poller.watch([a_watch(severity=Severity.WARNING)])
        await anyio.sleep(10)

        assert seen.types == [*FIRST_FAILURE, "alert.changed", "alert.changed"]


async def test_a_watch_whose_end_is_past_asks_nothing(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED)
    watches = [a_watch(until=clock.MORNING - timedelta(seconds=1))]
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, watches) as seen,
    ):
        await anyio.sleep(60)

    assert source.asked == []
    assert seen.changes == []


@pytest.mark.parametrize(
    "answer", [RUNNING, errors.Forbidden(), errors.Garbled(), errors.Missing()]
)
async def test_a_watch_ends_when_its_end_passes_whatever_the_answers(
    tmp_path: Path, answer: errors.SourceError
) -> None:
    source = ScriptedSource(RUNNING, answer)
    watches = [a_watch(until=clock.MORNING + timedelta(seconds=35))]
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, watches, rules=EVERY_10_S):
            await anyio.sleep(3600)

        state = await store.load(str(KEY))
        assert len(source.asked) == 5
        assert state.phase is Phase.RETIRED


async def test_a_watch_whose_end_is_put_off_after_it_passed_goes_on(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    brief = a_watch(until=clock.MORNING + timedelta(seconds=35))
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, [brief], rules=EVERY_10_S) as seen:
            await anyio.sleep(60)
            source.asked.clear()
            await seen.poller.watch([a_watch(until=clock.MORNING + timedelta(days=1))])
            await anyio.sleep(60)

        assert source.asked
        assert (await store.load(str(KEY))).phase is Phase.WATCHED


async def test_a_removed_watch_ends_its_alerts_and_asks_no_more(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED)
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, [a_watch(), a_watch(OTHER)]) as seen:
            await anyio.sleep(5)
            source.asked.clear()
            await seen.poller.watch([a_watch(OTHER)])
            await anyio.sleep(600)

        assert source.counts[KEY] == 0
        assert source.counts[OTHER] > 5
        resolved = [e.key for e in seen.events if e.type == "bkjob.alert.resolved"]
        assert resolved == [str(KEY)] * 2
        assert (await store.load(str(KEY))).phase is Phase.UNWATCHED


async def test_a_removed_watch_is_ended_once(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), [a_watch()]) as seen:
            await anyio.sleep(5)
            seen.changes.clear()
            await seen.poller.watch([])
            await seen.poller.watch([])

        assert len(seen.changes) == 1


async def test_a_watch_that_was_removed_while_nobody_ran_is_ended(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), [a_watch()]):
            await anyio.sleep(5)
        async with watching(store, ScriptedSource(FAILED), []) as seen:
            await anyio.sleep(5)

        assert seen.types == ["alert.resolved"] * 2


async def test_a_watch_that_is_added_again_goes_on_counting(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()]) as seen,
    ):
        await anyio.sleep(5)
        await seen.poller.watch([])
        await anyio.sleep(5)
        await seen.poller.watch([a_watch()])
        await anyio.sleep(5)

        assert seen.types == [
            *FIRST_FAILURE,
            *["alert.resolved"] * 2,
            *["alert.raised"] * 2,
        ]
        assert ids(seen) == [f"prod/biz/2/1#{n}" for n in range(1, 10)]


async def test_a_visit_in_flight_records_nothing_once_its_watch_is_removed(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING, FAILED)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(5)
        source.latency = 3.0
        await anyio.sleep(6)
        await seen.poller.watch([])
        await anyio.sleep(60)

        assert len(source.asked) == 2
        assert seen.types == ["instance.appeared"]
        assert (await store.load(str(KEY))).phase is Phase.UNWATCHED


async def test_a_last_visit_in_flight_does_not_retire_a_removed_watch(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(FAILED)
    watches = [a_watch(settle=timedelta(seconds=1))]
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, watches, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(5)
        source.latency = 3.0
        await anyio.sleep(6)
        await seen.poller.watch([])
        await anyio.sleep(60)

        assert (await store.load(str(KEY))).phase is Phase.UNWATCHED


async def test_a_watch_added_again_while_a_visit_is_in_flight_is_visited(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(FAILED)
    watches = [a_watch(settle=timedelta(seconds=1))]
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, watches, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(5)
        source.latency = 3.0
        await anyio.sleep(6)
        await seen.poller.watch([])
        source.says(RECOVERED)
        await seen.poller.watch([a_watch()])
        await anyio.sleep(60)

        assert len(seen.poller) == 1
        assert "hosts.recovered" in seen.types


async def test_watches_that_retire_while_others_are_removed_disturb_nobody(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(FAILED)
    keys = [a_key(number) for number in range(1, 30)]
    watches = [a_watch(key, settle=timedelta(seconds=10)) for key in keys]
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, watches, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(9.99)
        await seen.poller.watch([])
        await anyio.sleep(60)

        states = [await store.load(str(key)) for key in keys]
        assert {state.phase for state in states} == {Phase.UNWATCHED}
        assert all(state.alerts == {} for state in states)


async def test_a_restart_repeats_nothing_and_invents_nothing(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), [a_watch()]):
            await anyio.sleep(5)
        async with watching(store, ScriptedSource(FAILED), [a_watch()]) as after:
            await anyio.sleep(300)

        assert after.changes == []


async def test_what_changed_while_nobody_ran_is_told_with_the_next_number(
    tmp_path: Path,
) -> None:
    async with (
        stores.opened(tmp_path) as store,
        watching(store, ScriptedSource(RUNNING), [a_watch()]),
    ):
        await anyio.sleep(5)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, ScriptedSource(FAILED), [a_watch()]) as after,
    ):
        await anyio.sleep(5)

    assert after.types[0] == "instance.finished"
    assert ids(after)[0] == "prod/biz/2/1#2"


async def test_a_retired_instance_stays_retired_over_a_restart(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), [a_watch()]):
            await anyio.sleep(3600)
        source = ScriptedSource(FAILED)
        async with watching(store, source, [a_watch()]) as after:
            await anyio.sleep(3600)

        assert source.asked == []
        assert after.changes == []


async def test_the_settling_time_goes_on_over_a_restart(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        async with watching(store, ScriptedSource(FAILED), [a_watch()]):
            await anyio.sleep(1000)
        async with watching(store, ScriptedSource(FAILED), [a_watch()]):
            await anyio.sleep(900)

        assert (await store.load(str(KEY))).phase is Phase.RETIRED


async def test_an_answer_about_one_instance_that_is_no_good_is_logged_once(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING, errors.Garbled("<html>", request_ids="job=7"))
    with capture_logs() as lines:
        async with (
            stores.opened(tmp_path) as store,
            watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
        ):
            await anyio.sleep(3600)

    unusable = [line for line in lines if line["event"] == "answer.unusable"]
    assert [(line["reason"], line["request_ids"]) for line in unusable] == [
        ("<html>", "job=7")
    ]
    assert len(source.asked) > 60
    assert seen.types == ["instance.appeared"]


async def test_who_alone_cannot_be_seen_is_reported_once(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    source.says(errors.Unavailable("1240002", request_ids="job=7"), about=OTHER)
    with capture_logs() as lines:
        async with (
            stores.opened(tmp_path) as store,
            watching(store, source, [a_watch(), a_watch(OTHER)], rules=EVERY_10_S),
        ):
            await anyio.sleep(3600)

    unseen = [line for line in lines if line["event"] == "instance.unseen"]
    assert [(line["key"], line["reason"], line["request_ids"]) for line in unseen] == [
        (str(OTHER), "1240002", "job=7")
    ]


async def test_while_a_source_is_lost_no_instance_is_reported(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Unavailable("502"))
    with capture_logs() as lines:
        async with (
            stores.opened(tmp_path) as store,
            watching(store, source, [a_watch()], rules=EVERY_10_S),
        ):
            await anyio.sleep(3600)

    assert len(source.asked) > 30
    assert [line for line in lines if line["event"] == "instance.unseen"] == []


async def test_a_code_that_nobody_knows_is_reported_once_and_kept(
    tmp_path: Path,
) -> None:
    strange = a_job(2, hosts(_1=77))
    again = a_job(2, hosts(_1=77, _2=77))
    with capture_logs() as lines:
        async with stores.opened(tmp_path) as store:
            source = ScriptedSource(strange, again)
            async with watching(store, source, [a_watch()], rules=EVERY_10_S):
                await anyio.sleep(100)
            state = await store.load(str(KEY))

    unknown = [(line["kind"], line["code"]) for line in lines if "code" in line]
    assert unknown == [("host", 77)]
    assert state.snapshot is not None
    assert set(state.snapshot.steps[0].hosts.values()) == {77}


async def test_a_bug_in_the_client_delays_its_own_instance_only(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED)
    source.says(ZeroDivisionError(), about=KEY)
    watches = [a_watch(), a_watch(OTHER)]
    with capture_logs():
        async with (
            stores.opened(tmp_path) as store,
            watching(store, source, watches, rules=EVERY_10_S) as seen,
        ):
            await anyio.sleep(125)

    assert source.counts[KEY] == 3
    assert source.counts[OTHER] == 13
    assert seen.types == FIRST_FAILURE


async def test_the_log_holds_what_was_recorded_in_order_without_holes(
    tmp_path: Path,
) -> None:
    story: Sequence[object] = (RUNNING, FAILED, RETRYING, FAILED, WORSE, RECOVERED)
    async with stores.opened(tmp_path) as store:
        await store.enrol("witness")
        source = ScriptedSource(*story)  # type: ignore[arg-type]
        async with watching(store, source, [a_watch()], rules=EVERY_10_S) as seen:
            await anyio.sleep(100)

        expected = [f"prod/biz/2/1#{n}" for n in range(1, len(seen.events) + 1)]
        assert await recorded(store) == ids(seen) == expected
