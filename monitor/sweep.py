"""Reads the lists of one source in place of many visits.

Whom a row shows unchanged is vouched for; who looks changed is to be visited now;
who is in no row, or in one that proves nothing, is visited as ever. A page that
speaks for too few is not worth asking for: they are left to their visits for a while.
Knows nothing of states, and no list ever decides what has happened.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from math import inf
from typing import Final, Literal, Protocol

import anyio
import structlog
from anyio.abc import TaskStatus

from monitor import errors
from monitor.core import backoff, codes, sweeping
from monitor.core.listing import Page, Query, Row
from monitor.core.model import InstanceKey
from monitor.core.sweeping import Course, Limits, Standing, Trace, Verdict
from monitor.ports import Budget, Luck, Now, Source

CLOSE: Final = 0.001
"""Seconds before its time at which a page is due: finer, and clocks may differ."""

LOOK: Final = 10.0
"""Seconds until it is considered again which scopes are worth it."""

REST: Final = 600.0
"""Seconds for which instances whose page was poor are left to their visits."""

MOST_POOR: Final = 3
"""Poor pages that a sweep may cost, until it keeps to what is known to be worth it."""

ABSENT_APART: Final = 300.0
"""Seconds between two visits to an instance only because no row shows it."""

PATIENCE: Final = 3
"""Failures in a row until a list speaks for nobody: a visit to each is no small thing."""

RARELY: Final = 300.0
"""Seconds until a scope is asked for again that JOB does not let us see."""

log = structlog.get_logger()

Mode = Literal["auto", "on", "off"]
_NEEDED: Final[dict[Mode, tuple[float, float]]] = {"auto": (3.0, 4.0), "on": (1.0, 1.0)}
"""How many visits a page must replace: to go on, and to begin."""


class Swept(Protocol):
    """The poller, as far as lists speak for its instances; a scope is ``key.scope``.

    Nothing here may wait: it only moves visits, and passes over whom nobody visits.
    """

    def scopes(self) -> Iterable[str]: ...

    def tracked(self, scope: str) -> Iterable[Standing]:
        """List who is visited there and of whom status and creation are known."""
        ...

    def vouch(self, keys: Collection[InstanceKey], at: datetime) -> None:
        """A list of *at* says what is known of *keys*: put off their next visits.

        It never puts off a visit that a hint or a failure has asked for, nor one
        that is due for the hosts' sake. A sweep that hangs must not blind anybody:
        without another word a visit is put off by a few of the longest intervals.
        """
        ...

    def unvouch(self, keys: Collection[InstanceKey]) -> None:
        """Nobody vouches for *keys* any more: visit them as ever, spread out."""
        ...

    def hint(self, key: InstanceKey, *, finished: bool) -> None:
        """A list says something else, or nothing, of *key*: visit it now."""
        ...


class _Scope:
    """One scope, and how far the sweep of it that is under way has come."""

    __slots__ = (
        "absent",
        "began",
        "course",
        "due",
        "failures",
        "hinted",
        "lone",
        "name",
        "narrow",
        "pages",
        "period",
        "poor",
        "price",
        "priced_at",
        "query",
        "seen",
        "standings",
        "swept",
        "traces",
        "vouched",
        "vouching",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.due = 0.0
        self.failures = 0
        self.swept = False
        # Until when whom a poor page spoke for, and when the absent were last hinted at.
        self.lone: dict[InstanceKey, float] = {}
        self.absent: dict[InstanceKey, float] = {}
        self.traces: dict[InstanceKey, Trace] = {}
        self.vouched: set[InstanceKey] = set()
        # How many pages an instance took, and when that was measured.
        self.price = 0.0
        self.priced_at = -inf
        self.query: Query | None = None

    def begin(self, way: Course, period: float, now: float) -> Query:
        self.course = way
        self.standings = {one.key: one for one in way.standings}
        self.period = period
        self.began = now
        self.pages = self.poor = 0
        self.narrow = False
        self.seen: set[InstanceKey] = set()
        self.vouching: set[InstanceKey] = set()
        self.hinted: set[InstanceKey] = set()
        return sweeping.first(way)


async def _to_nobody(_: Page, __: datetime) -> None:
    """Nobody else looks at this source."""


class Sweep:
    """*pages* and *rows* were read, *hints* given, *saved* visits vouched away.

    *saved* counts at most one visit of an instance a sweep, without the pages.
    *ours*: of several daemons one sweeps, and *shown* shows its pages to the others.
    *daemons* are so many; each looks at about as many instances, anywhere in a list.
    """

    def __init__(
        self,
        source: Source,
        budget: Budget,
        swept: Swept,
        *,
        mode: Mode,
        limits: Limits,
        now: Now,
        luck: Luck,
        ours: Callable[[], bool] = lambda: True,
        shown: Callable[[Page, datetime], Awaitable[None]] = _to_nobody,
        daemons: Callable[[], int] = lambda: 1,
    ) -> None:
        self._ours = ours
        self._shown = shown
        self._daemons = daemons
        self.pages = 0
        self.rows = 0
        self.hints = 0
        self.saved = 0.0
        self._source = source
        self._budget = budget
        self._swept = swept
        self._mode: Mode = mode
        self._limits = limits
        self._now = now
        self._luck = luck
        self._scopes: dict[str, _Scope] = {}

    @property
    def swept(self) -> frozenset[str]:
        """Name the scopes for which lists speak; all others are visited as ever."""
        return frozenset(scope.name for scope in self._scopes.values() if scope.swept)

    async def run(
        self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Sweep until cancelled; returns at once where there is no list or no wish."""
        task_status.started()
        if self._mode == "off" or not self._source.means.page:
            return
        look = -inf
        while True:
            if look <= anyio.current_time() + CLOSE:
                look = anyio.current_time() + LOOK
                self._look()
            scope = min(self._scopes.values(), key=_due, default=None)
            if scope is not None and scope.due <= anyio.current_time() + CLOSE:
                await self._go_on(scope)
            else:
                await anyio.sleep_until(min(look, scope.due if scope else inf))

    def _look(self) -> None:
        if not self._ours():
            for scope in self._scopes.values():
                self._forsake(scope)
            self._scopes = {}
            return
        known = self._scopes
        self._scopes = {
            name: known.get(name) or _Scope(name) for name in self._swept.scopes()
        }

    async def _go_on(self, scope: _Scope) -> None:
        if not self._ours():
            self._look()
            return
        scope.query = scope.query or self._begin(scope)
        if scope.query is None:
            scope.due = anyio.current_time() + LOOK
            return
        at = self._now()
        try:
            async with self._budget.turn():
                page = await self._source.page(scope.query)
        except errors.SourceError as error:
            self._failed(scope, error)
        else:
            self._answered(scope)
            self._read(scope, scope.query, page, at)
            await self._shown(page, at)

    def _begin(self, scope: _Scope) -> Query | None:
        """Ask for the newest page, if the pages will be worth their price."""
        now = anyio.current_time()
        scope.lone = {key: until for key, until in scope.lone.items() if until > now}
        standings = [
            one for one in self._swept.tracked(scope.name) if one.key not in scope.lone
        ]
        if not scope.swept and now - scope.priced_at > REST:
            scope.price = 0.0
        period = self._period(scope, standings) if standings else None
        if period is None:
            self._stop(scope)
            return None
        if not scope.swept:
            scope.swept = True
            log.info("sweep.started", scope=scope.name, instances=len(standings))
        way = sweeping.course(standings, self._source.means.range)
        return scope.begin(way, period, now)

    def _period(self, scope: _Scope, standings: Sequence[Standing]) -> float | None:
        intervals = [self._interval(one) for one in standings]
        enough, to_begin = (each / self._daemons() for each in _NEEDED[self._mode])
        pages, limits = max(1, round(scope.price * len(standings))), self._limits
        period = sweeping.period(intervals, pages, limits, to_begin)
        if period is None and scope.swept:
            return sweeping.period(intervals, pages, limits, enough)
        return period

    def _interval(self, standing: Standing) -> float:
        """Give 0 for a sweep that is wanted whatever it saves."""
        return 0.0 if self._mode == "on" else standing.interval

    def _stop(self, scope: _Scope) -> None:
        self._forsake(scope)
        if scope.swept:
            scope.swept = False
            log.info("sweep.stopped", scope=scope.name)

    def _read(self, scope: _Scope, query: Query, page: Page, at: datetime) -> None:
        self.pages += 1
        self.rows += len(page.rows)
        scope.pages += 1
        rows = {
            row.key: row
            for row in page.rows
            if row.key in scope.standings and row.key not in scope.seen
        }
        scope.seen |= rows.keys()
        self._judge(scope, rows.values(), at)
        self._weigh(scope, rows)
        rest = sweeping.onward(scope.course, query, page, scope.seen)
        if rest is not None and scope.poor >= MOST_POOR and not scope.narrow:
            rest = self._narrow(scope, query, page, rest)
        if rest is None:
            self._finish(scope)
        else:
            scope.query, scope.due = rest, anyio.current_time()

    def _narrow(
        self, scope: _Scope, query: Query, page: Page, rest: Query
    ) -> Query | None:
        """Look on only for those whose pages were worth it the last time."""
        self._visit_absent(scope, rest)
        scope.narrow = True
        way = scope.course
        left = scope.vouched - scope.seen
        rich = [
            one
            for one in way.standings
            if one.created_at <= rest.until and one.key in left
        ]
        scope.course = sweeping.course(rich, way.most)
        return sweeping.onward(scope.course, query, page, scope.seen) if rich else None

    def _judge(self, scope: _Scope, rows: Iterable[Row], at: datetime) -> None:
        now = anyio.current_time()
        same: list[InstanceKey] = []
        for row in rows:
            standing, key = scope.standings[row.key], row.key
            before = scope.traces.get(key)
            scope.traces[key] = sweeping.traced(row, before, now)
            verdict = sweeping.judge(standing, row, before)
            if verdict is Verdict.CHANGED:
                self._hint(scope, key, finished=codes.run(row.status).finished)
            elif verdict is Verdict.SAME:
                same.append(key)
                self.saved += sweeping.weight(standing.interval, scope.period)
        if same:
            scope.vouching.update(same)
            self._swept.vouch(same, at)

    def _hint(self, scope: _Scope, key: InstanceKey, *, finished: bool) -> None:
        self.hints += 1
        scope.hinted.add(key)
        self._swept.hint(key, finished=finished)

    def _weigh(self, scope: _Scope, keys: Iterable[InstanceKey]) -> None:
        """Leave those of a page alone that is too poor however rarely it is read."""
        found = [scope.standings[key] for key in keys]
        enough, _ = _NEEDED[self._mode]
        intervals = (self._interval(one) for one in found)
        worth = sum(sweeping.weight(one, self._limits.cap) for one in intervals)
        if worth < enough / self._daemons():
            scope.poor += 1
            until = anyio.current_time() + REST
            scope.lone |= {one.key: until for one in found}

    def _finish(self, scope: _Scope) -> None:
        now = anyio.current_time()
        self._visit_absent(scope, None)
        left = scope.vouched - scope.vouching - scope.hinted
        if left:
            self._swept.unvouch(left)
        scope.vouched = scope.vouching
        scope.traces = {key: scope.traces[key] for key in scope.seen}
        scope.query = None
        rich = len(scope.seen - scope.lone.keys())
        scope.price = (scope.pages - scope.poor) / rich if rich else 0.0
        scope.priced_at = now
        pause = max(scope.period, self._limits.floor * scope.pages)
        pause = min(self._limits.cap, pause) * (0.9 + 0.2 * self._luck())
        scope.due = max(now, scope.began + pause)

    def _visit_absent(self, scope: _Scope, rest: Query | None) -> None:
        now = anyio.current_time()
        absent = {one.key for one in sweeping.missed(scope.course, rest, scope.seen)}
        for key in absent:
            if now - scope.absent.get(key, -inf) >= ABSENT_APART:
                scope.absent[key] = now
                self._hint(scope, key, finished=False)
        recent = (item for item in scope.absent.items() if now - item[1] < ABSENT_APART)
        scope.absent = dict(recent)
        scope.lone |= dict.fromkeys(absent, now + REST)

    def _failed(self, scope: _Scope, error: errors.SourceError) -> None:
        scope.failures += 1
        if scope.failures == 1:
            log.warning(
                "sweep.failing",
                scope=scope.name,
                reason=str(error),
                request_ids=error.request_ids,
            )
        now, rarely = anyio.current_time(), isinstance(error, errors.Forbidden)
        late = now - scope.began >= self._limits.cap
        if rarely or late or scope.failures >= PATIENCE:
            scope.vouched |= scope.vouching
            self._forsake(scope)
        pause = backoff.full_jitter(scope.failures, self._luck())
        scope.due = now + (RARELY if rarely else pause)

    def _forsake(self, scope: _Scope) -> None:
        """Vouch for nobody until the next sweep."""
        if scope.vouched:
            self._swept.unvouch(scope.vouched)
        scope.vouched = set()
        scope.query = None

    def _answered(self, scope: _Scope) -> None:
        if scope.failures:
            scope.failures = 0
            log.info("sweep.works_again", scope=scope.name)


def _due(scope: _Scope) -> float:
    return scope.due
