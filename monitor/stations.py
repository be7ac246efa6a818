"""All sources together: who is watched, and how each JOB is seen."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import anyio

from monitor.core.model import InstanceKey
from monitor.core.watch import Pause, Watch
from monitor.ports import Looked, Now
from monitor.station import Station
from monitor.watchlist.listing import Listing
from monitor.web.shapes.sources import SourceData
from monitor.web.shapes.watches import WatchListData

FAULTS: Final = 100
"""Of a file, that are shown."""


class Stations(dict[str, Station]):
    """By the name of the source."""

    def __init__(
        self, pause_of: Callable[[InstanceKey], Pause | None], now: Now
    ) -> None:
        super().__init__()
        self._pause_of = pause_of
        self._now = now

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

    def unseen(self, source: str) -> Iterator[Watch]:
        """Give those that are looked at here and of whom JOB has said nothing so far."""
        for track in self[source].poller.tracks.values():
            if track.changed_at is None:
                yield track.watch

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
            pause=self._pause_of(key),
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
            pause=self._pause_of(key),
        )

    def states(self) -> list[SourceData]:
        return [station.state() for station in self.values()]

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
