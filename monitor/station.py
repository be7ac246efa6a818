"""All that watches one source, built and introduced to one another.

A part of the composition root: straight lines, no decisions. What is here lives as
long as one configuration.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

from anyio.abc import TaskGroup

from monitor import metering, wiring
from monitor.core.watch import Watch
from monitor.job import source as job
from monitor.job.source import JobSource
from monitor.metering import Histogram, Sample
from monitor.pace import Pace
from monitor.poller import Poller
from monitor.ports import Luck, Now
from monitor.recorder import Recorder
from monitor.scheduler import Scheduler
from monitor.settings.model import Settings
from monitor.sight import Sight
from monitor.store.sql import SqlStore


class Station:
    def __init__(
        self,
        name: str,
        settings: Settings,
        source: JobSource,
        store: SqlStore,
        recorder: Recorder,
        *,
        now: Now,
        luck: Luck,
    ) -> None:
        configured = settings.sources[name]
        self.name = name
        self.source = source
        self.pace = Pace(
            width=configured.max_in_flight,
            per_second=configured.requests_per_second,
            luck=luck,
        )
        self.lateness = Histogram(metering.LATENESS)
        self.delay = Histogram(metering.DELAY)
        self.scheduler = Scheduler(
            name, self.pace, luck=luck, late=self.lateness.observe
        )
        self.sight = Sight(
            name,
            self.scheduler,
            memory=store,
            recorder=recorder,
            patience=wiring.patience(settings),
            now=now,
            luck=luck,
            locale=settings.locale,
        )
        self.poller = Poller(
            source,
            self.scheduler,
            memory=store,
            recorder=recorder,
            sight=self.sight,
            pace=self.pace,
            rules=wiring.rules(settings, configured),
            detected=self.delay.observe,
            now=now,
            luck=luck,
        )

    def hint(self, job_instance_id: int) -> int:
        """Move who has this id to the front; say how many there are."""
        tracks = self.poller.tracks
        return sum(map(tracks.hint, [*tracks.named(self.name, job_instance_id)]))

    def samples(self) -> Iterator[Sample]:
        """Satisfies ``metering.Meter``."""
        yield from metering.calls(self.name, self.source.calls)
        yield from metering.throttled(self.name, self.pace.throttled)
        yield from metering.tokens(self.name, self.pace.tokens)
        yield from metering.lateness(self.name, self.lateness)
        yield from metering.detection_delay(self.name, self.delay)
        yield from metering.watched(self.name, len(self.poller))
        yield from metering.source_up(self.name, up=not self.sight.lost)

    async def watch(self, watches: Iterable[Watch]) -> None:
        """Watch those of *watches* that are of this source, and no others."""
        mine = [watch for watch in watches if watch.key.source == self.name]
        await self.poller.watch(mine)

    def start(self, tasks: TaskGroup) -> None:
        tasks.start_soon(
            self.scheduler.run, self.poller.visit, name=f"scheduler {self.name}"
        )


@asynccontextmanager
async def opened(
    name: str,
    settings: Settings,
    store: SqlStore,
    recorder: Recorder,
    *,
    now: Now,
    luck: Luck,
) -> AsyncIterator[Station]:
    config = wiring.source_config(name, settings.sources[name])
    async with job.opened(config) as source:
        station = Station(name, settings, source, store, recorder, now=now, luck=luck)
        await station.sight.remember(await store.heads(name))
        yield station
