"""Sends again what a sink was sent in a time past.

Events from the log, as far as the sink has read it and wants them now, and the
notifications it was sent; each under the id that it had, in the order of then.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final, Protocol

from msgspec import structs

from monitor import errors
from monitor.core import matchers
from monitor.core.matchers import Matcher
from monitor.core.message import Message
from monitor.dispatcher import Dispatcher
from monitor.dispatching import Dispatching
from monitor.ports import Now, Replayed

BATCH: Final = 500

Within = tuple[float, float]


class History(Protocol):
    async def events_within(
        self, sink: str, within: Within, after: int, most: int
    ) -> list[tuple[int, Message]]: ...

    async def notifications_within(
        self, sink: str, within: Within, after: tuple[float, str] | None, most: int
    ) -> list[tuple[tuple[float, str], Message]]: ...


class Replaying:
    def __init__(self, history: History, dispatching: Dispatching, *, now: Now) -> None:
        self._history = history
        self._dispatching = dispatching
        self._now = now

    async def replay(
        self,
        sink: str,
        since: datetime,
        until: datetime | None,
        wanted: Sequence[Matcher],
        *,
        dry: bool,
    ) -> Replayed:
        """Raises ``errors.NotFound`` without such a sink, ``TooMuch`` for more than fits."""
        dispatcher = self._dispatching.of(sink)
        if dispatcher is None:
            names = ", ".join(self._dispatching.takers)
            raise errors.NotFound(f"no sink is called {sink!r}; there are: {names}")
        within = since.timestamp(), (until or self._now()).timestamp()
        found = Replayed()
        async for batch in self._recorded(sink, dispatcher, within, wanted):
            found = found.with_more(batch)
        self._check(found, self._dispatching.max_backlog(sink))
        if dry:
            return found
        already = 0
        async for batch in self._recorded(sink, dispatcher, within, wanted):
            put = await dispatcher.put(batch)
            already += len(batch) - put
        return structs.replace(found, already=already)

    def _check(self, found: Replayed, most: int) -> None:
        if found.events + found.notifications > most:
            raise errors.TooMuch(
                f"that is {found.events:,} events and {found.notifications:,}"
                f" notifications, and {most:,} may wait for this sink: narrow it by"
                " since, until or match, or raise its max_backlog"
            )

    async def _recorded(
        self,
        sink: str,
        dispatcher: Dispatcher,
        within: Within,
        wanted: Sequence[Matcher],
    ) -> AsyncIterator[list[Message]]:
        async for batch in self._events(sink, within):
            yield [it for it in batch if dispatcher.wanted(it) and _fits(wanted, it)]
        async for batch in self._notifications(sink, within):
            yield [it for it in batch if _fits(wanted, it)]

    async def _events(self, sink: str, within: Within) -> AsyncIterator[list[Message]]:
        after = 0
        while found := await self._history.events_within(sink, within, after, BATCH):
            after = found[-1][0]
            yield [message for _, message in found]

    async def _notifications(
        self, sink: str, within: Within
    ) -> AsyncIterator[list[Message]]:
        after: tuple[float, str] | None = None
        while found := await self._history.notifications_within(
            sink, within, after, BATCH
        ):
            after = found[-1][0]
            yield [message for _, message in found]


def _fits(wanted: Sequence[Matcher], message: Message) -> bool:
    return matchers.all_match(wanted, message.traits)
