"""Notifier and dispatchers on a real store, as the service joins them."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import anyio
from msgspec import structs

from monitor.core import reach, state
from monitor.core.inhibition import Inhibitions, Rule
from monitor.core.model import InstanceKey
from monitor.core.routing import Route
from monitor.core.state import Change
from monitor.core.telling import Acked, Obstacle, Rules
from monitor.core.wording import Frame
from monitor.deciding import Listener
from monitor.dispatcher import Dispatcher
from monitor.grouping import Grouping
from monitor.holdings import Holdings
from monitor.notifier import Habits, Notifier
from monitor.ports import Quiet
from monitor.recorder import Recorder
from monitor.store.sql import SqlStore
from monitor.tails import Tails
from tests.support import clock, log
from tests.support.logs import SourceWithLogs, Turns
from tests.support.sink import RecordingSink

Wants = Callable[[Mapping[str, str]], bool]

RULES = Rules(group_wait=timedelta(seconds=1), group_interval=timedelta(seconds=1))


def everything(_: Mapping[str, str]) -> bool:
    return True


class Said:
    """Satisfies ``ports.Quiet``: *muted* is why no alert is told, *acks* are by group."""

    def __init__(self) -> None:
        self.muted: Obstacle | None = None
        self.acks: dict[str, Acked] = {}

    def muting(self, _: Mapping[str, str], now: datetime) -> Obstacle | None:
        return self.muted

    def acked(self, group: str, now: datetime) -> Acked | None:
        return self.acks.get(group)

    def cared_for(self) -> list[str]:
        return list(self.acks)

    async def over(self, group: str) -> None:
        self.acks.pop(group, None)


class Desk:
    """*lost* holds the sources out of sight, *labels* those of each instance."""

    def __init__(
        self,
        store: SqlStore,
        listeners: Mapping[RecordingSink, Wants],
        *,
        route: Route,
        habits: Habits,
        inhibit: Sequence[Rule] = (),
        levels: Collection[str] = (),
        logs: SourceWithLogs | None = None,
        turns: Turns | None = None,
        quiet: Quiet | None = None,
        holdings: Holdings | None = None,
    ) -> None:
        self.store = store
        self.holdings = holdings or Holdings()
        self.lost: set[str] = set()
        self.labels: dict[InstanceKey, dict[str, str]] = {}
        self.quiet = Said()
        self.grouping = Grouping(route, Inhibitions(inhibit), self.frame)
        self.recorder = Recorder(store, self._committed)
        self.dispatchers = [
            Dispatcher(
                each,
                store,
                None,
                now=clock.now,
                luck=clock.middling,
                holdings=self.holdings,
            )
            for each in listeners
        ]
        self.notifier = Notifier(
            store,
            store,
            [
                Listener(each.name, wants, level=each.name in levels)
                for each, wants in listeners.items()
            ],
            grouping=self.grouping,
            habits=habits,
            frame=self.frame,
            lost=lambda source: source in self.lost,
            logs=lambda _: self.tails is not None,
            posted=self._wake,
            now=clock.now,
            quiet=quiet or self.quiet,
            owns=self.holdings.owns,
        )
        self.tails: Tails | None = None
        if logs is not None:
            self.tails = Tails(
                logs,
                turns or Turns(),
                ledger=store,
                memory=store,
                recorder=self.recorder,
                luck=clock.middling,
            )

    def frame(self, key: str) -> Frame:
        source, _, rest = key.partition("/")
        if rest.count("/") != 2:
            return Frame(source=source, key=key, subject=rest or None)
        kind, scope, number = rest.split("/")
        instance = InstanceKey(source, kind, scope, int(number))
        return log.a_frame(instance, **self.labels.get(instance, {}))

    def _committed(self, change: Change) -> None:
        self.notifier.changed(change)
        if self.tails is not None:
            self.tails.changed(change)

    def _wake(self) -> None:
        for dispatcher in self.dispatchers:
            dispatcher.wake()

    async def sees(self, kind: reach.Kind) -> None:
        """Lose or regain sight of the source, as the poller's sight does."""
        if kind is reach.Kind.LOST:
            self.lost.add("prod")
        else:
            self.lost.discard("prod")
        frame = Frame(source="prod", key="prod")
        cause = reach.Cause.UNREACHABLE
        await self.recorder.record(
            "prod", lambda known: state.reached(known, kind, cause, frame, clock.now())
        )


@asynccontextmanager
async def telling_to(
    store: SqlStore,
    *sinks: RecordingSink,
    wants: Mapping[str, Wants] | None = None,
    rules: Rules = RULES,
    route: Route | None = None,
    habits: Habits = Habits(),  # noqa: B008 - frozen
    inhibit: Sequence[Rule] = (),
    levels: Collection[str] = (),
    logs: SourceWithLogs | None = None,
    turns: Turns | None = None,
    quiet: Quiet | None = None,
    holdings: Holdings | None = None,
) -> AsyncIterator[Desk]:
    listeners = {each: (wants or {}).get(each.name, everything) for each in sinks}
    names = tuple(each.name for each in sinks)
    desk = Desk(
        store,
        listeners,
        route=route or Route(name="default", sinks=names, rules=rules),
        habits=structs.replace(habits, group_interval=rules.group_interval),
        inhibit=inhibit,
        levels=levels,
        logs=logs,
        turns=turns,
        quiet=quiet,
        holdings=holdings,
    )
    async with anyio.create_task_group() as tasks:
        for dispatcher in desk.dispatchers:
            tasks.start_soon(dispatcher.run)
        tasks.start_soon(desk.notifier.run)
        if desk.tails is not None:
            tasks.start_soon(desk.tails.run)
        yield desk
        tasks.cancel_scope.cancel()
