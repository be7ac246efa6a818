"""A list as change detector against plain polling, at the same detection delay.

    python -m benchmarks.sweep [--instances 10000] [--minutes 60]

Ten thousand running instances of one scope on v3 with ``early_failures: 0s``, in
virtual time: the real client asks the simulator on real sockets, with the sweep and
without. Instances end at random moments spread over the run. Plain polling is given
the fixed interval that has the sweep's median delay, on a tenth of the instances,
because its calls only add up. Counted are calls at the simulator.
"""

import argparse
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta, timezone
from pathlib import Path
from random import Random

import anyio
import looptime
import structlog
from msgspec import Struct

from benchmarks.polls import CREDENTIALS, PLACE
from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.model import InstanceKey
from monitor.core.state import Change
from monitor.core.sweeping import Limits as SweepLimits
from monitor.core.watch import Watch
from monitor.job import source as job
from monitor.pace import Pace
from monitor.poller import Poller
from monitor.recorder import Recorder
from monitor.scheduler import Scheduler
from monitor.sight import Patience, Sight
from monitor.simulator import timeline
from monitor.simulator.server import serving
from monitor.simulator.story import Story
from monitor.simulator.timeline import Frame, Host, Moment, Row, Step
from monitor.simulator.world import World
from monitor.sweep import Sweep
from monitor.vouching import Vouching
from tests.support import clock, stores, worlds

FIRST_ID = 20000000
HOST = Host(ip="10.0.0.1", bk_host_id=101)


class Outcome(Struct, frozen=True):
    """*first* are the calls until everybody was seen, *calls* those after that."""

    first: int
    calls: int
    lists: int
    median: float
    p99: float


def a_story(ends: float) -> Story:
    def at(status: int, host: int) -> Moment:
        step = Step(status=status, rows=(Row(HOST, host),))
        return Moment(status=status, steps=(step,))

    frames = [Frame(0.0, at(2, 7)), Frame(ends, at(3, 9))]
    return Story(name="runs", timeline=timeline.dated(frames))


def a_world(instances: int, seconds: float) -> tuple[World, dict[str, float]]:
    world, luck, ends = worlds.this_morning(), Random(1), {}
    for number in range(instances):
        created = -0.1 * number
        end = 60 + luck.random() * (seconds - 120)
        identifier = FIRST_ID + number
        ends[f"prod/biz/2/{identifier}"] = end
        story = a_story(end - created)
        world.play(story, job_instance_id=identifier, created=created)
    return world, ends


async def measure(instances: int, seconds: float, interval: float | None) -> Outcome:
    """Sweep, or poll plainly every *interval* seconds."""
    world, ends = a_world(instances, seconds)
    delays: list[float] = []

    def committed(change: Change) -> None:
        if any(event.type.endswith(".finished") for event in change.events):
            delays.append(anyio.current_time() - began - ends[change.state.key])

    limits = Limits() if interval is None else Limits(floor=interval, cap=interval)
    async with watching(
        world, instances, limits, committed, swept=interval is None
    ) as seen:
        world.now()
        began = anyio.current_time()
        while len(seen) < instances:
            await anyio.sleep(1)
        first = world.record.total
        await anyio.sleep(seconds - (anyio.current_time() - began))
    lists = sum(n for path, n in world.record.endpoints.items() if "_list" in path)
    delays.sort()
    return Outcome(
        first=first,
        calls=world.record.total - first,
        lists=lists,
        median=statistics.median(delays),
        p99=delays[int(0.99 * len(delays))],
    )


@asynccontextmanager
async def watching(
    world: World,
    instances: int,
    limits: Limits,
    committed: Callable[[Change], None],
    *,
    swept: bool,
) -> AsyncIterator[set[str]]:
    seen: set[str] = set()

    def heard(change: Change) -> None:
        seen.add(change.state.key)
        committed(change)

    with tempfile.TemporaryDirectory() as name:
        async with (
            serving(world) as url,
            stores.opened(Path(name)) as store,
            job.opened(config(url)) as source,
            anyio.create_task_group() as tasks,
        ):
            recorder = Recorder(store, heard)
            pace = Pace(width=64, per_second=None, luck=luck)
            scheduler = Scheduler("prod", pace, luck=luck)
            sight = Sight(
                "prod",
                scheduler,
                memory=store,
                recorder=recorder,
                patience=Patience(),
                now=clock.now,
                luck=luck,
            )
            poller = Poller(
                source,
                scheduler,
                memory=store,
                recorder=recorder,
                sight=sight,
                pace=pace,
                rules=Rules(limits=limits, early=0.0),
                now=clock.now,
                luck=luck,
            )
            await poller.watch(watches(instances))
            tasks.start_soon(scheduler.run, poller.visit)
            if swept:
                vouching = Vouching(
                    poller.tracks, scheduler, poller.agenda, cap=60.0, luck=luck
                )
                sweep = Sweep(
                    source,
                    pace,
                    vouching,
                    mode="auto",
                    limits=SweepLimits(),
                    now=clock.now,
                    luck=luck,
                )
                tasks.start_soon(sweep.run)
            yield seen
            tasks.cancel_scope.cancel()


def config(url: str) -> job.SourceConfig:
    return job.SourceConfig(
        name="prod",
        api="esb-v3",
        url=url,
        credentials=lambda: CREDENTIALS,
        timezone=timezone(timedelta(hours=8)),
    )


def watches(instances: int) -> list[Watch]:
    return [
        Watch(key=InstanceKey("prod", "biz", "2", FIRST_ID + number), place=PLACE)
        for number in range(instances)
    ]


_luck = Random(2)


def luck() -> float:
    return _luck.random()


def run(instances: int, seconds: float, interval: float | None) -> Outcome:
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(measure(instances, seconds, interval))
    finally:
        loop.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    seconds = 60 * arguments.minutes
    swept = run(arguments.instances, seconds, None)
    # Ends fall anywhere between two polls: the median delay is half an interval.
    interval = 2 * swept.median
    tenth = max(1, arguments.instances // 10)
    plain = run(tenth, seconds, interval)
    scale = arguments.instances / tenth
    ratio = swept.calls / (plain.calls * scale)
    print(
        f"{arguments.instances:,} instances, {arguments.minutes:g} minutes: "
        f"sweep {swept.calls:,} calls ({swept.lists:,} of them lists) beyond the "
        f"first looks, median delay {swept.median:.1f} s, p99 {swept.p99:.1f} s; "
        f"plain polling each {interval:.1f} s {plain.calls * scale:,.0f} calls, median "
        f"{plain.median:.1f} s, p99 {plain.p99:.1f} s; ratio {100 * ratio:.2f} %, "
        f"with first looks "
        f"{100 * (swept.first + swept.calls) / ((plain.first + plain.calls) * scale):.2f} %"
    )


if __name__ == "__main__":
    main()
