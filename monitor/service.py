"""The daemon from its start to its end: one house after the other, on one store.

Each house lives as long as its configuration, and all of them as long as the daemon
owns what it owns; then it begins anew.
"""

import os
import random
import socket
from collections.abc import (
    Callable,
    Sequence,
)
from contextlib import AsyncExitStack
from functools import cache
from math import inf
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import structlog
from msgspec import Struct

from monitor import (
    clock,
    errors,
    logs,
    milestones,
    tracing,
)
from monitor.house import Door, House, Until
from monitor.metering import Meter, Tenure
from monitor.milestones import (
    Hear,
    Milestone,
    Ready,
    Starting,
    Stopping,
)
from monitor.ports import Luck, Now, Sink
from monitor.reloading import Reloading
from monitor.rereading import Load
from monitor.settings import secret
from monitor.settings.model import Settings
from monitor.store import opening
from monitor.store.group import Run
from monitor.store.sql import SqlStore
from monitor.tracing import Tracing
from monitor.watchlist.files import Files
from monitor.web import unix

OWNERS, GROUPS = 0o600, 0o660
"""The control socket beside the store is its owner's; where systemd made a directory
for the service, its group is the service's own and its members may come too."""

log = structlog.get_logger()


async def serve(
    load: Load,
    *,
    until: Until,
    reloading: Until = anyio.sleep_forever,
    guests: Sequence[Sink] = (),
    hear: Hear = milestones.unheard,
    meters: Sequence[Meter] = (),
    spans: Tracing = tracing.OFF,
    now: Now = clock.utc_now,
    luck: Luck = random.random,  # noqa: TID251
    run: Run = anyio.to_thread.run_sync,
) -> None:
    """Watch and tell until *until* returns.

    Each time *reloading* returns, settings are loaded anew, all or nothing. *guests*
    are sinks beside the configured ones; they take everything. *hear* hears how far
    it is. *meters* outlive configurations.
    Raises errors.Misconfigured before anything is watched, errors.StoreError when
    nothing can be remembered any more.
    """
    settings = load()
    logs.protect(secret.known(settings))
    hear(Starting())
    ending, tenure = _Ending(until, hear), Tenure()
    async with AsyncExitStack() as lifetime:

        def door() -> Door:
            return Door(
                _listener(settings, lifetime),
                Reloading(now),
                ending.hear,
                meters,
                spans,
                now(),
                tenure,
            )

        site = _Site(load, ending.wait, reloading, guests, now, luck)
        street = _Street(settings, _files(settings), cache(door), site)
        await _live_on(street, ending, tenure, run)


async def _live_on(
    street: "_Street", ending: "_Ending", tenure: Tenure, run: Run
) -> None:
    """Live, and begin anew when another daemon took over what was ours."""
    lost = await _lived(street, run, opening.PATIENCE)
    while lost is not None:
        remedy = "others deliver the rest" if ending.told else "this daemon begins anew"
        log.warning("lease.lost", reason=str(lost), remedy=remedy)
        if ending.told:
            return
        tenure.begin_anew()
        ending.hear(Starting())
        lost = await _lived_anew(street, ending, run)


async def _lived_anew(
    street: "_Street", ending: "_Ending", run: Run
) -> errors.LeaseLost | None:
    """Live once more, and wait for a database that is away, unless told to stop."""
    lost: errors.LeaseLost | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ending.before_it_lives, tasks.cancel_scope, name="until")
        lost = await _lived(street, run, inf)
        tasks.cancel_scope.cancel()
    return lost


async def _lived(
    street: "_Street", run: Run, patience: float
) -> errors.LeaseLost | None:
    """Live until told to stop, or until what was ours is lost."""
    lost: errors.LeaseLost | None = None
    try:
        store = opening.opened(street.settings.store, run=run, patience=patience)
        async with store as opened:
            await street.live(opened)
    except* errors.LeaseLost as group:
        lost = _first(group)
    return lost


def _first(group: BaseExceptionGroup[errors.LeaseLost]) -> errors.LeaseLost:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


class _Ending:
    """Remembers that we were told to stop, also where a lease is lost meanwhile."""

    def __init__(self, until: Until, hear: Hear) -> None:
        self._until = until
        self._hear = hear
        self._turn = anyio.Lock()
        self._lives = False
        self.told = False

    def hear(self, milestone: Milestone) -> None:
        """Satisfies ``milestones.Hear``."""
        self._lives = isinstance(milestone, Ready | Stopping)
        self._hear(milestone)

    async def wait(self) -> None:
        async with self._turn:
            if not self.told:
                await self._until()
                self.told = True

    async def before_it_lives(self, scope: anyio.CancelScope) -> None:
        """Cancel what is about to begin anew, once told to stop."""
        await self.wait()
        if not self._lives:
            scope.cancel()


class _Site(Struct, frozen=True):
    """What the world gives to every configuration."""

    load: Load
    until: Until
    reloading: Until
    guests: Sequence[Sink]
    now: Now
    luck: Luck


class _Street:
    """One house after the other: each lives as long as its configuration.

    *door* gives the same one each time. It is not asked before the store is open: a
    second daemon is told of the store that it cannot have, not of a socket.
    """

    def __init__(
        self,
        settings: Settings,
        files: Files,
        door: Callable[[], Door],
        site: _Site,
    ) -> None:
        self.settings = settings
        self._files = files
        self._door = door
        self._site = site
        self._proven: Settings | None = None

    async def live(self, store: SqlStore) -> None:
        self._door().tenure.gain(len(store.holdings.epochs))
        while (again := await self._lived(store)) is not None:
            self._files = self._files.reconfigured(
                again.watch_lists, directory=Path(), sources=tuple(again.sources)
            )
            self.settings = again

    async def _lived(self, store: SqlStore) -> Settings | None:
        site = self._site
        try:
            async with AsyncExitStack() as stack:
                house = House(
                    self.settings,
                    store,
                    self._files,
                    self._door(),
                    site.guests,
                    now=site.now,
                    luck=site.luck,
                )
                again = await house.live(stack, site.load, site.until, site.reloading)
        except errors.Misconfigured as refused:
            if self._proven is None:
                raise
            log.warning("configuration.refused", faults=refused.faults)
            self._door().reloading.not_replaced(refused.faults)
            again, self._proven = self._proven, None
        else:
            self._proven = self.settings
        return again


def _files(settings: Settings) -> Files:
    sources = tuple(settings.sources)
    return Files(settings.watch_lists, directory=Path(), sources=sources)


def _listener(settings: Settings, lifetime: AsyncExitStack) -> socket.socket | None:
    """Open the control socket; a daemon that cannot have one watches all the same."""
    path = unix.place(settings.store_file.resolve(), os.environ)
    mode = GROUPS if unix.runtime_directory(os.environ) else OWNERS
    try:
        listener = lifetime.enter_context(unix.listening(path, mode))
    except OSError as failed:
        log.warning("control.unavailable", path=str(path), reason=failed.strerror)
        return None
    log.info("control.listening", path=str(path))
    return listener
