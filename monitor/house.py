"""Everything that lives as long as one configuration, built and introduced to one another.

The only place, with ``station``, that knows concrete classes. Straight lines on
purpose: scoping enforces the order of construction, the exit stack that of closing.
"""

import platform
import socket
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from importlib import metadata
from math import inf

import anyio
import structlog
from anyio.abc import TaskGroup
from msgspec import Struct

from monitor import (
    answering,
    housekeeping,
    metering,
    milestones,
    rereading,
    station,
    wiring,
)
from monitor.core import state
from monitor.core.cluster import Report, View
from monitor.core.inhibition import Inhibitions
from monitor.core.message import Message
from monitor.core.state import Change, Phase
from monitor.core.telling import Obstacle
from monitor.deciding import Listener
from monitor.dispatching import Care, Dispatching
from monitor.elsewhere import Elsewhere
from monitor.grouping import Grouping
from monitor.hearsay import Hearsay, Hints
from monitor.holdings import Holdings
from monitor.likeness import Likeness
from monitor.metering import Meter, Sample, Tenure
from monitor.milestones import Hear, Hitch, Ready, Stopping, Summary
from monitor.neighbours import Neighbours
from monitor.notifier import Notifier
from monitor.ports import Luck, Now, Sink
from monitor.quiet import Quiet
from monitor.recorder import Recorder
from monitor.reloading import Reloading
from monitor.rereading import Load
from monitor.settings import configuration
from monitor.settings.digests import digests
from monitor.settings.model import Settings, WebSettings
from monitor.sinks import catalogue
from monitor.stations import Stations
from monitor.store.sql import SqlStore
from monitor.tracing import Tracing
from monitor.watchlist.files import Files
from monitor.watchlist.following import Lists
from monitor.watchlist.listing import Listing
from monitor.watchlist.union import Union
from monitor.web.feed import Feed
from monitor.web.hints import Callbacks
from monitor.web.shapes.reload import Result
from monitor.wishes import Wishes

Until = Callable[[], Awaitable[None]]

log = structlog.get_logger()


class Door(Struct, frozen=True):
    """How others reach the daemon and hear of it, whatever the configuration."""

    listener: socket.socket | None
    reloading: Reloading
    hear: Hear
    meters: Sequence[Meter]
    spans: Tracing
    started_at: datetime
    tenure: Tenure


