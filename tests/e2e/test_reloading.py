"""What people change while the daemon runs: configuration, watch list, secrets."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import structs

from monitor.core.state import Phase
from monitor.simulator.credentials import Credentials
from monitor.simulator.instance import Instance
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import receiving
from tests.e2e.record import Record
from tests.e2e.site import Site
from tests.support import worlds


class Bench:
    """A daemon at work on the first of some instances that run for ever."""

    def __init__(self, world: World, site: Site, daemon: Daemon) -> None:
        self.world = world
        self.site = site
        self.daemon = daemon

    @property
    def jobs(self) -> list[Instance]:
        return [*self.world.instances.values()]

    def polls(self, job: Instance) -> int:
        return self.world.record.instances[job.biz, job.job_instance_id]

    async def polled(self, job: Instance, *, times: int = 1) -> None:
        enough = self.polls(job) + times
        await self.daemon.reaches(
            lambda: self.polls(job) >= enough, f"{job} is polled {times} times"
        )


@asynccontextmanager
async def a_bench(directory: Path) -> AsyncIterator[Bench]:
    world = worlds.today(clock=lambda: 0.0)  # so that all stays as it is
    first, _, _ = (world.play("hang") for _ in range(3))
    async with serving(world) as url:
        site = Site(directory, url)
        site.watch(first)
        with running(site.config) as daemon:
            bench = Bench(world, site, daemon)
            await bench.polled(first)
            yield bench
            assert await daemon.stop() == 0


async def test_a_broken_configuration_is_refused_with_its_place_and_the_old_one_kept(
    tmp_path: Path,
) -> None:
    async with a_bench(tmp_path) as bench:
        good = bench.site.config.read_text()
        broken = good.replace("max_interval", "max_intervall")
        line = 1 + broken[: broken.index("max_intervall")].count("\n")
        bench.site.config.write_text(broken)
        bench.daemon.signal(signal.SIGHUP)
        refused = await bench.daemon.says("configuration.refused", level="warning")
        await bench.polled(bench.jobs[0], times=3)

    [fault] = refused["faults"]
    assert fault == (
        f"{bench.site.config}:{line}:3: polling.max_intervall: "
        "unknown key 'max_intervall'; did you mean 'max_interval'?"
    )


async def test_a_good_configuration_is_used_from_the_hangup_on(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, receiving() as receiver:
        (tmp_path / "more.txt").write_text(f"{bench.jobs[1]} team=sre\n")
        bench.site.settings["watch_lists"].append("more.txt")
        bench.site.tell(receiver)
        bench.daemon.signal(signal.SIGHUP)
        await bench.daemon.says("configuration.changed")
        await bench.daemon.reaches(receiver.events, "the new sink is told")
        await bench.polled(bench.jobs[0])

    [appeared] = receiver.events()
    assert appeared.id == f"prod/biz/{bench.jobs[1]}#1"
    assert appeared.data["labels"] == {"team": "sre"}


async def test_an_appended_line_is_watched_without_being_told(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        with bench.site.watch_list.open("a") as file:
            file.write(f"{bench.jobs[1]}\n")
        await bench.polled(bench.jobs[1])

    assert bench.daemon.said("watchlist.changed", added=1, removed=0, changed=0)


async def test_a_list_that_is_renamed_into_place_is_read(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        beside = tmp_path / "watchlist.txt.new"
        beside.write_text(f"{bench.jobs[1]}\n{bench.jobs[2]}\n")
        beside.replace(bench.site.watch_list)
        await bench.polled(bench.jobs[2])

    assert bench.daemon.said("watchlist.changed", added=2, removed=1, changed=0)


async def test_a_removed_line_ends_its_watch_and_no_other(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        first, second, _ = bench.jobs
        bench.site.watch(first, second)
        await bench.polled(second)
        bench.site.watch(second)
        await bench.daemon.says("watchlist.changed", removed=1)
        await bench.polled(second)
        before = bench.polls(first)
        await bench.polled(second, times=5)
        assert bench.polls(first) == before

    states = Record(bench.site.database).states()
    assert states[f"prod/biz/{first}"].phase is Phase.UNWATCHED
    assert states[f"prod/biz/{second}"].phase is Phase.WATCHED


async def test_a_rotated_secret_is_found_when_the_old_one_is_refused(
    tmp_path: Path,
) -> None:
    old = Credentials(app_code="job-monitor", app_secret="old-secret")
    world = worlds.today(credentials=old)
    secret = tmp_path / "app_secret"
    secret.write_text("old-secret\n")
    async with serving(world) as url:
        site = Site(tmp_path, url)
        del site.source["app_secret"]
        site.source["app_secret_file"] = "app_secret"
        site.write()
        site.watch(world.play("success"))
        with running(site.config) as daemon:
            await daemon.says("bkjob.instance.appeared")
            world.credentials = structs.replace(old, app_secret="new-secret")
            lost = await daemon.says("bkjob.source.lost", level="warning")
            secret.write_text("new-secret\n")
            await daemon.says("bkjob.source.restored", level="info")
            assert await daemon.stop() == 0

    assert lost["cause"] == "auth"


async def test_of_hangups_in_quick_succession_the_last_is_obeyed(
    tmp_path: Path,
) -> None:
    async with a_bench(tmp_path) as bench:
        for count in range(10):
            (tmp_path / f"more{count}.txt").write_text(f"{bench.jobs[1]}\n")
            bench.site.settings["watch_lists"].append(f"more{count}.txt")
            bench.site.write()
            bench.daemon.signal(signal.SIGHUP)
        (tmp_path / "last.txt").write_text(f"{bench.jobs[2]}\n")
        bench.site.settings["watch_lists"].append("last.txt")
        bench.site.write()
        bench.daemon.signal(signal.SIGHUP)
        await bench.polled(bench.jobs[2])


async def test_a_stop_is_obeyed_also_while_a_hangup_is(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        bench.site.settings["locale"] = "zh-CN"
        bench.site.write()
        bench.daemon.signal(signal.SIGHUP)
