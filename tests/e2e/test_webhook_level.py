"""A program that takes Alertmanager's webhooks learns of the end of each alert."""

from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from monitor.simulator import entry
from monitor.simulator.server import serving
from tests.e2e.daemon import running
from tests.e2e.receiver import listening
from tests.e2e.site import QUICK, Site, webhook
from tests.e2e.theatre import Stage


def step(name: str, attempt: int, status: int, host: int) -> dict[str, Any]:
    hosts = {"10.0.0.1": host}
    return {"name": name, "status": status, "execute_count": attempt, "hosts": hosts}


STORY = {
    "timeline": [
        {"at": 0, "job": 4, "steps": [step("a", 0, 4, 104), step("b", 0, 4, 104)]},
        {"at": 10, "job": 2, "steps": [step("a", 1, 2, 7), step("b", 0, 4, 104)]},
        {"at": 20, "job": 4, "steps": [step("a", 1, 3, 9), step("b", 0, 4, 104)]},
    ]
}


async def test_an_alert_that_ends_while_another_holds_is_resolved(
    tmp_path: Path,
) -> None:
    stage = Stage()
    key = entry.enact(stage.world, entry.decoded({"beat": 1, **STORY}))
    bodies: list[dict[str, Any]] = []

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        bodies.append(msgspec.json.decode(await request.read()))
        return web.Response()

    async with serving(stage.world) as stage.url, listening(take) as origin:
        by = {"format": "alertmanager", "send": ["alerts"]}
        site = Site(
            tmp_path,
            stage.url,
            sinks=[webhook(f"{origin}/hook", **by)],
            polling={**QUICK, "logs": False},
        )
        site.watch(key)
        with running(site.config) as daemon:
            await daemon.reaches(lambda: bodies, "both failures are told")
            stage.now = 11
            enough = polls(stage) + 2
            await daemon.reaches(
                lambda: polls(stage) >= enough, "the retry has been looked at"
            )
            stage.now = 21
            await daemon.reaches(lambda: ended(bodies), "one of them is over")
            assert await daemon.stop() == 0

    [over] = ended(bodies)
    assert (over["labels"]["alertname"], over["labels"]["step"]) == (
        "hosts_failed",
        "a",
    )
    assert bodies[-1]["status"] == "firing"
    assert steps(bodies[-1], "firing") == {"b"}


def polls(stage: Stage) -> int:
    return sum(stage.world.record.instances.values())


def ended(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [a for body in bodies for a in body["alerts"] if a["status"] == "resolved"]


def steps(body: dict[str, Any], status: str) -> set[str]:
    return {
        alert["labels"]["step"]
        for alert in body["alerts"]
        if alert["status"] == status and "step" in alert["labels"]
    }
