"""Notices that the event loop does not answer, and where it was meanwhile.

The loop ticks and counts by itself how late each tick came, so that nothing is
missed while even other threads cannot run. A thread beside it looks where the loop
is while it is silent. It sees places in code only, never a value.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from threading import Event, Thread, get_ident
from types import FrameType
from typing import Final, Never

import anyio
import structlog

from monitor import clock, metering
from monitor.metering import Histogram, Sample

TICK: Final = 0.1
"""Seconds between two ticks of the loop, and between two looks at it."""

LIMIT: Final = 0.5
"""Seconds of silence that are worth a line."""

HANGING: Final = 10.0
"""Seconds of silence after which it is said that the loop has not come back yet."""

STARTING: Final = 5.0
"""Seconds in which what is imported and opened at the start may take its time."""

FRAMES: Final = 12
"""The innermost places that are said."""

log = structlog.get_logger()


def stalled(silence: float, limit: float) -> float:
    """Say for how long the loop did not answer, after *silence* since a tick; or 0."""
    late = silence - TICK
    return late if late >= limit else 0.0


def places(frame: FrameType | None) -> Iterator[str]:
    """Name where the code is, the innermost place first."""
    while frame is not None:
        code = frame.f_code
        file = "/".join(Path(code.co_filename).parts[-3:])
        yield f"{file}:{frame.f_lineno} {code.co_name}"
        frame = frame.f_back


class Stalls:
    """What is known of one loop. Satisfies ``metering.Meter``.

    *found* is where it was last found silent, and after which tick: one value, since
    two threads look at it.
    """

    def __init__(self, limit: float, hanging: float, starting: float) -> None:
        self.seen = Histogram(metering.STALL)
        self.found: tuple[float, tuple[str, ...]] = (0.0, ())
        self._limit = limit
        self._hanging = hanging
        self._starting = starting
        # Until then it is as if the loop had ticked ahead of time.
        self._ticked = clock.seconds() + starting

    def samples(self) -> Iterator[Sample]:
        yield from metering.stalls(self.seen)

    async def tick(self) -> Never:
        """Show that the loop answers, for as long as it does."""
        await anyio.sleep(self._starting)
        while True:
            await anyio.sleep(TICK)
            self._answer()

    def _answer(self) -> None:
        before, self._ticked = self._ticked, clock.seconds()
        late = stalled(self._ticked - before, self._limit)
        if late:
            since, found = self.found
            self.seen.observe(late)
            log.warning(
                "loop.stalled",
                seconds=round(late, 3),
                frames=found if since == before else (),
            )

    def watch(self, loop: int, over: Event) -> None:
        """Look at the thread *loop* from another one until it is *over*."""
        told = 0.0
        while not over.wait(TICK):
            ticked = self._ticked
            silence = clock.seconds() - ticked
            # Earlier than need be: shortly after the limit it may be over.
            if stalled(silence, self._limit / 2) and self.found[0] != ticked:
                self.found = ticked, _where(loop)
            if stalled(silence, self._hanging) and told != ticked:
                told = ticked
                log.error(
                    "loop.hanging", seconds=round(silence, 3), frames=_where(loop)
                )


def _where(thread: int) -> tuple[str, ...]:
    return tuple(islice(places(sys._current_frames().get(thread)), FRAMES))  # noqa: SLF001


@asynccontextmanager
async def watching(
    limit: float = LIMIT, hanging: float = HANGING, starting: float = STARTING
) -> AsyncIterator[Stalls]:
    """Watch the running loop for as long as the block lasts."""
    stalls, over = Stalls(limit, hanging, starting), Event()
    watcher = Thread(
        target=stalls.watch, args=(get_ident(), over), name="stalls", daemon=True
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stalls.tick, name="stalls")
        watcher.start()
        try:
            yield stalls
        finally:
            over.set()
            tasks.cancel_scope.cancel()
