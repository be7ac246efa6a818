"""Asks about an instance as little as will do, and all once something moved.

Where the API can leave hosts out, a look without them is the change detector:
hosts are asked for at first sight, when the job or a step moved, at the end, and
now and then while a step runs. Decides nothing about what an answer means.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, NamedTuple

import structlog
from msgspec import structs

from monitor import errors
from monitor.core import asking
from monitor.core.asking import Depth, Outline
from monitor.core.model import InstanceKey, Snapshot, Step
from monitor.pace import Pace
from monitor.ports import Look, Source

BLIND_AFTER: Final = 4
"""Looks in a row that failed with hosts, until one without hosts is believed."""

Known = Callable[[InstanceKey], Awaitable[Snapshot | None]]

log = structlog.get_logger()


class Memo:
    """What is kept of an instance between two looks.

    *digest* is that of the last answer with hosts, *light* of the last without.
    *hurried*: the next look is with hosts, since it is known that something moved.
    """

    __slots__ = (
        "blind",
        "confirmed",
        "digest",
        "hosts_at",
        "hurried",
        "light",
        "outline",
    )

    def __init__(self) -> None:
        self.blind = 0
        self.forget()

    def forget(self) -> None:
        """Take the next answer for news, whatever it says."""
        self.digest = self.light = b""
        self.outline: Outline | None = None
        self.hosts_at = -inf
        self.confirmed = self.hurried = False

    def learn(self, known: Snapshot | None) -> None:
        """Take note of what is known now that an answer was taken in."""
        self.outline = asking.outline(known) if known else None
        self.confirmed = self.confirmed and known is not None and known.finished


class Seen(NamedTuple):
    """What one look brought; without a *snapshot* nothing had changed."""

    snapshot: Snapshot | None
    digest: bytes
    depth: Depth

    def remember(self, memo: Memo, *, used: bool) -> None:
        """Know the same answer again, if this one was *used*."""
        digest = self.digest if used else b""
        if self.depth is Depth.HOSTS:
            memo.digest = digest
        else:
            memo.light = digest


class Looking:
    """*early* are seconds; *known* gives the snapshot that an instance has by now."""

    def __init__(
        self, source: Source, pace: Pace, *, early: float, known: Known
    ) -> None:
        self._source = source
        self._means = source.means
        self._pace = pace
        self._early = early
        self._known = known
        self._ungrouped = False
        # The clock of anyio.current_time, which takes ten times as long to ask.
        self._time = asyncio.get_running_loop().time

    async def look(self, key: InstanceKey, memo: Memo) -> Seen:
        """Look once, with up to three requests; raises an ``errors.SourceError``."""
        depth = self._depth(memo)
        if depth is Depth.HOSTS:
            # Before the answer: who hurries us meanwhile wants yet another look.
            memo.hurried = False
            # Not a method of its own: a coroutine less at every poll of v2.
            try:
                look = await self._source.look(key, memo.digest)
            except errors.Unavailable as error:
                return await self._without_hosts(key, memo, error)
            self._pace.succeeded()
            return self._noted(memo, look)
        look = await self._source.look(key, memo.light, hosts=False)
        self._pace.succeeded()
        moved = look.snapshot is not None and (
            memo.outline is None or memo.outline.moved(look.snapshot)
        )
        if moved:
            return await self._with_hosts(key, memo, look)
        if depth is Depth.GROUPS:
            look = await self._counted(key, memo, look)
        return Seen(look.snapshot, look.digest, depth)

    def _depth(self, memo: Memo) -> Depth:
        means = self._means
        if memo.hurried or not means.light:
            return Depth.HOSTS
        depth = asking.depth(
            memo.outline,
            since_hosts=self._time() - memo.hosts_at,
            early=self._early,
            confirmed=memo.confirmed,
        )
        countable = means.groups and not self._ungrouped
        return Depth.HOSTS if depth is Depth.GROUPS and not countable else depth

    async def _with_hosts(self, key: InstanceKey, memo: Memo, light: Look) -> Seen:
        async with self._pace.turn():
            try:
                look = await self._source.look(key, memo.digest)
            except errors.Unavailable as error:
                return await self._without_hosts(key, memo, error, light)
        return self._noted(memo, look)

    def _noted(self, memo: Memo, look: Look) -> Seen:
        memo.confirmed = memo.outline is not None and asking.over(memo.outline)
        memo.blind = 0
        memo.hosts_at = self._time()
        return Seen(look.snapshot, look.digest, Depth.HOSTS)

    async def _without_hosts(
        self,
        key: InstanceKey,
        memo: Memo,
        error: errors.Unavailable,
        light: Look | None = None,
    ) -> Seen:
        """See the job itself where its hosts cannot be seen, again and again.

        v3 has no words for containers and fails on them for ever. Source: bk-job
        ExecuteObject.java and EsbGetJobInstanceStatusV3ResourceImpl, read 2026-11.
        """
        memo.blind += 1
        if memo.blind < BLIND_AFTER or not self._means.light:
            raise error
        self._pace.failed(error)
        if light is None:
            async with self._pace.turn():
                light = await self._source.look(key, memo.light, hosts=False)
        if memo.blind == BLIND_AFTER:
            remedy = "where it runs in containers, use api: gateway-v4"
            log.warning("hosts.unreadable", key=str(key), remedy=remedy)
        memo.hosts_at = self._time()
        memo.confirmed = True
        return Seen(light.snapshot, light.digest, Depth.LIGHT)

    async def _counted(self, key: InstanceKey, memo: Memo, look: Look) -> Look:
        """Ask how many hosts of the steps under way stand how, and who failed."""
        base = look.snapshot or await self._known(key)
        if base is None:
            return look
        steps = [structs.replace(step, hosts={}, partial=True) for step in base.steps]
        for number, step in enumerate(steps):
            if asking.runs(step):
                async with self._pace.turn():
                    steps[number] = await self._groups(key, step)
        if not self._ungrouped:
            memo.hosts_at = self._time()
        return Look(look.digest, structs.replace(base, steps=tuple(steps)))

    async def _groups(self, key: InstanceKey, step: Step) -> Step:
        try:
            return await self._source.groups(key, step, asking.NAMED)
        except errors.Garbled as error:
            # A server before 3.9 has no such call: ask for hosts from now on.
            self._ungrouped = error.whole_source
            log.info("groups.unavailable", source=self._source.name, reason=str(error))
            return step
