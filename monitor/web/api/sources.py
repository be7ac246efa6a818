"""How each JOB is seen, and what is asked of it."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from aiohttp import web
from msgspec import structs

from monitor.core.alerts import Name
from monitor.core.member import Member
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.page import PageData
from monitor.web.shapes.sources import SourceData

PATH: Final = f"{api.ROOT}/sources"

States = Callable[[], Sequence[SourceData]]


class Records(Protocol):
    async def members(self, keys: Collection[str]) -> list[Member]: ...


def operations(records: Records, states: States) -> list[Operation]:
    async def show(_: web.Request) -> web.Response:
        return asked.answer(PageData(items=await told(records, states())))

    return [
        operation.get(PATH, show, "Say how each source is seen.", PageData[SourceData])
    ]


async def told(records: Records, states: Sequence[SourceData]) -> list[SourceData]:
    """Add why and since when a source is lost."""
    members = await records.members([state.name for state in states])
    known = {one.key: one for one in members}
    return [_told(state, known.get(state.name)) for state in states]


def _told(state: SourceData, known: Member | None) -> SourceData:
    for alert in known.alerts.values() if known else ():
        if alert.name is Name.SOURCE_LOST:
            return structs.replace(state, cause=alert.reason, since=alert.since)
    return state
