"""Calls a visit for each key when it is due, a bounded number at once.

One heap of due times and a fixed crew of visitors, so that a hundred thousand
keys cost no task each. A key is never visited twice at once. The scheduler has no
opinions: a visit returns in how many seconds its key is due again, or None for
never; how fast the source may be asked is told to it (``throttle``, ``probe``,
``resume``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Never

import anyio
import structlog
from anyio.abc import TaskStatus

from monitor import errors
from monitor.core.model import InstanceKey
from monitor.ports import Luck

Visit = Callable[[InstanceKey], Awaitable[float | None]]

AFTER_A_BUG: Final = 60.0
"""Seconds until a key whose visit crashed is visited again."""

log = structlog.get_logger()


class Scheduler:
    """*width*: visits at once; *rate*: visits a second, None for no limit."""

    def __init__(
        self, name: str, *, width: int, rate: float | None, luck: Luck
    ) -> None:
        self._name = name
        self._width = width
        self._gap = 1 / rate if rate else 0.0
        self._luck = luck
        # The clock of anyio.current_time, which takes ten times as long to ask.
        self._time = asyncio.get_running_loop().time
        self._due: dict[InstanceKey, float] = {}
        self._heap: list[tuple[float, InstanceKey]] = []
        # The visits under way, and when their keys were planned anew meanwhile.
        self._flying: dict[InstanceKey, float] = {}
        self._dropped: set[InstanceKey] = set()
        self._not_before = 0.0
        self._probe_at = 0.0
        self._next_slot = 0.0
        self._probing = False
        self._turn = anyio.Lock(fast_acquire=True)
        self._changed = anyio.Event()
        self._awake_at = 0.0

    def __len__(self) -> int:
        return len(self._due) + len(self._flying)

    def plan(self, key: InstanceKey, delay: float = 0.0) -> None:
        """Visit *key* in *delay* seconds, or sooner if that was planned."""
        due = self._time() + delay
        if key in self._flying:
            self._flying[key] = min(due, self._flying[key])
        elif due < self._due.get(key, inf):
            self._push(key, due)

    def spread(self, keys: Iterable[InstanceKey], seconds: float) -> None:
        """Visit each of *keys* once within *seconds*, in no particular order."""
        for key in keys:
            self.plan(key, self._luck() * seconds)

    def drop(self, key: InstanceKey) -> None:
        """Visit *key* no more; a visit under way ends by itself."""
        if key in self._flying:
            self._dropped.add(key)
            self._flying[key] = inf
        self._due.pop(key, None)

    def throttle(self, delay: float) -> None:
        """Start no visit for *delay* seconds."""
        self._not_before = max(self._not_before, self._time() + delay)

    def probe(self, delay: float) -> None:
        """Visit a single key in *delay* seconds and hold back all others."""
        self._probing = True
        self._probe_at = self._time() + delay

    def resume(self, spread: float) -> None:
        """Visit all again, what is overdue spread over *spread* seconds."""
        now = self._time()
        self._probing = False
        for key, due in self._due.items():
            if due < now:
                self._due[key] = now + self._luck() * spread
        self._heap = [(due, key) for key, due in self._due.items()]
        heapify(self._heap)
        self._wake()

    async def run(
        self,
        visit: Visit,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Visit what is due until cancelled."""
        async with anyio.create_task_group() as crew:
            for n in range(self._width):
                crew.start_soon(self._visitor, visit, name=f"visitor {self._name}/{n}")
            task_status.started()

    async def _visitor(self, visit: Visit) -> Never:
        while True:
            key = self._take(self._time()) or await self._wait()
            try:
                delay = await visit(key)
            except errors.StoreError:
                raise
            except Exception:  # a bug in one visit must not stop the others
                log.exception("visit.crashed", key=str(key))
                delay = AFTER_A_BUG
            self._landed(key, delay)

    def _landed(self, key: InstanceKey, delay: float | None) -> None:
        due = self._flying.pop(key)
        if key in self._dropped:
            self._dropped.discard(key)
        elif delay is not None:
            due = min(due, self._time() + delay)
        if due < inf:
            self._push(key, due)
        if self._awake_at and self._ready_at() < self._awake_at:
            self._wake()

    def _push(self, key: InstanceKey, due: float) -> None:
        self._due[key] = due
        heappush(self._heap, (due, key))
        if due < self._awake_at:
            self._wake()

    async def _wait(self) -> InstanceKey:
        # One visitor waits at the heap, the others behind it.
        async with self._turn:
            while (key := self._take(self._time())) is None:
                self._changed = anyio.Event()
                self._awake_at = self._ready_at()
                with anyio.CancelScope(deadline=self._awake_at):
                    await self._changed.wait()
            self._awake_at = 0.0
            return key

    def _take(self, now: float) -> InstanceKey | None:
        if self._ready_at() > now:
            return None
        _, key = heappop(self._heap)
        del self._due[key]
        self._flying[key] = inf
        if self._gap:
            # Unused slots are saved up for a tenth of a second: no burst after a rest.
            self._next_slot = max(self._next_slot, now - 0.1) + self._gap
        return key

    def _ready_at(self) -> float:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        if not self._heap or (self._probing and self._flying):
            return inf
        if self._probing:
            return max(self._probe_at, self._not_before)
        due = self._heap[0][0]
        # Asked twice a visit: comparing costs a third of calling max.
        if due < self._not_before:
            due = self._not_before
        return due if due > self._next_slot else self._next_slot

    def _wake(self) -> None:
        self._changed.set()
