"""What the parts of a station learn of one another."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import anyio
import pytest
from msgspec import structs

from monitor import station
from monitor.core.discovery import Rule
from monitor.core.shards import shard
from monitor.core.state import Phase
from monitor.core.watch import Place
from monitor.recorder import Recorder
from monitor.settings.model import Settings
from monitor.simulator.server import serving
from monitor.station import Station
from monitor.store.sql import SqlStore
from monitor.watchlist.listing import Listing
from tests.support import clock, log, stores, wishes, worlds
from tests.support.answers import FAILED, a_key, a_watch
from tests.support.source import ScriptedSource
from tests.support.watching import watching

pytestmark = pytest.mark.looptime

NOWHERE: Final = "http://127.0.0.1:9"
RULE: Final = Rule(source="prod", scope_type="biz", scope_id="2", place=Place("x", 1))
FOUND: Final = structs.replace(a_watch(), rule=RULE.selection)


def a_station(store: SqlStore, url: str) -> AbstractAsyncContextManager[Station]:
    source = {"api": "gateway-v3", "url": f"{url}/api/bk-job/prod", "access_token": "t"}
    common = station.Common(
        settings=Settings.model_validate({"sources": {"prod": source}}),
        store=store,
        recorder=Recorder(store, lambda _: None),
        wishes=wishes.nobody_s(store),
        joined=lambda: None,
        back=lambda: None,
        now=clock.now,
        luck=clock.middling,
    )
    return station.opened("prod", common)


async def discover(store: SqlStore, url: str) -> None:
    """Let a new daemon search for a minute, and visit nobody."""
    async with a_station(store, url) as opened, anyio.create_task_group() as tasks:
        await opened.watch(Listing(rules=(RULE,)))
        tasks.start_soon(opened.discovery.run)
        await anyio.sleep(60)
        tasks.cancel_scope.cancel()


async def test_what_retired_before_a_restart_is_forgotten_when_no_list_shows_it(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store, serving(worlds.this_morning()) as url:
        await store.add([FOUND])
        async with watching(store, ScriptedSource(FAILED), [FOUND]):
            await anyio.sleep(3600)

        await discover(store, url)

        assert await store.keys("prod") == []


async def test_what_runs_is_remembered_though_no_list_shows_it(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store, serving(worlds.this_morning()) as url:
        await store.add([FOUND])

        await discover(store, url)

        assert await store.keys("prod") == [FOUND.key]


async def test_who_called_back_is_known_to_be_another_daemon_s(tmp_path: Path) -> None:
    theirs, ours = (a_watch(a_key(number)) for number in (1, 2))
    async with stores.opened(tmp_path) as store:
        store.holdings.leave([shard(str(theirs.key))])
        async with a_station(store, NOWHERE) as opened:
            await opened.watch(Listing(watches={w.key: w for w in (theirs, ours)}))

            known = {number: opened.watched_elsewhere(number) for number in (1, 2, 3)}
            assert known == {1: True, 2: False, 3: False}
            assert [opened.hint(number) for number in (1, 2, 3)] == [0, 1, 0]


async def test_shards_are_let_go_once_discovery_has_written_what_it_found(
    tmp_path: Path,
) -> None:
    given_up = anyio.Event()
    async with stores.opened(tmp_path) as store, a_station(store, NOWHERE) as opened:

        async def give_up() -> None:
            await opened.let_go(frozenset({shard("prod")}))
            given_up.set()

        async with anyio.create_task_group() as tasks, opened.discovery._turn:
            tasks.start_soon(give_up)
            await anyio.sleep(60)
            assert not given_up.is_set()

        assert given_up.is_set()


async def test_what_is_gained_is_not_ended_by_a_list_that_waited_for_its_turn(
    tmp_path: Path,
) -> None:
    moving = frozenset({shard(str(FOUND.key))})
    async with stores.opened(tmp_path) as store:
        store.holdings.leave(moving)
        async with a_station(store, NOWHERE) as opened:
            await opened.watch(Listing(rules=(RULE,)))
            # Another daemon finds it, and watches it until it gives it up.
            await store.add([FOUND])
            await log.saw(Recorder(store, lambda _: None), FAILED, FOUND.key)
            # The poller is busy: it ends many that were removed.
            async with anyio.create_task_group() as tasks, opened.poller._listing:
                tasks.start_soon(opened.join)
                await anyio.sleep(1)
                store.holdings.take(dict.fromkeys(moving, 1))
                tasks.start_soon(opened.gain, moving)
                await anyio.sleep(1)
            known = await store.load(str(FOUND.key))
            watched = [*opened.poller.tracks]

    assert known.phase is Phase.WATCHED
    assert known.alerts
    assert watched == [FOUND.key]


async def test_whoever_takes_over_knows_what_was_learnt_until_then(
    tmp_path: Path,
) -> None:
    kinds, moving = ("prod/biz/2 deploy", "prod/biz/2", "prod"), frozenset({7})
    async with (
        stores.opened(tmp_path) as store,
        a_station(store, NOWHERE) as one,
        a_station(store, NOWHERE) as other,
    ):
        for _ in range(25):
            one.experience.saw_end(kinds, 600.0)
        await one.let_go(moving)
        await other.gain(moving)
        usual = [each.experience.percentile(kinds, 95) for each in (one, other)]

    assert usual[0] == usual[1] is not None
