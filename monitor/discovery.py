"""Asks the lists of one source what the rules look for, and remembers what it finds.

One question at a time, that of the rule that is due first, so that a long list
delays the others by a page. What is found is in the store before anybody hears of
it. An instance that is over stays known for as long as a list may still show it:
it would be found again. Knows nothing of visits.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Final, Never

import anyio
import structlog
from anyio.abc import TaskStatus

from monitor import errors
from monitor.core import backoff, discovery, paging
from monitor.core.discovery import Rule
from monitor.core.listing import Page, Query, Row
from monitor.core.model import InstanceKey
from monitor.core.watch import Watch
from monitor.ports import Budget, Luck, Now, Register, Source

CLOSE: Final = 0.001
"""Seconds before its time at which a rule is due: finer, and clocks may differ."""

TRIES: Final = 5
"""Failures of one question, until the newest rows come first again."""

RARELY: Final = 300.0
"""Seconds until a scope is asked for again that JOB does not let us see."""

AT_ONCE: Final = 500
"""Watches that are remembered together."""

log = structlog.get_logger()

Changed = Callable[[], Awaitable[None]]


class _Asking:
    """How far one rule has come; *query* is the rest of a list that is being read."""

    __slots__ = (
        "began",
        "began_at",
        "due",
        "failures",
        "full",
        "left_out",
        "mark",
        "newest",
        "query",
        "rule",
        "since",
        "whole",
    )

    def __init__(self, rule: Rule, now: datetime) -> None:
        self.rule = rule
        self.due = 0.0
        self.began = 0.0
        self.began_at = self.since = now
        self.query: Query | None = None
        self.newest: datetime | None = None
        self.mark: datetime | None = None
        self.whole = False
        self.full = False
        # Not counted: pages overlap.
        self.left_out: set[InstanceKey] = set()
        self.failures = 0


class Discovery:
    """*changed* is called when ``watches`` says something else, but by ``follow``.

    *pages* and *rows* count what was read, *found* the instances. *ours*: of several
    daemons one asks, and the others hear of what it finds; *shared*: others may visit
    what is found, and see its end.
    """

    def __init__(
        self,
        source: Source,
        budget: Budget,
        register: Register,
        *,
        changed: Changed,
        now: Now,
        luck: Luck,
        ours: Callable[[], bool] = lambda: True,
        shared: bool = False,
    ) -> None:
        self._ours = ours
        self._shared = shared
        self.pages = 0
        self.rows = 0
        self.found = 0
        self._source = source
        self._budget = budget
        self._register = register
        self._changed = changed
        self._now = now
        self._luck = luck
        self._askings: dict[str, _Asking] = {}
        self._watches: dict[InstanceKey, Watch] = {}
        self._rows: dict[InstanceKey, Row] = {}
        self._over: set[InstanceKey] = set()
        self._read = 0
        self._remembered = False
        self._turn = anyio.Lock()
        self._woken = anyio.Event()

    def watches(self) -> Mapping[InstanceKey, Watch]:
        """Give what was found and is not over for good; what is written down wins."""
        return dict(self._watches)

    def ended(self, keys: Iterable[InstanceKey]) -> None:
        """Hear that nobody looks at *keys* any more: retired, or gone.

        Their watches are dropped once no list can show them again.
        """
        self._over |= self._watches.keys() & {*keys}

    async def follow(self, rules: Iterable[Rule]) -> None:
        """Look for what *rules* say, and for nothing else, from now on.

        To be called before the poller hears for the first time what to watch: it ends
        what is not among that, and what was found before would begin anew. What a
        rule that is no more has found is dropped, or goes to another that looks for
        it too.
        """
        mine: dict[str, Rule] = {}
        for rule in rules:
            if rule.source == self._source.name:
                mine.setdefault(rule.selection, rule)
        async with self._turn:
            await self._remember()
            self._report_in_vain(mine)
            self._askings = {name: self._asked(name, mine[name]) for name in mine}
            if self._ours():
                await self._pass_on()
        self._woken.set()

    async def read_again(self) -> None:
        """Somebody found something elsewhere: take up what is known by now."""
        async with self._turn:
            await self._read_on()

    async def take_over(self) -> None:
        """It may be ours to ask from now on."""
        async with self._turn:
            if self._ours():
                await self._pass_on()
        self._woken.set()

    async def let_go(self) -> None:
        """Return once nothing is being written that was ours to write."""
        async with self._turn:
            pass

    async def run(
        self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> Never:
        """Ask what is due until cancelled."""
        task_status.started()
        while True:
            self._woken = anyio.Event()
            asking = self._first_due()
            if asking is not None and asking.due <= anyio.current_time() + CLOSE:
                await self._ask(asking)
            else:
                due = asking.due if asking else inf
                with anyio.CancelScope(deadline=due):
                    await self._woken.wait()

    async def _remember(self) -> None:
        if not self._remembered:
            await self._read_on()
            self._remembered = True

    async def _read_on(self) -> None:
        """Take up what was written since, and leave what was dropped."""
        in_all = await self._read_new()
        if len(self._watches) == in_all:
            return  # all that are there are known by now: as many are the same ones
        there = {*await self._register.keys(self._source.name)}
        self._leave(self._watches.keys() - there)
        if len(self._watches) < len(there):
            # A failover lost the newest numbers, and they were given again.
            self._read = 0
            await self._read_new()

    async def _read_new(self) -> int:
        found = await self._register.found(self._source.name, self._read)
        self._watches |= {watch.key: watch for watch in found.watches}
        self._read = found.upto
        return found.in_all

    def _asked(self, name: str, rule: Rule) -> _Asking:
        asking = self._askings.get(name)
        if asking is None:
            return _Asking(rule, self._now())
        if rule.age > asking.rule.age:
            asking.mark = None
        asking.rule = rule
        return asking

    async def _pass_on(self) -> None:
        heirs = {key: self._heir(watch) for key, watch in self._watches.items()}
        dropped = [key for key, watch in heirs.items() if watch is None]
        kept = [watch for watch in heirs.values() if watch is not None]
        await self._add([w for w in kept if _news(self._watches[w.key], w)])
        # That its rule moved to another line is known here, and costs no writing.
        self._watches |= {watch.key: watch for watch in kept}
        await self._drop(dropped)
        if dropped:
            log.info(
                "discovery.dropped", source=self._source.name, watches=len(dropped)
            )

    def _heir(self, watch: Watch) -> Watch | None:
        """Let the rule that found *watch* say it anew, or another that wants it."""
        row = self._rows.get(watch.key)
        asking = self._askings.get(watch.rule)
        if row is None:
            return discovery.renewed(asking.rule, watch) if asking else None
        for one in (asking, *self._askings.values()):
            if one and (one is asking or discovery.selects(one.rule, row)):
                return discovery.watch_of(one.rule, row)
        return None

    def _first_due(self) -> _Asking | None:
        if not self._source.means.page or not self._ours():
            return None
        now = self._now()
        standing = (one for one in self._askings.values() if not _over(one.rule, now))
        return min(standing, key=_due, default=None)

    async def _ask(self, asking: _Asking) -> None:
        query = asking.query or self._begin(asking)
        try:
            async with self._budget.turn():
                page = await self._source.page(query)
        except errors.SourceError as error:
            self._failed(asking, error)
            return

        self._answered(asking)
        await self._take(asking, page)
        if not self._ours():
            asking.query = None
            return  # whoever asks from now on finds it too
        self.pages += 1
        self.rows += len(page.rows)
        most = self._source.means.range
        asking.query = paging.onward(query, page, since=asking.since, most=most)
        asking.due = anyio.current_time()
        if asking.query is None:
            await self._finish(asking)

    def _begin(self, asking: _Asking) -> Query:
        rule, now, most = asking.rule, self._now(), self._source.means.range
        asking.began, asking.began_at = anyio.current_time(), now
        asking.left_out = set()
        asking.newest = asking.mark
        asking.since = discovery.since(rule, now, asking.mark)
        asking.query = discovery.first_query(rule, now, asking.mark, most)
        return asking.query

    async def _take(self, asking: _Asking, page: Page) -> None:
        async with self._turn:
            known = self._askings.get(asking.rule.selection) is asking
            if not known or not self._ours():
                return
            fresh = self._fresh(asking, page.rows)
            self.found += sum(watch.key not in self._watches for watch in fresh)
            await self._add(fresh)
        if fresh:
            await self._changed()

    def _fresh(self, asking: _Asking, rows: Sequence[Row]) -> list[Watch]:
        """Find what is new in *rows*, or known by less than they say."""
        rule, now = asking.rule, self._now()
        held = sum(watch.rule == rule.selection for watch in self._watches.values())
        fresh: dict[InstanceKey, Watch] = {}
        for row in rows:
            asking.newest = max(asking.newest or row.created_at, row.created_at)
            known = self._watches.get(row.key)
            if known is not None:
                # A daemon with other rules may have found it, a moment ago.
                finder = self._askings.get(known.rule, asking)
                watch = discovery.watch_of(finder.rule, row)
            elif not discovery.matches(rule, row, now):
                continue
            elif held + len(fresh) >= rule.most:
                asking.left_out.add(row.key)
                continue
            else:
                watch = discovery.watch_of(rule, row)
            self._rows[row.key] = row
            if known is None or _news(known, watch):
                fresh[row.key] = watch
        return [*fresh.values()]

    async def _finish(self, asking: _Asking) -> None:
        pause = asking.rule.every.total_seconds() * (0.9 + 0.2 * self._luck())
        asking.due = asking.began + pause
        asking.whole = True
        if asking.newest and not asking.left_out:
            # One of JOB's machines may be ahead, and the others are read by this too.
            asking.mark = min(asking.newest, asking.began_at)
        self._report_full(asking)
        if self._shared:
            self.ended(await self._register.over(self._source.name))
        if self._over:
            await self._forget()

    async def _forget(self) -> None:
        """Drop what is over and old enough that no list will show it again."""
        async with self._turn:
            if not self._ours():
                return
            rules: dict[str, list[_Asking]] = {}
            for asking in self._askings.values():
                rules.setdefault(asking.rule.scope, []).append(asking)
            now = self._now()
            # Where its rule is gone by now, no list can show it.
            dropped = [
                key
                for key in self._over
                if self._unlisted(key, rules.get(key.scope, ()), now)
            ]
            await self._drop(dropped)
        if dropped:
            await self._changed()

    def _unlisted(
        self, key: InstanceKey, askings: Sequence[_Asking], now: datetime
    ) -> bool:
        row = self._rows.get(key)
        if row is None:
            return all(asking.whole for asking in askings)
        rules = (asking.rule for asking in askings)
        return row.created_at < discovery.horizon(rules, now)

    async def _add(self, watches: Sequence[Watch]) -> None:
        for start in range(0, len(watches), AT_ONCE):
            some = watches[start : start + AT_ONCE]
            await self._register.add(some)
            self._watches |= {watch.key: watch for watch in some}

    async def _drop(self, keys: Sequence[InstanceKey]) -> None:
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            await self._register.drop(some)
            self._leave(some)

    def _leave(self, keys: Iterable[InstanceKey]) -> None:
        for key in keys:
            del self._watches[key]
            self._rows.pop(key, None)
            self._over.discard(key)

    def _failed(self, asking: _Asking, error: errors.SourceError) -> None:
        asking.failures += 1
        if asking.failures == 1:
            log.warning(
                "discovery.failing",
                rule=asking.rule.selection,
                reason=str(error),
                request_ids=error.request_ids,
            )
        if asking.failures % TRIES == 0:
            asking.query = None
        rarely = isinstance(error, errors.Forbidden)
        pause = backoff.full_jitter(asking.failures, self._luck())
        asking.due = anyio.current_time() + (RARELY if rarely else pause)

    def _answered(self, asking: _Asking) -> None:
        if asking.failures:
            asking.failures = 0
            log.info("discovery.works_again", rule=asking.rule.selection)

    def _report_in_vain(self, rules: Iterable[str]) -> None:
        for rule in rules:
            if not self._source.means.page and rule not in self._askings:
                reason = "the API of this source has no list to search"
                log.warning("discovery.impossible", rule=rule, reason=reason)

    def _report_full(self, asking: _Asking) -> None:
        if asking.left_out and not asking.full:
            log.warning(
                "discovery.full",
                rule=asking.rule.selection,
                most=asking.rule.most,
                left_out=len(asking.left_out),
                remedy="raise its most, or lower its age",
            )
        asking.full = bool(asking.left_out)


def _due(asking: _Asking) -> float:
    return asking.due


def _news(before: Watch, after: Watch) -> bool:
    said = (before.rule, before.labels, before.options)
    return said != (after.rule, after.labels, after.options)


def _over(rule: Rule, now: datetime) -> bool:
    return rule.options.until is not None and now >= rule.options.until
