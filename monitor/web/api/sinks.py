"""How each sink fares, and what is behind there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from aiohttp import web

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


def operations(sinks: Sinks, standings: Standings) -> list[Operation]:
    async def show(_: web.Request) -> web.Response:
        return asked.answer(PageData(items=await states(sinks, standings)))

    return [
        operation.get(PATH, show, "Say how each sink fares.", PageData[SinkStateData])
    ]


async def states(sinks: Sinks, standings: Standings) -> list[SinkStateData]:
    return [_data(sinks, name, await standings.standing(name)) for name in sinks.names]


def _data(sinks: Sinks, name: str, standing: Standing) -> SinkStateData:
    health, oldest = sinks.health(name), standing.oldest
    condition = health.condition
    if condition is Condition.WELL and standing.retried:  # since before the start
        condition = Condition.FAILING
    return SinkStateData(
        name=name,
        condition=condition,
        since=health.since,
        until=health.until,
        error=health.error,
        taken_at=health.taken_at,
        failed_at=health.failed_at,
        waiting=standing.waiting,
        oldest=None if oldest is None else datetime.fromtimestamp(oldest, UTC),
        unread=standing.unread,
        dead=standing.dead,
        fallback=sinks.fallback(name),
    )
