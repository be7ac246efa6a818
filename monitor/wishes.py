"""What people said at run time about who is watched: added watches, and pauses.

What is said is in the store before it has effect, and stays until it is taken back or
until nobody looks at the instance any more: a pause of what ended would surprise
whoever adds it anew.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from math import inf
from typing import Final, Never

import anyio
import structlog
from msgspec import Struct

from monitor import agenda, ports
from monitor.core.model import InstanceKey
from monitor.core.watch import Pause, Watch
from monitor.ports import Now

MOST: Final = 10_000
"""Added watches, and pauses, that people may have."""

LONGEST: Final = timedelta(hours=1).total_seconds()
"""Until pauses are looked at again: the clock of the machine may be set meanwhile."""

log = structlog.get_logger()


class Hearers(Struct, frozen=True, kw_only=True):
    """Who must know at once; *removed* is told the source."""

    added: Callable[[InstanceKey], Awaitable[None]]
    removed: Callable[[str], Awaitable[None]]
    paused: Callable[[InstanceKey], None]
    resumed: Callable[[InstanceKey], None]


class Wishes:
    def __init__(self, memory: ports.Wishes, hearers: Hearers, *, now: Now) -> None:
        self._memory = memory
        self._hearers = hearers
        self._now = now
        self._added: dict[InstanceKey, Watch] = {}
        self._pauses: dict[InstanceKey, Pause] = {}
        self._over: set[InstanceKey] = set()
        self._news = anyio.Event()
        # So that what is said again is not forgotten with what was said before.
        self._turn = anyio.Lock()

    async def load(self) -> None:
        """Take up what was said before the start."""
        now = self._now()
        self._added = {watch.key: watch for watch in await self._memory.added()}
        self._pauses = {pause.key: pause for pause in await self._memory.paused()}
        self.ended(key for key, each in self._added.items() if agenda.over(each, now))

    async def read_again(self) -> None:
        """Somebody said something elsewhere: take up what holds by now."""
        async with self._turn:
            added, pauses = await self._memory.added(), await self._memory.paused()
            await self._read_watches({watch.key: watch for watch in added})
            self._read_pauses({pause.key: pause for pause in pauses})

    async def _read_watches(self, added: dict[InstanceKey, Watch]) -> None:
        before, self._added = self._added, added
        for key in added.keys() - before.keys():
            await self._hearers.added(key)
        changed = {key for key in before if before[key] != added.get(key)}
        for source in sorted({key.source for key in changed}):
            await self._hearers.removed(source)

    def _read_pauses(self, pauses: dict[InstanceKey, Pause]) -> None:
        before, self._pauses = self._pauses, pauses
        for key in pauses.keys() - before.keys():
            self._hearers.paused(key)
        for key in before.keys() - pauses.keys():
            self._hearers.resumed(key)
        self._news.set()

    def of(self, source: str) -> dict[InstanceKey, Watch]:
        """Give the watches that were added to *source*."""
        return {key: each for key, each in self._added.items() if key.source == source}

    def added(self, key: InstanceKey) -> Watch | None:
        return self._added.get(key)

    def pauses(self) -> int:
        return len(self._pauses)

    def pause_of(self, key: InstanceKey) -> Pause | None:
        pause = self._pauses.get(key)
        return None if pause is None or _left(pause, self._now()) <= 0 else pause

    def paused(self, key: InstanceKey) -> bool:
        return self.pause_of(key) is not None

    def room_to_add(self, key: InstanceKey) -> bool:
        return key in self._added or len(self._added) < MOST

    def room_to_pause(self, key: InstanceKey) -> bool:
        return key in self._pauses or len(self._pauses) < MOST

    async def add(self, watch: Watch) -> None:
        async with self._turn:
            await self._memory.keep_watch(watch)
            self._added[watch.key] = watch
            self._over.discard(watch.key)
            author = watch.added.author if watch.added else ""
            log.info("watch.added", key=str(watch.key), author=author)
            await self._hearers.added(watch.key)

    async def remove(self, key: InstanceKey) -> None:
        async with self._turn:
            await self._memory.drop_watches([key])
            if self._added.pop(key, None) is not None:
                log.info("watch.removed", key=str(key))
                await self._hearers.removed(key.source)

    async def pause(self, pause: Pause) -> None:
        async with self._turn:
            await self._memory.keep_pause(pause)
            self._pauses[pause.key] = pause
            self._over.discard(pause.key)
            self._hearers.paused(pause.key)
            self._news.set()
            log.info("watch.paused", key=str(pause.key), author=pause.author)

    async def resume(self, key: InstanceKey) -> None:
        async with self._turn:
            await self._resume(key)

    async def _resume(self, key: InstanceKey) -> None:
        await self._memory.drop_pauses([key])
        if self._pauses.pop(key, None) is not None:
            self._hearers.resumed(key)
            log.info("watch.resumed", key=str(key))

    def ended(self, keys: Iterable[InstanceKey]) -> None:
        """Hear that nobody looks at *keys* any more: retired, or gone."""
        over = {key for key in keys if key in self._added or key in self._pauses}
        if over:
            self._over |= over
            self._news.set()

    async def run(self) -> Never:
        """End pauses when it is time, and forget what is over, until cancelled."""
        while True:
            self._news = anyio.Event()
            async with self._turn:
                await self._forget()
                pause = await self._end_pauses()
            with anyio.move_on_after(min(pause, LONGEST)):
                await self._news.wait()

    async def _end_pauses(self) -> float:
        """End those whose time has come; say in how many seconds the next one has."""
        now = self._now()
        left = {key: _left(each, now) for key, each in self._pauses.items()}
        for key in [key for key, seconds in left.items() if seconds <= 0]:
            await self._resume(key)
        return min((seconds for seconds in left.values() if seconds > 0), default=inf)

    async def _forget(self) -> None:
        over, self._over = self._over, set()
        if not over:
            return
        await self._memory.drop_watches([*over])
        await self._memory.drop_pauses([*over])
        sources = {key.source for key in over if self._added.pop(key, None)}
        for key in over:
            self._pauses.pop(key, None)
        for source in sorted(sources):
            await self._hearers.removed(source)


def _left(pause: Pause, now: datetime) -> float:
    return inf if pause.ends_at is None else (pause.ends_at - now).total_seconds()
