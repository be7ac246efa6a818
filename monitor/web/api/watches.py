"""Who is watched, and the lists that say so."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from aiohttp import web
from msgspec import Struct, structs

from monitor import durations
from monitor.core import matchers
from monitor.core.model import InstanceKey
from monitor.core.watch import Watch
from monitor.ports import Looked
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.page import PageData
from monitor.web.shapes.watches import LookedData, WatchData, WatchListData

PATH: Final = f"{api.ROOT}/watches"
ONE: Final = f"{PATH}/{{source}}/{{scope_type}}/{{scope_id}}/{{job_instance_id}}"
LISTS: Final = f"{api.ROOT}/watch-lists"


class House(Struct, frozen=True, kw_only=True):
    watches: Callable[[], Iterable[Watch]]
    lists: Callable[[], Sequence[WatchListData]]
    looked: Callable[[InstanceKey], Looked | None]


def operations(house: House) -> list[Operation]:
    async def listed(request: web.Request) -> web.Response:
        wanted = asked.matching(request)
        places = (
            ((str(each.key),), each)
            for each in house.watches()
            if matchers.all_match(wanted, {**each.labels, "source": each.key.source})
        )
        return asked.answer(asked.page(request, places, data))

    async def show(request: web.Request) -> web.Response:
        key = asked.key_of(request)
        looked = house.looked(key)
        if looked is None:
            raise web.HTTPNotFound(text=f"nobody watches {key}")
        return asked.answer(_looked(looked))

    async def lists(_: web.Request) -> web.Response:
        return asked.answer(PageData(items=[*house.lists()]))

    return [
        operation.get(
            PATH,
            listed,
            "List who is watched.",
            PageData[WatchData],
            query=(*operation.PAGED, operation.MATCH),
        ),
        operation.get(
            ONE,
            show,
            "Say how an instance is watched, and when it is looked at.",
            LookedData,
            refusals=(404,),
        ),
        operation.get(
            LISTS,
            lists,
            "List the files that say who is watched, and their faults.",
            PageData[WatchListData],
        ),
    ]


def _looked(looked: Looked) -> LookedData:
    return LookedData(
        **structs.asdict(data(looked.watch)),
        seen_at=looked.seen_at,
        next_at=looked.next_at,
        failures=looked.failures,
    )


def data(watch: Watch) -> WatchData:
    options = watch.options
    return WatchData(
        key=str(watch.key),
        labels=watch.labels,
        origin="discovery" if watch.rule else "file",
        place=str(watch.place),
        severity=options.severity,
        settle=_text(options.settle),
        overdue_after=_text(options.overdue_after),
        stalled_after=_text(options.stalled_after),
        until=options.until,
    )


def _text(duration: timedelta | None) -> str | None:
    return None if duration is None else durations.text(duration)
