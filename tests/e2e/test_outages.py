"""Not seeing is not failing: an outage is one line down and one line up."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from monitor.simulator.faults import Fault, Name
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e import balance
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import Delivery, receiving
from tests.e2e.record import Record
from tests.e2e.site import Site, source
from tests.support import worlds

WEATHER: Final = {
    "hangs": Fault(name=Name.HANG),
    "hangs_up": Fault(name=Name.REFUSE),
    "bad_gateway": Fault(name=Name.HTML, value="502"),
    "server_error": Fault(name=Name.SERVER_ERROR),
    "login_page": Fault(name=Name.HTML, value="200"),
    "throttles": Fault(name=Name.THROTTLE),
    "expired_token": Fault(name=Name.EXPIRED),
}

CAUSES: Final = {
    "hangs": "unreachable",
    "hangs_up": "unreachable",
    "bad_gateway": "unreachable",
    "server_error": "unreachable",
    "login_page": "garbled",
    "throttles": "throttled",
    "expired_token": "auth",
}

JOBS: Final = 10

QUIET: Final = {
    "bkjob.instance.appeared",
    "bkjob.instance.changed",
    "bkjob.step.changed",
    "bkjob.hosts.changed",
}
"""What may be told of a job that runs on and on."""


async def test_any_bad_weather_is_one_line_down_one_line_up_and_no_failed_job(
    tmp_path: Path,
) -> None:
    worlds = {name: a_world() for name in WEATHER}
    for name, world in worlds.items():
        world.switch([WEATHER[name]])
    async with serving_each(worlds) as urls, receiving() as receiver:
        site = a_site(tmp_path, urls)
        site.tell(receiver)
        with running(site.config) as daemon:
            async with anyio.create_task_group() as tasks:
                for name, world in worlds.items():
                    tasks.start_soon(clears_up, daemon, name, world)
            everywhere = len(worlds) * JOBS
            await daemon.reaches(
                lambda: appeared(receiver.events()) == everywhere, "all jobs are seen"
            )
            assert await daemon.stop() == 0

    assert downs_and_ups(daemon) == {name: (CAUSES[name], 1) for name in worlds}
    assert about_jobs(receiver.events()) <= QUIET
    assert about_jobs(receiver.notifications) == set()
    assert balance.faults(receiver, Record(site.database)) == []


async def test_a_server_that_is_down_is_one_line_down_one_line_up_and_no_failed_job(
    tmp_path: Path,
) -> None:
    world = a_world()
    async with serving(world) as url:
        port = int(url.rpartition(":")[2])
    async with receiving() as receiver:
        site = a_site(tmp_path, {"prod": url})
        site.tell(receiver)
        with running(site.config) as daemon:
            await daemon.says("bkjob.source.lost", key="prod")
            async with serving(world, port=port):
                await daemon.says("bkjob.source.restored", key="prod")
                await daemon.reaches(
                    lambda: appeared(receiver.events()) == JOBS, "all jobs are seen"
                )
                assert await daemon.stop() == 0

    assert downs_and_ups(daemon) == {"prod": ("unreachable", 1)}
    assert about_jobs(receiver.events()) <= QUIET
    assert about_jobs(receiver.notifications) == set()


async def test_refused_credentials_lose_the_source_at_the_first_answer(
    tmp_path: Path,
) -> None:
    world = a_world()
    world.switch([Fault(name=Name.EXPIRED)])
    async with serving(world) as url:
        site = a_site(tmp_path, {"prod": url})
        site.settings["polling"]["lost_after"] = "1h"
        site.write()
        with running(site.config) as daemon:
            line = await daemon.says("bkjob.source.lost")
            assert await daemon.stop() == 0

    assert line["cause"] == "auth"


def a_world() -> World:
    world = worlds.today()
    for _ in range(JOBS):
        world.play("hang")
    return world


@asynccontextmanager
async def serving_each(worlds: Mapping[str, World]) -> AsyncIterator[dict[str, str]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(serving(world))
            for name, world in worlds.items()
        }


def a_site(directory: Path, urls: Mapping[str, str]) -> Site:
    """Watch the jobs of one world at each of *urls*."""
    sources = {name: source(url, timeout="300ms") for name, url in urls.items()}
    site = Site(directory, "", sources=sources)
    jobs = a_world().instances.values()
    site.watch(*(f"{name}/{job}" for name in urls for job in jobs))
    return site


async def clears_up(daemon: Daemon, name: str, world: World) -> None:
    """Wait until the source is lost and a probe was in vain; then let it be seen."""
    await daemon.says("bkjob.source.lost", key=name)
    # A throttle was obeyed twice by now, and the pauses double.
    more = world.record.total + (name != "throttles")
    await daemon.reaches(lambda: world.record.total >= more, f"{name} is probed")
    world.switch([])
    await daemon.says("bkjob.source.restored", key=name)


def appeared(events: list[Delivery]) -> int:
    return sum(event.type == "bkjob.instance.appeared" for event in events)


def about_jobs(deliveries: list[Delivery]) -> set[str]:
    return {each.type for each in deliveries if "subject" in each.said}


def downs_and_ups(daemon: Daemon) -> dict[str, tuple[str, int]]:
    """Map source to the cause of its loss and its returns; nothing else is loud."""
    downs = [(line["key"], line["event"], line["cause"]) for line in daemon.loud()]
    ups = [line["key"] for line in daemon.said("bkjob.source.restored", level="info")]
    assert len({key for key, _, _ in downs}) == len(downs), downs
    assert {event for _, event, _ in downs} == {"bkjob.source.lost"}, downs
    return {key: (cause, ups.count(key)) for key, _, cause in downs}
