"""Hears what other daemons record: the log of events, as far as it is not our own.

Whoever tells of a group must know of all that holds in it, and who follows the events
hears of all.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Final, Never, Protocol

import anyio

from monitor.core.message import Message
from monitor.holdings import Holdings
from monitor.ports import Reading

EVERY: Final = 0.5
"""Seconds between two looks at the end of the log."""

BATCH: Final = 500

_FORWARD: Final = Reading(newest_first=False)


class Log(Protocol):
    @property
    def position(self) -> int: ...

    async def end(self) -> int:
        """Say where the log ends, whoever wrote it."""
        ...

    async def logged(
        self, wanted: Reading, after: int | None, most: int
    ) -> list[tuple[int, Message]]: ...


class Elsewhere:
    """*heard* is told of which keys somebody recorded events; none: just that."""

    def __init__(
        self,
        log: Log,
        holdings: Holdings,
        heard: Callable[[Collection[str]], Awaitable[None]],
    ) -> None:
        self._log = log
        self._holdings = holdings
        self._heard = heard
        self._read = log.position

    async def run(self) -> Never:
        while True:
            await anyio.sleep(EVERY)
            if await self._log.end() > self._read:
                await self._read_on()

    async def _read_on(self) -> None:
        while found := await self._log.logged(_FORWARD, self._read, BATCH):
            self._read = found[-1][0]
            keys = {message.key for _, message in found}
            await self._heard({key for key in keys if not self._holdings.owns(key)})
