"""What systemd hears, at a real socket and in virtual time."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import pytest
from structlog.testing import capture_logs

from monitor import milestones, systemd
from monitor.milestones import (
    Hear,
    Hitch,
    Ready,
    Reloading,
    Starting,
    Stopping,
    Summary,
)
from tests.support import supervisor
from tests.support.supervisor import Supervisor

pytestmark = pytest.mark.looptime

PID: Final = 4711
MINUTE: Final = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(PID)}


async def at_once() -> None:
    """Answer as a store does that is well."""


class Health:
    """How a daemon fares; tests change it as they go."""

    def __init__(self) -> None:
        self.answers: Callable[[], Awaitable[None]] = at_once
        self.hitches: Mapping[str, Hitch] = {}
        self.summary = Summary(watched=1204, alerting=3)

    @property
    def ready(self) -> Ready:
        return Ready(self._answers, lambda: self.hitches, lambda: self.summary)

    async def _answers(self) -> None:
        await self.answers()


@asynccontextmanager
async def heard_by(listener: Supervisor, **more: str) -> AsyncIterator[Hear]:
    async with systemd.listening(listener.environ(**more), PID) as hear:
        yield hear


@asynccontextmanager
async def watched(
    directory: Path, health: Health, **more: str
) -> AsyncIterator[tuple[Supervisor, Hear]]:
    """A daemon that is ready, and must be heard once a minute."""
    with supervisor.listening(directory) as listener:
        async with heard_by(listener, **(MINUTE | more)) as hear:
            hear(health.ready)
            yield listener, hear


async def beats(listener: Supervisor, seconds: float) -> int:
    """Count the beats of the next *seconds*."""
    before = listener.count("WATCHDOG")
    end = anyio.current_time() + seconds
    while (left := end - anyio.current_time()) > 0:
        await anyio.sleep(min(left, 60))
        listener.read()
    return listener.count("WATCHDOG") - before


async def test_each_milestone_is_told_as_systemd_wants_it(tmp_path: Path) -> None:
    with supervisor.listening(tmp_path) as listener:
        async with heard_by(listener) as hear:
            for milestone in (
                Starting(),
                Health().ready,
                Reloading(),
                Health().ready,
                Stopping(grace=30),
            ):
                hear(milestone)

    assert listener.told("EXTEND_TIMEOUT_USEC", "READY", "RELOADING", "STOPPING") == [
        "EXTEND_TIMEOUT_USEC",
        "READY",
        "RELOADING",
        "READY",
        "EXTEND_TIMEOUT_USEC",
        "STOPPING",
    ]


async def test_a_reload_says_when_it_began_by_the_clock_of_the_system(
    tmp_path: Path,
) -> None:
    with supervisor.listening(tmp_path) as listener:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        async with heard_by(listener) as hear:
            hear(Reloading())
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    [words] = listener.heard
    assert before <= int(words["MONOTONIC_USEC"]) <= after


async def test_a_stop_may_take_as_long_as_its_grace(tmp_path: Path) -> None:
    with supervisor.listening(tmp_path) as listener:
        async with heard_by(listener) as hear:
            hear(Stopping(grace=300))

    [words] = listener.heard
    assert int(words["EXTEND_TIMEOUT_USEC"]) > 300e6


async def test_an_abstract_socket_hears_it_too() -> None:
    with supervisor.at(f"@job-monitor-{time.monotonic_ns()}") as listener:
        async with heard_by(listener) as hear:
            hear(Health().ready)

    assert listener.told("READY") == ["READY"]


@pytest.mark.parametrize("name", ["", "notify", "vsock:2:1234"])
async def test_what_is_no_unix_socket_hears_nothing(name: str) -> None:
    async with systemd.listening({"NOTIFY_SOCKET": name}, PID) as hear:
        assert hear is milestones.unheard


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        (Summary(watched=1204, alerting=3), "Watching 1,204, 3 alerting"),
        (
            Summary(watched=0, alerting=1, lost=("prod",), waiting=12_345),
            "Watching 0, 1 alerting, source prod lost, 12,345 messages waiting",
        ),
        (
            Summary(watched=1, alerting=0, refused=True),
            "Watching 1, 0 alerting, last reload refused, see the log",
        ),
    ],
)
async def test_the_status_is_one_line_for_people(
    tmp_path: Path, summary: Summary, line: str
) -> None:
    health = Health()
    health.summary = summary
    async with watched(tmp_path, health) as (listener, _):
        assert listener.status == line


async def test_the_status_is_told_anew_when_it_is_another_and_only_then(
    tmp_path: Path,
) -> None:
    health = Health()
    async with watched(tmp_path, health) as (listener, _):
        await anyio.sleep(3600)
        told = listener.count("STATUS")
        health.summary = Summary(watched=1205, alerting=4)
        await anyio.sleep(11)

    assert told == 1
    assert listener.status == "Watching 1,205, 4 alerting"


async def test_one_that_does_not_listen_stops_nothing_and_hears_the_rest_later(
    tmp_path: Path,
) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), **MINUTE}
    async with systemd.listening(environ, PID) as hear:
        hear(Starting())
        hear(Health().ready)
        await anyio.sleep(3600)
        with supervisor.listening(tmp_path) as listener:
            await anyio.sleep(60)
            assert listener.told("EXTEND_TIMEOUT_USEC", "READY") == [
                "EXTEND_TIMEOUT_USEC",
                "READY",
            ]
            assert listener.count("WATCHDOG") == 2


async def test_one_that_is_too_busy_to_listen_holds_up_nothing(tmp_path: Path) -> None:
    with supervisor.listening(tmp_path) as listener:
        async with heard_by(listener, **MINUTE) as hear:
            hear(Health().ready)
            await anyio.sleep(3600)
            hear(Reloading())
            hear(Health().ready)
            unheard = listener.told("READY", "RELOADING")
            await anyio.sleep(60)

    assert unheard == ["READY"]
    assert listener.told("READY", "RELOADING") == ["READY", "RELOADING", "READY"]


async def test_a_watchdog_hears_of_it_twice_in_its_time(tmp_path: Path) -> None:
    async with watched(tmp_path, Health()) as (listener, _):
        assert await beats(listener, 3599) == 120


@pytest.mark.parametrize(
    "more",
    [
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_PID": "1"},
    ],
)
async def test_a_watchdog_that_is_not_ours_hears_nothing(
    tmp_path: Path, more: dict[str, str]
) -> None:
    async with watched(tmp_path, Health(), **more) as (listener, _):
        assert await beats(listener, 3600) == 0


async def test_a_watchdog_that_names_no_process_means_us(tmp_path: Path) -> None:
    with supervisor.listening(tmp_path) as listener:
        async with heard_by(listener, WATCHDOG_USEC="2000000"):
            assert await beats(listener, 10.5) == 11


async def test_while_the_store_does_not_answer_the_watchdog_hears_nothing(
    tmp_path: Path,
) -> None:
    health, works = Health(), anyio.Event()
    with capture_logs() as lines:
        async with watched(tmp_path, health) as (listener, _):
            assert await beats(listener, 59) == 2
            health.answers = works.wait
            assert await beats(listener, 3600) == 0
            works.set()
            assert await beats(listener, 60) >= 2

    assert [(x["event"], x["reason"]) for x in lines] == [
        ("watchdog.withheld", "the store does not answer")
    ]


async def test_a_store_that_is_slow_but_answers_is_no_reason_to_be_killed(
    tmp_path: Path,
) -> None:
    health = Health()
    health.answers = lambda: anyio.sleep(14)
    async with watched(tmp_path, health) as (listener, _):
        for _ in range(60):
            assert await beats(listener, 60) >= 1


async def test_while_no_visit_moves_though_one_should_it_hears_nothing(
    tmp_path: Path,
) -> None:
    health = Health()
    with capture_logs() as lines:
        async with watched(tmp_path, health) as (listener, _):
            health.hitches = {"prod": Hitch(moves=7, patience=0)}
            assert await beats(listener, 89) >= 1
            assert await beats(listener, 3600) == 0
            health.hitches = {"prod": Hitch(moves=8, patience=0)}
            assert await beats(listener, 59) >= 1

    assert [x["reason"] for x in lines] == ["no visit to prod begins or ends"]


async def test_visits_that_move_or_need_not_are_well_however_long_it_takes(
    tmp_path: Path,
) -> None:
    health = Health()
    async with watched(tmp_path, health) as (listener, _):
        for moves in range(60):
            waits = {"prod": Hitch(moves, patience=0)}
            health.hitches = waits if moves % 3 else {}
            assert await beats(listener, 59) >= 1


async def test_a_request_may_take_as_long_as_it_was_given(tmp_path: Path) -> None:
    health = Health()
    health.hitches = {"prod": Hitch(moves=7, patience=600)}
    async with watched(tmp_path, health) as (listener, _):
        assert await beats(listener, 599) >= 19
        await anyio.sleep(60)
        assert await beats(listener, 3600) == 0


@pytest.mark.parametrize("milestone", [Reloading(), Stopping(grace=1e6)])
async def test_what_is_taken_down_or_built_need_only_keep_the_loop_running(
    tmp_path: Path, milestone: milestones.Milestone
) -> None:
    health = Health()
    health.answers = anyio.sleep_forever
    health.hitches = {"prod": Hitch(moves=7, patience=0)}
    async with watched(tmp_path, health) as (listener, hear):
        hear(milestone)
        await anyio.sleep(60)
        assert await beats(listener, 600) == 20
