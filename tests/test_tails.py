"""Whose logs are asked for, how often, and what becomes of them; virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from monitor import errors
from monitor import tails as reading
from monitor.core import state
from monitor.core.clusters import Tail
from monitor.core.model import HostId
from monitor.core.state import Change
from monitor.recorder import Recorder
from monitor.store.sql import SqlStore
from monitor.tails import Tails
from tests.support import clock, log, stores
from tests.support.answers import (
    FAILED,
    KEY,
    RECOVERED,
    STEP,
    SUCCEEDED,
    a_job,
    a_key,
    hosts,
)
from tests.support.logs import SourceWithLogs, Turns

pytestmark = pytest.mark.looptime

[ONE, TWO, THREE] = hosts(_1=0, _2=0, _3=0)
FULL = "tar: no space left"


class Desk:
    """Who reads logs, on one store; *changes* are the commits since it was built."""

    def __init__(self, store: SqlStore, source: SourceWithLogs, turns: Turns) -> None:
        self.store = store
        self.changes: list[Change] = []
        self.recorder = Recorder(store, self._committed)
        self.tails = Tails(
            source,
            turns,
            ledger=store,
            memory=store,
            recorder=self.recorder,
            luck=clock.middling,
            secrets=["open sesame"],
        )

    def _committed(self, change: Change) -> None:
        self.changes.append(change)
        self.tails.changed(change)

    async def texts(self) -> dict[HostId, str]:
        known = await self.store.load(str(KEY))
        return {host: tail.text for host, tail in known.tails.get(STEP, {}).items()}


@asynccontextmanager
async def reading_from(
    store: SqlStore, source: SourceWithLogs, turns: Turns | None = None
) -> AsyncIterator[Desk]:
    desk = Desk(store, source, turns or Turns())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.tails.run)
        yield desk
        tasks.cancel_scope.cancel()


async def test_how_the_logs_of_failed_hosts_end_is_remembered(tmp_path: Path) -> None:
    source = SourceWithLogs({TWO: FULL})
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(1)

        known = await store.load(str(KEY))
        assert known.tails == {STEP: {TWO: Tail(0, FULL)}}
        assert [hosts for _, _, hosts in source.calls] == [(TWO,)]
        assert desk.changes[-1].events == ()


async def test_what_a_log_says_is_remembered_without_its_secrets(
    tmp_path: Path,
) -> None:
    source = SourceWithLogs({TWO: "password=hunter2\nhe said open sesame"})
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(1)

        assert await desk.texts() == {TWO: "password=***\nhe said ***"}


async def test_logs_are_asked_for_in_turns_that_no_visit_needs(tmp_path: Path) -> None:
    source, turns = SourceWithLogs({TWO: FULL}), Turns()
    turns.open = anyio.Event()
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source, turns) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        assert source.calls == []
        turns.open.set()
        await anyio.sleep(1)

        assert turns.spare == [True]
        assert await desk.texts() == {TWO: FULL}


async def test_of_many_alike_three_are_asked_in_one_call(tmp_path: Path) -> None:
    source = SourceWithLogs()
    rows = hosts(_1=104, _2=104, _3=104, _4=104)
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, a_job(4, rows))
        await anyio.sleep(1)

    assert [hosts for _, _, hosts in source.calls] == [(ONE, TWO, THREE)]


async def test_no_call_names_more_hosts_than_the_api_takes(tmp_path: Path) -> None:
    source = SourceWithLogs({THREE: FULL}, tails=2)
    rows = hosts(_1=104, _2=104, _3=104)
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, a_job(4, rows))
        await anyio.sleep(1)

        assert [hosts for _, _, hosts in source.calls] == [(ONE, TWO), (THREE,)]
        assert await desk.texts() == {ONE: "", TWO: "", THREE: FULL}


async def test_who_was_asked_once_is_not_asked_again(tmp_path: Path) -> None:
    source = SourceWithLogs()
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(1)
        await log.saw(desk.recorder, a_job(4, hosts(_1=104, _2=104)))
        await anyio.sleep(1)

    assert [hosts for _, _, hosts in source.calls] == [(TWO,), (ONE,)]


async def test_who_fails_again_in_a_later_attempt_is_asked_again(
    tmp_path: Path,
) -> None:
    source = SourceWithLogs({TWO: FULL})
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(1)
        source.logs = {TWO: "permission denied"}
        await log.saw(desk.recorder, a_job(4, hosts(_1=9, _2=104), attempt=1))
        await anyio.sleep(1)

        known = await store.load(str(KEY))
        assert known.tails == {STEP: {TWO: Tail(1, "permission denied")}}


async def test_where_nothing_failed_nothing_is_asked(tmp_path: Path) -> None:
    source = SourceWithLogs()
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, SUCCEEDED)
        await log.saw(desk.recorder, FAILED, a_key(2, source="other"))
        await anyio.sleep(60)

    assert source.calls == []


async def test_after_three_failures_nobody_waits_for_that_log_any_longer(
    tmp_path: Path,
) -> None:
    source, turns = SourceWithLogs(), Turns()
    source.mishaps = [errors.Unavailable(), errors.Throttled(), errors.Refused()]
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source, turns) as desk,
    ):
        with capture_logs() as lines:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(3600)

        assert [when for when, *_ in source.calls] == pytest.approx(
            [0, 0.5, 1.5], abs=0.1
        )
        assert len(turns.noted) == 3
        assert [line["event"] for line in lines] == ["logs.given_up"]
        assert await desk.texts() == {TWO: ""}
        assert state.wanting(await store.load(str(KEY))) == ()


async def test_a_second_try_may_succeed(tmp_path: Path) -> None:
    source = SourceWithLogs({TWO: FULL})
    source.mishaps = [errors.Unavailable()]
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(5)

        assert await desk.texts() == {TWO: FULL}


@pytest.mark.parametrize("mishap", reading.HOPELESS)
async def test_what_another_try_would_not_change_is_tried_once(
    tmp_path: Path, mishap: type[errors.SourceError]
) -> None:
    source = SourceWithLogs({TWO: FULL})
    source.mishaps = [mishap()]
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(3600)

        assert len(source.calls) == 1
        assert await desk.texts() == {TWO: ""}


async def test_an_answer_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    source, turns = SourceWithLogs({TWO: FULL}), Turns()
    source.tail_latency = 3600
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source, turns) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)

        assert len(source.calls) == 3
        assert turns.noted == []
        assert await desk.texts() == {TWO: ""}


async def test_a_log_that_comes_after_the_recovery_is_dropped(tmp_path: Path) -> None:
    source = SourceWithLogs({TWO: FULL})
    source.tail_latency = 5
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(2)
        await log.saw(desk.recorder, RECOVERED)
        await anyio.sleep(60)

        assert (await store.load(str(KEY))).tails == {}
        assert len(desk.changes) == 2


async def test_two_instances_at_once_and_each_by_itself(tmp_path: Path) -> None:
    source = SourceWithLogs({TWO: FULL})
    source.tail_latency = 1
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        for number in range(1, 7):
            await log.saw(desk.recorder, FAILED, a_key(number))
        await log.saw(desk.recorder, a_job(4, hosts(_1=104, _2=104)))
        await anyio.sleep(60)

        assert source.most_at_once == 2
        assert len(source.calls) == 7
        assert await desk.texts() == {ONE: "", TWO: FULL}


async def test_those_that_waited_longest_go_without_where_too_many_wait(
    tmp_path: Path,
) -> None:
    source, turns = SourceWithLogs(), Turns()
    turns.open = anyio.Event()
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source, turns) as desk,
    ):
        for number in range(1, reading.BACKLOG + 20):
            await log.saw(desk.recorder, FAILED, a_key(number))

        assert len(desk.tails) == reading.BACKLOG


async def test_what_was_not_read_before_a_crash_is_read_after_it(
    tmp_path: Path,
) -> None:
    source, turns = SourceWithLogs({TWO: FULL}), Turns()
    turns.open = anyio.Event()
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source, turns) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(1)
    async with (
        stores.opened(tmp_path) as store,
        reading_from(store, source) as desk,
    ):
        await anyio.sleep(1)

        assert await desk.texts() == {TWO: FULL}
