"""The composition root: builds everything, owns lifetimes and the order of the end.

The only place that knows concrete classes. Straight lines on purpose: scoping
enforces the order of construction, the exit stack the order of closing.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    nullcontext,
)
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Never

import anyio
import anyio.lowlevel
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from monitor import clock, errors, logs, wiring
from monitor.core import state, wording
from monitor.core.message import Message
from monitor.core.state import Change, Phase
from monitor.core.wording import Frame
from monitor.dispatcher import Dispatcher
from monitor.job import source as job
from monitor.notifier import Listener, Notifier
from monitor.poller import Poller
from monitor.ports import Luck, Now, Sink
from monitor.recorder import Recorder
from monitor.scheduler import Scheduler
from monitor.settings import secret
from monitor.settings.model import Settings
from monitor.sight import Sight
from monitor.sinks import catalogue
from monitor.store import opening
from monitor.store.group import Run
from monitor.store.sql import SqlStore
from monitor.tails import Tails
from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing, difference

Until = Callable[[], Awaitable[None]]
Load = Callable[[], Settings]

HOUSEKEEPING = timedelta(hours=1)

log = structlog.get_logger()


async def serve(
    load: Load,
    *,
    until: Until,
    reloading: Until = anyio.sleep_forever,
    guests: Sequence[Sink] = (),
    now: Now = clock.utc_now,
    luck: Luck = random.random,  # noqa: TID251
    run: Run = anyio.to_thread.run_sync,
) -> None:
    """Watch and tell until *until* returns.

    Each time *reloading* returns, settings are loaded anew, all or nothing. *guests*
    are sinks beside the configured ones; they take everything.
    Raises errors.Misconfigured before anything is watched, errors.StoreError when
    nothing can be remembered any more.
    """
    settings = load()
    logs.protect(_secrets(settings))
    async with opening.opened(settings.store, run=run) as store:
        files, proven = _files(settings), None
        while True:
            try:
                async with AsyncExitStack() as stack:
                    house = _House(settings, store, files, guests, now=now, luck=luck)
                    again = await house.live(stack, load, until, reloading)
            except errors.Misconfigured as refused:
                if proven is None:
                    raise
                log.warning("configuration.refused", faults=refused.faults)
                again, proven = proven, None
            else:
                proven = settings
            if again is None:
                return
            files = files.reconfigured(
                again.watch_lists, directory=Path(), sources=tuple(again.sources)
            )
            settings = again


def _files(settings: Settings) -> Files:
    sources = tuple(settings.sources)
    return Files(settings.watch_lists, directory=Path(), sources=sources)


class _AtOnce:
    """A budget that knows no limit: logs are few."""

    def turn(self, *, spare: bool = False) -> AbstractAsyncContextManager[None]:
        return nullcontext()


class _House:
    """Everything that lives as long as one configuration."""

    def __init__(
        self,
        settings: Settings,
        store: SqlStore,
        files: Files,
        guests: Sequence[Sink],
        *,
        now: Now,
        luck: Luck,
    ) -> None:
        self._settings = settings
        self._secrets = _secrets(settings)
        self._store = store
        self._files = files
        self._guests = guests
        self._now = now
        self._luck = luck
        self._listing = Listing()
        self._recorder = Recorder(store, self._committed)
        self._schedulers: dict[str, Scheduler] = {}
        self._sights: dict[str, Sight] = {}
        self._pollers: dict[str, Poller] = {}
        self._tails: dict[str, Tails] = {}
        self._dispatchers: list[Dispatcher] = []
        self._notifier: Notifier

    async def live(
        self, stack: AsyncExitStack, load: Load, until: Until, reloading: Until
    ) -> Settings | None:
        """Run until told to stop (None) or until other settings are to be used."""
        await self._build(stack)
        again: Settings | None = None
        async with anyio.create_task_group() as delivery:
            self._start_delivery(delivery)
            async with anyio.create_task_group() as intake:
                await self._start_intake(intake)
                # Not sooner: who wants what depends on the labels of the watches.
                delivery.start_soon(self._notifier.run, name="notifier")
                again = await self._wait(load, until, reloading)
                intake.cancel_scope.cancel()
            log.info("service.stopping")
            await self._drain()
            delivery.cancel_scope.cancel()
        return again

    async def _build(self, stack: AsyncExitStack) -> None:
        for config in wiring.sinks(self._settings):
            opened = catalogue.opened(config, now=self._now)
            sink = await stack.enter_async_context(opened)
            await self._add_sink(sink, wiring.wants(config))
        for guest in self._guests:
            await self._add_sink(guest, lambda _: True)
        for name in self._settings.sources:
            await self._add_source(stack, name)
        self._notifier = Notifier(
            self._store,
            [
                *wiring.listeners(self._settings),
                *(Listener(guest.name, lambda _: True) for guest in self._guests),
            ],
            rules=wiring.telling_rules(self._settings.alerts),
            pauses=wiring.pauses(self._settings.alerts),
            frame=self._frame,
            lost=self._lost,
            logs=self._tails.__contains__,
            posted=self._wake,
            now=self._now,
        )

    async def _add_sink(
        self, sink: Sink, wants: Callable[[Message], bool] | None
    ) -> None:
        if wants is not None:
            await self._store.enrol(sink.name)
        dispatcher = Dispatcher(
            sink, self._store, wants, now=self._now, luck=self._luck
        )
        self._dispatchers.append(dispatcher)

    async def _add_source(self, stack: AsyncExitStack, name: str) -> None:
        source = self._settings.sources[name]
        config = wiring.source_config(name, source)
        opened = await stack.enter_async_context(job.opened(config))
        rate, width = source.requests_per_second, source.max_in_flight
        scheduler = Scheduler(name, width=width, rate=rate, luck=self._luck)
        sight = Sight(
            name,
            scheduler,
            memory=self._store,
            recorder=self._recorder,
            patience=wiring.patience(self._settings),
            now=self._now,
            luck=self._luck,
            locale=self._settings.locale,
        )
        await sight.remember(await self._store.heads(name))
        self._schedulers[name] = scheduler
        self._sights[name] = sight
        self._pollers[name] = Poller(
            opened,
            scheduler,
            memory=self._store,
            recorder=self._recorder,
            sight=sight,
            rules=wiring.rules(self._settings, source),
            now=self._now,
            luck=self._luck,
        )

        if self._settings.polling.logs:
            self._tails[name] = Tails(
                opened,
                _AtOnce(),
                ledger=self._store,
                memory=self._store,
                recorder=self._recorder,
                luck=self._luck,
                secrets=self._secrets,
            )

    def _start_delivery(self, tasks: TaskGroup) -> None:
        for dispatcher in self._dispatchers:
            tasks.start_soon(dispatcher.run, name="dispatcher")
        tasks.start_soon(self._keep_house, name="housekeeping")

    async def _start_intake(self, tasks: TaskGroup) -> None:
        await self._abandon_unknown_sources()
        await self._watch(await anyio.to_thread.run_sync(self._files.read))
        log.info(
            "service.started",
            watches=len(self._listing.watches),
            sources=list(self._settings.sources),
            sinks=[sink.name for sink in self._settings.sinks],
        )
        tasks.start_soon(self._follow_files, name="watch list")
        for name, scheduler in self._schedulers.items():
            visit = self._pollers[name].visit
            tasks.start_soon(scheduler.run, visit, name=f"scheduler {name}")
        for name, tails in self._tails.items():
            tasks.start_soon(tails.run, name=f"logs {name}")

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
            while again is None:
                await reloading()
                again = await self._reload(load)
            waiting.cancel_scope.cancel()
        # Told to stop while settings were read: the one is not said again.
        return None if stopped else again

    async def _reload(self, load: Load) -> Settings | None:
        """Read everything anew; give other settings if there are any."""
        try:
            again = load()
            secrets = _secrets(again)
        except errors.Misconfigured as refused:
            log.warning("configuration.refused", faults=refused.faults)
            return None

        logs.protect(secrets)
        if again.store != self._settings.store:
            log.warning("configuration.needs_restart", key="store")
            again = again.model_copy(update={"store": self._settings.store})
        if again != self._settings or secrets != self._secrets:
            log.info("configuration.changed")
            return again

        await self._watch(await anyio.to_thread.run_sync(self._files.read))
        log.info("configuration.unchanged")
        return None

    async def _follow_files(self) -> None:
        async with aclosing(self._files.changes()) as listings:
            async for listing in listings:
                await self._watch(listing)

    async def _watch(self, listing: Listing) -> None:
        self._report(listing)
        self._listing = listing
        for name, poller in self._pollers.items():
            watches = listing.watches.values()
            await poller.watch(watch for watch in watches if watch.key.source == name)

    def _report(self, listing: Listing) -> None:
        changed = difference(self._listing, listing)
        known = set(self._listing.faults)
        for fault in listing.faults:
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
            if key.partition("/")[0] not in self._settings.sources:
                decide = partial(
                    state.ended,
                    phase=Phase.UNWATCHED,
                    frame=self._frame(key),
                    now=self._now(),
                )
                await self._recorder.record(key, decide)

    def _frame(self, key: str) -> Frame:
        poller = self._pollers.get(key.partition("/")[0])
        if poller is None:
            return wording.frame_of(key, self._settings.locale)
        return poller.frame(key)

    def _lost(self, source: str) -> bool:
        return source in self._sights and self._sights[source].lost

    def _committed(self, change: Change) -> None:
        self._notifier.changed(change)
        tails = self._tails.get(change.state.key.partition("/")[0])
        if tails is not None:
            tails.changed(change)
        if change.events:
            self._wake()

    def _wake(self) -> None:
        for dispatcher in self._dispatchers:
            dispatcher.wake()

    async def _drain(self) -> None:
        grace = self._settings.shutdown_grace.total_seconds()
        with anyio.move_on_after(grace) as scope:
            async with anyio.create_task_group() as tasks:
                for dispatcher in self._dispatchers:
                    tasks.start_soon(dispatcher.drain, name="drain")
        if scope.cancelled_caught:
            log.warning("service.drain_cut_short", grace=grace)

    async def _keep_house(self) -> Never:
        readers = [sink.name for sink in wiring.sinks(self._settings)]
        while True:
            before = self._now() - self._settings.retention
            while await self._store.forget(before, readers):
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(HOUSEKEEPING.total_seconds())


def _secrets(settings: Settings) -> tuple[str, ...]:
    """Read all secrets, those in files too: another content is another setting."""
    return tuple(secret.known(settings))
