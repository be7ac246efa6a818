"""Taking part: which shards are ours, from the first renewal to the last release.

Each round says that this daemon lives and hears what the others say, claims what is
free, and gives up what is more than its share: first nothing new is begun there, then
what is under way is waited for, then others may have it. A daemon that lost a shard
without giving it up begins anew, for nothing in its memory is sure any more.
"""

import random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
)
from contextlib import asynccontextmanager, contextmanager
from math import inf
from typing import Any, Final, Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from monitor import errors
from monitor.core import shards
from monitor.core.cluster import Report, View
from monitor.holdings import Holdings
from monitor.ports import Luck
from monitor.store.lease import RENEW, TTL, Epochs
from monitor.store.roll import Seen

SURE: Final = 0.8 * TTL
"""Seconds from when a renewal was asked for until others are believed to take over."""

Run = Callable[[Callable[[], Any]], Awaitable[Any]]

log = structlog.get_logger()


class Roll(Protocol):
    """The database, as far as daemons meet there.

    Each call is a transaction of its own, and raises errors.Away where none can be had.
    """

    def renew(self, held: Epochs, report: Report, *, draining: bool) -> Seen: ...
    def claim(self, wanted: Collection[int]) -> Epochs: ...
    def release(self, left: Epochs) -> None: ...
    def leave(self, left: Epochs) -> None: ...


class Member(Protocol):
    """Whoever works with what is owned here."""

    def report(self) -> Report: ...

    def met(self, view: View) -> None:
        """Hear who else there is; at each renewal."""
        ...

    async def gain(self, gained: frozenset[int]) -> None:
        """Take up what is known of these shards, which are ours by now."""
        ...

    async def let_go(self, left: frozenset[int]) -> None:
        """Return once nothing is under way for these shards; nothing new begins there."""
        ...

    async def hear(self, topics: frozenset[str]) -> None:
        """Read anew what somebody has changed."""
        ...


