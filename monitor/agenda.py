"""When to look at an instance again, and when it is time to retire it.

Joins what is known of one watch with the pure rules of ``core.cadence`` and with
what has been learnt of its like. Neither asks nor records anything.
"""

from datetime import datetime, timedelta
from typing import Final, Protocol

import anyio
from msgspec import Struct

from monitor.core import cadence
from monitor.core.cadence import Limits
from monitor.core.policy import USUAL, Policy
from monitor.core.watch import Watch
from monitor.ports import Luck, Now
from monitor.tracks import Kinds, Track

RARELY: Final = 1800.0
"""Seconds between two visits to an instance that a list vouches for."""

SILENCE: Final = 3.0
"""Longest intervals without a word of the list, until whom it spoke for is visited."""


class Rules(Struct, frozen=True, kw_only=True):
    """*gone_apart*, *spread* and *early* are seconds.

    *early*: how often to ask for the hosts of a running step; 0: never.

    *least_settle* holds whatever a watch says: an end must be confirmed and told
    before the instance is retired. *policy* is that of alerts.
    """

    limits: Limits = Limits()
    settle: timedelta = timedelta(minutes=30)
    least_settle: timedelta = timedelta(seconds=5)
    gone_apart: float = 60.0
    spread: float = 10.0
    early: float = 30.0
    policy: Policy = USUAL
    web_url: str | None = None
    locale: str = "en"


class Learning(Protocol):
    """What has been learnt of how long instances run; seconds."""

    def learnt(self, kinds: Kinds) -> bool: ...

    def percentile(self, kinds: Kinds, percent: float) -> float | None: ...

    def saw_end(self, kinds: Kinds, seconds: float) -> None: ...

    def interval(
        self,
        kinds: Kinds,
        age: float,
        weight: float,
        limits: Limits,
        luck: float,
        *,
        since: float | None = None,
    ) -> float: ...


def over(watch: Watch, now: datetime) -> bool:
    return watch.options.until is not None and now >= watch.options.until


class Agenda:
    """Without *learning* the unlearnt rule holds."""

    def __init__(
        self, rules: Rules, learning: Learning | None, *, now: Now, luck: Luck
    ) -> None:
        self._rules = rules
        self._learning = learning
        self.now = now
        self._luck = luck

    def next(self, track: Track) -> float | None:
        """Say in how many seconds to look again; None: it is time to retire."""
        now, finished = self.now(), track.finished_at
        if over(track.watch, now):
            return None
        if finished:
            return self._settling(track, now - finished)
        if track.vouched:
            return self._vouched(track)
        return self.interval(track, now)

    def _settling(self, track: Track, since: timedelta) -> float | None:
        settle = self._settle(track.watch)
        if since >= settle:
            return None
        limits = self._rules.limits
        if track.vouched and track.confirmed:
            left = max(1.0, (settle - since).total_seconds())
            return min(left, self._rarely(track))
        return cadence.settling(since.total_seconds(), limits, self._luck())

    def _settle(self, watch: Watch) -> timedelta:
        settle = watch.options.settle
        if settle is None:
            settle = self._rules.settle
        return max(settle, self._rules.least_settle)

    def _vouched(self, track: Track) -> float:
        early = self._rules.early
        if early and track.outline is not None and track.outline.running:
            since = anyio.current_time() - track.hosts_at
            return max(1.0, min(early, early - since))
        return self._rarely(track)

    def _rarely(self, track: Track) -> float:
        now = anyio.current_time()
        rarely = RARELY * (1 - 0.1 * self._luck()) - min(RARELY, now - track.seen_at)
        # No list tells what time alone makes wrong.
        rarely = min(rarely, track.due - now)
        return max(1.0, min(rarely, SILENCE * self._rules.limits.cap))

    def interval(self, track: Track, now: datetime) -> float:
        """Say in how many seconds to look again at what runs, if no list speaks for it."""
        limits, luck = self._rules.limits, self._luck()
        still = track.still_since or now
        # At first sight a step may be old, and JOB samples an old one rarely.
        moved = still if track.stepped_at == track.changed_at else track.stepped_at
        stepped = max(0.0, (now - (moved or now)).total_seconds())
        learning = self._learning
        if learning and track.began is not None and learning.learnt(track.kinds):
            age = max(0.0, anyio.current_time() - track.began)
            return learning.interval(
                track.kinds, age, track.weight, limits, luck, since=stepped
            )
        quiet = max(0.0, (now - still).total_seconds())
        return cadence.interval(quiet, stepped, limits, luck)
