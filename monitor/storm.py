"""A bound on the messages that one sink is sent, however much happens at once.

Whoever is not admitted waits, and all who wait are told together in one message.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import anyio
from msgspec import Struct

TOGETHER: Final = 10_000
"""Groups that one message tells of, at most."""


class Bound(Struct, frozen=True, kw_only=True):
    """*messages* within *per*, and one more for those that wait."""

    messages: int = 60
    per: timedelta = timedelta(minutes=1)


class Storm:
    def __init__(self, bound: Bound) -> None:
        self._most = float(bound.messages)
        self._per = bound.per.total_seconds()
        self._left = self._most
        self._at = anyio.current_time()
        self._waiting: dict[str, None] = {}
        self._begun = anyio.Event()

    def admits(self, group: str) -> bool:
        """Take the place of one message; False: the group waits for the others."""
        if group not in self._waiting and self._takes():
            return True
        self._waiting[group] = None
        self._begun.set()
        return False

    def _takes(self) -> bool:
        now = anyio.current_time()
        gained = (now - self._at) * self._most / self._per
        self._left, self._at = min(self._most, self._left + gained), now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    async def over(self) -> list[str]:
        """Wait until those who wait are to be told, and name them."""
        await self._begun.wait()
        await anyio.sleep(self._per)
        return list(self._waiting)[:TOGETHER]

    def told(self, groups: Sequence[str]) -> None:
        for group in groups:
            self._waiting.pop(group, None)
        if not self._waiting:
            self._begun = anyio.Event()
