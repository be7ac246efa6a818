"""The budget of one source: who may ask next, and how many at once.

Everything that is asked of a source goes through here. The scheduler takes slots
for visits; whoever asks beside it (the second question of a visit, a sweep,
discovery, logs) waits for a turn. Turns are slots booked ahead, so that they come
before visits that have not begun, and the rate holds all the same.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Final

import anyio

from monitor import errors
from monitor.core import backoff, budget, rate
from monitor.core.rate import Quota
from monitor.ports import Luck

CLOSE: Final = 0.001
"""Seconds that are waited at least: finer, and clocks may differ."""

SPARE: Final = 0.25
"""Seconds after which it is looked again whether no visit is due."""


class Pace:
    """*width*: requests at once, at most; *per_second*: None for no limit of ours.

    *part* of both is ours, the rest is for other daemons. *moves* grows whenever one
    begins or ends.
    """

    def __init__(self, *, width: int, per_second: float | None, luck: Luck) -> None:
        self.slots = rate.Slots(per_second)
        self.width = rate.Width(width)
        self.most = width
        self.part = 1.0
        self.in_flight = 0
        self.moves = 0
        self.throttled = 0
        self._throttles = 0
        self._throttled_until = 0.0
        self._luck = luck
        # The clock of anyio.current_time, which takes ten times as long to ask.
        self._time = asyncio.get_running_loop().time
        self._freed: Callable[[], None] = lambda: None
        self._busy: Callable[[], bool] = lambda: False

    def attend(self, freed: Callable[[], None], busy: Callable[[], bool]) -> None:
        """Tell *freed* when there may be room, and ask *busy* whether visits are due."""
        self._freed = freed
        self._busy = busy

    def take_part(self, part: float) -> None:
        """Ask for no more than *part* of what the source bears; 0: for nothing."""
        if part == self.part:
            return
        self.part = part
        self.slots.part(part)
        self.width.bound(budget.at_once(self.most, part))
        self._freed()

    @property
    def full(self) -> bool:
        return self.in_flight >= self.width.limit

    @property
    def strained(self) -> bool:
        """Whether the last answer was a throttle."""
        return self._throttles > 0

    @property
    def tokens(self) -> float:
        """How many requests may begin now; infinite where no rate is known."""
        if self.slots.rate == inf:
            return inf
        if self.slots.closed:
            return 0.0
        saved = self._time() - self.slots.ready_at
        most = self.width.limit - self.in_flight
        return max(
            0.0, min(most, saved * self.slots.rate, rate.SAVED * self.slots.rate)
        )

    def begin(self, now: float) -> None:
        # Asked for each poll: without a rate there is no slot to take.
        if self.slots.gap:
            self.slots.take(now)
        self.in_flight += 1
        self.moves += 1

    def end(self) -> None:
        self.in_flight -= 1
        self.moves += 1

    def succeeded(self) -> None:
        self._throttles = 0
        self.width.succeeded(self.in_flight)
        self.slots.answered(self._time())

    def failed(self, error: errors.SourceError) -> None:
        """Slow down where the source as a whole is in trouble."""
        match error:
            case errors.Throttled():
                self.width.failed()
                self._throttle(error)
            case errors.Unavailable():
                self.width.failed()
            case _:
                # It answered, if only about one instance, or about who we are.
                self.succeeded()

    def _throttle(self, error: errors.Throttled) -> None:
        now = self._time()
        self.throttled += 1
        # What was under way together is throttled together, once.
        if now >= self._throttled_until:
            self._throttles += 1
            self.slots.throttled(now, error.borne)
        pause = backoff.doubling(max(1, self._throttles))
        if error.retry_after is not None:
            pause = error.retry_after.total_seconds() + self._luck()
        self._throttled_until = max(self._throttled_until, now + pause)
        self.slots.wait_until(self._throttled_until)

    def heard(self, quota: Quota) -> None:
        self.slots.heard(quota, self.in_flight - 1, self._time())

    @asynccontextmanager
    async def turn(self, *, spare: bool = False) -> AsyncIterator[None]:
        """Satisfies ``ports.Budget``."""
        while self.slots.closed or (spare and (self._busy() or self.full)):  # noqa: ASYNC110 - no one event
            await anyio.sleep(SPARE)
        await anyio.sleep_until(self.slots.take(self._time()))
        # Throttled meanwhile: what was booked is still to come, only later.
        while (wait := self.slots.not_before - self._time()) > 0:  # noqa: ASYNC110
            await anyio.sleep(max(CLOSE, wait))
        self.in_flight += 1
        self.moves += 1
        try:
            yield
        except errors.SourceError as error:
            self.failed(error)
            raise
        else:
            self.succeeded()
        finally:
            self.end()
            self._freed()
