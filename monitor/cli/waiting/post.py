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
from monitor.cli.waiting.vigil import Hearer, Vigil
from monitor.core import backoff, cadence, ending, reach, transitions
from monitor.core.cadence import Limits
from monitor.core.ending import Ending
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.reach import Cause, Standing
from monitor.looking import Looking, Memo, Seen
from monitor.pace import Pace
from monitor.poller import GONE_AFTER, SPREAD_PER_WATCH
from monitor.ports import Luck, Source
from monitor.scheduler import Scheduler
from monitor.sight import Patience

GONE_APART: Final = 1.0
"""Seconds between two of the answers that know no such instance."""


class Terms(Struct, frozen=True, kw_only=True):
    """How politely a source is asked; *rate* is looks a second, None for no limit.

    *early*: seconds between two looks at the hosts of a running step.
    """

    width: int = 64
    rate: float | None = None
    limits: Limits = Limits()
    early: float = 30.0
    patience: Patience = Patience()


class View:
    """Whether *who*, a source or an instance alone, can be seen and understood."""

    def __init__(self, who: str, hearer: Hearer, lost_after: float) -> None:
        self._who = who
        self._hearer = hearer
        self._lost_after = lost_after
        self._reach = reach.SEEN

    def clear(self) -> None:
        if self._reach.standing is Standing.DOUBTED:
            self._hearer.restored(self._who)
        self._reach = reach.SEEN

    def fail(self, cause: Cause, reason: str) -> bool:
        """Count a failure, and tell whether *who* is lost by it."""
        before, now = self._reach, anyio.current_time()
        self._reach = reach.after_failure(
            before, cause, now=now, lost_after=self._lost_after
        )
        lost = reach.change(before, self._reach) is reach.Kind.LOST
        if before.standing is Standing.SEEN and not lost:
            self._hearer.doubted(self._who, reason)
        return lost


class Track(Memo):
    """What is kept of an instance between two looks."""

    __slots__ = (
        "asked_twice",
        "changed_at",
        "failures",
        "missing",
        "stepped_at",
        "view",
    )

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
        self.changed_at = self.stepped_at = 0.0
        self.asked_twice = False
        self.failures = self.missing = 0


class Post:
    """Looks at *keys*, a bounded number at once; all are of *source*."""

    def __init__(
        self,
        source: Source,
        keys: Iterable[InstanceKey],
        vigil: Vigil,
        *,
        terms: Terms,
        luck: Luck,
    ) -> None:
        def view(who: str) -> View:
            return View(who, vigil.hearer, terms.patience.lost_after)

        self._source = source
        self._vigil = vigil
        self._tracks = {key: Track(view(str(key))) for key in keys}
        self._terms = terms
        self._luck = luck
        self._view = view(source.name)
        width = min(terms.width, len(self._tracks))
        self._pace = Pace(width=width, per_second=terms.rate, luck=luck)
        self._looking = Looking(
            source, self._pace, early=terms.early, known=self._known
        )
        self._scheduler = Scheduler(source.name, self._pace, luck=luck)

    async def run(self) -> None:
        """Look until cancelled."""
        widest = (len(self._tracks) - 1) * SPREAD_PER_WATCH
        spread = min(widest, self._terms.patience.spread)
        self._scheduler.spread(self._tracks, spread)
        await self._scheduler.run(self._visit)

    async def _visit(self, key: InstanceKey) -> float | None:
        track = self._tracks[key]
        if self._vigil[key].ending is not Ending.RUNNING:
            return None
        try:
            seen = await self._look(key, track)
        except errors.SourceError as error:
            track.failures += 1
            return self._failed(key, track, error)
        self._answered()
        track.view.clear()
        track.failures = track.missing = 0
        if seen.snapshot is not None:
            self._compare(key, track, seen.snapshot)
            seen.remember(track, used=True)
        return self._next(key, track)

    async def _look(self, key: InstanceKey, track: Track) -> Seen:
        try:
            return await self._looking.look(key, track)
        except errors.Refused:
            # A long wait may outlive a token: the source reads its file anew.
            return await self._looking.look(key, track)

    async def _known(self, key: InstanceKey) -> Snapshot | None:
        return self._vigil[key].snapshot

    def _compare(self, key: InstanceKey, track: Track, seen: Snapshot) -> None:
        before = self._vigil[key].snapshot
        after = transitions.merged(before, seen)
        moved = transitions.between(before, after)
        now = anyio.current_time()
        track.changed_at = now if moved else track.changed_at
        track.stepped_at = now if transitions.stepped(moved) else track.stepped_at
        track.learn(after)
        self._vigil.saw(key, after, moved)

    def _next(self, key: InstanceKey, track: Track) -> float | None:
        limits, snapshot = self._terms.limits, self._vigil[key].snapshot
        if snapshot is None or not snapshot.finished:
            track.asked_twice = False
            now = anyio.current_time()
            quiet, age = now - track.changed_at, now - track.stepped_at
            return cadence.interval(quiet, age, limits, self._luck())
        if ending.unfinished_hosts(snapshot) and not track.asked_twice:
            # A torn read, maybe: JOB writes hosts, step and job one after the other.
            track.asked_twice = True
            return cadence.settling(0.0, limits, self._luck())
        self._vigil.end(key, ending.of(snapshot))
        return None

    def _failed(
        self, key: InstanceKey, track: Track, error: errors.SourceError
    ) -> float:
        reason = str(error)
        self._pace.failed(error)
        match error:
            case errors.Missing():
                self._answered()
                track.missing += 1
                if track.missing >= GONE_AFTER:
                    self._vigil.end(key, Ending.GONE, reason)
                return GONE_APART
            case errors.Forbidden():
                self._answered()
                self._vigil.end(key, Ending.REFUSED, reason)
            case errors.Garbled(whole_source=False):
                # One instance is lost by the rule by which a source is.
                if track.view.fail(Cause.GARBLED, reason):
                    self._vigil.end(key, Ending.LOST, reason)
            case _:
                self._source_failed(error, reason)
        return self._retry(track)

    def _source_failed(self, error: errors.SourceError, reason: str) -> None:
        refused = isinstance(error, errors.Refused)
        if self._view.fail(Cause.AUTH if refused else Cause.UNREACHABLE, reason):
            how = Ending.REFUSED if refused else Ending.LOST
            self._vigil.lose(self._source.name, how, reason)

    def _answered(self) -> None:
        self._view.clear()

    def _retry(self, track: Track) -> float:
        pause = backoff.full_jitter(track.failures, self._luck())
        limits = self._terms.limits
        return min(limits.cap, max(pause, limits.floor or 1.0))
