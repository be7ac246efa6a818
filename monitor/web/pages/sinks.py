"""How each sink fares, and what it never took."""

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from monitor.web.api import dlq
from monitor.web.api import sinks as api
from monitor.web.pages.rendering import Page

LETTERS: Final = 50


class House(Struct, frozen=True, kw_only=True):
    sinks: api.Sinks
    standings: api.Standings
    letters: dlq.Letters
    elsewhere: api.Elsewhere


def shown(house: House) -> Callable[..., Any]:
    async def show(_: web.Request, page: Page) -> web.Response:
        found = await house.letters.letters(LETTERS)
        return page.response(
            "sinks.html",
            sinks=await api.states(house.sinks, house.standings, house.elsewhere),
            letters=[dlq.data(each, whole=False) for each in found],
        )

    return show
