"""Hears what other daemons pin up: whom a callback named, what a list showed."""

from collections.abc import Callable
from typing import Final, Never, Protocol

import anyio

from monitor.ports import Shown

EVERY: Final = 1.0
"""Seconds between two looks, while there are others."""

Place = tuple[int, int]


class Board(Protocol):
    async def pinned_up(self) -> Place:
        """Say how far it goes."""
        ...

    async def hinted(self, after: int) -> list[tuple[int, int]]: ...

    async def shown(self, after: int) -> list[tuple[int, Shown]]: ...


class Hearsay:
    """*hinted* hears of ids, *shown* of pages; *others*: whether there are any."""

    def __init__(
        self,
        board: Board,
        *,
        others: Callable[[], bool],
        hinted: Callable[[int], object],
        shown: Callable[[Shown], object],
    ) -> None:
        self._board = board
        self._others = others
        self._hinted = hinted
        self._shown = shown

    async def run(self) -> Never:
        while True:
            await _until(self._others)
            place = await self._board.pinned_up()
            while self._others():
                place = await self._read_on(*place)
                await anyio.sleep(EVERY)

    async def _read_on(self, hint: int, page: int) -> Place:
        hints, pages = await self._board.hinted(hint), await self._board.shown(page)
        for _, job_instance_id in hints:
            self._hinted(job_instance_id)
        for _, shown in pages:
            self._shown(shown)
        return hints[-1][0] if hints else hint, pages[-1][0] if pages else page


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the view of the cluster is no event
        await anyio.sleep(EVERY)
