"""All of it in a few numbers."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from aiohttp import web
from msgspec import Struct

from monitor.core import codes
from monitor.core.cluster import View
from monitor.core.codes import Meaning
from monitor.core.gist import RANKS
from monitor.ports import Tally
from monitor.web import api
from monitor.web.api import asked, operation, sinks
from monitor.web.api.operation import Operation
from monitor.web.api.sinks import Elsewhere, Sinks, Standings
from monitor.web.shapes.delivery import SinkStateData
from monitor.web.shapes.sources import SourceData
from monitor.web.shapes.status import StatusData

PATH: Final = f"{api.ROOT}/status"


class Records(Standings, Protocol):
    async def tally(self) -> list[Tally]: ...


class House(Struct, frozen=True, kw_only=True):
    version: str
    started_at: datetime
    watches: Callable[[], int]
    paused: Callable[[], int]
    faults: Callable[[], int]
    sources: Callable[[], Sequence[SourceData]]
    sinks: Sinks
    elsewhere: Elsewhere
    view: Callable[[], View]


def operations(records: Records, house: House) -> list[Operation]:
    async def show(_: web.Request) -> web.Response:
        return asked.answer(await state(records, house))

    return [operation.get(PATH, show, "Sum it all up in a few numbers.", StatusData)]


async def state(records: Records, house: House) -> StatusData:
    tallies = await records.tally()
    fare = await sinks.states(house.sinks, records, house.elsewhere)
    view, sources = house.view(), house.sources()
    seen = sum(each.instances for each in tallies if each.status is not None)
    watches = house.watches()
    return StatusData(
        version=house.version,
        started_at=house.started_at,
        watches=watches,
        unseen=max(0, watches - seen),
        paused=house.paused(),
        instances=_by_meaning(tallies),
        problems={
            severity: sum(each.instances for each in tallies if each.rank == rank)
            for severity, rank in RANKS.items()
        },
        failed=sum(each.failed for each in tallies),
        hosts=sum(each.hosts for each in tallies),
        sources=len(sources),
        sources_lost=sum(each.standing == "lost" for each in sources),
        sinks=len(fare),
        sinks_failing=sum(each.condition != "well" for each in fare),
        waiting=_total(fare, "waiting") + _total(fare, "unread"),
        dead=_total(fare, "dead"),
        faults=house.faults(),
        nodes=view.present,
        unowned=len(view.unowned()),
    )


def _by_meaning(tallies: Sequence[Tally]) -> dict[str, int]:
    counts = dict.fromkeys(Meaning, 0)
    for each in tallies:
        if each.status is not None:
            counts[codes.run(each.status).meaning] += each.instances
    return {str(meaning): count for meaning, count in counts.items()}


def _total(fare: Sequence[SinkStateData], what: str) -> int:
    return sum(getattr(each, what) for each in fare)
