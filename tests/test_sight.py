"""Losing and regaining sight of a source, through whole visits in virtual time."""

from datetime import timedelta
from pathlib import Path

import anyio
import msgspec
import pytest

from monitor import errors
from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.policy import Policy
from tests.support import stores
from tests.support.answers import (
    FAILED,
    RUNNING,
    a_key,
    a_watch,
)
from tests.support.source import ScriptedSource
from tests.support.watching import Watching, watching

pytestmark = pytest.mark.looptime

EVERY_10_S = Rules(limits=Limits(floor=10.0, cap=10.0), spread=0.0)
EVERY_5_S = Rules(limits=Limits(floor=5.0, cap=5.0), spread=0.0)
MANY = [a_watch(a_key(number)) for number in range(1, 101)]
DAY = 86_400.0
PATIENT = msgspec.structs.replace(
    EVERY_10_S, policy=Policy(overdue_after=timedelta(days=9))
)


def about_source(seen: Watching) -> list[str]:
    return [kind for kind in seen.types if kind.startswith("source.")]


def causes(seen: Watching) -> list[str]:
    datas = [e.data for e in seen.events if e.type == "bkjob.source.lost"]
    return [msgspec.json.decode(data)["cause"] for data in datas]


def about_scopes(seen: Watching) -> list[tuple[str, str]]:
    return [
        (event.key, event.type.removeprefix("bkjob.alert."))
        for event in seen.events
        if event.key.count("/") == 2
    ]


async def test_a_source_is_lost_after_thirty_seconds_without_an_answer(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(errors.Unavailable())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_5_S) as seen,
    ):
        await anyio.sleep(29)
        before = [*seen.types]
        await anyio.sleep(3)

    assert before == []
    assert seen.types == ["source.lost", "alert.raised"]
    assert causes(seen) == ["unreachable"]


async def test_a_source_is_not_lost_before_five_tries(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Unavailable())
    rules = Rules(limits=Limits(floor=20.0, cap=20.0), spread=0.0)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules) as seen,
    ):
        await anyio.sleep(79)
        before = [*seen.types]
        await anyio.sleep(2)

    assert before == []
    assert about_source(seen) == ["source.lost"]


async def test_one_answer_among_failures_keeps_the_source(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Unavailable())
    source.says(RUNNING, about=MANY[7].key)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_5_S) as seen,
    ):
        await anyio.sleep(600)

    assert seen.types == ["instance.appeared"]


async def test_a_day_of_outage_is_one_loss_and_one_return(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=PATIENT) as seen,
    ):
        await anyio.sleep(60)
        seen.changes.clear()
        source.says(errors.Unavailable())
        await anyio.sleep(DAY)
        source.says(RUNNING)
        await anyio.sleep(300)

        assert seen.types == [
            "source.lost",
            "alert.raised",
            "source.restored",
            "alert.resolved",
        ]


async def test_while_a_source_is_lost_one_probe_backs_off_to_a_minute(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(errors.Unavailable())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_10_S),
    ):
        await anyio.sleep(120)
        source.asked.clear()
        await anyio.sleep(DAY)

    # Full jitter, here always half of a minute.
    assert len(source.asked) == pytest.approx(DAY / 30, rel=0.01)


async def test_the_probes_are_not_all_of_one_instance(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Unavailable())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_10_S),
    ):
        await anyio.sleep(120)
        source.asked.clear()
        await anyio.sleep(3600)

    assert len(source.counts) > 90


async def test_after_the_return_every_instance_is_looked_at(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(5)
        source.says(errors.Unavailable())
        await anyio.sleep(600)
        seen.changes.clear()
        source.says(FAILED)
        await anyio.sleep(70)

        finished = [e.key for e in seen.events if e.type == "bkjob.instance.finished"]
        assert sorted(finished) == sorted(str(watch.key) for watch in MANY)


async def test_refused_credentials_lose_the_source_at_once(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING, errors.Refused())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(11)

    assert about_source(seen) == ["source.lost"]
    assert causes(seen) == ["auth"]


async def test_new_credentials_are_noticed_by_a_probe(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Refused(), errors.Refused(), RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(60)

    assert about_source(seen) == ["source.lost", "source.restored"]
    assert "instance.appeared" in seen.types


async def test_answers_of_something_else_than_job_lose_the_source(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(errors.Garbled("<html>", whole_source=True))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(120)

    assert causes(seen) == ["garbled"]


@pytest.mark.parametrize(
    "error", [errors.Garbled("torn"), errors.Missing(), errors.Forbidden("no")]
)
async def test_what_concerns_one_instance_never_loses_the_source(
    tmp_path: Path, error: errors.SourceError
) -> None:
    source = ScriptedSource(error)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(600)

    assert about_source(seen) == []


@pytest.mark.parametrize(
    "error", [errors.Garbled("torn"), errors.Missing(), errors.Forbidden("no")]
)
async def test_a_lost_source_that_speaks_of_one_instance_is_back_and_not_hammered(
    tmp_path: Path, error: errors.SourceError
) -> None:
    source = ScriptedSource(errors.Unavailable())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(300)
        source.says(error)
        source.asked.clear()
        await anyio.sleep(100)

    assert len(source.asked) <= 11
    assert about_source(seen) == ["source.lost", "source.restored"]


async def test_a_throttle_slows_all_and_fails_nothing(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(9)
        busy = errors.Throttled(retry_after=timedelta(seconds=20))
        source.says(busy, RUNNING, about=MANY[0].key)
        source.asked.clear()
        await anyio.sleep(20)
        under_way = len(source.asked)
        await anyio.sleep(60)

    assert under_way <= 8
    assert set(source.counts) == {watch.key for watch in MANY}
    assert seen.types == ["instance.appeared"] * 100


async def test_throttles_without_a_hint_wait_one_second_and_then_double(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(errors.Throttled())
    rules = Rules(limits=Limits(floor=0.1, cap=0.1), spread=0.0)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules),
    ):
        await anyio.sleep(16)

    assert source.times == pytest.approx([0, 1, 3, 7, 15], abs=0.01)


async def test_visits_that_are_throttled_together_count_once(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Throttled(), RUNNING)
    source.latency = 0.5
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY[:8], rules=EVERY_5_S, width=8) as seen,
    ):
        await anyio.sleep(7)

    assert seen.types == ["instance.appeared"] * 8


async def test_a_source_that_only_throttles_is_lost_for_that_cause(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(errors.Throttled())
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(300)

    assert causes(seen) == ["throttled"]


async def test_retry_after_is_obeyed_even_by_probes(tmp_path: Path) -> None:
    source = ScriptedSource(
        *[errors.Unavailable()] * 10,
        errors.Throttled(retry_after=timedelta(hours=1)),
    )
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=EVERY_5_S) as seen,
    ):
        await anyio.sleep(900)
        source.asked.clear()
        await anyio.sleep(DAY)

        assert about_source(seen) == ["source.lost"]
        assert len(source.asked) <= 24


