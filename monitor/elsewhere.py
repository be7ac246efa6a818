"""Hears what other daemons record: the log of events, as far as it is not our own.

Whoever tells of a group must know of all that holds in it, and who follows the events
hears of all.
"""

from collections.abc import Awaitable, Callable, Sequence
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
    """*heard* is given what others recorded, in the order of the log."""

    def __init__(
        self,
        log: Log,
        holdings: Holdings,
        heard: Callable[[Sequence[Message]], Awaitable[None]],
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
            owns = self._holdings.owns
            await self._heard([each for _, each in found if not owns(each.key)])
