"""When nobody is told: silences, maintenance, acknowledgements."""

from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web
from msgspec import Struct

from monitor.ports import Now
from monitor.web.api import acks, maintenance, silences
from monitor.web.pages.rendering import Page


class Said(silences.Silences, maintenance.Windows, acks.Acks, Protocol):
    """What people said about it."""


class House(Struct, frozen=True, kw_only=True):
    said: Said
    now: Now


def shown(house: House) -> Callable[..., Any]:
    async def show(_: web.Request, page: Page) -> web.Response:
        now, said = house.now(), house.said
        return page.response(
            "quiet.html",
            silences=[
                found
                for each in said.silences()
                if (found := silences.data(each, now)).state != "expired"
            ],
            windows=[maintenance.data(each, now) for each in said.maintenance()],
            acks=[acks.data(each) for each in acks.in_force(said, now)],
        )

    return show
