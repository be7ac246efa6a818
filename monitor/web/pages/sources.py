"""How each JOB is seen, what is asked of it, and the lists that say who is watched."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from monitor.core.watch import Watch
from monitor.web.api import sources, watches
from monitor.web.pages.rendering import Page
from monitor.web.shapes.watches import WatchListData

UNSEEN: Final = 50


class House(Struct, frozen=True, kw_only=True):
    records: sources.Records
    states: sources.States
    lists: Callable[[], Sequence[WatchListData]]
    unseen: Callable[[], Iterable[Watch]]


def shown(house: House) -> Callable[..., Any]:
    async def show(_: web.Request, page: Page) -> web.Response:
        found = await sources.told(house.records, house.states())
        unseen = list(islice(house.unseen(), UNSEEN + 1))
        return page.response(
            "sources.html",
            sources=found,
            lists=house.lists(),
            unseen=[watches.data(watch) for watch in unseen[:UNSEEN]],
            more=len(unseen) > UNSEEN,
        )

    return show
