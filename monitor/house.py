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
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib import metadata
from itertools import islice
from math import inf
from typing import Never

import anyio
import anyio.lowlevel
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup
from msgspec import Struct

from monitor import (
    answering,
    errors,
    logs,
    metering,
    milestones,
    neighbours,
    station,
    wiring,
)
from monitor.core import state, wording
from monitor.core.cluster import Report, SourceReport, View
from monitor.core.inhibition import Inhibitions
from monitor.core.message import Message
from monitor.core.model import InstanceKey
from monitor.core.state import Change, Phase
from monitor.core.telling import Obstacle
from monitor.core.wording import Frame
from monitor.deciding import Listener
from monitor.dispatching import Care, Dispatching
from monitor.elsewhere import Elsewhere
from monitor.grouping import Grouping
from monitor.hearsay import Hearsay
from monitor.holdings import Holdings
from monitor.likeness import Likeness
from monitor.metering import Meter, Sample, Tenure
from monitor.milestones import (
    Hear,
    Hitch,
    Ready,
    Stopping,
    Summary,
)
from monitor.neighbours import Neighbours
from monitor.notifier import Notifier
from monitor.ports import Luck, Now, Shown, Sink
from monitor.quiet import Quiet
from monitor.recorder import Recorder
from monitor.reloading import Reloading
from monitor.settings import effective, secret, templating
from monitor.settings.digests import digests
from monitor.settings.model import Settings, WebSettings
from monitor.sinks import catalogue
from monitor.stations import Stations
from monitor.store.sql import HOUSEKEEPING, SqlStore
from monitor.tracing import Tracing
from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing, difference
from monitor.watchlist.union import Union
from monitor.web.feed import Feed
from monitor.web.health import Check
from monitor.web.hints import Callbacks
from monitor.web.shapes.reload import Result
from monitor.wishes import Hearers, Wishes

Until = Callable[[], Awaitable[None]]
Load = Callable[[], Settings]

KEPT_HOUSE = timedelta(hours=1)

KEPT_LISTS = timedelta(days=1)
"""For which what a machine said is kept at least that is there no more."""

PATIENCE = 2.0
"""Seconds for the store to answer whoever asks whether we are ready."""

