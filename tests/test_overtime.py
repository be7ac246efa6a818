"""What visits make of the time in which nothing changes; real store, virtual time."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio
import pytest
from msgspec import structs

from monitor import errors
from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.policy import Policy
from monitor.core.watch import Options
from monitor.experience import Experience
from monitor.store.sql import SqlStore
from monitor.tracks import kinds_of
from tests.core import plain
from tests.support import clock, stores
from tests.support.answers import KEY, RUNNING, a_job, a_watch, hosts
from tests.support.source import ScriptedSource
from tests.support.truth import Truth
from tests.support.watching import Watching, watching

pytestmark = pytest.mark.looptime

HOUR: Final = 3600.0
FOR_EVER: Final = timedelta(days=900)
STALLED: Final = Policy(stalled_after=timedelta(hours=1), overdue_after=FOR_EVER)
OVERDUE: Final = Policy(stalled_after=FOR_EVER, overdue_after=timedelta(hours=1))
ONE_DONE: Final = a_job(2, hosts(_1=9, _2=7))
LEFT: Final = a_job(4, hosts(_1=9, _2=7))


def rules(policy: Policy, *, early: float = 0.0) -> Rules:
    limits = Limits(floor=10.0, cap=10.0)
    return Rules(limits=limits, spread=0.0, early=early, policy=policy)


def told(seen: Watching) -> list[str]:
    lines = plain.lines(seen.events)
    return [line.removeprefix("alert.") for line in lines if line.startswith("alert.")]


def dated(answer: Snapshot) -> Snapshot:
    return structs.replace(answer, started_at=clock.now())


@pytest.mark.parametrize(
    ("policy", "name"), [(STALLED, "job_stalled"), (OVERDUE, "job_overdue")]
)
async def test_a_visit_that_brings_nothing_new_raises_what_time_made_wrong(
    tmp_path: Path, policy: Policy, name: str
) -> None:
    async with (
        stores.opened(tmp_path) as store,
        watching(
            store, ScriptedSource(RUNNING), [a_watch()], rules=rules(policy)
        ) as seen,
    ):
        await anyio.sleep(HOUR - 10)
        before = told(seen)
        await anyio.sleep(30)
        at_once = told(seen)
        await anyio.sleep(HOUR)

    assert before == []
    assert at_once == [f"raised {name} warning"]
    assert told(seen) == at_once


async def test_before_a_stall_is_told_hosts_are_asked_for_once(tmp_path: Path) -> None:
    source = Truth(lambda _: RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(STALLED)) as seen,
    ):
        await anyio.sleep(3 * HOUR)

    assert told(seen) == ["raised job_stalled warning"]
    assert source.depths.count("hosts") == 2
    after = seen.events[-1].time - seen.events[0].time
    assert timedelta(hours=1) <= after <= timedelta(hours=1, seconds=20)


async def test_hosts_that_moved_while_nobody_asked_are_no_stall(tmp_path: Path) -> None:
    def says(_: InstanceKey) -> Snapshot:
        return RUNNING if anyio.current_time() < HOUR / 2 else ONE_DONE

    source = Truth(says)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(STALLED)) as seen,
    ):
        await anyio.sleep(2 * HOUR)
        before = told(seen)
        await anyio.sleep(HOUR)

    assert before == []
    assert told(seen) == ["raised job_stalled warning"]
    assert source.depths.count("hosts") == 3


@pytest.mark.parametrize("tells_times", [True, False])
async def test_nothing_is_raised_while_a_source_is_lost_nor_without_proof_afterwards(
    tmp_path: Path, *, tells_times: bool
) -> None:
    running = dated(RUNNING) if tells_times else RUNNING
    source = ScriptedSource(running)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(STALLED)) as seen,
    ):
        await anyio.sleep(HOUR / 2)
        source.says(errors.Unavailable())
        await anyio.sleep(2 * HOUR)
        meanwhile = [line for line in told(seen) if "job" in line]
        source.says(running)
        await anyio.sleep(HOUR / 2)
        afterwards = [line for line in told(seen) if "job" in line]
        await anyio.sleep(HOUR)
        later = [line for line in told(seen) if "job" in line]

    stalled = ["raised job_stalled warning"]
    assert (meanwhile, afterwards) == ([], stalled if tells_times else [])
    assert later == stalled


async def test_a_restart_neither_forgets_nor_repeats_it(tmp_path: Path) -> None:
    source = ScriptedSource(dated(RUNNING))
    watches, patient = [a_watch()], rules(STALLED)
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, watches, rules=patient) as first:
            await anyio.sleep(HOUR / 2)
        async with watching(store, source, watches, rules=patient) as second:
            await anyio.sleep(HOUR / 2 + 20)
        async with watching(store, source, watches, rules=patient) as third:
            await anyio.sleep(HOUR)

    assert [told(seen) for seen in (first, second, third)] == [
        [],
        ["raised job_stalled warning"],
        [],
    ]


async def test_a_watch_has_limits_of_its_own_and_may_get_others(tmp_path: Path) -> None:
    hurried = structs.replace(
        a_watch(), options=Options(stalled_after=timedelta(minutes=1))
    )
    async with (
        stores.opened(tmp_path) as store,
        watching(
            store, ScriptedSource(RUNNING), [hurried], rules=rules(STALLED)
        ) as seen,
    ):
        await anyio.sleep(80)
        early = told(seen)
        await seen.poller.watch([a_watch()])
        await anyio.sleep(20)
        given_time = told(seen)
        await anyio.sleep(HOUR)

    assert early == ["raised job_stalled warning"]
    assert given_time == [*early, "resolved job_stalled warning"]
    assert told(seen) == [*given_time, "raised job_stalled warning"]


BY_PAST_RUNS: Final = structs.replace(OVERDUE, overdue_percentile=95.0)


async def test_a_run_is_overdue_by_the_past_runs_of_its_plan(tmp_path: Path) -> None:
    """They took 500 s: half as long again as 95 % of them, rounded up, is 844 s."""
    async with (
        stores.opened(tmp_path) as store,
        watching(
            store,
            ScriptedSource(RUNNING),
            [a_watch()],
            rules=rules(BY_PAST_RUNS),
            learning=await having_seen(store, 500.0, times=20),
        ) as seen,
    ):
        await anyio.sleep(830)
        before = told(seen)
        await anyio.sleep(30)

    assert before == []
    assert told(seen) == ["raised job_overdue warning (past_runs)"]


async def test_of_too_few_past_runs_nothing_is_concluded(tmp_path: Path) -> None:
    async with (
        stores.opened(tmp_path) as store,
        watching(
            store,
            ScriptedSource(RUNNING),
            [a_watch()],
            rules=rules(BY_PAST_RUNS),
            learning=await having_seen(store, 500.0, times=19),
        ) as seen,
    ):
        await anyio.sleep(HOUR - 10)
        before = told(seen)
        await anyio.sleep(30)

    assert before == []
    assert told(seen) == ["raised job_overdue warning"]


async def test_a_slow_plan_is_not_late_by_what_others_may_take(tmp_path: Path) -> None:
    began = structs.replace(RUNNING, started_at=clock.now() - timedelta(hours=3))
    async with (
        stores.opened(tmp_path) as store,
        watching(
            store,
            ScriptedSource(began),
            [a_watch()],
            rules=rules(BY_PAST_RUNS),
            learning=await having_seen(store, 4 * HOUR, times=20),
        ) as seen,
    ):
        await anyio.sleep(HOUR)

    assert told(seen) == []


async def having_seen(store: SqlStore, seconds: float, *, times: int) -> Experience:
    """Give the experience of one that saw so many like ``RUNNING`` end."""
    experience = Experience("prod", store)
    for _ in range(times):
        experience.saw_end(kinds_of(KEY, RUNNING), seconds)
    return experience


async def test_hosts_left_unfinished_are_told_after_the_second_look(
    tmp_path: Path,
) -> None:
    source = Truth(lambda _: LEFT)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(STALLED)) as seen,
    ):
        await anyio.sleep(1)
        first = told(seen)
        await anyio.sleep(120)

    assert first == ["raised job_failed critical"]
    assert told(seen) == [*first, "raised hosts_unfinished warning"]
    assert source.depths.count("hosts") == 2


async def test_whom_a_list_speaks_for_is_visited_when_time_makes_it_wrong(
    tmp_path: Path,
) -> None:
    source = Truth(lambda _: RUNNING)
    seldom = structs.replace(rules(STALLED), limits=Limits(floor=10.0, cap=900.0))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=seldom) as seen,
    ):
        await anyio.sleep(1)
        track = seen.poller.tracks[KEY]
        track.vouched = True
        pause = seen.poller.agenda.next(track)
        track.due = anyio.current_time() + 30
        sooner = seen.poller.agenda.next(track)

    assert pause is not None
    assert pause > 1000
    assert sooner == 30
