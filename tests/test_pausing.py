"""Nobody looks at whom people paused: real store, scripted source, virtual time."""

from pathlib import Path

import anyio
import pytest

from monitor import errors
from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.state import Phase
from tests.support import stores
from tests.support.answers import FAILED, RUNNING, SUCCEEDED, a_key, a_watch
from tests.support.source import ScriptedSource
from tests.support.watching import watching

pytestmark = pytest.mark.looptime

FIRST, SECOND = a_key(1), a_key(2)
EVERY_10_S = Rules(limits=Limits(floor=10.0, cap=10.0), spread=0.0)


async def test_while_it_is_paused_it_is_not_visited_and_others_are(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    watches = [a_watch(FIRST), a_watch(SECOND)]
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, watches, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(15)
        before = source.counts[FIRST]
        seen.poller.pause(FIRST)
        await anyio.sleep(3600)
        after = source.counts[FIRST]
        state = await store.load(str(FIRST))

    assert before == after
    assert source.counts[SECOND] > 300
    assert (state.phase, state.snapshot) == (Phase.WATCHED, RUNNING)


async def test_once_the_pause_is_over_it_is_visited_at_once(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch(FIRST)], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(15)
        seen.poller.pause(FIRST)
        await anyio.sleep(600)
        source.says(SUCCEEDED)
        before = anyio.current_time()
        seen.poller.resume(FIRST)
        await anyio.sleep(1)

    assert source.asked[-1][0] == before
    assert "instance.finished" in seen.types


async def test_what_a_visit_saw_that_was_under_way_is_recorded(tmp_path: Path) -> None:
    source = ScriptedSource(FAILED)
    source.latency = 5.0
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch(FIRST)], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(1)
        seen.poller.pause(FIRST)
        await anyio.sleep(3600)

    assert source.counts[FIRST] == 1
    assert "instance.finished" in seen.types


async def test_resumed_while_a_visit_is_under_way_it_goes_on(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    source.latency = 5.0
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch(FIRST)], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(1)
        seen.poller.pause(FIRST)
        await anyio.sleep(1)
        seen.poller.resume(FIRST)
        await anyio.sleep(60)

    assert source.counts[FIRST] >= 4


async def test_a_callback_or_a_list_cannot_move_whom_people_paused(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch(FIRST)], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(15)
        seen.poller.pause(FIRST)
        before = source.counts[FIRST]
        moved = seen.poller.tracks.hint(FIRST, moved=True)
        await anyio.sleep(60)

    assert not moved
    assert source.counts[FIRST] == before


async def test_a_lost_source_is_probed_by_others_and_found_again(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    watches = [a_watch(FIRST), a_watch(SECOND)]
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, watches, rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(15)
        seen.poller.pause(FIRST)
        source.says(errors.Unavailable("down"))
        await anyio.sleep(600)
        lost = seen.sight.lost
        source.says(RUNNING)
        await anyio.sleep(600)

    assert lost
    assert not seen.sight.lost
    assert source.counts[FIRST] <= 3


async def test_a_source_of_which_all_are_paused_is_not_lost(tmp_path: Path) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch(FIRST)], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(15)
        seen.poller.pause(FIRST)
        source.says(errors.Unavailable("down"))
        await anyio.sleep(3600)

    assert not seen.sight.lost
    assert seen.types == ["instance.appeared"]


async def test_other_labels_for_whom_is_paused_end_neither_pause_nor_watch(
    tmp_path: Path,
) -> None:
    source = ScriptedSource(RUNNING)
    async with (
        stores.opened(tmp_path) as store,
        watching(store, source, [a_watch(FIRST)], rules=EVERY_10_S) as seen,
    ):
        await anyio.sleep(15)
        seen.poller.pause(FIRST)
        before = source.counts[FIRST]
        await seen.poller.watch([a_watch(FIRST), a_watch(SECOND)])
        await anyio.sleep(60)
        state = await store.load(str(FIRST))

    assert source.counts[FIRST] == before
    assert state.phase is Phase.WATCHED
