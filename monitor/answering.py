"""All that the daemon answers, on its socket and over TCP: built from what it has.

A part of the composition root: straight lines, no decisions.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import partial
from importlib import metadata
from typing import Final

import anyio
from msgspec import Struct

from monitor import stations, wiring
from monitor.core import model
from monitor.core.model import InstanceKey
from monitor.core.telling import Obstacle
from monitor.core.watch import Watch
from monitor.core.wording import Frame
from monitor.dispatching import Dispatching
from monitor.grouping import Grouping
from monitor.neighbours import Neighbours
from monitor.ports import Now
from monitor.quiet import Quiet
from monitor.reloading import Reloading
from monitor.replaying import Replaying
from monitor.settings import effective
from monitor.settings.model import Settings
from monitor.stations import Stations
from monitor.store.sql import SqlStore
from monitor.watchlist import entry
from monitor.watchlist.listing import Listing
from monitor.web.api import (
    acks,
    alerts,
    config,
    dlq,
    events,
    explain,
    instances,
    maintenance,
    messages,
    nodes,
    openapi,
    operation,
    reload,
    replay,
    routing,
    silences,
    sinks,
    sources,
    status,
    stream,
    watches,
)
from monitor.web.api.operation import Operation
from monitor.web.feed import Feed
from monitor.web.health import Check
from monitor.web.pages import instance, overview, site
from monitor.web.pages import quiet as quiet_page
from monitor.web.pages import sinks as sink_page
from monitor.web.pages import sources as source_page
from monitor.web.shapes.sources import SourceData
from monitor.wishes import Wishes

PATIENCE: Final = 2.0
"""Seconds for the store to answer whoever asks whether we are ready."""


class House(Struct, frozen=True, kw_only=True):
    """What there is to ask; *guests* are the names of sinks beside the settings'."""

    settings: Settings
    store: SqlStore
    stations: Stations
    neighbours: Neighbours
    dispatching: Dispatching
    grouping: Grouping
    quiet: Quiet
    wishes: Wishes
    reloading: Reloading
    feed: Feed
    guests: tuple[str, ...]
    listing: Callable[[], Listing]
    frame: Callable[[str], Frame]
    learn: Callable[[Collection[str]], Awaitable[None]]
    muted: Callable[[Mapping[str, str]], Obstacle | None]
    started_at: datetime
    now: Now

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.settings.sources)

    @property
    def version(self) -> str:
        return metadata.version("job-monitor")


def operations(house: House) -> list[Operation]:
    store = house.store
    found = [
        *status.operations(store, of_status(house)),
        *alerts.operations(store, house.grouping.traits, house.frame),
        *instances.operations(store, of_instances(house)),
        *watches.operations(_of_watches(house), house.wishes, house.now),
        *sources.operations(store, partial(_sources, house)),
        *nodes.operations(house.neighbours.view, house.now),
        *events.operations(store, house.sources),
        *stream.operations(house.feed, house.sources),
        *explain.operations(store, of_explaining(house)),
        *routing.operations(store, _of_routing(house)),
        *messages.operations(store, _of_messages(house)),
        *silences.operations(house.quiet, house.now),
        *maintenance.operations(house.quiet, house.now),
        *acks.operations(
            house.quiet, house.grouping, house.sources, house.now, house.learn
        ),
        *sinks.operations(house.dispatching, store, house.neighbours.sinks),
        *dlq.operations(store, house.dispatching, house.now),
        *replay.operations(Replaying(store, house.dispatching, now=house.now)),
        *reload.operations(house.reloading),
        *config.operations(lambda: effective.values(house.settings)),
    ]
    there = [operation.unless_away(each, store.away) for each in found]
    return [*there, *openapi.operations(found, house.version)]


async def checks(house: House, *, ready: bool) -> list[Check]:
    """Say what there is to say to whoever asks whether it is *ready*."""
    unread = "" if ready else "the watch lists are not read yet"
    found = [Check(name="watch lists", trouble=unread)]
    with anyio.move_on_after(PATIENCE) as scope:
        await house.store.answers()
    late = "it does not answer" if scope.cancelled_caught else ""
    found.append(Check(name="store", trouble=late))
    if house.neighbours.shared:
        found.append(Check(name="lease", trouble=house.neighbours.trouble()))
    for name, one in house.stations.items():
        lost = "lost" if one.sight.lost else ""
        found.append(Check(name=f"source {name}", trouble=lost, needed=False))
    return found


