"""What daemons pin up for one another: whom a callback named, what a list showed."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Never, Protocol

import anyio

from monitor.ports import Now, Shown

EVERY: Final = 1.0
"""Seconds between two looks, while there are others."""

HINTS: Final = 1000
"""Callbacks that wait to be pinned up; any more are left to visits."""

Place = tuple[int, int]


class Board(Protocol):
    async def pinned_up(self) -> Place:
        """Say how far it goes."""
        ...

    async def hint(self, job_instance_id: int, now: datetime) -> None: ...

    async def hinted(self, after: int) -> list[tuple[int, int]]: ...

    async def shown(self, after: int) -> list[tuple[int, Shown]]: ...


class Watched(Protocol):
    """Whoever may be named by a callback, here or at other daemons."""

    def hint(self, job_instance_id: int) -> int:
        """Move who has this id to the front; say how many there are."""
        ...

    def watched_elsewhere(self, job_instance_id: int) -> bool: ...


class Hints:
    """Callbacks that came here: heeded, and pinned up where others should heed them."""

    def __init__(self, board: Board, watched: Watched, *, now: Now) -> None:
        self._board = board
        self._watched = watched
        self._now = now
        self._waiting: dict[int, None] = {}
        self._woken = anyio.Event()

    def take(self, job_instance_id: int) -> int:
        """Say how many are moved to the front, all those elsewhere being one."""
        here = self._watched.hint(job_instance_id)
        there = self._watched.watched_elsewhere(job_instance_id)
        if there and len(self._waiting) < HINTS:
            self._waiting[job_instance_id] = None
            self._woken.set()
        return here + there

    async def run(self) -> Never:
        """Let other daemons know who called back that is theirs."""
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            waiting, self._waiting = self._waiting, {}
            for job_instance_id in waiting:
                await self._board.hint(job_instance_id, self._now())


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
