"""Which daemons share the store, and who owns what; there where several may."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from monitor.core.cluster import View
from monitor.ports import Now
from monitor.web.api import nodes
from monitor.web.pages.rendering import Page


def shown(view: Callable[[], View], now: Now) -> Callable[..., Any]:
    async def show(_: web.Request, page: Page) -> web.Response:
        known = view()
        said = nodes.state(known, now)
        return page.response(
            "nodes.html",
            nodes=said.items,
            differences=said.differences,
            unowned=len(known.unowned()),
        )

    return show
