"""Calls a visit for each key when it is due, a bounded number at once.

One heap of due times and a fixed crew of visitors, so that a hundred thousand
keys cost no task each. A key is never visited twice at once. The scheduler has no
opinions: a visit returns in how many seconds its key is due again, or None for
never; how fast the source may be asked is the pace's business, and whose turn it
is when not all can have theirs is told by *worth*. Scopes take turns, so that one
with many instances does not starve the others.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, Never

import anyio
import structlog
from anyio.abc import TaskStatus

from monitor import errors
from monitor.core.model import InstanceKey
from monitor.pace import Pace
from monitor.ports import Luck

Visit = Callable[[InstanceKey], Awaitable[float | None]]
Worth = Callable[[InstanceKey, float], float]
"""How much it is worth to visit a key that is late by so many seconds."""

AFTER_A_BUG: Final = 60.0
"""Seconds until a key whose visit crashed is visited again."""

AT_ONCE: Final = -1.0
"""A due time before all others, which is no lateness."""

RANKED: Final = 1.0
"""Seconds between two rankings of what waits; longer where much waits."""

_RANKING: Final = 1e-4
"""Seconds for each that waits: to rank one takes 1 to 2 µs, 1 to 2 % of the time."""

log = structlog.get_logger()


def _by_lateness(_: InstanceKey, late: float) -> float:
    return late


class Scheduler:
    """*late* hears by how many seconds each visit begins after its time."""

    def __init__(
        self,
        name: str,
        pace: Pace,
        *,
        luck: Luck,
        worth: Worth = _by_lateness,
        late: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._name = name
        self._pace = pace
        self._luck = luck
        self._worth = worth
        self._late = late
        # The clock of anyio.current_time, which takes ten times as long to ask.
        self._time = asyncio.get_running_loop().time
        self._due: dict[InstanceKey, float] = {}
        self._heap: list[tuple[float, InstanceKey]] = []
        # What is due, by scope, and the scopes in the order of their turns. A key
        # that was dropped or put off meanwhile is passed over when it is taken.
        self._ready: dict[str, deque[InstanceKey]] = {}
        self._turns: deque[str] = deque()
        self._ranked_at = 0.0
        # The visits under way, and when their keys were planned anew meanwhile.
        self._flying: dict[InstanceKey, float] = {}
        self._dropped: set[InstanceKey] = set()
        self._probe_at = 0.0
        self._probing = False
        self._turn = anyio.Lock(fast_acquire=True)
        self._changed = anyio.Event()
        self._awake_at = 0.0
        pace.attend(self._freed, self.busy)

    def __len__(self) -> int:
        return len(self._due) + len(self._flying)

    def busy(self) -> bool:
        """Tell whether a visit is due that has not begun."""
        self._ripen(self._time())
        return bool(self._turns)

    def due(self, key: InstanceKey) -> float | None:
        """Tell when *key* is to be visited, on the clock of the loop."""
        return max(0.0, self._due[key]) if key in self._due else None

    def held_up(self) -> bool:
        """Tell whether a visit should begin or end any moment now.

        Not while nobody is due, the pace lets none begin, or a lost source is probed.
        """
        now = self._time()
        if self._ready_at(now) <= now:
            return True
        throttled = self._pace.slots.ready_at > now
        return self._pace.full and not throttled and not self._probing

    @property
    def oldest(self) -> float:
        """Say for how many seconds a visit has been due that has not begun; or 0.

        Looks at all that are due.
        """
        now = self._time()
        self._ripen(now)
        waiting = (
            self._due.get(key, now) for keys in self._ready.values() for key in keys
        )
        return max((now - due for due in waiting if AT_ONCE < due < now), default=0.0)

    def plan(self, key: InstanceKey, delay: float = 0.0) -> None:
        """Visit *key* in *delay* seconds, or sooner if that was planned."""
        self._bring_forward(key, self._time() + delay)

    def urge(self, key: InstanceKey) -> None:
        """Visit *key* next, before all of its scope."""
        self._bring_forward(key, AT_ONCE)

    def put_off(self, key: InstanceKey, delay: float) -> None:
        """Visit *key* in *delay* seconds, and not sooner; not one being visited."""
        if key in self._due:
            self._push(key, self._time() + delay)

    def _bring_forward(self, key: InstanceKey, due: float) -> None:
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
        self._ready.clear()
        self._turns.clear()
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
            for n in range(self._pace.most):
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
        self._pace.end()
        due = self._flying.pop(key)
        if key in self._dropped:
            self._dropped.discard(key)
        elif delay is not None:
            due = min(due, self._time() + delay)
        if due < inf:
            self._push(key, due)
        self._freed()

    def _freed(self) -> None:
        if self._awake_at and self._ready_at(self._time()) < self._awake_at:
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
                self._awake_at = self._ready_at(self._time())
                with anyio.CancelScope(deadline=self._awake_at):
                    await self._changed.wait()
            self._awake_at = 0.0
            return key

    def _take(self, now: float) -> InstanceKey | None:
        if self._ready_at(now) > now:
            return None
        if now >= self._ranked_at:
            self._rank(now)
        key = self._next(now)
        if key is None and self._probing:
            key = self._first()
        if key is not None:
            self._pace.begin(now)
            self._flying[key] = inf
        return key

    def _next(self, now: float) -> InstanceKey | None:
        while self._turns:
            waiting = self._ready[self._turns[0]]
            while waiting:
                key = waiting.popleft()
                due = self._due.get(key, inf)
                if due <= now:
                    self._turns.rotate(-1)
                    del self._due[key]
                    if due > AT_ONCE:
                        self._late(now - due)
                    return key
            del self._ready[self._turns.popleft()]
        return None

    def _first(self) -> InstanceKey | None:
        """Take who is due first, be it in the future: a probe takes anybody."""
        while self._heap:
            due, key = heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                return key
        return None

    def _ripen(self, now: float) -> None:
        """Move what is due from the heap to where it waits for its scope's turn."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, key = heappop(heap)
            if self._due.get(key) != due:
                continue
            waiting = self._ready.get(key.scope_id)
            if waiting is None:
                waiting = self._ready[key.scope_id] = deque()
                self._turns.append(key.scope_id)
            if due > AT_ONCE:
                waiting.append(key)
            else:
                waiting.appendleft(key)

    def _rank(self, now: float) -> None:
        """Put what is worth most first; only where more waits than can be visited."""
        many = sum(map(len, self._ready.values()))
        self._ranked_at = now + max(RANKED, many * _RANKING)
        if many <= self._pace.most:
            return

        def worth(key: InstanceKey) -> float:
            due = self._due.get(key, inf)
            return self._worth(key, now - due) if due > AT_ONCE else inf

        for scope, waiting in self._ready.items():
            self._ready[scope] = deque(sorted(waiting, key=worth, reverse=True))

    def _ready_at(self, now: float) -> float:
        self._ripen(now)
        if self._pace.full or (self._probing and self._flying):
            return inf
        slot = self._pace.slots.ready_at
        if self._probing:
            return max(self._probe_at, slot) if self._due else inf
        if self._turns:
            return slot
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        if not heap:
            return inf
        # Asked twice a visit: comparing costs a third of calling max.
        due = heap[0][0]
        return due if due > slot else slot

    def _wake(self) -> None:
        self._changed.set()