def pages(house: House) -> site.House:
    store, of_instance = house.store, of_instances(house)

    def acked(key: str) -> str | None:
        """Name who cares for an incident of *key*; None: nobody does."""
        for group in (key, *sorted(house.grouping.groups_of(key))):
            found = house.quiet.acked(group, house.now())
            if found is not None:
                return found.who
        return None

    return site.House(
        overview=overview.House(
            records=store,
            instances=of_instance,
            status=of_status(house),
            acked=acked,
        ),
        instance=instance.House(
            records=store,
            instances=of_instance,
            explaining=of_explaining(house),
            acked=acked,
        ),
        sinks=sink_page.House(
            sinks=house.dispatching,
            standings=store,
            letters=store,
            elsewhere=house.neighbours.sinks,
        ),
        sources=source_page.House(
            records=store,
            states=partial(_sources, house),
            lists=lambda: [*stations.lists(house.listing())],
            unseen=partial(_unseen, house),
        ),
        nodes=house.neighbours.view if house.neighbours.shared else None,
        quiet=quiet_page.House(said=house.quiet, now=house.now),
        version=house.version,
        locale=house.settings.locale,
        away=store.away,
        now=house.now,
    )


def of_status(house: House) -> status.House:
    return status.House(
        version=house.version,
        started_at=house.started_at,
        watches=lambda: house.neighbours.watches(house.stations.count()),
        paused=house.wishes.pauses,
        faults=lambda: len(house.listing().faults),
        sources=partial(_sources, house),
        sinks=house.dispatching,
        elsewhere=house.neighbours.sinks,
        view=house.neighbours.view,
    )


def of_instances(house: House) -> instances.House:
    return instances.House(
        frame=house.frame,
        looked=house.stations.looked,
        owner=house.neighbours.owner,
        paused=house.wishes.paused,
    )


def _sources(house: House) -> list[SourceData]:
    return house.neighbours.sources(house.stations.states())


def _unseen(house: House) -> Iterator[Watch]:
    """Give some of those of whom JOB has said nothing to any node so far."""
    for name, station in house.stations.items():
        yield from station.unseen()
        for key in house.neighbours.unseen(name):
            known = model.read_key(key)
            watch = station.watch_of(known) if known else None
            if watch is not None:
                yield watch


def _of_watches(house: House) -> watches.House:
    return watches.House(
        watches=house.stations.watches,
        elsewhere=house.stations.elsewhere,
        retired=partial(_retired, house),
        lists=lambda: [*stations.lists(house.listing())],
        looked=house.stations.looked,
        owner=house.neighbours.owner,
        written=partial(_written, house),
        beside=lambda asked: entry.said(asked.labels, watches.options_of(asked)),
        sources=house.sources,
    )


async def _retired(
    house: House, keys: Collection[InstanceKey]
) -> Collection[InstanceKey]:
    named = {str(key): key for key in keys}
    return {named[key] for key in await house.store.retired([*named])}


def _written(house: House, key: InstanceKey) -> Watch | None:
    return house.listing().watches.get(key)


def of_explaining(house: House) -> explain.House:
    configured = (sink.name for sink in wiring.sinks(house.settings))
    return explain.House(
        sinks=(*configured, *house.guests),
        sources=house.sources,
        groups_of=house.grouping.groups_of,
        members=house.grouping.members,
        frame=house.frame,
        locale=house.settings.locale,
    )


def _of_routing(house: House) -> routing.House:
    return routing.House(
        ways=wiring.ways(house.settings, house.guests),
        sources=house.sources,
        traits=house.grouping.traits,
        frame=house.frame,
        quiet=house.muted,
        locale=house.settings.locale,
    )


def _of_messages(house: House) -> messages.House:
    return messages.House(
        sources=house.sources,
        groups_of=house.grouping.groups_of,
        members=house.grouping.members,
        frame=house.frame,
        now=house.now,
    )
