"""What visits say about their source as a whole.

Keeps the reach of one source and the scopes that JOB refuses, tells both as
alerts of their own, and slows the plan down accordingly. One line in the log when
a source is lost, one when it is back: both are events.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import anyio
from msgspec import Struct

from monitor import errors
from monitor.core import backoff, reach, state
from monitor.core.events import Frame
from monitor.core.model import InstanceKey
from monitor.core.reach import Cause, Reach, Standing
from monitor.core.state import Phase
from monitor.ports import Head, Luck, Memory, Now
from monitor.recorder import Recorder


class Brake(Protocol):
    """The scheduler, as far as it can be slowed down; seconds."""

    def throttle(self, delay: float) -> None: ...
    def probe(self, delay: float) -> None: ...
    def resume(self, spread: float) -> None: ...


class Patience(Struct, frozen=True):
    """Seconds: until a source is lost, and to spread its instances when it is back."""

    lost_after: float = 30.0
    spread: float = 10.0


class Sight:
    def __init__(
        self,
        source: str,
        brake: Brake,
        *,
        memory: Memory,
        recorder: Recorder,
        patience: Patience,
        now: Now,
        luck: Luck,
        locale: str = "en",
    ) -> None:
        self._source = source
        self._brake = brake
        self._memory = memory
        self._recorder = recorder
        self._patience = patience
        self._now = now
        self._luck = luck
        self._locale = locale
        self._reach = reach.SEEN
        self._reaching = anyio.Lock(fast_acquire=True)
        self._refused: set[str] = set()
        self._throttles = 0
        self._throttled_until = 0.0
        self._probes = 0
        self._probe_at = 0.0

    @property
    def lost(self) -> bool:
        return self._reach.standing is Standing.LOST

    async def remember(self, heads: Iterable[Head]) -> None:
        """Take up what was known before the restart."""
        own = await self._memory.load(self._source)
        if own.alerts:
            self._reach = Reach(standing=Standing.LOST, failures=reach.TRIES)
            self._brake.probe(0.0)
        scopes = [head.key for head in heads if head.key.count("/") == 2]
        known = [await self._memory.load(key) for key in scopes]
        self._refused = {scope.key for scope in known if scope.alerts}

    async def keep(self, scopes: set[str]) -> None:
        """Forget the refusals of other scopes: nobody will look there again."""
        for scope in self._refused - scopes:
            self._refused.discard(scope)
            frame, now = self._frame(scope), self._now()
            await self._recorder.record(
                scope,
                lambda known, frame=frame, now=now: state.ended(  # type: ignore[misc]
                    known, Phase.UNWATCHED, frame, now
                ),
            )

    @property
    def troubled(self) -> bool:
        """Whether an answer is news: ask before ``clear``, which costs more."""
        doubted = self._reach is not reach.SEEN
        return doubted or bool(self._refused) or self._throttles > 0

    async def clear(self, key: InstanceKey) -> None:
        """An answer came: the source is seen, and *key*'s scope with it."""
        self._throttles = 0
        if self._reach.standing is not Standing.SEEN:
            await self.answered()
        if key.scope in self._refused:
            await self._refusing(key, "")

    async def answered(self) -> None:
        """JOB itself said something, if only that it knows no such instance."""
        await self._move(reach.after_success)

    async def refused(self, key: InstanceKey, reason: str) -> None:
        """JOB does not let us see the scope of *key*: tell it once."""
        await self.answered()
        if key.scope not in self._refused:
            await self._refusing(key, reason)

    async def failed(self, error: errors.SourceError) -> None:
        """A visit failed in a way that says something about the whole source."""
        if isinstance(error, errors.Throttled):
            self._throttle(error)
        await self._move(self._after(_cause(error)))
        if self.lost:
            self._probe()

    def _probe(self) -> None:
        now = anyio.current_time()
        # The visits that were under way when sight was lost are no probes.
        if now >= self._probe_at:
            self._probes += 1
            pause = backoff.full_jitter(self._probes, self._luck())
            self._probe_at = now + pause
            self._brake.probe(pause)

    def _after(self, cause: Cause) -> Callable[[Reach], Reach]:
        now, lost_after = anyio.current_time(), self._patience.lost_after
        return lambda before: reach.after_failure(
            before, cause, now=now, lost_after=lost_after
        )

    def _throttle(self, error: errors.Throttled) -> None:
        now = anyio.current_time()
        # The visits that were under way together are throttled together, once.
        self._throttles += now >= self._throttled_until
        pause = backoff.doubling(self._throttles)
        if error.retry_after is not None:
            pause = error.retry_after.total_seconds() + self._luck()
        self._throttled_until = max(self._throttled_until, now + pause)
        self._brake.throttle(pause)

    async def _move(self, step: Callable[[Reach], Reach]) -> None:
        # Under a lock: a second visit must not decide on what this one replaces.
        async with self._reaching:
            before, self._reach = self._reach, step(self._reach)
            kind = reach.change(before, self._reach)
            if kind is not None:
                await self._tell(kind, self._reach.cause)
        if kind is reach.Kind.RESTORED:
            self._probes, self._probe_at = 0, 0.0
            self._brake.resume(self._patience.spread)

    async def _tell(self, kind: reach.Kind, cause: Cause | None) -> None:
        frame = self._frame(self._source)
        await self._recorder.record(
            self._source,
            lambda known: state.reached(known, kind, cause, frame, self._now()),
        )

    async def _refusing(self, key: InstanceKey, reason: str) -> None:
        frame = self._frame(key.scope)
        async with self._reaching:
            (self._refused.add if reason else self._refused.discard)(key.scope)
            await self._recorder.record(
                key.scope,
                lambda known: state.refused(known, reason, frame, self._now()),
            )

    def _frame(self, key: str) -> Frame:
        subject = key.partition("/")[2] or None
        return Frame(source=self._source, key=key, subject=subject, locale=self._locale)


def _cause(error: errors.SourceError) -> Cause:
    match error:
        case errors.Throttled():
            return Cause.THROTTLED
        case errors.Refused():
            return Cause.AUTH
        case errors.Garbled():
            return Cause.GARBLED
        case _:
            return Cause.UNREACHABLE