async def test_a_scope_that_is_forbidden_alerts_once_and_resolves(
    tmp_path: Path,
) -> None:
    denied = errors.Forbidden("no permission (needs view_history)")
    source = ScriptedSource(RUNNING)
    watches = [a_watch(a_key(number, scope="3")) for number in range(1, 6)]
    for watch in watches:
        source.says(denied, about=watch.key)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [*MANY, *watches], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(600)
        while_denied = about_scopes(seen)
        source.says(RUNNING)
        await anyio.sleep(60)

    assert while_denied == [("prod/biz/3", "raised")]
    assert about_scopes(seen) == [("prod/biz/3", "raised"), ("prod/biz/3", "resolved")]
    assert about_source(seen) == []


async def test_a_scope_of_which_some_instances_may_be_seen_alerts_once(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    source.says(errors.Forbidden("no"), about=MANY[0].key)
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, MANY, rules=EVERY_10_S) as seen:
            await anyio.sleep(600)
        async with watching(store, source, MANY, rules=EVERY_10_S) as again:
            await anyio.sleep(600)
            after_restart = about_scopes(again)
            source.says(RUNNING, about=MANY[0].key)
            await anyio.sleep(60)

    assert about_scopes(seen) == [("prod/biz/2", "raised")]
    assert after_restart == []
    assert about_scopes(again) == [("prod/biz/2", "resolved")]


async def test_a_scope_allowed_and_refused_at_the_same_moment_ends_as_it_was_said_last(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    source.says(errors.Forbidden("no"), RUNNING, about=MANY[0].key)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, MANY[:2], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(60)

        assert about_scopes(seen)[-1][1] == "resolved"
        assert (await store.load("prod/biz/2")).alerts == {}


async def test_a_forbidden_instance_is_asked_about_rarely(tmp_path: Path) -> None:
    source = ScriptedSource(errors.Forbidden("no"))
    rules = Rules(limits=Limits(floor=1.0, cap=60.0), spread=0.0)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules),
    ):
        await anyio.sleep(3600)

    assert len(source.asked) == pytest.approx(60, abs=1)


async def test_a_restart_while_a_source_is_lost_tells_nothing_and_probes_alone(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(errors.Unavailable())
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, MANY, rules=EVERY_10_S):
            await anyio.sleep(120)
        source.asked.clear()
        async with watching(store, source, MANY, rules=EVERY_10_S) as again:
            await anyio.sleep(300)
            while_lost = [*again.types]
            asked = len(source.asked)
            source.says(RUNNING)
            await anyio.sleep(120)

        assert while_lost == []
        assert asked < 30
        assert about_source(again) == ["source.restored"]
        assert again.types.count("instance.appeared") == 100


async def test_a_source_that_came_back_while_nobody_ran_is_restored(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        source = ScriptedSource(errors.Unavailable())
        async with watching(store, source, [a_watch()], rules=EVERY_10_S):
            await anyio.sleep(120)
        source = ScriptedSource(RUNNING)
        async with watching(store, source, [a_watch()], rules=EVERY_10_S) as again:
            await anyio.sleep(1)

        assert again.types == [
            "source.restored",
            "alert.resolved",
            "instance.appeared",
        ]


async def test_a_restart_with_a_refused_scope_tells_it_neither_twice_nor_for_ever(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(errors.Forbidden("no"))
    async with stores.opened(tmp_path) as store:
        async with watching(store, source, [a_watch()], rules=EVERY_10_S):
            await anyio.sleep(60)
        async with watching(store, source, [a_watch()], rules=EVERY_10_S) as again:
            await anyio.sleep(60)
            while_denied = [*again.types]
            source.says(RUNNING)
            await anyio.sleep(60)

        assert while_denied == []
        assert again.types == ["alert.resolved", "instance.appeared"]
