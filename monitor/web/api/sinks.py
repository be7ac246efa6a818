"""How each sink fares, and what is behind there."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from aiohttp import web

from monitor.core.cluster import SinkReport
from monitor.outlet import Condition, Health
from monitor.ports import Standing
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.delivery import SinkStateData
from monitor.web.shapes.page import PageData

PATH: Final = f"{api.ROOT}/sinks"


class Sinks(Protocol):
    @property
    def names(self) -> Sequence[str]: ...

    def health(self, sink: str) -> Health: ...

    def fallback(self, sink: str) -> str: ...


class Standings(Protocol):
    async def standing(self, sink: str) -> Standing: ...


Fare = Health | SinkReport

Elsewhere = Callable[[str], Sequence[tuple[str, SinkReport]]]
"""Says how the other nodes fare with a sink, each with its name."""


def nowhere(_: str) -> Sequence[tuple[str, SinkReport]]:
    return ()


def operations(
    sinks: Sinks, standings: Standings, elsewhere: Elsewhere = nowhere
) -> list[Operation]:
    async def show(_: web.Request) -> web.Response:
        found = await states(sinks, standings, elsewhere)
        return asked.answer(PageData(items=found))

    return [
        operation.get(PATH, show, "Say how each sink fares.", PageData[SinkStateData])
    ]


async def states(
    sinks: Sinks, standings: Standings, elsewhere: Elsewhere = nowhere
) -> list[SinkStateData]:
    return [
        _data(sinks, name, await standings.standing(name), elsewhere(name))
        for name in sinks.names
    ]


def _worst(fares: Sequence[tuple[str | None, Fare]]) -> tuple[str | None, Fare]:
    """Find who fares worst; of those who fare alike the first."""
    ladder = [str(each) for each in Condition]
    return max(fares, key=lambda each: ladder.index(each[1].condition))


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in moments if at is not None), default=None)


def _data(
    sinks: Sinks,
    name: str,
    standing: Standing,
    others: Sequence[tuple[str, SinkReport]],
) -> SinkStateData:
    fares: list[tuple[str | None, Fare]] = [(None, sinks.health(name)), *others]
    (node, health), oldest = _worst(fares), standing.oldest
    condition = Condition(health.condition)
    if condition is Condition.WELL and standing.retried:  # since before the start
        condition = Condition.FAILING
    return SinkStateData(
        name=name,
        condition=condition,
        since=health.since,
        until=health.until,
        error=health.error,
        taken_at=_latest(each.taken_at for _, each in fares),
        failed_at=_latest(each.failed_at for _, each in fares),
        waiting=standing.waiting,
        oldest=None if oldest is None else datetime.fromtimestamp(oldest, UTC),
        unread=standing.unread,
        dead=standing.dead,
        fallback=sinks.fallback(name),
        node=node,
    )
