"""What visits say about their source as a whole.

Keeps the reach of one source and the scopes that JOB refuses, tells both as
alerts of their own, and slows the plan down accordingly. One line in the log when
a source is lost, one when it is back: both are events.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Protocol

import anyio
from msgspec import Struct

from monitor import errors
from monitor.core import backoff, reach, state, wording
from monitor.core.model import InstanceKey
from monitor.core.policy import USUAL, Policy
from monitor.core.reach import Cause, Reach, Standing
from monitor.core.state import Change, Phase, State
from monitor.core.wording import Frame
from monitor.ports import Head, Luck, Memory, Now
from monitor.recorder import Recorder

STATED: Final = 3.0
"""How much longer than ever we wait for a source that says how much it bears.

A window of a minute that is used up is no loss of sight.
"""

Decide = Callable[[State, Frame, datetime], Change | None]


class Brake(Protocol):
    """The scheduler, as far as it can be slowed down; seconds."""

    def probe(self, delay: float) -> None: ...
    def resume(self, spread: float) -> None: ...


class Patience(Struct, frozen=True):
    """Seconds: until a source is lost, and to spread its instances when it is back."""

    lost_after: float = 30.0
    spread: float = 10.0


class Sight:
    """*since*: since when the source has been in sight, by our own looks."""

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
        policy: Policy = USUAL,
    ) -> None:
        self._source = source
        self._brake = brake
        self._memory = memory
        self._recorder = recorder
        self._patience = patience
        self._now = now
        self._luck = luck
        self._locale = locale
        self._policy = policy
        self._reach = reach.SEEN
        self.since = now()
        self._reaching = anyio.Lock(fast_acquire=True)
        # Whom JOB refuses, by scope: who started a job sees it without permission
        # for its scope, so that a scope may hold both kinds. Source: bk-job
        # ExecuteAuthServiceImpl, authViewTaskInstance, read 2026-11.
        self._refused: dict[str, set[InstanceKey]] = {}
        self._unsure: set[str] = set()
        self._probes = 0
        self._probe_at = 0.0

    @property
    def lost(self) -> bool:
        return self._reach.standing is Standing.LOST

    @property
    def standing(self) -> Standing:
        return self._reach.standing

    async def remember(self, heads: Iterable[Head]) -> None:
        """Take up what was known before the restart."""
        own = await self._memory.load(self._source)
        if own.alerts:
            self._reach = Reach(standing=Standing.LOST, failures=reach.TRIES)
            self._brake.probe(0.0)
        scopes = [head.key for head in heads if head.key.count("/") == 2]
        known = [await self._memory.load(key) for key in scopes]
        # Anybody may have been refused there, until an answer says otherwise.
        self._unsure = {scope.key for scope in known if scope.alerts}
        self._refused = {scope: set() for scope in self._unsure}

    async def keep(self, keys: Iterable[InstanceKey]) -> None:
        """Forget the refusals of all but *keys*: nobody will look there again."""
        if not self._refused:
            return
        looked_at: dict[str, set[InstanceKey]] = {}
        for key in keys:
            looked_at.setdefault(key.scope, set()).add(key)
        for scope, refused in [*self._refused.items()]:
            kept = looked_at.get(scope, set())
            self._refused[scope] = kept if scope in self._unsure else refused & kept
            if not self._refused[scope]:
                del self._refused[scope]
                await self._record(scope, _unwatched)
        self._unsure.clear()

    @property
    def troubled(self) -> bool:
        """Whether an answer is news: ask before ``clear``, which costs more."""
        return self._reach is not reach.SEEN or bool(self._refused)

    async def clear(self, key: InstanceKey) -> None:
        """An answer about *key* came: the source is seen, and *key* not refused."""
        if self._reach.standing is not Standing.SEEN:
            await self.answered()
        refused = self._refused.get(key.scope, set())
        if key in refused:
            refused.discard(key)
            if not refused:
                await self._allow(key.scope)

    async def answered(self) -> None:
        """JOB itself said something, if only that it knows no such instance."""
        await self._move(reach.after_success)

    async def refused(self, key: InstanceKey, reason: str) -> None:
        """JOB does not let us see *key*: tell it once for its scope."""
        await self.answered()
        refused = self._refused.setdefault(key.scope, set())
        refused.add(key)
        if len(refused) == 1:
            await self._refuse(key.scope, reason)

    async def failed(self, error: errors.SourceError) -> None:
        """A visit failed in a way that says something about the whole source."""
        await self._move(self._after(error))
        if self.lost:
            self._probe()

    def _probe(self) -> None:
        # Up to a minute, however short max_interval is: that one is about instances,
        # which wait, and a source that is down is not to be hurried.
        now = anyio.current_time()
        # The visits that were under way when sight was lost are no probes.
        if now >= self._probe_at:
            self._probes += 1
            pause = backoff.full_jitter(self._probes, self._luck())
            self._probe_at = now + pause
            self._brake.probe(pause)

    def _after(self, error: errors.SourceError) -> Callable[[Reach], Reach]:
        now, cause = anyio.current_time(), _cause(error)
        lost_after = self._patience.lost_after
        if isinstance(error, errors.Throttled) and error.borne is not None:
            lost_after *= STATED
        return lambda before: reach.after_failure(
            before, cause, now=now, lost_after=lost_after
        )

    async def _move(self, step: Callable[[Reach], Reach]) -> None:
        # Under a lock: a second visit must not decide on what this one replaces.
        async with self._reaching:
            before, self._reach = self._reach, step(self._reach)
            kind = reach.change(before, self._reach)
            if kind is not None:
                await self._tell(kind, self._reach.cause)
        if kind is reach.Kind.RESTORED:
            self._probes, self._probe_at = 0, 0.0
            self.since = self._now()
            self._brake.resume(self._patience.spread)

    async def _tell(self, kind: reach.Kind, cause: Cause | None) -> None:
        def decide(known: State, frame: Frame, now: datetime) -> Change:
            return state.reached(known, kind, cause, frame, now, policy=self._policy)

        await self._record(self._source, decide)

    async def _refuse(self, scope: str, reason: str) -> None:
        def decide(known: State, frame: Frame, now: datetime) -> Change | None:
            return state.refused(known, reason, frame, now, policy=self._policy)

        async with self._reaching:
            await self._record(scope, decide)

    async def _allow(self, scope: str) -> None:
        async with self._reaching:
            if not self._refused.get(scope):
                self._refused.pop(scope, None)
            await self._record(scope, state.allowed)

    async def _record(self, key: str, decide: Decide) -> None:
        frame, now = wording.frame_of(key, self._locale), self._now()
        await self._recorder.record(key, lambda known: decide(known, frame, now))


def _unwatched(known: State, frame: Frame, now: datetime) -> Change:
    return state.ended(known, Phase.UNWATCHED, frame, now)


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
