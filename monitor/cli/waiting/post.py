"""Looks at the instances of one source, politely, and tells a vigil.

Asks JOB directly, through the scheduler and the budget that the daemon has. What
goes wrong with a look says something about its source or its instance, and never
that a job has failed.
"""

from collections.abc import Iterable
from typing import Final

import anyio
from msgspec import Struct

from monitor import errors
from monitor.cli.waiting.vigil import Vigil
from monitor.core import backoff, cadence, ending, reach, transitions
from monitor.core.cadence import Limits
from monitor.core.ending import Ending
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.reach import Cause, Reach, Standing
from monitor.poller import GONE_AFTER, SPREAD_PER_WATCH
from monitor.ports import Look, Luck, Source
from monitor.scheduler import Scheduler
from monitor.sight import Patience

GONE_APART: Final = 1.0
"""Seconds between two of the answers that know no such instance."""


class Pace(Struct, frozen=True, kw_only=True):
    """How politely a source is asked; *rate* is looks a second, None for no limit."""

    width: int = 64
    rate: float | None = None
    limits: Limits = Limits()
    patience: Patience = Patience()


class Track:
    """What is kept of an instance between two looks."""

    __slots__ = (
        "changed_at",
        "confirmed",
        "digest",
        "failures",
        "missing",
        "reach",
        "stepped_at",
    )

    def __init__(self) -> None:
        self.changed_at = self.stepped_at = 0.0
        self.confirmed = False
        self.digest = b""
        self.failures = 0
        self.missing = 0
        self.reach = reach.SEEN


class Post:
    """Looks at *keys*, a bounded number at once; all are of *source*."""

    def __init__(
        self,
        source: Source,
        keys: Iterable[InstanceKey],
        vigil: Vigil,
        *,
        pace: Pace,
        luck: Luck,
    ) -> None:
        self._source = source
        self._vigil = vigil
        self._tracks = {key: Track() for key in keys}
        self._pace = pace
        self._luck = luck
        self._reach = reach.SEEN
        self._throttles = 0
        self._throttled_until = 0.0
        self._scheduler = Scheduler(
            source.name,
            width=min(pace.width, len(self._tracks)),
            rate=pace.rate,
            luck=luck,
        )

    async def run(self) -> None:
        """Look until cancelled."""
        widest = (len(self._tracks) - 1) * SPREAD_PER_WATCH
        spread = min(widest, self._pace.patience.spread)
        self._scheduler.spread(self._tracks, spread)
        await self._scheduler.run(self._visit)

    async def _visit(self, key: InstanceKey) -> float | None:
        track = self._tracks[key]
        if self._vigil[key].ending is not Ending.RUNNING:
            return None
        try:
            look = await self._look(key, track.digest)
        except errors.SourceError as error:
            return self._failed(key, track, error)
        self._answered()
        self._understood(key, track)
        if look.snapshot is not None:
            self._compare(key, track, look.snapshot)
            track.digest = look.digest
        return self._next(key, track)

    async def _look(self, key: InstanceKey, digest: bytes) -> Look:
        try:
            return await self._source.look(key, digest)
        except errors.Refused:
            # A long wait may outlive a token: the source reads its file anew.
            return await self._source.look(key, digest)

    def _understood(self, key: InstanceKey, track: Track) -> None:
        if track.reach.standing is Standing.DOUBTED:
            self._vigil.hearer.restored(str(key))
        track.failures, track.missing, track.reach = 0, 0, reach.SEEN

    def _compare(self, key: InstanceKey, track: Track, seen: Snapshot) -> None:
        before = self._vigil[key].snapshot
        after = transitions.merged(before, seen)
        moved = transitions.between(before, after)
        now = anyio.current_time()
        track.changed_at = now if moved else track.changed_at
        track.stepped_at = now if transitions.stepped(moved) else track.stepped_at
        self._vigil.saw(key, after, moved)

    def _next(self, key: InstanceKey, track: Track) -> float | None:
        limits, snapshot = self._pace.limits, self._vigil[key].snapshot
        if snapshot is None or not snapshot.finished:
            track.confirmed = False
            now = anyio.current_time()
            quiet, age = now - track.changed_at, now - track.stepped_at
            return cadence.interval(quiet, age, limits, self._luck())
        if ending.unfinished_hosts(snapshot) and not track.confirmed:
            # A torn read, maybe: JOB writes hosts, step and job one after the other.
            track.confirmed = True
            return cadence.settling(0.0, limits, self._luck())
        self._vigil.end(key, ending.of(snapshot))
        return None

    def _failed(
        self, key: InstanceKey, track: Track, error: errors.SourceError
    ) -> float | None:
        track.failures += 1
        match error:
            case errors.Missing():
                return self._missed(key, track, error)
            case errors.Forbidden():
                self._answered()
                self._vigil.end(key, Ending.REFUSED, str(error))
            case errors.Garbled(whole_source=False):
                self._garbled(key, track, error)
            case _:
                self._doubt(error)
        return self._retry(track)

    def _missed(
        self, key: InstanceKey, track: Track, error: errors.Missing
    ) -> float | None:
        self._answered()
        track.missing += 1
        if track.missing < GONE_AFTER:
            return GONE_APART
        self._vigil.end(key, Ending.GONE, str(error))
        return None

    def _garbled(self, key: InstanceKey, track: Track, error: errors.Garbled) -> None:
        """Lose one instance by the rule by which a source is lost."""
        if track.reach.standing is Standing.SEEN:
            self._vigil.hearer.doubted(str(key), str(error))
        track.reach = self._after_failure(track.reach, Cause.GARBLED)
        if track.reach.standing is Standing.LOST:
            self._vigil.end(key, Ending.LOST, str(error))

    def _answered(self) -> None:
        self._throttles = 0
        if self._reach.standing is Standing.DOUBTED:
            self._vigil.hearer.restored(self._source.name)
        self._reach = reach.after_success(self._reach)

    def _doubt(self, error: errors.SourceError) -> None:
        if isinstance(error, errors.Throttled):
            self._throttle(error)
        refused = isinstance(error, errors.Refused)
        before = self._reach
        self._reach = self._after_failure(
            before, Cause.AUTH if refused else Cause.UNREACHABLE
        )
        name, reason = self._source.name, str(error)
        if reach.change(before, self._reach) is reach.Kind.LOST:
            how = Ending.REFUSED if refused else Ending.LOST
            self._vigil.lose(name, how, reason)
        elif before.standing is Standing.SEEN:
            self._vigil.hearer.doubted(name, reason)

    def _after_failure(self, before: Reach, cause: Cause) -> Reach:
        now, lost_after = anyio.current_time(), self._pace.patience.lost_after
        return reach.after_failure(before, cause, now=now, lost_after=lost_after)

    def _throttle(self, error: errors.Throttled) -> None:
        now = anyio.current_time()
        # What was under way at the first refusal says nothing new.
        if now >= self._throttled_until:
            self._throttles += 1
        pause = backoff.doubling(self._throttles)
        if error.retry_after is not None:
            pause = error.retry_after.total_seconds() + self._luck()
        self._throttled_until = max(self._throttled_until, now + pause)
        self._scheduler.throttle(pause)

    def _retry(self, track: Track) -> float:
        pause = backoff.full_jitter(track.failures, self._luck())
        limits = self._pace.limits
        return min(limits.cap, max(pause, limits.floor or 1.0))
