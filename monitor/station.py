"""All that watches one source, built and introduced to one another.

A part of the composition root: straight lines, no decisions. What is here lives as
long as one configuration.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import islice
from math import inf
from typing import Final

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct, structs

from monitor import agenda, metering, tracing, wiring
from monitor.core import model
from monitor.core.cluster import SourceReport, View
from monitor.core.listing import Page
from monitor.core.model import InstanceKey
from monitor.core.shards import ALL
from monitor.core.state import Change, Phase
from monitor.core.watch import Pause, Watch
from monitor.discovery import Discovery
from monitor.experience import Experience
from monitor.job import source as job
from monitor.job.source import JobSource
from monitor.metering import Histogram, Sample
from monitor.milestones import Hitch
from monitor.overhearing import Overhearing
from monitor.pace import Pace
from monitor.poller import Poller
from monitor.ports import Luck, Now, Shown
from monitor.recorder import Recorder
from monitor.scheduler import Scheduler
from monitor.settings import secret
from monitor.settings.model import Settings
from monitor.sharing import Sharing
from monitor.sight import Sight
from monitor.store.sql import SqlStore
from monitor.sweep import Sweep
from monitor.tails import Tails
from monitor.tracing import Tracing
from monitor.vouching import Vouching
from monitor.watchlist.listing import Listing
from monitor.web.shapes.sources import SourceData
from monitor.wishes import Wishes

SAVING: Final = 2.0
"""Seconds that what was learnt may take to be kept in the end."""

UNSURE: Final = 0.5
"""Seconds until it is looked again whether what was ours still is."""

UNSEEN: Final = 51
"""Keys that a report names of those who were not seen so far."""

UNHEARD: Final = 2.0
"""Longest sweeps without a word of an instance, until nobody speaks for it any more."""


class Common(Struct, frozen=True, kw_only=True):
    """What all stations are given.

    *joined* hears that watches may have come, *back* that a source is missing no more.
    """

    settings: Settings
    store: SqlStore
    recorder: Recorder
    wishes: Wishes
    joined: Callable[[], None]
    back: Callable[[], None]
    now: Now
    luck: Luck


class Station:
    def __init__(
        self, name: str, common: Common, source: JobSource, pace: Pace
    ) -> None:
        settings, store = common.settings, common.store
        self.name = name
        self.source = source
        self.pace = pace
        self._common = common
        self._configured = settings.sources[name]
        self._rules = wiring.rules(settings, self._configured)
        self._store = store
        self._holdings = store.holdings
        self._wishes = common.wishes
        self._view = store.membership.view if store.membership else View()
        self._sharing = Sharing(name, pace, store.holdings, self._view)
        self.lateness = Histogram(metering.LATENESS)
        self.delay = Histogram(metering.DELAY)
        self._begun, self._late = 0, 0.0
        self.scheduler = Scheduler(
            name, pace, luck=common.luck, worth=self._worth, late=self.lateness.observe
        )
        self.experience = Experience(
            name, store, limits=self._rules.limits, daemons=self._daemons
        )
        self.sight = self._build_sight()
        self.poller = self._build_poller()
        vouching = self._build_vouching()
        self.sweep = self._build_sweep(vouching)
        self._overhearing = Overhearing(vouching, patience=UNHEARD * self._cap)
        self.discovery = self._build_discovery()
        self.tails = self._build_tails() if settings.polling.logs else None
        self._listed: Mapping[InstanceKey, Watch] = {}
        self._wanted: Mapping[InstanceKey, Watch] = {}
        self._joining = anyio.Lock()
        self._scopes: set[tuple[str, str]] = set()

    def _build_sight(self) -> Sight:
        common = self._common
        return Sight(
            self.name,
            self.scheduler,
            memory=self._store,
            recorder=common.recorder,
            patience=wiring.patience(common.settings),
            now=common.now,
            luck=common.luck,
            locale=common.settings.locale,
            policy=self._rules.policy,
            view=self._view,
            owns=self._holdings.owns,
            back=common.back,
        )

    def _build_poller(self) -> Poller:
        common = self._common
        return Poller(
            self.source,
            self.scheduler,
            memory=self._store,
            recorder=common.recorder,
            sight=self.sight,
            pace=self.pace,
            rules=self._rules,
            learning=self.experience,
            detected=self.delay.observe,
            paused=self._wishes.paused,
            watch_of=self.watch_of,
            holdings=self._holdings,
            now=common.now,
            luck=common.luck,
        )

    def _build_vouching(self) -> Vouching:
        return Vouching(
            self.poller.tracks,
            self.scheduler,
            self.poller.agenda,
            cap=self._cap,
            luck=self._common.luck,
        )

    def _build_sweep(self, vouching: Vouching) -> Sweep:
        common = self._common
        return Sweep(
            self.source,
            self.pace,
            vouching,
            mode=common.settings.polling.sweep,
            limits=wiring.sweep_limits(common.settings),
            now=common.now,
            luck=common.luck,
            ours=self._is_ours,
            shown=self._show,
            daemons=self._daemons,
        )

    def _build_discovery(self) -> Discovery:
        common = self._common
        return Discovery(
            self.source,
            self.pace,
            self._store,
            changed=self.join,
            now=common.now,
            luck=common.luck,
            ours=self._is_ours,
            shared=self._store.membership is not None,
        )

    def _build_tails(self) -> Tails:
        common = self._common
        return Tails(
            self.source,
            self.pace,
            ledger=self._store,
            memory=self._store,
            recorder=common.recorder,
            luck=common.luck,
            secrets=tuple(secret.known(common.settings)),
            owns=self._holdings.owns,
        )

    @property
    def _cap(self) -> float:
        """The longest interval of visits, in seconds."""
        return self._rules.limits.cap

    def _daemons(self) -> int:
        return self._view.living

    def hint(self, job_instance_id: int) -> int:
        """Move who has this id to the front; say how many there are."""
        tracks = self.poller.tracks
        return sum(map(tracks.hint, [*tracks.named(self.name, job_instance_id)]))

    def watched_elsewhere(self, job_instance_id: int) -> bool:
        """Tell whether another daemon looks at who has this id."""
        keys = (InstanceKey(self.name, *one, job_instance_id) for one in self._scopes)
        return any(
            key in self._wanted and not self._holdings.owns(str(key)) for key in keys
        )

    async def _show(self, page: Page, at: datetime) -> None:
        """Let the others see what a list says of instances that are theirs."""
        mine, wanted = self.poller.tracks, self._wanted
        rows = [r for r in page.rows if r.key in wanted and r.key not in mine]
        if rows and self._view.others():
            await self._store.show(Shown(self.name, rows, at))

    def shown(self, page: Shown) -> None:
        """See what a list says that another daemon reads."""
        self._overhearing.hear(page.rows, page.at)

    def hitch(self) -> Hitch | None:
        """Say how far visits are if one should move now; None: nothing is to be done.

        A request that hangs ends by its time-out, and that is a move.
        """
        if not self.scheduler.held_up():
            return None
        patience = 2 * self._configured.timeout.total_seconds()
        return Hitch(self.pace.moves, patience)

    def samples(self) -> Iterator[Sample]:
        """Satisfies ``metering.Meter``."""
        yield from metering.calls(self.name, self.source.calls)
        yield from metering.saved(self.name, {"sweep": int(self.sweep.saved)})
        yield from metering.throttled(self.name, self.pace.throttled)
        yield from metering.tokens(self.name, self.pace.tokens)
        yield from metering.part(self.name, self.pace.part)
        yield from metering.lateness(self.name, self.lateness)
        yield from metering.unpolled(self.name, self.scheduler.oldest)
        yield from metering.detection_delay(self.name, self.delay)
        yield from metering.watched(self.name, len(self.poller))
        yield from metering.source_up(self.name, up=not self.sight.lost)

    def state(self) -> SourceData:
        """Say how the source is seen; why it is lost, the store knows."""
        pace = self.pace
        return SourceData(
            name=self.name,
            api=self._configured.api,
            standing=self.sight.standing,
            since=self.sight.since,
            watches=len(self.poller),
            rate=None if pace.slots.rate == inf else pace.slots.rate,
            in_flight=pace.in_flight,
            width=int(pace.width.limit),
            throttled=pace.throttled,
            requests=_by_result(self.source.calls),
            late=self.lateness.sum / max(1, self.lateness.count),
        )

    async def watch(self, listing: Listing) -> None:
        """Watch what *listing* says of this source, and what its rules find."""
        self._listed = {
            key: watch
            for key, watch in listing.watches.items()
            if key.source == self.name
        }
        await self.discovery.follow(listing.rules)
        await self.join()

    async def join(self) -> None:
        """Watch what is written down, else what was added, else what was found."""
        # Put together not before its turn: an older list ends what was gained since.
        async with self._joining:
            self._wanted = {
                **self.discovery.watches(),
                **self._wishes.of(self.name),
                **self._listed,
            }
            self._scopes = {(key.scope_type, key.scope_id) for key in self._wanted}
            await self.poller.watch(self._wanted.values())
            # Who retired before a restart is known to the poller alone.
            self.discovery.ended(self.poller.retired)
            self._wishes.ended(self.poller.retired)
        self._common.joined()

    def watch_of(self, key: InstanceKey) -> Watch | None:
        """Say how *key* is watched, be it by another daemon."""
        return self._wanted.get(key)

    def pause_of(self, key: InstanceKey) -> Pause | None:
        return self._wishes.pause_of(key)

    def unseen(self) -> Iterator[Watch]:
        """Give those that are looked at here and of whom JOB has said nothing so far."""
        for track in self.poller.tracks.values():
            if track.changed_at is None:
                yield track.watch

    def elsewhere(self, now: datetime) -> Iterator[Watch]:
        """Give those that other daemons look at, or did until they ended for good."""
        if self._holdings.active is not ALL:
            for watch in self._wanted.values():
                if self.is_elsewhere(watch, now):
                    yield watch

    def is_elsewhere(self, watch: Watch, now: datetime) -> bool:
        here = watch.key in self.poller.tracks or self._holdings.owns(str(watch.key))
        return not here and not agenda.over(watch, now)

    def _is_ours(self) -> bool:
        """Tell whether lists of this source are read here."""
        return self._holdings.owns(self.name)

    def report(self) -> SourceReport:
        """Say to the other daemons how this one sees the source."""
        seen, unseen = self.state(), islice(self.unseen(), UNSEEN)
        return structs.replace(
            self.sight.report(looking=len(self.scheduler) > 0),
            need=self._need(),
            share=self._sharing.claim,
            watches=seen.watches,
            late=seen.late,
            standing=seen.standing,
            since=seen.since,
            rate=seen.rate,
            in_flight=seen.in_flight,
            width=seen.width,
            throttled=seen.throttled,
            requests=seen.requests,
            unseen=tuple(str(watch.key) for watch in unseen),
        )

    def _need(self) -> float | None:
        """Say how many visits a second would be made here if nothing were scarce."""
        wanted = self.experience.wanted
        return None if wanted is None else wanted + len(self.poller) / self._cap

    def met(self, view: View) -> None:
        """Hear how the others see it."""
        self._view = view
        self._sharing.met(view)
        self.sight.met(view)
        self._overhearing.look()

    async def read_again(self) -> None:
        """Somebody found something elsewhere, unless it was us."""
        if not self._is_ours():
            await self.discovery.read_again()
            await self.join()

    async def gain(self, gained: frozenset[int]) -> None:
        """Watch what became ours, of all that anybody wants."""
        await self.sight.take_up(await self._store.alerting())
        await self.discovery.read_again()
        await self.discovery.take_over()
        await self.experience.remember()
        async with self._joining:
            self.poller.gain(gained)
        await self.join()
        if self.tails is not None:
            await self.tails.take_up()

    async def let_go(self, left: frozenset[int]) -> None:
        """Leave what belongs to these shards to others."""
        await self.discovery.let_go()
        await self.poller.let_go(left)
        await self.sight.keep(self.poller.tracks)
        await self.experience.save()

    async def added(self, key: InstanceKey) -> None:
        """Watch *key*, though it may have ended long ago."""
        self.poller.retired.discard(key)
        await self.join()

    def committed(self, change: Change) -> None:
        """Hear of hosts that failed, and of whom nobody looks at any more."""
        if self.tails is not None:
            self.tails.changed(change)
        if change.state.phase is not Phase.WATCHED:
            key = model.read_key(change.state.key)
            if key is not None:
                self.discovery.ended([key])
                self._wishes.ended([key])

    def _worth(self, key: InstanceKey, late: float) -> float:
        """Say by how much of its interval a visit is late.

        The greedy form of the price: a look is worth its price after one interval.
        """
        track = self.poller.tracks.get(key)
        return late / max(1.0, track.pause) if track is not None else 0.0

    def _lag(self) -> float:
        """Say how late visits began on average since this was last asked."""
        begun, late = self._begun, self._late
        self._begun, self._late = self.lateness.count, self.lateness.sum
        return (self._late - late) / max(1, self._begun - begun)

    async def _visit(self, key: InstanceKey) -> float | None:
        # Somebody else may be looking at it by now.
        while not self._holdings.sure():  # noqa: ASYNC110 - the database tells, or not
            await anyio.sleep(UNSURE)
        return await self.poller.visit(key)

    def start(self, tasks: TaskGroup, spans: Tracing = tracing.OFF) -> None:
        visit = spans.visits(self._visit)
        tasks.start_soon(self.scheduler.run, visit, name=f"scheduler {self.name}")
        tasks.start_soon(self._sharing.run, name=f"budget {self.name}")
        tasks.start_soon(self.sight.run, name=f"sight {self.name}")
        tasks.start_soon(self.sweep.run, name=f"sweep {self.name}")
        tasks.start_soon(self.discovery.run, name=f"discovery {self.name}")
        tasks.start_soon(
            self.experience.run,
            self.poller.tracks.running,
            lambda: self.pace.slots.rate,
            self._lag,
            name=f"experience {self.name}",
        )
        if self.tails is not None:
            tasks.start_soon(self.tails.run, name=f"logs {self.name}")


def _by_result(calls: Mapping[tuple[str, str], int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (_, result), count in calls.items():
        counts[result] = counts.get(result, 0) + count
    return counts


@asynccontextmanager
async def opened(name: str, common: Common) -> AsyncIterator[Station]:
    """Open the way to one source."""
    configured = common.settings.sources[name]
    pace = Pace(
        width=configured.max_in_flight,
        per_second=configured.requests_per_second,
        luck=common.luck,
    )
    config = wiring.source_config(name, configured)
    async with job.opened(structs.replace(config, heard=pace.heard)) as source:
        station = Station(name, common, source, pace)
        await station.sight.remember(await common.store.heads(name))
        await station.experience.remember()
        yield station
        with anyio.move_on_after(SAVING):
            await station.experience.save()
