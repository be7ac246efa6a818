"""The daemon and a real Alertmanager, which keeps its level through a kill."""

from datetime import datetime
from pathlib import Path

import anyio

from monitor.simulator import entry
from monitor.simulator.server import serving
from tests.e2e.daemon import running
from tests.e2e.site import QUICK, Site
from tests.e2e.theatre import Stage
from tests.e2e.waiting import OFTEN
from tests.support.alertmanagers import Alertmanager, alertmanager


async def test_what_failed_is_held_through_a_kill_and_resolved_when_it_recovers(
    tmp_path: Path,
) -> None:
    stage = Stage()
    story = {"beat": 1, "scenario": "mixed_failure"}
    key = entry.enact(stage.world, entry.decoded(story))
    stage.now = 4  # hosts have failed, and the job has ended

    async with (
        alertmanager(tmp_path) as am,
        serving(stage.world) as stage.url,
    ):
        site = pushing_to(am, tmp_path, stage.url)
        site.watch(f"{key} team=sre")
        with running(site.config) as daemon:
            firing = await am.tells("firing", "hosts_failed", "job_failed")
            told = await updated(am)
            daemon.kill()
        with running(site.config) as daemon:
            await daemon.says("service.started")
            while await updated(am) == told:
                assert daemon.alive
                await anyio.sleep(OFTEN)
            await stage.retry("2/20000153")
            stage.now = 20
            resolved = await am.tells("resolved", "hosts_failed", "job_failed")
            assert await daemon.stop() == 0

    assert firing["commonLabels"]["team"] == "sre"
    assert firing["groupLabels"] == {"instance": "prod/biz/2/20000153"}
    assert resolved["groupKey"] == firing["groupKey"]
    course = ["firing", "resolved"]
    assert am.courses == {"hosts_failed": course, "job_failed": course}


async def test_what_nobody_watches_any_more_is_over_there(tmp_path: Path) -> None:
    stage = Stage()
    story = {"beat": 1, "scenario": "mixed_failure"}
    key = entry.enact(stage.world, entry.decoded(story))
    stage.now = 4

    async with (
        alertmanager(tmp_path) as am,
        serving(stage.world) as stage.url,
    ):
        site = pushing_to(am, tmp_path, stage.url)
        site.watch(key)
        with running(site.config) as daemon:
            await am.tells("firing", "hosts_failed", "job_failed")
            site.watch()
            await am.tells("resolved", "hosts_failed", "job_failed")
            assert await daemon.stop() == 0


def pushing_to(am: Alertmanager, directory: Path, url: str) -> Site:
    sink = {"name": "am", "kind": "alertmanager", "urls": [am.url]}
    sinks = [{**sink, "allow_networks": ["127.0.0.0/8"]}]
    return Site(directory, url, sinks=sinks, polling={**QUICK, "logs": False})


async def updated(am: Alertmanager) -> datetime:
    return max(datetime.fromisoformat(a["updatedAt"]) for a in await am.alerts())
