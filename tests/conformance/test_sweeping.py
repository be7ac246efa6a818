"""A list as change detector records what visits alone would have recorded."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
import pytest

from monitor.core.message import Kind
from monitor.job.ask import Api
from monitor.simulator.scenarios import Parts
from monitor.simulator.world import World
from monitor.store import rows
from tests.conformance import daemon
from tests.conformance.daemon import Heard
from tests.support import worlds

pytestmark = [pytest.mark.looptime, pytest.mark.timeout(180)]

SCENARIOS: Final = (
    "success",
    "one_ip_fails",
    "mixed_failure",
    "retry_recovers",
    "ignore_error",
    "manual_confirm",
    "force_stop",
    "abnormal",
    "rolling",
    "hang",
)
BEAT: Final = 60.0

Told = dict[str, list[str]]


class Clock:
    """Stands still until the daemon has seen everybody: how long that takes varies."""

    started: float | None = None

    def __call__(self) -> float:
        return 0.0 if self.started is None else anyio.current_time() - self.started


def a_world(clock: Clock, copies: int = 3) -> World:
    world = worlds.this_morning(seed=7, clock=clock)
    for number in range(copies):
        for place, scenario in enumerate(SCENARIOS):
            created = -5.0 * (number * len(SCENARIOS) + place)
            world.play(scenario, parts=Parts(beat=BEAT), created=created)
    return world


def instance_transitions(heard: Heard) -> Told:
    """List by instance what happened to it as a whole, in order."""
    told: Told = defaultdict(list)
    for message in heard.delivered:
        if message.kind is Kind.EVENTS and message.type.startswith("bkjob.instance."):
            data = msgspec.json.decode(message.data)
            after = data["after"]["status"] if "after" in data else None
            told[message.key].append(f"{message.type} {after}")
    return dict(told)


def final_hosts(directory: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(directory / "m.db")) as database:
        found = database.execute("select key, body from states").fetchall()
    states = {key: rows.state(body) for key, body in found if key.count("/") == 3}
    return {
        key: [(dict(step.hosts), dict(step.failures)) for step in state.snapshot.steps]
        for key, state in states.items()
        if state.snapshot is not None
    }


async def watched(
    api: Api, sweep: str, directory: Path
) -> tuple[Told, dict[str, Any], dict[str, int]]:
    await anyio.Path(directory).mkdir()
    clock = Clock()
    world = a_world(clock)
    polling = {
        "sweep": sweep,
        "early_failures": "0s",
        "min_interval": "1s",
        "max_interval": "4s",
    }
    async with daemon.running(api, world, directory, polling=polling) as heard:
        clock.started = anyio.current_time()
        await anyio.sleep(BEAT * 12)
    asked: dict[str, int] = defaultdict(int)
    for path, count in world.record.endpoints.items():
        asked["list" if "list" in path else "status"] += count
    return instance_transitions(heard), final_hosts(directory), asked


@pytest.mark.parametrize("api", ["esb-v3", "gateway-v3", "gateway-v4"])
async def test_with_and_without_a_sweep_the_same_is_recorded(
    api: Api, tmp_path: Path
) -> None:
    told, hosts, plain = await watched(api, "off", tmp_path / "off")
    swept_told, swept_hosts, swept = await watched(api, "auto", tmp_path / "auto")

    assert swept_told == told
    assert swept_hosts == hosts
    assert plain["list"] == 0
    assert sum(swept.values()) < sum(plain.values()) / 3
