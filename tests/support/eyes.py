"""Several daemons that look at one source, as far as they see it and say so."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
from msgspec import structs

from monitor import errors
from monitor.core import reach
from monitor.core.cluster import Node, Report, View
from monitor.core.state import Change
from monitor.pace import Pace
from monitor.recorder import Recorder
from monitor.scheduler import Scheduler
from monitor.sight import Patience, Sight
from monitor.store.sql import SqlStore
from tests.support import clock, stores
from tests.support.answers import a_key

SCOPE: Final = a_key().scope
STARTED: Final = datetime(2026, 11, 29, tzinfo=UTC)


class Eye:
    """The sight of one daemon; *owns* is what it tells of.

    *back* is when it heard that the source is missing no more.
    """

    def __init__(self, name: str, store: SqlStore, owns: Collection[str]) -> None:
        self.name = name
        self.owns = {*owns}
        self.watches = 1
        self.draining = False
        self.blank = False
        self.changes: list[Change] = []
        self.back: list[float] = []
        self._store = store
        pace = Pace(width=8, per_second=None, luck=clock.middling)
        self.sight = Sight(
            "prod",
            Scheduler("prod", pace, luck=clock.middling),
            memory=store,
            recorder=Recorder(store, self.changes.append, self._owned),
            patience=Patience(),
            now=clock.now,
            luck=clock.middling,
            owns=self._owned,
            back=lambda: self.back.append(anyio.current_time()),
        )

    def _owned(self, key: str) -> bool:
        return key in self.owns

    @property
    def told(self) -> list[str]:
        events = [event for change in self.changes for event in change.events]
        return [event.type.removeprefix("bkjob.") for event in events]

    async def sees(self) -> None:
        await self.sight.clear(a_key())

    async def fails(self) -> None:
        """Fail for as long as it takes to be lost."""
        for _ in range(reach.TRIES):
            await self.sight.failed(errors.Unavailable())
            await anyio.sleep(10)

    async def gain(self, *keys: str) -> None:
        self.owns |= {*keys}
        await self.sight.take_up(await self._store.alerting())

    def node(self) -> Node:
        said = self.sight.report(looking=self.watches > 0)
        said = structs.replace(said, watches=self.watches)
        report = Report(version="1", sources={"prod": said})
        return Node(
            name=self.name,
            started_at=STARTED,
            seen=0.0,
            draining=self.draining,
            living=True,
            report=Report() if self.blank else report,
        )


@asynccontextmanager
async def a_pair(directory: Path) -> AsyncIterator[tuple[Eye, Eye]]:
    """Open two, of which the first tells of the source, the other of its scope."""
    async with stores.opened(directory) as store, anyio.create_task_group() as tasks:
        pair = Eye("a", store, ["prod"]), Eye("b", store, [SCOPE])
        for eye in pair:
            await eye.sight.remember(())
            tasks.start_soon(eye.sight.run)
        yield pair
        tasks.cancel_scope.cancel()


async def meet(*eyes: Eye, rounds: int = 2) -> None:
    """Let each hear the others, as renewals do."""
    for _ in range(rounds):
        nodes = tuple(eye.node() for eye in eyes)
        for eye in eyes:
            eye.sight.met(View(me=eye.name, nodes=nodes))
        await anyio.sleep(2)
