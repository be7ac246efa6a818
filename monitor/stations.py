"""All sources together: who is watched, and how each JOB is seen."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import anyio

from monitor.core import wording
from monitor.core.cluster import SourceReport
from monitor.core.model import InstanceKey
from monitor.core.state import Change
from monitor.core.watch import Watch
from monitor.core.wording import Frame
from monitor.milestones import Hitch
from monitor.ports import Looked, Now, Shown
from monitor.station import Station
from monitor.watchlist.listing import Listing
from monitor.web.shapes.sources import SourceData
from monitor.web.shapes.watches import WatchListData
from monitor.wishes import Hearers

FAULTS: Final = 100
"""Of a file, that are shown."""


class Stations(dict[str, Station]):
    """By the name of the source."""

    def __init__(self, now: Now, locale: str) -> None:
        super().__init__()
        self._now = now
        self._locale = locale

    def watches(self) -> Iterator[Watch]:
        """Give those that are looked at here."""
        for station in self.values():
            for track in station.poller.tracks.values():
                yield track.watch

    def elsewhere(self) -> Iterator[Watch]:
        """Give those that others look at, or did until they ended for good."""
        now = self._now()
        for station in self.values():
            yield from station.elsewhere(now)

    def count(self) -> int:
        return sum(len(station.poller) for station in self.values())

    def looked(self, key: InstanceKey) -> Looked | None:
        """Say who watches *key* and when it is looked at; None: nobody does.

        Whoever is another daemon's may have ended for good: the store tells.
        """
        station = self.get(key.source)
        if station is None:
            return None
        track = station.poller.tracks.get(key)
        if track is None:
            return self._looked_elsewhere(station, key)
        return Looked(
            watch=track.watch,
            seen_at=self._moment(track.seen_at),
            next_at=self._moment(station.scheduler.due(key)),
            failures=track.failures,
            pause=station.pause_of(key),
        )

    def _looked_elsewhere(self, station: Station, key: InstanceKey) -> Looked | None:
        watch = station.watch_of(key)
        if watch is None or not station.is_elsewhere(watch, self._now()):
            return None
        return Looked(
            watch=watch,
            seen_at=None,
            next_at=None,
            failures=None,
            pause=station.pause_of(key),
        )

    def states(self) -> list[SourceData]:
        return [station.state() for station in self.values()]

    def lost(self) -> tuple[str, ...]:
        return tuple(name for name, station in self.items() if station.sight.lost)

    def is_missing(self, source: str) -> bool:
        return source in self and self[source].sight.missing

    def reads_logs(self, source: str) -> bool:
        return source in self and self[source].tails is not None

    def frame(self, key: str) -> Frame:
        station = self.of(key)
        if station is None:
            return wording.frame_of(key, self._locale)
        return station.poller.frame(key)

    def of(self, key: str) -> Station | None:
        return self.get(key.partition("/")[0])

    def hitches(self) -> dict[str, Hitch]:
        found = {name: station.hitch() for name, station in self.items()}
        return {name: hitch for name, hitch in found.items() if hitch is not None}

    def reports(self) -> dict[str, SourceReport]:
        return {name: station.report() for name, station in self.items()}

    async def watch(self, listing: Listing) -> None:
        for station in self.values():
            await station.watch(listing)

    def hint(self, job_instance_id: int) -> int:
        """Satisfies ``hearsay.Watched``, with what follows."""
        return sum(station.hint(job_instance_id) for station in self.values())

    def watched_elsewhere(self, job_instance_id: int) -> bool:
        return any(
            station.watched_elsewhere(job_instance_id) for station in self.values()
        )

    def shown(self, page: Shown) -> None:
        if page.source in self:
            self[page.source].shown(page)

    def committed(self, change: Change) -> None:
        station = self.of(change.state.key)
        if station is not None:
            station.committed(change)

    @property
    def hearers(self) -> Hearers:
        """Hear what people say at run time."""
        return Hearers(
            added=self._added,
            removed=self._removed,
            paused=self._paused,
            resumed=self._resumed,
        )

    async def _added(self, key: InstanceKey) -> None:
        if key.source in self:
            await self[key.source].added(key)

    async def _removed(self, source: str) -> None:
        if source in self:
            await self[source].join()

    def _paused(self, key: InstanceKey) -> None:
        if key.source in self:
            self[key.source].poller.pause(key)

    def _resumed(self, key: InstanceKey) -> None:
        if key.source in self:
            self[key.source].poller.resume(key)

    def _moment(self, time: float | None) -> datetime | None:
        """Tell when it is *time* on the clock of the loop; None: never."""
        if time is None or abs(time) == float("inf"):
            return None
        ahead = time - anyio.current_time()
        return self._now() + timedelta(seconds=ahead)


def lists(listing: Listing) -> Iterator[WatchListData]:
    """Say of each file how many watches come from it, and its faults."""
    watches = Counter(each.place.path for each in listing.watches.values())
    rules = Counter(each.place.path for each in listing.rules)
    faults: dict[str, list[str]] = {}
    for fault in listing.faults:
        faults.setdefault(fault.place.path, []).append(str(fault))
    for path in sorted({*watches, *rules, *faults}):
        yield WatchListData(
            path=path,
            watches=watches[path],
            rules=rules[path],
            faults=faults.get(path, [])[:FAULTS],
        )
