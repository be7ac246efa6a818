"""How many requests a source takes: slots in time, and requests at once.

Both are learnt from what the source says (a quota in its headers, a throttle) and
from what it does (errors, time-outs); never from latency, which varies a
hundredfold with the size of an answer. Seconds of any clock that does not jump.
"""

from collections import deque
from math import inf
from typing import Final

from msgspec import Struct

SAVED: Final = 0.1
"""Seconds of unused slots that are kept: no burst after a rest."""

REMEMBERED: Final = 60
"""Seconds of answers from which a bearable rate is measured."""

HELD: Final = 60.0
"""Seconds for which a ceiling stays before it is tried whether more is borne."""

_CAUTION: Final = 0.9
_GROWTH: Final = 1.02
_LEAST: Final = 0.5
_BOUNDLESS: Final = 5000.0

# The window of a quota is counted in whole seconds by the gateway, rounded.
# Source: blueking-apigateway-apisix bk-rate-limit/rate-limit-redis.lua, read 2026-11.
_ROUNDING: Final = 0.5
_LATENCY: Final = 0.05
_HEADROOM: Final = 1.03


class Quota(Struct, frozen=True):
    """*remaining* of *limit* requests, until a new window begins in *reset* seconds."""

    limit: int
    remaining: int
    reset: float


class Slots:
    """Slots in time: each request takes one, at a distance that is asked for or learnt.

    Of all that the source bears, the part that is ours: the rest is for other daemons.
    """

    def __init__(self, rate: float | None) -> None:
        self._asked = 1 / rate if rate else 0.0
        self._part = 1.0
        self.closed = False
        self.gap = self._asked
        self._next = 0.0
        self.not_before = 0.0
        self._window = 0.0
        self._limit = 0
        self._left = 0
        self._began = inf
        self._ceiling = inf
        self._held_until = 0.0
        self._answers = 0
        self._seconds: deque[int] = deque(maxlen=REMEMBERED)
        self._tick = 0.0

    @property
    def rate(self) -> float:
        """Requests a second that are let through; infinite where nothing is known."""
        if self.closed:
            return 0.0
        return 1 / self.gap if self.gap else inf

    @property
    def ready_at(self) -> float:
        """When the next request may begin; never, while no part is ours."""
        if self.closed:
            return inf
        # Asked for each poll: comparing costs a third of calling max.
        return max(self.not_before, self._next)

    def part(self, part: float) -> None:
        """Let through *part* of what the source bears, from 0 to 1."""
        self.closed = part <= 0
        if self.closed or part == self._part:
            return
        # What was learnt was learnt of the part that was ours then.
        self._ceiling *= part / self._part
        self._part = part
        self._adjust()

    def take(self, now: float) -> float:
        """Take the next slot, and tell when it is."""
        start = self.ready_at
        start = max(start, now)
        if self.gap:
            self._next = max(self._next, now - SAVED, self.not_before) + self.gap
        return start

    def wait_until(self, moment: float) -> None:
        self.not_before = max(self.not_before, moment)

    def answered(self, now: float) -> None:
        self._answers += 1
        if now >= self._tick:
            self._turn_over(now)

    def heard(self, quota: Quota, in_flight: int, now: float) -> None:
        """Obey a quota before it is used up; *in_flight* requests are not in it yet."""
        if quota.limit != self._limit:
            self._limit, self._window = quota.limit, 0.0
            # When its window began is known from the next one on.
            self._left, self._began = quota.limit, inf
        if quota.remaining > self._left:
            self._began = now
        self._left = quota.remaining
        self._window = max(self._window, quota.reset, 1.0)
        self._ceiling = inf
        self._adjust()
        if quota.remaining <= in_flight:
            # Whole seconds say little of a window of one; when it began says more.
            over = self._began + self._window + _LATENCY
            self.wait_until(max(now, min(over, now + quota.reset + _ROUNDING)))

    def throttled(self, now: float, borne: float | None = None) -> None:
        """Let through what was borne so far, less a tenth, for a minute at least.

        *borne* is how many a second the source says that it bears.
        """
        if self._limit:
            return
        if borne is not None:
            self._ceiling, self._held_until = borne * self._part / _HEADROOM, inf
            self._adjust()
            return
        self._turn_over(now)
        # What was let through while we waited says nothing: the busy seconds count,
        # and those between them, in which a longer window was used up.
        bearable = sum(self._seconds) / max(1, len(self._seconds))
        if not bearable:
            return
        self._ceiling = min(self._ceiling, max(_LEAST, _CAUTION * bearable))
        self._held_until = now + HELD
        self._adjust()

    def _turn_over(self, now: float) -> None:
        """Close the second that is over, and those in which nothing was asked."""
        if not self._tick:
            self._tick = now
        while self._tick <= now:
            self._seconds.append(self._answers)
            self._answers = 0
            self._tick += 1.0
            self._tick = max(self._tick, now - REMEMBERED)
        if self._ceiling < inf and now > self._held_until:
            grown = self._ceiling * _GROWTH
            self._ceiling = grown if grown < _BOUNDLESS else inf
            self._adjust()

    def _adjust(self) -> None:
        quota = _HEADROOM * self._window / self._limit if self._limit else 0.0
        learnt = 1 / self._ceiling if self._ceiling < inf else 0.0
        self.gap = max(max(self._asked, quota) / self._part, learnt)


class Width:
    """Requests at once, learnt by trying.

    One more with each success that needed it, a tenth less with each failure.
    Source: AIMD of Netflix concurrency-limits, read 2026-11.
    """

    START: Final = 8.0
    LEAST: Final = 2.0

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._least = min(self.LEAST, self._most)
        self.limit = min(self.START, self._most)

    def bound(self, most: int) -> None:
        """Let no more than *most* be under way, whatever was learnt."""
        self._most = float(most)
        self._least = min(self.LEAST, self._most)
        self.limit = min(self.limit, self._most)

    def succeeded(self, in_flight: int) -> None:
        if self.limit < self._most and 2 * in_flight >= self.limit:
            self.limit = min(self._most, self.limit + 1)

    def failed(self) -> None:
        self.limit = max(self._least, 0.9 * self.limit)
