"""Whether the daemon lives, and whether it is ready: for probes, and for people.

It lives as long as it answers, whatever becomes of JOB.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from msgspec import Struct

LIVE: Final = ("/livez", "/-/healthy")
READY: Final = ("/readyz", "/-/ready")


class Check(Struct, frozen=True, kw_only=True):
    """*trouble* is what is wrong, empty where nothing is.

    Not *needed*: it is said, but the daemon is ready all the same.
    """

    name: str
    trouble: str = ""
    needed: bool = True

    @property
    def fails(self) -> bool:
        return self.needed and bool(self.trouble)

    def __str__(self) -> str:
        mark = "!!" if self.fails else "--" if self.trouble else "ok"
        return f"{mark} {self.name}{': ' if self.trouble else ''}{self.trouble}"


Checks = Callable[[], Awaitable[Sequence[Check]]]


def routes(checks: Checks) -> list[web.RouteDef]:
    async def live(_: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def ready(request: web.Request) -> web.Response:
        found = await checks()
        failing = [check for check in found if check.fails]
        if "verbose" in request.query:
            text = "".join(f"{check}\n" for check in found)
            return web.Response(text=text, status=503 if failing else 200)
        if failing:
            raise web.HTTPServiceUnavailable(text=failing[0].trouble)
        return web.Response(text="ready\n")

    return [
        *(web.get(path, live) for path in LIVE),
        *(web.get(path, ready) for path in READY),
    ]
