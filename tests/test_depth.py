"""What visits ask of an API that can leave hosts out; real store, virtual time."""

from pathlib import Path
from typing import Final

import anyio
import pytest
from structlog.testing import capture_logs

from monitor import errors
from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.model import InstanceKey, Snapshot, host_id
from tests.support import stores
from tests.support.answers import (
    FAILED,
    KEY,
    RECOVERED,
    RETRYING,
    RUNNING,
    a_job,
    a_watch,
    hosts,
)
from tests.support.truth import Truth
from tests.support.watching import watching

pytestmark = pytest.mark.looptime


def rules(early: float = 0.0) -> Rules:
    return Rules(limits=Limits(floor=10.0, cap=10.0), spread=0.0, early=early)


class Course:
    """What is true from which second on."""

    def __init__(self, *turns: tuple[float, Snapshot]) -> None:
        self.turns = turns

    def __call__(self, _: InstanceKey) -> Snapshot:
        now = anyio.current_time()
        return next(said for at, said in reversed(self.turns) if at <= now)


EARLY: Final = a_job(2, hosts(_1=7, _2=104))


async def test_hosts_are_asked_for_at_first_sight_at_the_end_and_to_confirm_it(
    tmp_path: Path,
) -> None:
    source = Truth(Course((0, RUNNING), (45, FAILED)))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules()) as seen,
    ):
        await anyio.sleep(100)

    assert source.depths[:7] == ["hosts", *["light"] * 5, "hosts"]
    assert source.asked[5:7] == [(50, "light"), (50, "hosts")]
    assert source.depths[7:10] == ["hosts", "light", "light"]
    assert "hosts.failed" in seen.types


async def test_a_change_is_recorded_once_and_whole(tmp_path: Path) -> None:
    source = Truth(Course((0, RUNNING), (45, FAILED)))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules()) as seen,
    ):
        await anyio.sleep(100)

    assert len(seen.changes) == 2
    assert seen.types[1:] == [
        "instance.finished",
        "step.changed",
        "hosts.failed",
        "hosts.changed",
        "alert.raised",
        "alert.raised",
    ]


async def test_early_failures_are_seen_at_their_own_pace(tmp_path: Path) -> None:
    source = Truth(Course((0, RUNNING), (15, EARLY)))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(early=30)) as seen,
    ):
        await anyio.sleep(29)
        before = seen.types
        await anyio.sleep(2)

    assert before == ["instance.appeared"]
    assert seen.types == ["instance.appeared", "hosts.failed", "alert.raised"]
    assert source.depths == ["hosts", "light", "light", "hosts"]


async def test_without_early_failures_a_running_job_costs_no_hosts(
    tmp_path: Path,
) -> None:
    source = Truth(Course((0, RUNNING), (15, EARLY)))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules()),
    ):
        await anyio.sleep(3600)

    assert source.depths.count("hosts") == 1


async def test_a_retry_is_seen_by_its_attempt_alone(tmp_path: Path) -> None:
    source = Truth(Course((0, FAILED), (45, RETRYING), (95, RECOVERED)))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules()) as seen,
    ):
        await anyio.sleep(150)

        state = await store.load(str(KEY))
        assert "step.retried" in seen.types
        assert "hosts.recovered" in seen.types
        assert state.alerts == {}


async def test_a_look_without_hosts_leaves_them_as_they_were(tmp_path: Path) -> None:
    source = Truth(Course((0, EARLY)))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules()),
    ):
        await anyio.sleep(100)

        state = await store.load(str(KEY))
        assert state.snapshot is not None
        [step] = state.snapshot.steps
        assert (step.hosts, step.stale, step.partial) == (
            EARLY.steps[0].hosts,
            frozenset(),
            False,
        )
        assert [*step.failures] == [host_id("10.0.0.2", 0)]


async def test_a_vast_step_is_counted_and_its_first_failures_are_named(
    tmp_path: Path,
) -> None:
    many = {host_id(f"10.1.{n // 250}.{n % 250}", 0): 7 for n in range(3000)}
    some = many | dict.fromkeys([*many][:700], 104)
    source = Truth(Course((0, a_job(2, many)), (15, a_job(2, some))))
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(early=30)) as seen,
    ):
        await anyio.sleep(35)

        state = await store.load(str(KEY))
        assert state.snapshot is not None
        assert source.depths == ["hosts", "light", "light", "light", "groups"]
        assert seen.types[1:] == ["hosts.failed", "alert.raised"]
        assert len(state.snapshot.steps[0].failures) == 500
        assert len(state.snapshot.steps[0].hosts) == 3000
        assert not state.snapshot.steps[0].stale


async def test_a_server_without_counts_is_asked_for_all_hosts(tmp_path: Path) -> None:
    many = {host_id(f"10.1.{n // 250}.{n % 250}", 0): 7 for n in range(3000)}
    source = Truth(Course((0, a_job(2, many))))
    unknown = errors.Garbled("404", whole_source=True)
    source.refuses = lambda what: unknown if what == "groups" else None
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(early=30)) as seen,
    ):
        await anyio.sleep(95)

    assert source.depths.count("groups") == 1
    assert source.depths.count("hosts") == 3
    assert seen.types == ["instance.appeared"]


async def test_what_fails_with_hosts_alone_is_seen_without_them(
    tmp_path: Path,
) -> None:
    source = Truth(Course((0, RUNNING), (45, FAILED)))
    broken = errors.Unavailable("1240002")
    source.refuses = lambda what: broken if what == "hosts" else None
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch()], rules=rules(early=30)) as seen,
    ):
        with capture_logs() as logs:
            await anyio.sleep(120)

    assert seen.types == [
        "instance.appeared",
        "instance.finished",
        "step.changed",
        "alert.raised",
    ]
    assert [line["event"] for line in logs].count("hosts.unreadable") == 1
