"""The dispatchers of all sinks together, and what is looked after from time to time."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Never

import anyio
import structlog
from anyio.abc import TaskGroup
from msgspec import Struct

from monitor import metering
from monitor.core.cluster import SinkReport
from monitor.core.message import Message
from monitor.dispatcher import Dispatcher
from monitor.holdings import Holdings
from monitor.metering import Sample
from monitor.outlet import Health, Outlet
from monitor.ports import Luck, Now, Outbox, Sink, Standing
from monitor.pulse import Pulse

LOOKED_AFTER: Final = 10.0
"""Seconds between two looks at what waits for a sink."""

log = structlog.get_logger()


class Care(Struct, frozen=True, kw_only=True):
    """How a sink is looked after; *fallback_after* is in seconds."""

    fallback: str = ""
    fallback_after: float = 300.0
    max_backlog: int = 100_000


class Dispatching:
    def __init__(
        self,
        outbox: Outbox,
        *,
        now: Now,
        luck: Luck,
        holdings: Holdings | None = None,
    ) -> None:
        self._outbox = outbox
        self._holdings = holdings or Holdings()
        self._now = now
        self._luck = luck
        self._dispatchers: dict[str, Dispatcher] = {}
        self._cares: dict[str, Care] = {}
        self._pulses: dict[str, Pulse] = {}
        self._standings: dict[str, Standing] = {}

    def add(
        self, sink: Sink, wants: Callable[[Message], bool] | None, care: Care
    ) -> None:
        """Deliver to *sink*, once started; *wants* says which events it wants."""
        self._cares[sink.name] = care
        self._dispatchers[sink.name] = Dispatcher(
            sink,
            self._outbox,
            wants,
            now=self._now,
            luck=self._luck,
            fallback=care.fallback,
            holdings=self._holdings,
        )

    def beat(
        self, sink: Sink, every: float, alive: Callable[[], Awaitable[None]]
    ) -> None:
        """Let *sink* beat each so many seconds, once started, while *alive* returns."""
        self._pulses[sink.name] = Pulse(
            sink,
            every,
            alive,
            now=self._now,
            luck=self._luck,
            ours=lambda: self._holdings.sure() and self._holdings.owns(sink.name),
        )

    def start(self, tasks: TaskGroup) -> None:
        for pulse in self._pulses.values():
            tasks.start_soon(pulse.run, name="heartbeat")
        for name, dispatcher in self._dispatchers.items():
            tasks.start_soon(dispatcher.run, name="dispatcher")
            tasks.start_soon(self._look_after, name, name="outbox")

    def wake(self) -> None:
        for dispatcher in self._dispatchers.values():
            dispatcher.wake()

    def hear(self) -> None:
        """Others may have put messages on their way."""
        for dispatcher in self._dispatchers.values():
            dispatcher.hear()

    async def gain(self, gained: frozenset[int]) -> None:
        """Deliver what belongs to these shards too."""
        async with anyio.create_task_group() as tasks:
            for dispatcher in self._dispatchers.values():
                tasks.start_soon(dispatcher.gain, gained)

    async def let_go(self, left: frozenset[int]) -> None:
        """Return once nothing of these shards is being delivered."""
        async with anyio.create_task_group() as tasks:
            for dispatcher in self._dispatchers.values():
                tasks.start_soon(dispatcher.let_go, left)

    async def drain(self) -> None:
        """Return once all that can be delivered at once has been."""
        async with anyio.create_task_group() as tasks:
            for dispatcher in self._dispatchers.values():
                tasks.start_soon(dispatcher.drain, name="drain")

    @property
    def names(self) -> list[str]:
        return list(self._outlets)

    @property
    def takers(self) -> list[str]:
        """Name those that are sent messages."""
        return list(self._dispatchers)

    @property
    def _outlets(self) -> dict[str, Outlet]:
        found = {name: each.outlet for name, each in self._dispatchers.items()}
        return found | {name: each.outlet for name, each in self._pulses.items()}

    def of(self, sink: str) -> Dispatcher | None:
        return self._dispatchers.get(sink)

    async def put(self, sink: str, messages: Sequence[Message]) -> int:
        """Put messages on their way again; tell how many were not on it."""
        return await self._dispatchers[sink].put(messages)

    def health(self, sink: str) -> Health:
        return self._outlets[sink].health()

    def reports(self) -> dict[str, SinkReport]:
        """Say how this daemon fares with each sink, as it was last looked after."""
        return {
            name: self._reported(name, each) for name, each in self._outlets.items()
        }

    def _reported(self, name: str, outlet: Outlet) -> SinkReport:
        health, behind = outlet.health(), self._standings.get(name, Standing())
        return SinkReport(
            condition=health.condition,
            since=health.since,
            error=health.error,
            until=health.until,
            taken_at=health.taken_at,
            failed_at=health.failed_at,
            waiting=behind.waiting,
            unread=behind.unread,
        )

    def fallback(self, sink: str) -> str:
        return self._cares.get(sink, Care()).fallback

    def max_backlog(self, sink: str) -> int:
        return self._cares[sink].max_backlog

    @property
    def waiting(self) -> int:
        """Count the messages on their way, as they were last looked after."""
        return sum(each.waiting + each.unread for each in self._standings.values())

    def samples(self) -> Iterator[Sample]:
        now = self._now().timestamp()
        for outlet in self._outlets.values():
            yield from outlet.samples()
        for name in self._dispatchers:
            found = self._standings.get(name, Standing())
            yield from metering.backlog(
                name,
                waiting=found.waiting + found.unread,
                oldest=0.0 if found.oldest is None else max(0.0, now - found.oldest),
                dead=found.dead,
            )

    async def _look_after(self, name: str) -> Never:
        dispatcher, care = self._dispatchers[name], self._cares[name]
        while True:
            self._standings[name] = await dispatcher.keep_in_bounds(care.max_backlog)
            if care.fallback and await dispatcher.pass_on(care.fallback_after):
                self._dispatchers[care.fallback].wake()
            await anyio.sleep(LOOKED_AFTER)
