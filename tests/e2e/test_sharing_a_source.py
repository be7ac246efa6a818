"""Two daemons on one database are as gentle to JOB as one, and see with both eyes."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import psycopg
import pytest
from msgspec import Struct

from monitor.core.shards import shard
from monitor.simulator.faults import Fault, Name
from monitor.simulator.instance import Instance
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e.daemon import Daemon, running
from tests.e2e.record import DatabaseRecord
from tests.e2e.site import Site
from tests.e2e.waiting import until
from tests.support import databases, severing, worlds

RATE: Final = 20
LIST: Final = "get_job_instance_list"
RULES: Final = "discover: [{bk_biz_id: 2, every: 5s}]"
RENEWAL: Final = 2.2
"""Seconds from one renewal to the next, at most."""

SETTLED: Final = 10.0
"""Seconds until all know of one another, and have their parts."""


class House(Struct):
    """*started* is when each daemon said so, in seconds of the simulated world."""

    world: World
    store: str
    daemons: list[Daemon]
    start: Callable[..., Daemon]
    sites: list[Site]
    watched: list[Instance]

    @property
    def record(self) -> DatabaseRecord:
        return DatabaseRecord(self.store)

    def watch(self, *more: Instance) -> None:
        self.watched += more
        for site in self.sites:
            site.watch(*self.watched)

    def told(self, key: str) -> list[str]:
        return [each.type for each in self.record.events() if each.key == key]

    def unknown(self) -> list[str]:
        """List the instances whose status is on record otherwise than JOB has it."""
        states, now = self.record.states(), self.world.now()
        known = {
            key: state.snapshot and state.snapshot.status
            for key, state in states.items()
        }
        return [
            key
            for instance in self.world.instances.values()
            if (moment := instance.moment(now))
            and known.get(key := f"prod/biz/{instance}") != moment.status
        ]

    def requests(self, since: float, until: float, endpoint: str = "") -> list[float]:
        """Say when JOB was asked in that time."""
        return [
            each.at
            for each in self.world.record.recent
            if since <= each.at < until and endpoint in each.endpoint
        ]

    async def both_own(self) -> None:
        """Wait until each of two has its half of the shards."""
        # Rarely: looking takes time from the simulator, which lives in this process.
        halves = lambda: {*self.owned().values()} == {32}  # noqa: E731
        await until(halves, "each has its half", every=0.5)

    def owned(self) -> Mapping[str, int]:
        with psycopg.connect(self.store) as rows:
            counted = "SELECT owner, count(*) FROM leases GROUP BY owner"
            return dict(rows.execute(counted).fetchall())

    def owner(self, key: str) -> int:
        """Tell which of the daemons owns *key*."""
        with psycopg.connect(self.store) as rows:
            asked = "SELECT owner FROM leases WHERE shard = %s"
            [(owner,)] = rows.execute(asked, (shard(key),)).fetchall()
        pids = [str(daemon.process.pid) for daemon in self.daemons]
        return pids.index(owner.split("/")[1])


@asynccontextmanager
async def a_house(
    directory: Path, jobs: int, rules: str = "", **polling: Any
) -> AsyncIterator[House]:
    world = worlds.today()
    world.record.recent = deque(maxlen=10_000)
    watched = [world.play("hang") for _ in range(jobs)]
    with databases.created(databases.found()) as made, ExitStack() as stack:
        async with serving(world) as url:

            def start(at: str = url, **source: Any) -> Daemon:
                site = _site(directory / str(len(house.daemons)), at, store, source)
                site.settings["polling"].update(polling)
                if rules:
                    site.settings["watch_lists"] = ["rules.yaml"]
                    (site.directory / "rules.yaml").write_text(rules)
                site.write()
                site.watch(*watched)
                house.sites.append(site)
                house.daemons.append(stack.enter_context(running(site.config)))
                return house.daemons[-1]

            store = databases.written(made)
            house = House(world, store, [], start, [], watched)
            yield house


def _site(directory: Path, url: str, store: str, source: Mapping[str, Any]) -> Site:
    directory.mkdir()
    site = Site(directory, url, store=store)
    site.settings["sources"]["prod"] = {
        "api": "gateway-v3",
        "url": f"{url}/api/bk-job/prod",
        "access_token": "t",
        **source,
    }
    return site


@contextmanager
def a_way(url: str) -> Iterator[tuple[severing.Way, str]]:
    with severing.way(int(url.rpartition(":")[2])) as way:
        yield way, f"http://127.0.0.1:{way.port}"


@pytest.mark.timeout(180)
async def test_together_they_ask_no_more_than_one_may(tmp_path: Path) -> None:
    async with a_house(tmp_path, jobs=150, sweep="off") as house:
        one = house.start(requests_per_second=RATE)
        await one.says("service.started")
        await anyio.sleep(2)
        joined = house.world.now()
        two = house.start(requests_per_second=RATE)
        await two.says("shards.gained")
        await house.both_own()
        await anyio.sleep(SETTLED)
        shared = house.world.now()
        await anyio.sleep(SETTLED)
        died = house.world.now()
        one.kill()
        await until(lambda: 64 in house.owned().values(), "one has all", every=0.5)
        await anyio.sleep(SETTLED)
        ended = house.world.now()

        asked = house.requests(joined, ended)
        # What a loaded machine delays arrives together: seconds alone say little.
        assert most_within(asked, 5.0) <= 5 * 1.1 * RATE
        assert len(asked) <= RATE * (ended - joined + RENEWAL)
        both = len(house.requests(shared, died)) / (died - shared)
        assert 0.7 * RATE <= both <= 1.1 * RATE
        alone = len(house.requests(ended - 4, ended)) / 4
        assert 0.7 * RATE <= alone <= 1.1 * RATE
        print(f"\n{both:.1f} and {alone:.1f} a second of {RATE}")  # noqa: T201
        assert await two.stop() == 0


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_one_list_is_swept_for_both(tmp_path: Path) -> None:
    quick = {"sweep": "on", "min_interval": "1s", "max_interval": "2s"}
    async with a_house(tmp_path, jobs=40, **quick) as house:
        for _ in range(2):
            await house.start().says("service.started")
        await house.both_own()
        await anyio.sleep(SETTLED)
        since = house.world.now()
        await anyio.sleep(SETTLED)
        now = house.world.now()

        pages = house.requests(since, now, LIST)
        assert 4 <= len(pages) <= (now - since) / 0.9 + 1
        visits = len(house.requests(since, now)) - len(pages)
        assert visits <= 40  # unvouched they would be 200 at least
        for daemon in house.daemons:
            assert await daemon.stop() == 0


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_one_searches_for_both(tmp_path: Path) -> None:
    async with a_house(tmp_path, jobs=20, rules=RULES, sweep="off") as house:
        for _ in range(2):
            await house.start().says("service.started")
        await house.both_own()
        since = house.world.now()
        await anyio.sleep(2 * SETTLED)
        now = house.world.now()

        assert 3 <= len(house.requests(since, now, LIST)) <= (now - since) / 4.5 + 1
        assert house.unknown() == []
        for daemon in house.daemons:
            assert await daemon.stop() == 0


@pytest.mark.timeout(120)
async def test_a_source_that_is_down_is_lost_once_and_back_once(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, jobs=20) as house:
        for _ in range(2):
            await house.start().says("service.started")
        await house.both_own()
        await anyio.sleep(SETTLED)
        house.world.switch([Fault(name=Name.SERVER_ERROR)])
        await until(lambda: house.told("prod") != [], "it is lost")
        await anyio.sleep(SETTLED)
        lost = house.told("prod")
        house.world.switch([])
        await until(lambda: len(house.told("prod")) > len(lost), "it is back")
        await anyio.sleep(SETTLED)

        assert lost == ["bkjob.source.lost", "bkjob.alert.raised"]
        back = ["bkjob.source.restored", "bkjob.alert.resolved"]
        assert house.told("prod") == lost + back
        for daemon in house.daemons:
            assert await daemon.stop() == 0


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_who_alone_is_cut_off_makes_no_source_lost_and_catches_up(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, jobs=20) as house, serving(house.world) as url:
        with a_way(url) as (one, at_one), a_way(url) as (two, at_two):
            for at in (at_one, at_two):
                await house.start(at).says("service.started")
            await house.both_own()
            await anyio.sleep(SETTLED)
            cut = [one, two][house.owner("prod")]
            cut.sever()
            ended = [house.world.play("success") for _ in range(10)]
            house.watch(*ended)
            await anyio.sleep(2 * SETTLED)
            late = house.unknown()
            cut.severed = False
            await until(lambda: house.unknown() == [], "it is caught up", every=0.5)
            assert late != []
            assert house.told("prod") == []
            for daemon in house.daemons:
                assert await daemon.stop() == 0


def most_within(times: list[float], seconds: float) -> int:
    times = sorted(times)
    return max(sum(at <= t < at + seconds for t in times) for at in times)