HINTS = 1000
"""Callbacks that wait to be passed on to other daemons; any more are left to visits."""

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
        self._secrets = secrets_of(settings)
        self._library = templating.library(settings)
        self._digests = digests(settings)
        self._store = store
        self._files = files
        self._door = door
        self._guests = guests
        self._guest_names = tuple(guest.name for guest in guests)
        holdings = store.holdings
        self._now = now = partial(_by_the_store, now, holdings)
        self._luck = luck
        self._local = Listing()
        self._listing = Listing()
        self._reading = anyio.Lock()
        self._union = self._united(store)
        self._holdings = holdings
        self._recorder = Recorder(store, self._committed, self._holdings.holds)
        self._wishes = Wishes(
            store,
            Hearers(
                added=self._added,
                removed=self._removed,
                paused=self._paused,
                resumed=self._resumed,
            ),
            now=now,
        )
        self._stations = Stations(self._wishes.pause_of, now)
        self._url = ""
        self._neighbours = Neighbours(
            store.membership,
            store.holdings,
            self.report,
            started_at=door.started_at,
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
        self._callbacks = Callbacks(self._hint)
        self._hints: dict[int, None] = {}
        self._hinted = anyio.Event()
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
        if membership is None or self._union is None:
            yield
            return
        tasks.start_soon(self._follow_others, self._union, name="watch lists elsewhere")
        elsewhere = Elsewhere(self._store, self._holdings, self._heard_elsewhere)
        tasks.start_soon(elsewhere.run, name="elsewhere")
        hearsay = Hearsay(
            self._store,
            others=lambda: bool(membership.view.others()),
            hinted=self._hint_here,
            shown=self._shown,
        )
        tasks.start_soon(hearsay.run, name="hearsay")
        tasks.start_soon(self._pass_hints_on, name="hints")
        async with membership.attended(self):
            yield

    def _united(self, store: SqlStore) -> Union | None:
        """Join our files with those of other machines, where there may be others."""
        membership = store.membership
        if membership is None:
            return None

        def living() -> set[str]:
            return membership.view.machines()

        return Union(
            self._files,
            store,
            self._machine(),
            directory=self._settings.directory,
            sources=tuple(self._settings.sources),
            living=living,
            owns=store.holdings.owns,
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
            sources={name: self._report_of(name) for name in self._stations},
            sinks=self._dispatching.reports(),
            settings=self._digests,
        )

    def _report_of(self, source: str) -> SourceReport:
        one, unseen = self._stations[source], self._stations.unseen(source)
        first = (str(watch.key) for watch in islice(unseen, neighbours.UNSEEN))
        return neighbours.source_report(one.report(), one.state(), first)

    def met(self, view: View) -> None:
        self._likeness.met(view)
        for one in self._stations.values():
            one.met(view)

    async def gain(self, gained: frozenset[int]) -> None:
        self._door.tenure.gain(len(gained))
        # Whoever watches too little would end what the one before watched.
        await self._read_lists()
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
            await self._read_lists()
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
        for config in wiring.sinks(self._settings):
            opened = catalogue.opened(config, now=self._now, library=self._library)
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
        for name in self._settings.sources:
            self._stations[name] = await stack.enter_async_context(
                station.opened(
                    name,
                    self._settings,
                    self._store,
                    self._recorder,
                    now=self._now,
                    luck=self._luck,
                    joined=self._joined,
                    back=self._seen_again,
                    wishes=self._wishes,
                )
            )
        await self._quiet.load()
        self._grouping = self._build_grouping()
        self._notifier = self._build_notifier()

    def _build_grouping(self) -> Grouping:
        return Grouping(
            wiring.root_route(self._settings, self._guest_names),
            Inhibitions(wiring.inhibiting(self._settings.alerts)),
            self._frame,
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
            frame=self._frame,
            lost=self._lost,
            logs=self._reads_logs,
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
            listing=lambda: self._listing,
            frame=self._frame,
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
            checks=self._checks,
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

    async def _checks(self) -> list[Check]:
        """Say what there is to say to whoever asks whether it is ready."""
        unread = "" if self._ready else "the watch lists are not read yet"
        found = [Check(name="watch lists", trouble=unread)]
        with anyio.move_on_after(PATIENCE) as scope:
            await self._store.answers()
        late = "it does not answer" if scope.cancelled_caught else ""
        found.append(Check(name="store", trouble=late))
        if self._neighbours.shared:
            found.append(Check(name="lease", trouble=self._neighbours.trouble()))
        for name, one in self._stations.items():
            lost = "lost" if one.sight.lost else ""
            found.append(Check(name=f"source {name}", trouble=lost, needed=False))
        return found

    def _say_ready(self) -> None:
        self._door.hear(Ready(self._store.gets_on, self._hitches, self._summary))

    def _hitches(self) -> dict[str, Hitch]:
        if not self._holdings.sure():
            return {}  # who may not be sure that it is his does not look at anything
        found = {name: one.hitch() for name, one in self._stations.items()}
        return {name: hitch for name, hitch in found.items() if hitch is not None}

    def _summary(self) -> Summary:
        return Summary(
            watched=sum(len(one.poller) for one in self._stations.values()),
            alerting=len(self._grouping.placed()),
            lost=tuple(n for n, one in self._stations.items() if one.sight.lost),
            waiting=self._dispatching.waiting,
            refused=self._door.reloading.last.result is Result.REFUSED,
        )

    def samples(self) -> Iterator[Sample]:
        """Be the meter of what only the house knows."""
        yield from metering.build(metadata.version("job-monitor"))
        yield from metering.quarantined(len(self._local.faults))
        yield from metering.recorded(self._recorded)
        yield from metering.store_up(up=not self._store.away())

    def _hint(self, job_instance_id: int) -> int:
        here = self._hint_here(job_instance_id)
        stations = self._stations.values()
        there = any(one.watched_elsewhere(job_instance_id) for one in stations)
        if there and len(self._hints) < HINTS:
            self._hints[job_instance_id] = None
            self._hinted.set()
        return here + there

    def _hint_here(self, job_instance_id: int) -> int:
        return sum(one.hint(job_instance_id) for one in self._stations.values())

    def _shown(self, page: Shown) -> None:
        if page.source in self._stations:
            self._stations[page.source].shown(page)

    async def _pass_hints_on(self) -> Never:
        """Let other daemons know who called back that is theirs."""
        while True:
            await self._hinted.wait()
            self._hinted = anyio.Event()
            hints, self._hints = self._hints, {}
            for job_instance_id in hints:
                await self._store.hint(job_instance_id, self._now())

    def _start_delivery(self, tasks: TaskGroup) -> None:
        self._dispatching.start(tasks)
        tasks.start_soon(self._keep_house, name="housekeeping")

    async def _start_intake(self, tasks: TaskGroup) -> None:
        await self._abandon_unknown_sources()
        await self._read_lists()
        log.info(
            "service.started",
            watches=len(self._listing.watches),
            sources=list(self._settings.sources),
            sinks=[sink.name for sink in self._settings.sinks],
        )
        tasks.start_soon(self._follow_files, name="watch list")
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

            async def hang_up() -> Never:
                while True:
                    await reloading()
                    waiting.start_soon(self._door.reloading.ask, name="reload")

            waiting.start_soon(stop, name="until")
            waiting.start_soon(hang_up, name="reloading")
            while again is None:
                await self._door.reloading.asked()
                self._door.hear(milestones.Reloading())
                again = await self._reload(load)
                if again is None:
                    self._say_ready()
            waiting.cancel_scope.cancel()
        # Told to stop while settings were read: the one is not said again.
        return None if stopped else again

    async def _reload(self, load: Load) -> Settings | None:
        """Read everything anew; give other settings if there are any."""
        try:
            again, needs_restart = self._bound(load())
            secrets, library = secrets_of(again), templating.library(again)
        except errors.Misconfigured as refused:
            log.warning("configuration.refused", faults=refused.faults)
            self._door.reloading.refused(refused.faults)
            return None

        logs.protect(secrets)
        known = (self._settings, self._secrets, self._library)
        if (again, secrets, library) != known:
            log.info("configuration.changed")
            changed = effective.differences(self._settings, again)
            files = "templates" if secrets == self._secrets else "secrets"
            self._door.reloading.replacing(changed or [files], needs_restart)
            return again

        async with self._reading:
            listing, whole = await self._read()
            in_all = len(whole.watches)
            self._door.reloading.unchanged(listing, needs_restart, in_all)
            await self._watch(listing, whole)
        log.info("configuration.unchanged")
        return None

    def _bound(self, again: Settings) -> tuple[Settings, list[str]]:
        """Keep what only a restart changes, and name it."""
        kept: dict[str, object] = {}
        needs_restart = []
        old, new = self._settings.web, again.web
        if again.store != self._settings.store:
            kept["store"] = self._settings.store
            needs_restart.append("store")
        if old and new and old.listen != new.listen:
            # All of it: the other address may be fit for having no token.
            kept["web"] = old
            needs_restart.append("web.listen")
        for key in needs_restart:
            log.warning("configuration.needs_restart", key=key)
        return again.model_copy(update=kept), needs_restart

    async def _follow_files(self) -> None:
        async with aclosing(self._files.changes()) as listings:
            async for _ in listings:
                await self._read_lists()

    async def _follow_others(self, union: Union) -> Never:
        """Look now and then, should news be missed, or something be put off."""
        while True:
            await anyio.sleep(union.pause())
            await self._read_lists()

    async def _read_lists(self) -> None:
        async with self._reading:
            local, whole = await self._read()
            if local is not self._local or whole is not self._listing:
                await self._watch(local, whole)

    async def _read(self) -> tuple[Listing, Listing]:
        """Read our own files; give what they say, and what those of all say."""
        if self._union is None:
            local = await anyio.to_thread.run_sync(self._files.read)
            return local, local
        whole = await self._union.listing()
        return self._union.local, whole

    async def _watch(self, local: Listing, whole: Listing) -> None:
        self._report(local, whole)
        self._local, self._listing = local, whole
        self._door.reloading.watching(local, len(whole.watches))
        for one in self._stations.values():
            await one.watch(whole)

    async def _added(self, key: InstanceKey) -> None:
        if key.source in self._stations:
            await self._stations[key.source].added(key)

    async def _removed(self, source: str) -> None:
        if source in self._stations:
            await self._stations[source].join()

    def _paused(self, key: InstanceKey) -> None:
        if key.source in self._stations:
            self._stations[key.source].poller.pause(key)

    def _resumed(self, key: InstanceKey) -> None:
        if key.source in self._stations:
            self._stations[key.source].poller.resume(key)

    def _joined(self) -> None:
        self._callbacks.watches_added(anyio.current_time())
        self._notifier.joined()

    def _report(self, local: Listing, listing: Listing) -> None:
        changed = difference(self._listing, listing)
        known = set(self._local.faults)
        for fault in local.faults:
            if fault not in known:
                log.warning("watchlist.quarantined", fault=str(fault))
        if self._listing.watches and any(
            (changed.added, changed.removed, changed.changed)
        ):
            log.info(
                "watchlist.changed",
                added=len(changed.added),
                removed=len(changed.removed),
                changed=len(changed.changed),
                quarantined=len(listing.faults),
            )

    async def _abandon_unknown_sources(self) -> None:
        for key in await self._store.alerting():
            source = key.partition("/")[0]
            if source not in self._settings.sources and not self._elsewhere(source):
                decide = partial(
                    state.ended,
                    phase=Phase.UNWATCHED,
                    frame=self._frame(key),
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

    def _frame(self, key: str) -> Frame:
        one = self._stations.get(key.partition("/")[0])
        if one is None:
            return wording.frame_of(key, self._settings.locale)
        return one.poller.frame(key)

    def _muted(self, traits: Mapping[str, str]) -> Obstacle | None:
        mute = self._quiet.muting(traits, self._now())
        return mute or self._grouping.inhibited(traits)

    def _lost(self, source: str) -> bool:
        return source in self._stations and self._stations[source].sight.missing

    def _reads_logs(self, source: str) -> bool:
        one = self._stations.get(source)
        return one is not None and one.tails is not None

    def _committed(self, change: Change) -> None:
        self._recorded.update(event.type for event in change.events)
        self._notifier.changed(change)
        one = self._stations.get(change.state.key.partition("/")[0])
        if one is not None:
            one.committed(change)
        if change.events:
            self._dispatching.wake()
            self._feed.wake()

    async def _keep_house(self) -> Never:
        readers = [sink.name for sink in wiring.sinks(self._settings)]
        while True:
            before = self._now() - self._settings.retention
            while self._holdings.owns(HOUSEKEEPING) and await self._store.forget(
                before, readers
            ):
                await anyio.lowlevel.checkpoint()
            if self._union is not None and self._holdings.owns(HOUSEKEEPING):
                age = max(self._settings.retention, KEPT_LISTS)
                await self._store.forget_lists(age.total_seconds())
            await anyio.sleep(KEPT_HOUSE.total_seconds())


def _by_the_store(now: Now, holdings: Holdings) -> datetime:
    """Tell the date by the clock that all daemons share."""
    return now() + holdings.ahead


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Read all secrets, those in files too: another content is another setting."""
    return tuple(secret.known(settings))
