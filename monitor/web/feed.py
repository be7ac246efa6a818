"""Events as they are recorded, for any number of followers.

Each follower goes at its own pace and holds a position in the log, nothing else. The
latest events are kept in memory, so that many who are up to date read them once.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import dropwhile
from typing import Final, Protocol

import anyio

from monitor.core.message import Message
from monitor.ports import Reading

KEPT: Final = 1000
BATCH: Final = 500

GATHER: Final = 0.05
"""Seconds that news wait for more, so that a storm is read in few batches."""

Entry = tuple[int, Message]

_FORWARD: Final = Reading(newest_first=False)


class Log(Protocol):
    @property
    def position(self) -> int:
        """The end of the log, which may not be written yet."""
        ...

    async def logged(
        self, wanted: Reading, after: int | None, most: int
    ) -> list[Entry]: ...


class Feed:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._latest: deque[Entry] = deque(maxlen=KEPT)
        self._end = self._begin = log.position
        self._news = anyio.Event()
        self._reading = anyio.Lock()
        self._closed = False

    @property
    def end(self) -> int:
        """Where somebody begins who wants to hear of what comes."""
        return self._log.position

    def wake(self) -> None:
        """Something was recorded."""
        self._news.set()
        self._news = anyio.Event()

    def close(self) -> None:
        """Let all who follow end, so that nobody waits for them."""
        self._closed = True
        self.wake()

    async def follow(self, after: int) -> AsyncIterator[Sequence[Entry]]:
        """Give what is recorded behind the position *after*, in batches."""
        after = min(after, self.end)
        while not self._closed:
            news = self._news
            found = await self._behind(after)
            if found:
                after = found[-1][0]
                yield found
            else:
                await news.wait()
                await anyio.sleep(GATHER)

    async def _behind(self, after: int) -> Sequence[Entry]:
        async with self._reading:
            if after >= self._end:
                self._keep(await self._log.logged(_FORWARD, self._end, BATCH))
            # Looked at only here: who waited for another's reading may have been left
            # behind by it.
            if after >= self._begin:
                return [*dropwhile(lambda entry: entry[0] <= after, self._latest)]
        return await self._log.logged(_FORWARD, after, BATCH)

    def _keep(self, found: Sequence[Entry]) -> None:
        for entry in found:
            if len(self._latest) == KEPT:
                self._begin = self._latest[0][0]
            self._latest.append(entry)
            self._end = entry[0]