class House:
    """Everything that lives as long as one configuration."""

    def __init__(
        self,
        settings: Settings,
        store: SqlStore,
        files: Files,
        door: Door,
        guests: Sequence[Sink],
        *,
        now: Now,
        luck: Luck,
    ) -> None:
        self._settings = settings
        self._grace = settings.shutdown_grace.total_seconds()
        self._configuration = configuration.read(settings)
        self._digests = digests(settings)
        self._store = store
        self._door = door
        self._guests = guests
        self._guest_names = tuple(guest.name for guest in guests)
        self._holdings = store.holdings
        self._now = now = partial(_by_the_store, now, store.holdings)
        self._luck = luck
        self._lists = Lists(files, self._united(files), self._watch)
        self._recorder = Recorder(store, self._committed, self._holdings.holds)
        self._stations = Stations(now, settings.locale)
        self._wishes = Wishes(store, self._stations.hearers, now=now)
        self._url = ""
        self._neighbours = Neighbours(
            store.membership, store.holdings, self.report, started_at=door.started_at
        )
        self._feed = Feed(store)
        self._recorded: Counter[str] = Counter()
        self._dispatching = Dispatching(
            store, now=now, luck=luck, holdings=store.holdings
        )
        self._quiet = Quiet(
            store,
            [*wiring.silences(settings), *wiring.maintenance(settings)],
            now=now,
            changed=self._reconsider,
        )
        self._grouping: Grouping
        self._notifier: Notifier
        self._hints = Hints(store, self._stations, now=now)
        self._callbacks = Callbacks(self._hints.take)
        self._likeness = Likeness()
        self._ready = False

    async def live(
        self, stack: AsyncExitStack, load: Load, until: Until, reloading: Until
    ) -> Settings | None:
        """Run until told to stop (None) or until other settings are to be used."""
        await self._build(stack)
        if self._settings.web is not None:
            await self._open_web(stack, self._settings.web)
        again: Settings | None = None
        ending = inf
        async with anyio.create_task_group() as delivery:
            self._start_delivery(delivery)
            async with anyio.create_task_group() as intake:
                await self._start_intake(intake)
                await self._open_control(stack)
                # Not sooner: who wants what depends on the labels of the watches.
                delivery.start_soon(self._notifier.run, name="notifier")
                self._ready = True
                self._say_ready()
                async with self._attending(intake):
                    again = await self._wait(load, until, reloading)
                    self._ready = False
                    ending = anyio.current_time() + self._grace
                    log.info("service.stopping")
                    if again is None:
                        self._door.hear(Stopping(self._grace))
                        await self._hand_over(ending)
                intake.cancel_scope.cancel()
            await self._drain(ending)
            delivery.cancel_scope.cancel()
        self._feed.close()
        return again

    async def _hand_over(self, ending: float) -> None:
        """Leave what is ours to other daemons, if any stays: they deliver the rest."""
        membership = self._store.membership
        if membership is not None:
            membership.drain()
            with anyio.CancelScope(deadline=ending):
                await membership.hand_over()

    async def _drain(self, ending: float) -> None:
        with anyio.CancelScope(deadline=ending) as scope:
            await self._dispatching.drain()
        if scope.cancelled_caught:
            log.warning("service.drain_cut_short", grace=self._grace)

    @asynccontextmanager
    async def _attending(self, tasks: TaskGroup) -> AsyncIterator[None]:
        """Take part in the cluster, if there is one."""
        membership = self._store.membership
        if membership is None:
            yield
            return
        tasks.start_soon(self._lists.follow_others, name="watch lists elsewhere")
        elsewhere = Elsewhere(self._store, self._holdings, self._heard_elsewhere)
        tasks.start_soon(elsewhere.run, name="elsewhere")
        hearsay = Hearsay(
            self._store,
            others=lambda: bool(membership.view.others()),
            hinted=self._stations.hint,
            shown=self._stations.shown,
        )
        tasks.start_soon(hearsay.run, name="hearsay")
        tasks.start_soon(self._hints.run, name="hints")
        async with membership.attended(self):
            yield

    def _united(self, files: Files) -> Union | None:
        """Join our files with those of other machines, where there may be others."""
        membership = self._store.membership
        if membership is None:
            return None

        def living() -> set[str]:
            return membership.view.machines()

        return Union(
            files,
            self._store,
            self._machine(),
            directory=self._settings.directory,
            sources=tuple(self._settings.sources),
            living=living,
            owns=self._holdings.owns,
        )

    def _machine(self) -> str:
        """Name whose files these are, also after a restart."""
        return f"{platform.node()}:{self._settings.directory.resolve()}"

    def report(self) -> Report:
        """Satisfies ``membership.Member``, with what follows."""
        return Report(
            version=metadata.version("job-monitor"),
            machine=self._machine(),
            url=self._url,
            watches=self._stations.count(),
            waiting=self._dispatching.waiting,
            late=max((o.scheduler.oldest for o in self._stations.values()), default=0),
            sources=self._stations.reports(),
            sinks=self._dispatching.reports(),
            settings=self._digests,
        )

    def met(self, view: View) -> None:
        self._likeness.met(view)
        for one in self._stations.values():
            one.met(view)

    async def gain(self, gained: frozenset[int]) -> None:
        self._door.tenure.gain(len(gained))
        # Whoever watches too little would end what the one before watched.
        await self._lists.read()
        await self._wishes.read_again()
        await self._quiet.read_again()
        await self._abandon_unknown_sources()
        await self._dispatching.gain(gained)
        for one in self._stations.values():
            await one.gain(gained)
        await self._notifier.gain(gained)

    async def let_go(self, left: frozenset[int]) -> None:
        # First what takes longest: until it is done, they are looked at here. What is
        # recorded or told meanwhile is delivered by whoever comes.
        await self._dispatching.let_go(left)
        async with anyio.create_task_group() as tasks:
            for one in self._stations.values():
                tasks.start_soon(one.let_go, left)
        # From here on whoever comes with a log, or late, finds that it is another's.
        self._holdings.seal(left)
        await self._recorder.settled()
        await self._notifier.let_go(left)
        # What was asked of the store until now is done by then, whoever asked.
        await self._store.answers()
        self._door.tenure.give_up(len(left))

    async def hear(self, topics: frozenset[str]) -> None:
        if "quiet" in topics:
            await self._quiet.read_again()
        if "wishes" in topics:
            await self._wishes.read_again()
        if "watches" in topics:
            for one in self._stations.values():
                await one.read_again()
        if "lists" in topics:
            await self._lists.read()
        if "deliveries" in topics:
            self._dispatching.hear()

    async def _learn(self, keys: Collection[str]) -> None:
        """Hear at once what others recorded about *keys*."""
        if self._neighbours.shared:
            await self._notifier.learn(keys)

    async def _heard_elsewhere(self, events: Sequence[Message]) -> None:
        await self._notifier.changed_elsewhere(events)
        self._feed.wake()

    async def _build(self, stack: AsyncExitStack) -> None:
        library = self._configuration.library
        for config in wiring.sinks(self._settings):
            opened = catalogue.opened(config, now=self._now, library=library)
            sink = await stack.enter_async_context(opened)
            await self._add_sink(sink, wiring.wants(config), wiring.care(config))
        for guest in self._guests:
            await self._add_sink(guest, lambda _: True, Care())
        for beating in wiring.heartbeats(self._settings):
            opened = catalogue.opened(beating, now=self._now)
            sink = await stack.enter_async_context(opened)
            every = beating.every.total_seconds()
            self._dispatching.beat(sink, every, self._store.answers)
        await self._store.settle(wiring.fallbacks(self._settings))
        await self._store.adopt(
            wiring.subscriptions(self._settings, self._guest_names, self._now())
        )
        await self._wishes.load()
        common = self._common()
        for name in self._settings.sources:
            opening = station.opened(name, common)
            self._stations[name] = await stack.enter_async_context(opening)
        await self._quiet.load()
        self._grouping = self._build_grouping()
        self._notifier = self._build_notifier()

    def _common(self) -> station.Common:
        return station.Common(
            settings=self._settings,
            store=self._store,
            recorder=self._recorder,
            wishes=self._wishes,
            joined=self._joined,
            back=self._seen_again,
            now=self._now,
            luck=self._luck,
        )

    def _build_grouping(self) -> Grouping:
        return Grouping(
            wiring.root_route(self._settings, self._guest_names),
            Inhibitions(wiring.inhibiting(self._settings.alerts)),
            self._stations.frame,
            self._holdings.owns if self._neighbours.shared else None,
        )

    def _build_notifier(self) -> Notifier:
        return Notifier(
            self._store,
            self._store,
            [
                *wiring.listeners(self._settings),
                *(Listener(guest, lambda _: True) for guest in self._guest_names),
            ],
            grouping=self._grouping,
            habits=wiring.habits(self._settings.alerts),
            frame=self._stations.frame,
            lost=self._stations.is_missing,
            logs=self._stations.reads_logs,
            quiet=self._quiet,
            posted=self._dispatching.wake,
            owns=self._holdings.owns,
            now=self._now,
        )

    async def _add_sink(
        self, sink: Sink, wants: Callable[[Message], bool] | None, care: Care
    ) -> None:
        if wants is not None:
            await self._store.enrol(sink.name)
        self._dispatching.add(self._door.spans.deliveries(sink), wants, care)

    def _answers(self) -> answering.House:
        return answering.House(
            settings=self._settings,
            store=self._store,
            stations=self._stations,
            neighbours=self._neighbours,
            dispatching=self._dispatching,
            grouping=self._grouping,
            quiet=self._quiet,
            wishes=self._wishes,
            reloading=self._door.reloading,
            feed=self._feed,
            guests=self._guest_names,
            listing=lambda: self._lists.whole,
            frame=self._stations.frame,
            learn=self._learn,
            muted=self._muted,
            started_at=self._door.started_at,
            now=self._now,
        )

    async def _open_web(self, stack: AsyncExitStack, web: WebSettings) -> None:
        # Who does not listen needs no server.
        from monitor.web import server  # noqa: PLC0415

        house = self._answers()
        opened = server.serving(
            wiring.web_config(web),
            callbacks=self._callbacks,
            meters=[
                self,
                self._callbacks,
                self._dispatching,
                self._notifier,
                self._grouping,
                self._door.reloading,
                self._door.tenure,
                self._neighbours,
                *self._door.meters,
                *self._stations.values(),
            ],
            checks=lambda: answering.checks(house, ready=self._ready),
            operations=answering.operations(house),
            pages=answering.pages(house),
            now=self._now,
        )
        self._url = await stack.enter_async_context(opened)
        log.info("web.listening", url=self._url)

    async def _open_control(self, stack: AsyncExitStack) -> None:
        if self._door.listener is None:
            return
        from monitor.web import control  # noqa: PLC0415

        answers = answering.operations(self._answers())
        opened = control.serving(self._door.listener, answers)
        await stack.enter_async_context(opened)

    def _say_ready(self) -> None:
        self._door.hear(Ready(self._store.gets_on, self._hitches, self._summary))

    def _hitches(self) -> dict[str, Hitch]:
        if not self._holdings.sure():
            return {}  # who may not be sure that it is his does not look at anything
        return self._stations.hitches()

    def _summary(self) -> Summary:
        return Summary(
            watched=self._stations.count(),
            alerting=len(self._grouping.placed()),
            lost=self._stations.lost(),
            waiting=self._dispatching.waiting,
            refused=self._door.reloading.last.result is Result.REFUSED,
        )

    def samples(self) -> Iterator[Sample]:
        """Be the meter of what only the house knows."""
        yield from metering.build(metadata.version("job-monitor"))
        yield from metering.quarantined(len(self._lists.local.faults))
        yield from metering.recorded(self._recorded)
        yield from metering.store_up(up=not self._store.away())

    def _start_delivery(self, tasks: TaskGroup) -> None:
        self._dispatching.start(tasks)
        tasks.start_soon(
            housekeeping.run,
            self._store,
            [sink.name for sink in wiring.sinks(self._settings)],
            self._settings.retention,
            self._now,
            name="housekeeping",
        )

    async def _start_intake(self, tasks: TaskGroup) -> None:
        await self._abandon_unknown_sources()
        await self._lists.read()
        log.info(
            "service.started",
            watches=len(self._lists.whole.watches),
            sources=list(self._settings.sources),
            sinks=[sink.name for sink in self._settings.sinks],
        )
        tasks.start_soon(self._lists.follow, name="watch list")
        tasks.start_soon(self._wishes.run, name="wishes")
        for one in self._stations.values():
            one.start(tasks, self._door.spans)

    async def _wait(
        self, load: Load, until: Until, reloading: Until
    ) -> Settings | None:
        again: Settings | None = None
        stopped = False
        async with anyio.create_task_group() as waiting:

            async def stop() -> None:
                nonlocal stopped
                await until()
                stopped = True
                waiting.cancel_scope.cancel()

            waiting.start_soon(stop, name="until")
            waiting.start_soon(self._door.reloading.obey, reloading, name="reloading")
            while again is None:
                await self._door.reloading.asked()
                self._door.hear(milestones.Reloading())
                again = await rereading.reread(
                    load, self._configuration, self._lists, self._door.reloading
                )
                if again is None:
                    self._say_ready()
            waiting.cancel_scope.cancel()
        # Told to stop while settings were read: the one is not said again.
        return None if stopped else again

    async def _watch(self, local: Listing, whole: Listing) -> None:
        self._door.reloading.watching(local, len(whole.watches))
        await self._stations.watch(whole)

    def _joined(self) -> None:
        self._callbacks.watches_added(anyio.current_time())
        self._notifier.joined()

    async def _abandon_unknown_sources(self) -> None:
        for key in await self._store.alerting():
            source = key.partition("/")[0]
            if source not in self._settings.sources and not self._elsewhere(source):
                decide = partial(
                    state.ended,
                    phase=Phase.UNWATCHED,
                    frame=self._stations.frame(key),
                    now=self._now(),
                )
                await self._recorder.record(key, decide)

    def _elsewhere(self, source: str) -> bool:
        """Tell whether another daemon has *source*: configurations change one by one."""
        membership = self._store.membership
        others = membership.view.others() if membership else ()
        return any(node.about(source) is not None for node in others)

    def _seen_again(self) -> None:
        self._notifier.seen_again()

    def _reconsider(self) -> None:
        self._notifier.reconsider()

    def _muted(self, traits: Mapping[str, str]) -> Obstacle | None:
        mute = self._quiet.muting(traits, self._now())
        return mute or self._grouping.inhibited(traits)

    def _committed(self, change: Change) -> None:
        self._recorded.update(event.type for event in change.events)
        self._notifier.changed(change)
        self._stations.committed(change)
        if change.events:
            self._dispatching.wake()
            self._feed.wake()


def _by_the_store(now: Now, holdings: Holdings) -> datetime:
    """Tell the date by the clock that all daemons share."""
    return now() + holdings.ahead
