"""How each JOB is seen, what is asked of it, and the lists that say who is watched."""

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from msgspec import Struct

from monitor.web.api import sources
from monitor.web.pages.rendering import Page
from monitor.web.shapes.watches import WatchListData


class House(Struct, frozen=True, kw_only=True):
    records: sources.Records
    states: sources.States
    lists: Callable[[], Sequence[WatchListData]]


def shown(house: House) -> Callable[..., Any]:
    async def show(_: web.Request, page: Page) -> web.Response:
        found = await sources.told(house.records, house.states())
        return page.response("sources.html", sources=found, lists=house.lists())

    return show
