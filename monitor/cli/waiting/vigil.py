"""Looks at instances until waiting for them is decided.

Asks JOB directly, through the scheduler and the budget that the daemon has, and
remembers nothing. An instance that has ended is not looked at again. What goes
wrong with a look says something about its source or its instance, and never that
a job has failed.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol

import anyio
from msgspec import Struct, structs

from monitor import errors
from monitor.core import backoff, cadence, ending, reach, transitions
from monitor.core.cadence import Limits
from monitor.core.ending import Condition, Ending, Finding
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.reach import Cause, Reach, Standing
from monitor.core.transitions import Transition
from monitor.poller import GONE_AFTER, SPREAD_PER_WATCH
from monitor.ports import Look, Luck, Source
from monitor.scheduler import Scheduler
from monitor.sight import Patience

GONE_APART: Final = 1.0
"""Seconds between two of the answers that know no such instance."""

Until = Callable[[], Awaitable[None]]


class Hearer(Protocol):
    """Who is told while we look; must return at once.

    *who* cannot be understood is a source, or an instance alone.
    """

    def moved(self, finding: Finding, moved: Sequence[Transition]) -> None: ...
    def ended(self, finding: Finding) -> None: ...
    def doubted(self, who: str, reason: str) -> None: ...
    def restored(self, who: str) -> None: ...
    def lost(self, source: str, reason: str, instances: int) -> None: ...


class Pace(Struct, frozen=True, kw_only=True):
    """How politely a source is asked; *rate* is looks a second, None for no limit."""

    width: int = 64
    rate: float | None = None
    limits: Limits = Limits()
    patience: Patience = Patience()


class Vigil:
    """What has been found so far, in the order in which it was asked for."""

    def __init__(
        self, keys: Iterable[InstanceKey], condition: Condition, hearer: Hearer
    ) -> None:
        self.condition = condition
        self.hearer = hearer
        self.interrupted = self.timed_out = False
        self._found = {key: Finding(key=key) for key in keys}
        self._counts = Counter({Ending.RUNNING: len(self._found)})
        self._over = anyio.Event()

    def __getitem__(self, key: InstanceKey) -> Finding:
        return self._found[key]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._found.values())

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return ending.exit_code(self.condition, self._endings())

    def saw(
        self, key: InstanceKey, snapshot: Snapshot, moved: Sequence[Transition]
    ) -> None:
        finding = structs.replace(self._found[key], snapshot=snapshot)
        self._found[key] = finding
        self.hearer.moved(finding, moved)

    def end(self, key: InstanceKey, how: Ending, reason: str = "") -> None:
        # Its source may have been lost while this look was under way.
        if self._found[key].ending is not Ending.RUNNING:
            return
        self._settle(key, how, reason)
        self.hearer.ended(self._found[key])

    def lose(self, source: str, how: Ending, reason: str) -> None:
        """End all of *source* that is still running for us."""
        left = [
            key
            for key, finding in self._found.items()
            if key.source == source and finding.ending is Ending.RUNNING
        ]
        for key in left:
            self._settle(key, how, reason)
        self.hearer.lost(source, reason, len(left))

    async def keep(self, posts: Sequence["Post"], until: Until) -> None:
        """Look until it is decided or *until* returns."""
        async with anyio.create_task_group() as tasks:

            async def interrupt() -> None:
                await until()
                self.interrupted = True
                self._over.set()

            tasks.start_soon(interrupt, name="until")
            for post in posts:
                tasks.start_soon(post.run, self, name=f"post {post.source.name}")
            await self._over.wait()
            tasks.cancel_scope.cancel()

    def _settle(self, key: InstanceKey, how: Ending, reason: str) -> None:
        before = self._found[key]
        self._found[key] = structs.replace(before, ending=how, reason=reason)
        self._counts[before.ending] -= 1
        self._counts[how] += 1
        if ending.decided(self.condition, self._endings()):
            self._over.set()

    def _endings(self) -> frozenset[Ending]:
        return frozenset(+self._counts)


class Track:
    """What is kept of an instance between two looks."""

    __slots__ = ("changed_at", "confirmed", "digest", "failures", "missing", "reach")

    def __init__(self) -> None:
        self.changed_at = 0.0
        self.confirmed = False
        self.digest = b""
        self.failures = 0
        self.missing = 0
        self.reach = reach.SEEN


class Post:
    """Looks at the instances of one source, a bounded number at once."""

    def __init__(
        self, source: Source, keys: Iterable[InstanceKey], pace: Pace, luck: Luck
    ) -> None:
        self.source = source
        self._tracks = {key: Track() for key in keys}
        self._pace = pace
        self._luck = luck
        self._reach = reach.SEEN
        self._throttles = 0
        self._throttled_until = 0.0
        self._vigil: Vigil
        self._scheduler = Scheduler(
            source.name,
            width=min(pace.width, len(self._tracks)),
            rate=pace.rate,
            luck=luck,
        )

    async def run(self, vigil: Vigil) -> None:
        """Look until cancelled."""
        self._vigil = vigil
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
            return await self.source.look(key, digest)
        except errors.Refused:
            # A long wait may outlive a token: the source reads its file anew.
            return await self.source.look(key, digest)

    def _understood(self, key: InstanceKey, track: Track) -> None:
        if track.reach.standing is Standing.DOUBTED:
            self._vigil.hearer.restored(str(key))
        track.failures, track.missing, track.reach = 0, 0, reach.SEEN

    def _compare(self, key: InstanceKey, track: Track, seen: Snapshot) -> None:
        before = self._vigil[key].snapshot
        after = transitions.merged(before, seen)
        moved = transitions.between(before, after)
        if moved:
            track.changed_at = anyio.current_time()
        self._vigil.saw(key, after, moved)

    def _next(self, key: InstanceKey, track: Track) -> float | None:
        limits, snapshot = self._pace.limits, self._vigil[key].snapshot
        if snapshot is None or not snapshot.finished:
            track.confirmed = False
            quiet = anyio.current_time() - track.changed_at
            return cadence.interval(quiet, limits, self._luck())
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
            self._vigil.hearer.restored(self.source.name)
        self._reach = reach.after_success(self._reach)

    def _doubt(self, error: errors.SourceError) -> None:
        if isinstance(error, errors.Throttled):
            self._throttle(error)
        refused = isinstance(error, errors.Refused)
        before = self._reach
        self._reach = self._after_failure(
            before, Cause.AUTH if refused else Cause.UNREACHABLE
        )
        name, reason = self.source.name, str(error)
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
