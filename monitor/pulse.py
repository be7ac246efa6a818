"""Lets a heartbeat be heard outside for as long as the daemon works."""

from collections.abc import Awaitable, Callable
from typing import Final, Never

import anyio
import structlog

from monitor import errors
from monitor.core.message import Message
from monitor.outlet import Outlet
from monitor.ports import Luck, Now, Sink

ANSWERS_WITHIN: Final = 10.0
"""Seconds in which the store answers, unless something is wrong with it."""

log = structlog.get_logger()


class Pulse:
    """*alive* returns if what the daemon lives by does its work.

    *ours*: of several daemons one beats.
    """

    def __init__(
        self,
        sink: Sink,
        every: float,
        alive: Callable[[], Awaitable[None]],
        *,
        now: Now,
        luck: Luck,
        ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ours = ours
        self.outlet: Final = Outlet(sink, now=now, luck=luck, back=lambda: None)
        self._every = every
        self._alive = alive
        self._now = now

    async def run(self) -> Never:
        while True:
            if self._ours():
                await self._beat()
            await anyio.sleep(self._every)

    async def _beat(self) -> None:
        name = self.outlet.name
        try:
            with anyio.fail_after(ANSWERS_WITHIN):
                await self._alive()
        except TimeoutError:
            log.warning("heartbeat.withheld", sink=name, reason="the store is slow")
            return
        beat = Message(
            id=name,
            key=name,
            type="heartbeat",
            source="",
            subject=None,
            time=self._now(),
            data=b"{}",
        )
        try:
            await self.outlet.take(beat)
        except errors.SinkError:
            return  # the outlet has said so
