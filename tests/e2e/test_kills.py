"""Whatever moment a SIGKILL picks: nothing observed is lost, nothing is invented."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import anyio
import pytest

from monitor.simulator.instance import Instance
from monitor.simulator.retry import NotRetryableError
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.simulator.story import Story
from monitor.simulator.world import World
from tests.e2e import balance, contract, truth
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import NOTIFICATION, Delivery, Receiver, receiving
from tests.e2e.record import Record
from tests.e2e.site import Site
from tests.support import worlds

SEED: Final = 20260823
KILLS: Final = 50
INSTANCES: Final = 300
SCENARIOS: Final = (
    "retry_recovers",
    "mixed_failure",
    "success",
    "retry_recovers",
    "ignore_error",
    "manual_confirm",
    "rolling_duplicates",
    "flapping_internal_error",
    "retry_recovers",
    "force_stop",
    "shuffled",
    "stringly",
    "abnormal",
    "html_502",
)


@pytest.mark.timeout(240)
async def test_no_kill_at_any_moment_loses_or_invents_anything(tmp_path: Path) -> None:
    luck, world = Random(SEED), worlds.today(seed=SEED)
    async with serving(world) as url, receiving() as receiver:
        receiver.answer = Moody(Random(SEED)).answer
        site = Site(tmp_path, url, sinks=[])
        # Told one by one, so that each can be held against the truth.
        site.settings["alerts"]["storm"] = {"messages": 100_000}
        site.tell(receiver)
        played = cast(world, luck)
        site.watch(*played)
        for _ in range(KILLS):
            with running(site.config) as daemon:
                await a_moment(daemon, luck)
            retry_some(world, luck)

        receiver.answer = lambda _: 204
        record = Record(site.database)
        with running(site.config) as daemon:
            await settled(daemon, world, receiver, record)
            assert await daemon.stop() == 0

    report(receiver, record)
    assert [*truth.untrue(world, record)] == []
    assert [*truth.mistold(receiver, record)] == []
    assert balance.faults(receiver, record) == []
    assert contract.breaches(receiver.taken) == []


class Moody:
    """Refuses one request in ten, but no message more than twice."""

    def __init__(self, luck: Random) -> None:
        self._luck = luck
        self._refused: Counter[str] = Counter()

    def answer(self, delivery: Delivery) -> int:
        if self._refused[delivery.id] == 2 or self._luck.random() >= 0.1:
            return 204
        self._refused[delivery.id] += 1
        return self._luck.choice((429, 500, 503))


def cast(world: World, luck: Random) -> list[Instance]:
    return [
        world.play(
            SCENARIOS[number % len(SCENARIOS)],
            parts=Parts(beat=luck.choice((0.5, 1.0, 2.0, 4.0))),
        )
        for number in range(INSTANCES)
    ]


async def a_moment(daemon: Daemon, luck: Random) -> None:
    """Wait for a moment to kill: one in four while it starts, else while it works."""
    if luck.random() < 0.25:
        await anyio.sleep(luck.uniform(0.05, 0.5))
    else:
        await daemon.says("service.started")
        await anyio.sleep(luck.uniform(0.0, 0.6))


def retry_some(world: World, luck: Random) -> None:
    for instance in luck.sample([*world.instances.values()], 5):
        with suppress(NotRetryableError):
            instance.retry(world.now(), beat=luck.choice((0.3, 1.0)))


async def settled(
    daemon: Daemon, world: World, receiver: Receiver, record: Record
) -> None:
    """Wait until all is over at JOB, and known, and told."""
    left: Mapping[str, Callable[[], Iterable[object]]] = {
        "all stories are over": lambda: unfinished(world),
        "the record is true": lambda: truth.untrue(world, record),
        "people know it": lambda: truth.mistold(receiver, record),
        "all is delivered": lambda: record.on_their_way("hook"),
    }
    for what, rest in left.items():
        await daemon.reaches(lambda rest=rest: not [*rest()], what, every=0.2)  # type: ignore[misc]


def unfinished(world: World) -> Iterator[Instance]:
    for instance in world.instances.values():
        assert isinstance(instance.story, Story)
        if world.now() < instance.began + instance.story.timeline.frames[-1].at:
            yield instance


def report(receiver: Receiver, record: Record) -> None:
    recorded = Counter(event.type for event in record.events())
    received = Counter(delivery.id for delivery in receiver.deliveries)
    accepted = Counter(d.id for d in receiver.deliveries if d.accepted)
    notifications = sum(d.type == NOTIFICATION for d in receiver.taken)
    print(  # noqa: T201
        f"\n{KILLS} kills: {recorded.total()} events of {INSTANCES} instances and"
        f" {notifications} notifications; {received.total()} requests,"
        f" {received.total() - accepted.total()} refused or cut off,"
        f" {accepted.total() - len(accepted)} duplicates"
    )
