"""How the tests talk to a simulator: over a real socket, as any client would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from monitor.simulator import esb
from monitor.simulator.instance import Instance
from monitor.simulator.server import serving
from monitor.simulator.world import World


class Caller:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def raw(
        self, about: Instance | tuple[int, int], **more: Any
    ) -> tuple[int, bytes]:
        """Ask by GET about an instance; return the status line's code and the body."""
        async with self.session.get(
            self.url + esb.STATUS, params={**identity(about), **more}
        ) as response:
            return response.status, await response.read()

    async def ask(self, about: Instance | tuple[int, int], **more: Any) -> Any:
        _, body = await self.raw(about, **more)
        return msgspec.json.decode(body)

    async def control(self, method: str, path: str, json: Any = None) -> Any:
        """Call the control endpoint; return the status line's code and the JSON."""
        url = f"{self.url}/_simulator/{path}"
        async with self.session.request(method, url, json=json) as response:
            return response.status, await response.json()


def identity(about: Instance | tuple[int, int]) -> dict[str, Any]:
    biz, identifier = (
        (about.biz, about.job_instance_id) if isinstance(about, Instance) else about
    )
    return {"bk_biz_id": biz, "job_instance_id": identifier}


@asynccontextmanager
async def calling(world: World) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session, serving(world) as url:
        yield Caller(session, url)
