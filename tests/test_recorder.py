"""Load, decide, commit, by several at once; real store, virtual time."""

from pathlib import Path

import anyio
import pytest

from monitor.core import state
from monitor.core.clusters import Tail, Tails
from monitor.core.state import Change, State
from monitor.recorder import Recorder
from tests.support import clock, log, stores
from tests.support.answers import FAILED, KEY, STEP, WORSE, hosts

pytestmark = pytest.mark.looptime

[ONE, TWO] = hosts(_1=0, _2=0)


async def test_a_log_that_comes_with_a_visit_makes_nobody_lose_a_race(
    tmp_path: Path,
) -> None:
    tails: Tails = {STEP: {TWO: Tail(0, "no space")}}
    lost: list[str] = []

    def sees_more(known: State) -> Change | None:
        return state.seen(known, WORSE, log.a_frame(), clock.now())

    def hears(known: State) -> Change | None:
        return state.heard(known, tails)

    async with stores.opened(tmp_path) as store:
        recorder = Recorder(store, lambda _: None)

        async def record(name: str) -> None:
            decide = hears if name == "log" else sees_more
            if await recorder.record(str(KEY), decide) is None:
                lost.append(name)

        await log.saw(recorder, FAILED)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(record, "log")
            tasks.start_soon(record, "visit")

        known = await store.load(str(KEY))
        assert lost == []
        assert known.tails == tails
        assert known.alerts[f"hosts_failed/{STEP}"].failed == 2


async def test_each_key_is_recorded_without_waiting_for_another(
    tmp_path: Path,
) -> None:
    changes: list[Change] = []
    async with stores.opened(tmp_path) as store:
        recorder = Recorder(store, changes.append)
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                key = f"prod/biz/2/{number}"
                tasks.start_soon(
                    recorder.record, key, lambda known: Change(state=_next(known))
                )
        took = anyio.current_time()

    assert len(changes) == 50
    assert took < 0.1


def _next(known: State) -> State:
    return State(key=known.key, version=known.version + 1)
