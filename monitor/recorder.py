"""Load, decide, commit: the one way in which anything is remembered."""

from collections.abc import Callable
from weakref import WeakValueDictionary

import anyio

from monitor.core.state import Change, State
from monitor.ports import Memory

Decide = Callable[[State], Change | None]


class Recorder:
    """*committed* hears of each change once it is durable; *owns* tells whose it is.

    Those who record about one key take turns: a log that comes while a visit is
    being recorded must not make that visit lose a race.
    """

    def __init__(
        self,
        memory: Memory,
        committed: Callable[[Change], None],
        owns: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._memory = memory
        self._committed = committed
        self._owns = owns
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    async def record(self, key: str, decide: Decide) -> State | None:
        """Let *decide* look at what is known of *key*; give what is known then.

        None: another daemon is to record it, or the race was lost to somebody who
        recorded something newer. The change is dropped, and the next visit decides
        anew.
        """
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = anyio.Lock(fast_acquire=True)
        async with turn:
            return await self._record(key, decide) if self._owns(key) else None

    async def insist(self, key: str, decide: Decide) -> None:
        """Record it whoever else does, where no later visit would decide anew."""
        while await self.record(key, decide) is None and self._owns(key):
            pass

    async def settled(self) -> None:
        """Return once all that is being recorded now is durable."""
        for turn in [*self._turns.values()]:
            async with turn:
                pass

    async def _record(self, key: str, decide: Decide) -> State | None:
        before = await self._memory.load(key)
        change = decide(before)
        if change is None:
            return before
        if not await self._memory.commit(change):
            return None
        self._committed(change)
        return change.state
