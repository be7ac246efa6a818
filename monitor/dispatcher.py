"""Carries messages to one sink, at least once, in order for each instance.

Events are read from the log by cursor; what fails, and every notification, waits
in the store and is tried again on a ladder for three days. A line (the events, or
the notifications, of one key) is held back by its first message only. Each sink
has a dispatcher of its own, so that a dead one delays nobody else; while a sink is
down the log is not read for it, and one message at a time finds out when it is back.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
import structlog
from msgspec import structs

from monitor import errors
from monitor.core import backoff
from monitor.core.circuit import CLOSE
from monitor.core.message import Kind, Message, holds_events, key_of_line
from monitor.core.shards import shard
from monitor.holdings import Holdings
from monitor.outlet import AT_ONCE, Outlet
from monitor.ports import (
    Delivery,
    Luck,
    Now,
    Outbox,
    Shards,
    Shed,
    Sink,
    Standing,
    delivery_of,
)

BATCH: Final = 200

UNSURE: Final = 1.0
"""Seconds until it is looked again whether what was ours still is."""

log = structlog.get_logger()


class Dispatcher:
    """*wants* says whether the sink wants an event; None: it reads no events.

    *fallback* names the sink that is told what this one was to be told and never
    will be. *holdings*: of which shards messages are delivered here.
    """

    def __init__(
        self,
        sink: Sink,
        outbox: Outbox,
        wants: Callable[[Message], bool] | None,
        *,
        now: Now,
        luck: Luck,
        fallback: str = "",
        holdings: Holdings | None = None,
    ) -> None:
        self.outlet: Final = Outlet(sink, now=now, luck=luck, back=self._is_back)
        self._name = sink.name
        self._outbox = outbox
        self._wants = wants
        self._now = now
        self._luck = luck
        self._fallback = fallback
        self._news = anyio.Event()
        self._mail = anyio.Event()
        self._all_read = anyio.Event()
        self._none_due = anyio.Event()
        self._counted = anyio.Event()
        self._holdings = holdings or Holdings()
        self._shards = self._holdings.active
        # The ids of what waits in each line.
        self._waiting: dict[str, set[str]] = {}
        self._reading = anyio.Lock(fast_acquire=True)
        self._carrying = anyio.Lock(fast_acquire=True)
        self._keeping = anyio.Lock(fast_acquire=True)
        self._back = False
        self._letting_go = 0
        self._put_elsewhere = False

    def wake(self) -> None:
        """Something was recorded, or put on its way: look now."""
        self._news.set()
        self._mail.set()

    def hear(self) -> None:
        """Others may have put messages on their way: these hold back their lines too."""
        self._put_elsewhere = True
        self.wake()

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._count(self._shards)
        self._counted.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._carry, name=f"sink {self._name}: waiting")
            if self._wants is not None:
                tasks.start_soon(self._follow, name=f"sink {self._name}: events")

    async def _count(self, shards: Shards) -> None:
        waiting = await self._outbox.waiting(self._name, shards)
        for line, ids in waiting.items():
            if holds_events(line):
                # Some may be in no table yet: they were put on their way just now.
                self._waiting.setdefault(line, set()).update(ids)

    async def _count_again(self) -> None:
        if self._put_elsewhere:
            self._put_elsewhere = False
            async with self._carrying, self._keeping:  # nothing may leave meanwhile
                await self._count(self._shards)

    async def gain(self, gained: frozenset[int]) -> None:
        """Deliver what belongs to these shards too."""
        await self._counted.wait()
        await self._count(gained)
        self._shards |= gained
        self.wake()

    async def let_go(self, left: frozenset[int]) -> None:
        """Return once nothing of these shards is being delivered.

        That takes as long as what was begun: the rest of a batch waits for another.
        """
        self._shards -= left
        with self._cut_short():
            async with self._reading, self._carrying, self._keeping:
                lines = [x for x in self._waiting if shard(key_of_line(x)) in left]
                for line in lines:
                    del self._waiting[line]

    @contextmanager
    def _cut_short(self) -> Iterator[None]:
        self._letting_go += 1
        try:
            yield
        finally:
            self._letting_go -= 1
            self.wake()

    async def drain(self) -> None:
        """Return once all that can be delivered at once has been; needs ``run``."""
        # Answered by a look that begins from now on; one under way may be too early.
        all_read = self._all_read = anyio.Event()
        none_due = self._none_due = anyio.Event()
        self.wake()
        if self._wants is not None:
            await all_read.wait()
        await none_due.wait()

    async def _follow(self) -> None:
        while True:
            self._news, all_read = anyio.Event(), self._all_read
            rest = None if self.outlet.open else self._rest()
            if rest == 0:
                if await self._read_on():
                    continue
                rest = None
            all_read.set()
            with anyio.move_on_after(rest):
                await self._news.wait()

    def _rest(self) -> float:
        """Tell the seconds for which nothing is to be tried."""
        return self.outlet.rest if self._may_begin() else UNSURE

    def _may_begin(self) -> bool:
        return self._holdings.sure() and not self._letting_go

    async def _read_on(self) -> bool:
        async with self._reading:
            await self._count_again()
            shards = self._shards
            unread = await self._outbox.unread(self._name, BATCH, shards)
            if unread.upto is None:
                return False
            wanted = [message for _, message in unread.events if self.wanted(message)]
            failed = await self._deliver(wanted)
            await self._outbox.read(self._name, unread.upto, failed, shards)
        if failed:
            self._mail.set()
        return bool(unread.events)

    def wanted(self, message: Message) -> bool:
        return self._wants is not None and self._wants(message)

    async def _deliver(self, messages: Sequence[Message]) -> list[Delivery]:
        chains: dict[str, list[Message]] = {}
        for message in messages:
            chains.setdefault(message.line, []).append(message)
        waiting, failed = iter(chains.values()), list[Delivery]()
        # As many as the outlet lets through: a task for each would cost more than a line.
        async with anyio.create_task_group() as tasks:
            for _ in range(min(AT_ONCE, len(chains))):
                tasks.start_soon(self._deliver_chains, waiting, failed)
        return failed

    async def _deliver_chains(
        self, chains: Iterator[list[Message]], failed: list[Delivery]
    ) -> None:
        for chain in chains:
            await self._deliver_chain(chain, failed)

    async def _deliver_chain(
        self, chain: list[Message], failed: list[Delivery]
    ) -> None:
        for message in chain:
            outcome: Delivery | None = self._first_try(message)
            if message.line not in self._waiting:
                outcome = await self._try(self._first_try(message))
            if outcome is not None:
                self._waits(message)
                failed.append(outcome)

    def _first_try(self, message: Message) -> Delivery:
        return delivery_of(self._name, message, self._now())

    async def _carry(self) -> None:
        while True:
            self._mail, none_due = anyio.Event(), self._none_due
            async with self._carrying:
                await self._hasten()
                wait = await self._try_due()
            if wait != 0:
                none_due.set()
            with anyio.move_on_after(wait):
                await self._mail.wait()

    async def _hasten(self) -> None:
        """Let all that waits be due, once the sink is back."""
        if self._back:
            self._back = False
            now = self._now().timestamp()
            await self._outbox.hasten(self._name, now, self._shards)

    async def _try_due(self) -> float | None:
        """Try what is due; give the seconds until something else will be."""
        heads = await self._outbox.lines(self._name, BATCH, self._shards)
        if rest := self._rest():
            return rest
        if self.outlet.open:
            await self._probe(heads)
            return 0.0
        now = self._now().timestamp()
        due = [delivery for delivery in heads if delivery.due <= now + CLOSE]
        async with anyio.create_task_group() as tasks:
            for delivery in due:
                tasks.start_soon(self._try_again, delivery)
        if due:
            return 0.0
        return min((d.due - now for d in heads), default=None)

    async def _probe(self, heads: Sequence[Delivery]) -> None:
        """Find out with one message whether the sink is back.

        It is the one that was tried least: no single bad message keeps it closed.
        """
        if heads:
            least = min(heads, key=lambda head: head.tries)
            await self._try_again(least, probe=True)
        else:
            self.outlet.close()

    def _is_back(self) -> None:
        self._back = True
        self.wake()

    async def _try_again(self, delivery: Delivery, *, probe: bool = False) -> None:
        outcome = await self._try(delivery, probe=probe)
        if outcome is delivery:
            return
        if outcome is not None:
            await self._outbox.postpone(outcome)
            return
        await self._outbox.delivered([delivery])
        self._left(delivery.message.line, [delivery.message.id])

    async def _try(self, delivery: Delivery, *, probe: bool = False) -> Delivery | None:
        """Try once; None when there is nothing more to do for this delivery."""
        try:
            tried = await self.outlet.take(
                delivery.message, probe=probe, may=self._may_send
            )
        except errors.Rejected as error:
            await self._bury(delivery, str(error))
            return None
        except errors.Undelivered as error:
            return await self._later(delivery, error)
        return None if tried else delivery

    def _may_send(self, message: Message) -> bool:
        """Tell whether nobody else may be sending it by now, or waits until it is sent."""
        return self._may_begin() and shard(message.key) in self._shards

    async def _later(
        self, delivery: Delivery, error: errors.Undelivered
    ) -> Delivery | None:
        now = self._now().timestamp()
        tries = delivery.tries + 1
        if tries == 1:  # until now it may have waited behind another
            delivery = structs.replace(delivery, since=now)
        if now - delivery.since >= backoff.GIVE_UP_AFTER:
            await self._bury(delivery, f"given up after three days: {error}")
            return None

        wait = backoff.ladder(tries, self._luck())
        if error.retry_after is not None:
            wait = max(wait, error.retry_after.total_seconds())
        return structs.replace(delivery, due=now + wait, tries=tries, error=str(error))

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        self.outlet.given_up([delivery.message.line])
        log.error(
            "delivery.buried", sink=self._name, id=delivery.message.id, reason=reason
        )
        dead = structs.replace(delivery, error=reason, tries=delivery.tries + 1)
        now = self._now().timestamp()
        await self._outbox.bury(dead, now, fallback=self._fallback)

    async def put(self, messages: Sequence[Message]) -> int:
        """Put *messages* on their way again; tell how many did not wait already.

        Their ids stay the same. They come behind what waits for their lines.
        """
        await self._counted.wait()
        for each in messages:
            if each.kind is Kind.EVENTS and shard(each.key) in self._shards:
                self._waits(each)
        added = await self._outbox.put([self._first_try(each) for each in messages])
        self._mail.set()
        return len(added)

    async def keep_in_bounds(self, most: int) -> Standing:
        """Give up the oldest of what waits beyond *most* messages."""
        await self._counted.wait()
        given_up = 0
        while _worst(standing := await self._standing()) > most:
            shed = await self._shed(most)
            if not shed.messages:
                break  # they are fewer than they seemed
            for line, ids in shed.lines.items():
                self._left(line, ids)
            self.outlet.given_up(shed.lines)
            given_up += shed.messages
        if given_up:
            log.error(
                "delivery.shed",
                sink=self._name,
                messages=given_up,
                reason=f"more than max_backlog ({most}) waited",
            )
        return standing

    async def _standing(self) -> Standing:
        return await self._outbox.standing(self._name, self._shards)

    async def _shed(self, most: int) -> Shed:
        async with self._keeping:
            now = self._now().timestamp()
            return await self._outbox.shed(self._name, most, now, self._shards)

    async def pass_on(self, after: float) -> int:
        """Let the fallback be told what this sink has not taken for *after* seconds."""
        now = self._now().timestamp()
        async with self._keeping:
            passed = await self._outbox.pass_on(
                self._name, self._fallback, now - after, now, self._shards
            )
        if passed:
            log.warning(
                "delivery.passed_on",
                sink=self._name,
                to=self._fallback,
                notifications=passed,
            )
        return passed

    def _waits(self, message: Message) -> None:
        self._waiting.setdefault(message.line, set()).add(message.id)

    def _left(self, line: str, ids: Iterable[str]) -> None:
        """Take note of what waits no longer; notifications are not counted."""
        waiting = self._waiting.get(line)
        if waiting is not None:
            waiting.difference_update(ids)
            if not waiting:
                del self._waiting[line]


def _worst(standing: Standing) -> int:
    return max(standing.waiting, standing.unread, standing.dead)
