"""The daemon as systemd starts it: what it says at the socket, and when."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGHUP

import pytest

from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e.daemon import Daemon, running
from tests.e2e.site import Site
from tests.support import supervisor, worlds
from tests.support.supervisor import Supervisor


@contextmanager
def supervised(site: Site, **more: str) -> Iterator[tuple[Daemon, Supervisor]]:
    with supervisor.listening(site.directory) as listener:
        environ = {**os.environ, **listener.environ(**more)}
        with running(site.config, environ) as daemon:
            yield daemon, listener


async def ready(daemon: Daemon, listener: Supervisor, times: int = 1) -> None:
    await daemon.reaches(lambda: listener.count("READY") == times, "READY")


async def test_it_is_ready_once_all_that_is_watched_is_scheduled(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.watch(world.play("hang"), world.play("hang"))
        with supervised(site) as (daemon, listener):
            await ready(daemon, listener)
            assert daemon.said("service.started", watches=2)
            assert listener.status == "Watching 2, 0 alerting"

    assert listener.told("EXTEND_TIMEOUT_USEC", "READY")[0] == "EXTEND_TIMEOUT_USEC"


async def test_what_goes_wrong_is_seen_in_its_status(tmp_path: Path) -> None:
    world = worlds.today()
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.watch(world.play("mixed_failure", parts=Parts(beat=0.5)))
        with supervised(site) as (daemon, listener):
            await ready(daemon, listener)
            await daemon.reaches(
                lambda: listener.status == "Watching 1, 1 alerting", "the status"
            )


@pytest.mark.parametrize("change", ["nothing", "polling", "faults"])
async def test_a_reload_begins_and_ends_whatever_comes_of_it(
    tmp_path: Path, change: str
) -> None:
    world = worlds.today()
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.watch(world.play("hang"))
        with supervised(site) as (daemon, listener):
            await ready(daemon, listener)
            match change:
                case "polling":
                    site.settings["polling"]["max_interval"] = "1s"
                case "faults":
                    site.settings["poling"] = {}
            site.write()
            daemon.signal(SIGHUP)
            await ready(daemon, listener, times=2)

    [reloading] = [words for words in listener.heard if "RELOADING" in words]
    assert int(reloading["MONOTONIC_USEC"]) > 0
    assert listener.told("READY", "RELOADING") == ["READY", "RELOADING", "READY"]
    assert ("refused" in listener.status) == (change == "faults")


async def test_told_to_stop_it_says_so_and_ends(tmp_path: Path) -> None:
    world = worlds.today()
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.watch(world.play("hang"))
        with supervised(site) as (daemon, listener):
            await ready(daemon, listener)
            assert await daemon.stop() == 0

    assert listener.told("READY", "STOPPING") == ["READY", "STOPPING"]
    assert daemon.loud() == []


async def test_a_watchdog_is_kept_quiet_through_work_and_reloads(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.watch(world.play("hang"))
        with supervised(site, WATCHDOG_USEC="400000") as (daemon, listener):
            await daemon.reaches(lambda: listener.count("WATCHDOG") > 2, "beats")
            site.settings["locale"] = "zh-CN"
            site.write()
            daemon.signal(SIGHUP)
            await ready(daemon, listener, times=2)
            before = listener.count("WATCHDOG")
            await daemon.reaches(
                lambda: listener.count("WATCHDOG") > before + 2, "more beats"
            )

    assert not daemon.said("watchdog.withheld")


async def test_a_configuration_that_is_refused_at_the_start_is_never_ready(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, "http://127.0.0.1:1", no_such_key=True)
    with supervised(site) as (daemon, listener):
        assert await daemon.ended() == 78

    assert listener.count("READY") == 0