class _Moves:
    """What a member does just now, to be ended with it."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()

    @contextmanager
    def one(self) -> Iterator[anyio.CancelScope]:
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def cancel(self) -> None:
        for scope in self._scopes:
            scope.cancel()


class Membership:
    def __init__(
        self,
        roll: Roll,
        me: str,
        holdings: Holdings,
        run: Run,
        *,
        reached: Callable[[int], None],
        luck: Luck = random.random,  # noqa: TID251
    ) -> None:
        self.view = View(me=me)
        self._roll = roll
        self._holdings = holdings
        self._run = run
        self._reached = reached
        self._luck = luck
        self._member: Member | None = None
        self._took_at = -inf
        self._free: frozenset[int] = frozenset()
        self.draining = False
        self._renewed_at = self._claims_from = -inf
        self._report = Report()
        self._news: Mapping[str, int] = {}
        self._claiming = anyio.Lock()
        self._moving = anyio.Lock()
        self._hearing = anyio.Lock()
        self._under_way = _Moves()
        self._woken = anyio.Event()
        self._told = anyio.Event()

    @asynccontextmanager
    async def attended(self, member: Member) -> AsyncIterator[None]:
        """Let *member*, who knows what is owned by now, hear of what changes.

        Nothing is claimed or given up while nobody does: whoever attends next knows what
        is owned when this has ended.
        """
        self._member = member
        self._under_way = _Moves()
        self._free = frozenset()  # as of a round in which nobody here could take it
        self._woken.set()  # others give nothing to who has said nothing of itself
        try:
            yield
        finally:
            self._member = None
            self._under_way.cancel()
            # As long as a statement takes, and the database has that end in time.
            async with self._claiming, self._moving, self._hearing:
                pass

    @property
    def age(self) -> float:
        """Say how many seconds ago the last renewal was asked for that succeeded."""
        return anyio.current_time() - self._renewed_at

    def seen(self) -> View:
        """Say who lives by now, as far as that can be known without asking."""
        return self.view.aged(self.age, TTL)

    def drain(self) -> None:
        """Claim nothing more, and let the others know."""
        self.draining = True
        # Answered by a renewal that begins from now on: one under way says nothing of it.
        self._told = anyio.Event()
        self._woken.set()

    async def hand_over(self) -> None:
        """Once drained, leave all that is owned to those who stay; needs ``run``.

        Returns when they may take it, and at once where nobody stays.
        """
        await self._told.wait()
        if self.view.heirs:
            left = self._holdings.active
            self._holdings.leave(left)
            await self._let_go(left)

    async def join(self) -> None:
        """Take part, and take what is free of one's share."""
        seen = await self._renewed()
        self._news = seen.news  # what is new from here on may be unknown to a member
        await self._claim(seen)

    async def leave(self) -> None:
        mine = self._holdings.epochs
        try:
            await self._run(lambda: self._roll.leave(mine))
        except errors.StoreError:
            return  # the leases run out by themselves

    async def run(self) -> None:
        """Keep what is owned until cancelled; errors.LeaseLost where that fails."""
        async with anyio.create_task_group() as tasks:
            while True:
                with anyio.move_on_after(RENEW * (0.9 + 0.2 * self._luck())):
                    await self._woken.wait()
                self._woken = anyio.Event()
                try:
                    await self._round(tasks)
                except errors.Away:
                    continue

    async def _round(self, tasks: TaskGroup) -> None:
        before, seen = self._renewed_at, await self._renewed()
        if self._renewed_at - before > TTL:
            # The database was away, maybe for all: let them come and renew.
            self._claims_from = self._renewed_at + 2 * RENEW
            self._free = frozenset()
        async with self._claiming:
            if self._member is None:
                return  # nobody could take up what is gained, or let go of anything
            self._member.met(seen.view)
            tasks.start_soon(self._hear, seen.news, name="news")
            if gained := await self._claim(seen):
                tasks.start_soon(self._gain, gained, name="shards gained")
            if left := self._surplus():
                tasks.start_soon(self._let_go, left, name="shards given up")

    async def _renewed(self) -> Seen:
        began = anyio.current_time()
        if self._member is not None:
            self._report = self._member.report()
        report = self._report
        held, draining = self._holdings.epochs, self.draining
        told = self._told
        seen: Seen = await self._run(
            lambda: self._roll.renew(held, report, draining=draining)
        )
        self._check(seen.kept)
        self._renewed_at = began
        self._holdings.deadline = began + SURE
        self.view = seen.view
        self._holdings.differ(seen.ahead)
        self._reached(seen.position)
        told.set()
        return seen

    def _check(self, kept: Epochs) -> None:
        ours = self._holdings.epochs
        lost = [each for each in ours if kept.get(each) != ours[each]]
        if lost:
            raise errors.LeaseLost(
                f"{len(lost)} shards were taken over; this daemon slept for too long,"
                " or could not reach the database"
            )

    async def _claim(self, seen: Seen) -> frozenset[int]:
        if self.draining or anyio.current_time() < self._claims_from:
            return frozenset()
        most = seen.view.quota
        free = sorted(seen.free(), key=lambda _: self._luck())
        forsaken, self._free = self._free, frozenset(free)
        wanted = shards.claims(free, len(self._holdings.epochs), most, forsaken)
        if not wanted:
            return frozenset()
        taken: Epochs = await self._run(lambda: self._roll.claim(wanted))
        if not taken:
            return frozenset()
        self._took_at = anyio.current_time()
        self._holdings.take(taken)
        log.info("shards.gained", shards=len(taken), owned=len(self._holdings.epochs))
        return frozenset(taken)

    async def _gain(self, gained: frozenset[int]) -> None:
        async with self._moving:
            if self._member is not None:
                with self._under_way.one():
                    await self._member.gain(gained)

    def _surplus(self) -> frozenset[int]:
        calm = anyio.current_time() - self._took_at
        active = self._holdings.active
        left = frozenset(shards.surplus(active, self.view.quota, calm))
        self._holdings.leave(left)
        return left

    async def _let_go(self, left: frozenset[int]) -> None:
        async with self._moving:
            if self._member is None:
                self._holdings.stay(left)  # nobody says that nothing is under way
                return
            with self._under_way.one() as move:
                await self._member.let_go(left)
            if move.cancelled_caught:
                self._holdings.stay(left)
                return
            epochs = self._holdings.drop(left)
            try:
                await self._run(lambda: self._roll.release(epochs))
            except errors.Away:
                return  # not written any more, they run out by themselves
            log.info(
                "shards.given_up", shards=len(left), owned=len(self._holdings.epochs)
            )

    async def _hear(self, news: Mapping[str, int]) -> None:
        async with self._hearing:
            topics = {t for t, n in news.items() if n != self._news.get(t, n)}
            self._news = news
            if topics and self._member is not None:
                with self._under_way.one():
                    await self._member.hear(frozenset(topics))
