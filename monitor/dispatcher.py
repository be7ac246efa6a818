"""Carries messages to one sink, at least once, in order for each instance.

Events are read from the log by cursor; what fails, and every notification, waits
in the store and is tried again on a ladder for three days. A line (the events, or
the notifications, of one key) is held back by its first message only. Each sink
has a dispatcher of its own, so that a dead one delays nobody else.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import structlog
from msgspec import structs

from monitor import errors
from monitor.core import backoff
from monitor.core.message import Kind, Message
from monitor.ports import Delivery, Luck, Now, Outbox, Sink

BATCH: Final = 200
AT_ONCE: Final = 8
DEADLINE: Final = 60.0
"""Seconds after which a sink that does not keep its own deadline is given up."""

log = structlog.get_logger()


class Dispatcher:
    """*wants* says whether the sink wants an event; None: it reads no events."""

    def __init__(
        self,
        sink: Sink,
        outbox: Outbox,
        wants: Callable[[Message], bool] | None,
        *,
        now: Now,
        luck: Luck,
    ) -> None:
        self._sink = sink
        self._outbox = outbox
        self._wants = wants
        self._now = now
        self._luck = luck
        self._news = anyio.Event()
        self._mail = anyio.Event()
        self._all_read = anyio.Event()
        self._none_due = anyio.Event()
        self._waiting: Counter[str] = Counter()
        self._slots = anyio.CapacityLimiter(AT_ONCE)
        self._failing: set[str] = set()

    def wake(self) -> None:
        """Something was recorded, or put on its way: look now."""
        self._news.set()
        self._mail.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._carry, name=f"sink {self._sink.name}: waiting")
            if self._wants is not None:
                tasks.start_soon(self._follow, name=f"sink {self._sink.name}: events")

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
        self._waiting.update(await self._outbox.waiting(self._sink.name))
        while True:
            self._news, all_read = anyio.Event(), self._all_read
            if not await self._read_on():
                all_read.set()
                await self._news.wait()

    async def _read_on(self) -> bool:
        unread = await self._outbox.unread(self._sink.name, BATCH)
        if not unread:
            return False
        wanted = [message for _, message in unread if self._wanted(message)]
        failed = await self._deliver(wanted)
        await self._outbox.read(self._sink.name, unread[-1][0], failed)
        if failed:
            self._mail.set()
        return True

    def _wanted(self, message: Message) -> bool:
        return self._wants is not None and self._wants(message)

    async def _deliver(self, messages: Sequence[Message]) -> list[Delivery]:
        chains: dict[str, list[Message]] = {}
        for message in messages:
            chains.setdefault(message.line, []).append(message)
        failed: list[Delivery] = []
        async with anyio.create_task_group() as tasks:
            for chain in chains.values():
                tasks.start_soon(self._deliver_chain, chain, failed)
        return failed

    async def _deliver_chain(
        self, chain: list[Message], failed: list[Delivery]
    ) -> None:
        for message in chain:
            first = self._first_try(message)
            if self._waiting[message.line]:
                outcome: Delivery | None = first
            else:
                outcome = await self._try(first)
            if outcome is not None:
                self._waiting[message.line] += 1
                failed.append(outcome)

    def _first_try(self, message: Message) -> Delivery:
        now = self._now().timestamp()
        return Delivery(sink=self._sink.name, message=message, due=now, since=now)

    async def _carry(self) -> None:
        while True:
            self._mail, none_due = anyio.Event(), self._none_due
            wait = await self._try_due()
            if wait != 0:
                none_due.set()
            with anyio.move_on_after(wait):
                await self._mail.wait()

    async def _try_due(self) -> float | None:
        """Try what is due; give the seconds until something else will be."""
        heads = await self._outbox.lines(self._sink.name, BATCH)
        now = self._now().timestamp()
        due = [delivery for delivery in heads if delivery.due <= now]
        async with anyio.create_task_group() as tasks:
            for delivery in due:
                tasks.start_soon(self._try_again, delivery)
        if due:
            return 0.0
        return min((d.due - now for d in heads), default=None)

    async def _try_again(self, delivery: Delivery) -> None:
        outcome = await self._try(delivery)
        if outcome is not None:
            await self._outbox.postpone(outcome)
            return
        await self._outbox.delivered([delivery])
        if delivery.message.kind is Kind.EVENTS:
            self._waiting[delivery.message.line] -= 1

    async def _try(self, delivery: Delivery) -> Delivery | None:
        """Try once; None when there is nothing more to do for this delivery."""
        try:
            async with self._slots:
                await self._contained(delivery.message)
        except errors.Rejected as error:
            await self._bury(delivery, str(error))
            return None
        except errors.Undelivered as error:
            return await self._later(delivery, error)
        self._report_recovery(delivery)
        return None

    async def _contained(self, message: Message) -> None:
        try:
            with anyio.fail_after(DEADLINE):
                await self._sink.deliver(message)
        except TimeoutError as error:
            raise errors.Undelivered("the sink did not answer in time") from error
        except errors.SinkError:
            raise
        except Exception as error:  # a bug in one sink must not stop the others
            log.exception("delivery.crashed", sink=self._sink.name, id=message.id)
            raise errors.Undelivered("the sink crashed") from error

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
        self._report_failure(delivery, error)
        return structs.replace(delivery, due=now + wait, tries=tries, error=str(error))

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        self._failing.discard(delivery.message.line)
        log.error(
            "delivery.buried",
            sink=self._sink.name,
            id=delivery.message.id,
            reason=reason,
        )
        dead = structs.replace(delivery, error=reason, tries=delivery.tries + 1)
        await self._outbox.bury(dead, self._now().timestamp())

    def _report_failure(self, delivery: Delivery, error: errors.SinkError) -> None:
        # One line when a sink begins to fail, one when nothing fails there any more.
        if not self._failing:
            name, id_ = self._sink.name, delivery.message.id
            log.warning("sink.failing", sink=name, id=id_, reason=str(error))
        self._failing.add(delivery.message.line)

    def _report_recovery(self, delivery: Delivery) -> None:
        line = delivery.message.line
        if line in self._failing:
            self._failing.discard(line)
            if not self._failing:
                log.info("sink.recovered", sink=self._sink.name)
