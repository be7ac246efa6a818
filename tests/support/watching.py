"""Scheduler, sight and poller of one source on a real store, as the service joins them."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import anyio

from monitor.agenda import Learning, Rules
from monitor.core.message import Message
from monitor.core.state import Change
from monitor.core.watch import Watch
from monitor.holdings import Holdings
from monitor.pace import Pace
from monitor.poller import Poller
from monitor.ports import Luck, Source
from monitor.recorder import Recorder
from monitor.scheduler import Scheduler
from monitor.sight import Patience, Sight
from monitor.store.sql import SqlStore
from tests.support import clock

AT_ONCE = Rules(spread=0.0)


class Watching:
    """*changes* are the commits since it was built."""

    def __init__(
        self,
        store: SqlStore,
        source: Source,
        *,
        rules: Rules = AT_ONCE,
        width: int = 8,
        luck: Luck = clock.middling,
        heard: Callable[[Change], None] = lambda _: None,
        learning: Learning | None = None,
        holdings: Holdings | None = None,
    ) -> None:
        self.changes: list[Change] = []
        self.holdings = holdings or Holdings()
        self.recorder = Recorder(store, self._committed, self.holdings.holds)
        self._heard = heard
        self.pace = Pace(width=width, per_second=None, luck=luck)
        self.scheduler = Scheduler(source.name, self.pace, luck=luck)
        self.sight = Sight(
            source.name,
            self.scheduler,
            memory=store,
            recorder=self.recorder,
            patience=Patience(spread=0.0),
            now=clock.now,
            luck=luck,
        )
        self.poller = Poller(
            source,
            self.scheduler,
            memory=store,
            recorder=self.recorder,
            sight=self.sight,
            pace=self.pace,
            rules=rules,
            learning=learning,
            holdings=self.holdings,
            now=clock.now,
            luck=luck,
        )

    def _committed(self, change: Change) -> None:
        self.changes.append(change)
        self._heard(change)

    @property
    def events(self) -> list[Message]:
        return [event for change in self.changes for event in change.events]

    @property
    def types(self) -> list[str]:
        """The types of the events, without what is common to all."""
        return [event.type.removeprefix("bkjob.") for event in self.events]


@asynccontextmanager
async def watching(
    store: SqlStore,
    source: Source,
    watches: Iterable[Watch],
    *,
    rules: Rules = AT_ONCE,
    width: int = 8,
    learning: Learning | None = None,
    holdings: Holdings | None = None,
) -> AsyncIterator[Watching]:
    """Watch for as long as the block lasts; what was going on then is cut off."""
    all_of_it = Watching(
        store, source, rules=rules, width=width, learning=learning, holdings=holdings
    )
    await all_of_it.sight.remember(await store.heads(source.name))
    await all_of_it.poller.watch(watches)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(all_of_it.scheduler.run, all_of_it.poller.visit)
        yield all_of_it
        tasks.cancel_scope.cancel()
