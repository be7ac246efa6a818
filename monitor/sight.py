"""What visits say about their source as a whole.

Keeps the reach of one source and the scopes that JOB refuses, tells both as
alerts of their own, and slows the plan down accordingly. One line in the log when
a source is lost, one when it is back: both are events.

Of several daemons each slows down by what it sees itself. What all see decides what
is told, by whoever owns the key of the source or the scope: a source is lost when
nobody sees it, a scope is refused while anybody is.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Never, Protocol

import anyio
from msgspec import Struct

from monitor import errors
from monitor.core import backoff, cluster, reach, state, wording
from monitor.core.cluster import SourceReport, View
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

CALM: Final = 20.0
"""Seconds for which nobody may be refused a scope, until others hear that it is seen.

Who takes over from a daemon that is gone has to look first.
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
    """*since*: since when the source has been in sight, by our own looks.

    *back* is called when it is missing no more, whoever sees it.
    """

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
        view: View | None = None,
        owns: Callable[[str], bool] = lambda _: True,
        back: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._back = back
        self._owns = owns
        self._others = view.elsewhere(source) if view else []
        self._brake = brake
        self._memory = memory
        self._recorder = recorder
        self._patience = patience
        self._now = now
        self._luck = luck
        self._locale = locale
        self._policy = policy
        self._reach = reach.SEEN
        # Whether an answer has come since we look at anybody here.
        self._proved = False
        self._looking = False
        self._missing = False
        self.since = now()
        self._reaching = anyio.Lock(fast_acquire=True)
        # Whom JOB refuses, by scope: who started a job sees it without permission
        # for its scope, so that a scope may hold both kinds. Source: bk-job
        # ExecuteAuthServiceImpl, authViewTaskInstance, read 2026-11.
        self._refused: dict[str, set[InstanceKey]] = {}
        self._unsure: set[str] = set()
        self._reasons: dict[str, str] = {}
        # What the store says as far as we know: which keys alert, and since when
        # nobody is refused there any more.
        self._told: set[str] = set()
        self._calm_since: dict[str, float] = {}
        self._met = anyio.Event()
        self._probes = 0
        self._probe_at = 0.0

    @property
    def lost(self) -> bool:
        """Whether this daemon does not see the source."""
        return self._reach.standing is Standing.LOST

    @property
    def missing(self) -> bool:
        """Whether no daemon sees the source."""
        return self._missing

    @property
    def standing(self) -> Standing:
        return self._reach.standing

    async def remember(self, heads: Iterable[Head]) -> None:
        """Take up what was known before the restart."""
        own = await self._memory.load(self._source)
        if own.alerts:
            self._reach = Reach(standing=Standing.LOST, failures=reach.TRIES)
            self._brake.probe(0.0)
            self._missing = True
            self._told.add(self._source)
        await self.doubt(head.key for head in heads)

    async def doubt(self, keys: Iterable[str]) -> None:
        """Look anew at the scopes among *keys* that JOB refused, be it elsewhere.

        Anybody may have been refused there, until an answer says otherwise.
        """
        scopes = [key for key in keys if _is_scope(key, self._source)]
        for scope in [await self._memory.load(key) for key in scopes]:
            for alert in scope.alerts.values():
                self._unsure.add(scope.key)
                self._told.add(scope.key)
                self._reasons[scope.key] = alert.reason
                self._refused.setdefault(scope.key, set())

    def report(self, *, looking: bool) -> SourceReport:
        """Say what is seen here, to the others; *looking*: at anybody at all."""
        self._looking = looking
        if not looking:
            self._proved = False
        return self._own()

    def _own(self) -> SourceReport:
        seen = self._proved and self._reach.standing is Standing.SEEN
        return SourceReport(
            seen=seen,
            doubted=self._looking and not seen and not self.lost,
            lost=self.lost,
            cause=str(self._reach.cause or ""),
            refused={scope: self._reasons.get(scope, "") for scope in self._refused},
        )

    def met(self, view: View) -> None:
        """Hear what the others see."""
        self._others = view.elsewhere(self._source)
        self._met.set()

    async def run(self) -> Never:
        """Tell what follows from what the others see, where that is ours to tell."""
        while True:
            await self._met.wait()
            self._met = anyio.Event()
            async with self._reaching:
                await self._weigh()
                await self._weigh_scopes()

    async def take_up(self, alerting: Iterable[str]) -> None:
        """Hear what alerts, since it became ours to tell."""
        async with self._reaching:
            mine = {k for k in alerting if k.partition("/")[0] == self._source}
            self._told = {k for k in mine if k.count("/") in (0, 2)}
        await self.doubt(self._told)

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
                if not self._others:
                    await self._record(scope, _unwatched)
        self._unsure.clear()

    @property
    def troubled(self) -> bool:
        """Whether an answer is news: ask before ``clear``, which costs more."""
        return self._reach is not reach.SEEN or not self._proved or bool(self._refused)

    async def clear(self, key: InstanceKey) -> None:
        """An answer about *key* came: the source is seen, and *key* not refused."""
        if self._reach.standing is not Standing.SEEN or not self._proved:
            await self.answered()
        refused = self._refused.get(key.scope, set())
        if key in refused:
            refused.discard(key)
            if not refused:
                await self._allow(key.scope)

    async def answered(self) -> None:
        """JOB itself said something, if only that it knows no such instance."""
        self._proved = True
        await self._move(reach.after_success)

    async def refused(self, key: InstanceKey, reason: str) -> None:
        """JOB does not let us see *key*: tell it once for its scope."""
        await self.answered()
        refused = self._refused.setdefault(key.scope, set())
        refused.add(key)
        self._reasons[key.scope] = reason
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
                await self._weigh()
        if kind is reach.Kind.RESTORED:
            self._probes, self._probe_at = 0, 0.0
            self.since = self._now()
            self._brake.resume(self._patience.spread)

    async def _weigh(self) -> None:
        """Tell that the source is lost or back, if all together know it and few did."""
        said = [self._own(), *self._others]
        missing = cluster.lost(said)
        if missing is None:
            return
        was_missing, self._missing = self._missing, missing
        if missing != (self._source in self._told):
            causes = (each.cause for each in said if each.lost)
            await self._tell(reach.kind(lost=missing), next(causes, ""))
        if was_missing and not missing:
            self._back()

    async def _tell(self, kind: reach.Kind, cause: str) -> None:
        why = Cause(cause) if cause in {*Cause} else None

        def decide(known: State, frame: Frame, now: datetime) -> Change | None:
            if bool(known.alerts) is (kind is reach.Kind.LOST):
                return None  # whose it was before has told it
            return state.reached(known, kind, why, frame, now, policy=self._policy)

        await self._record(self._source, decide)

    async def _refuse(self, scope: str, reason: str) -> None:
        async with self._reaching:
            await self._tell_refused(scope, reason)

    async def _tell_refused(self, scope: str, reason: str) -> None:
        def decide(known: State, frame: Frame, now: datetime) -> Change | None:
            return state.refused(known, reason, frame, now, policy=self._policy)

        await self._record(scope, decide)

    async def _allow(self, scope: str) -> None:
        async with self._reaching:
            if not self._refused.get(scope):
                self._refused.pop(scope, None)
            if not self._others:
                await self._record(scope, state.allowed)

    async def _weigh_scopes(self) -> None:
        """Tell of scopes what others see there, and no more what nobody does."""
        refused: dict[str, str] = {}
        for said in (*self._others, self._own()):
            refused |= said.refused
        for scope in refused.keys() - self._told:
            if _is_scope(scope, self._source) and self._owns(scope):
                await self._tell_refused(scope, refused[scope])
        now, calm = anyio.current_time(), self._told - refused.keys() - {self._source}
        self._calm_since = {one: self._calm_since.get(one, now) for one in calm}
        for scope in filter(self._owns, calm):
            if now - self._calm_since[scope] >= CALM:
                await self._record(scope, state.allowed)

    async def _record(self, key: str, decide: Decide) -> None:
        frame, now = wording.frame_of(key, self._locale), self._now()
        known = await self._recorder.record(key, lambda k: decide(k, frame, now))
        if known is not None and known.alerts:
            self._told.add(key)
        elif known is not None:
            self._told.discard(key)


def _is_scope(key: str, source: str) -> bool:
    return key.count("/") == 2 and key.startswith(f"{source}/")


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
