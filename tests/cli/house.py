"""A daemon at work on a simulated JOB, asked as a person types it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from monitor.job.ask import Api
from monitor.simulator import entry
from monitor.simulator.credentials import Credentials
from monitor.simulator.server import serving
from tests.conformance import course
from tests.e2e.daemon import Daemon, running
from tests.e2e.site import Site
from tests.e2e.waiting import PATIENCE
from tests.support import control, worlds
from tests.support.control import Typed

KEY = "prod/biz/2/20000153"


class House:
    """*now* is the time at JOB: each state of a story lasts a second of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.world = worlds.today(
            clock=lambda: self.now, credentials=Credentials(app_secret="app-secret")
        )
        self.site: Site
        self.daemon: Daemon

    @property
    def socket(self) -> Path:
        return self.site.directory / "monitor.sock"

    async def typed(self, *words: str) -> Typed:
        return await control.typed(*words, MONITOR_SOCKET=str(self.socket))

    async def given(self, *words: str) -> Any:
        """Type it, and read the JSON that it prints."""
        said = await self.typed(*words, "-o", "json")
        assert said.code == 0, said.stderr
        return json.loads(said.stdout)

    async def comes(self, condition: Callable[[Any], bool], *words: str) -> Any:
        """Type it again and again until what it prints is as *condition* says."""
        found: Any = None
        with anyio.move_on_after(PATIENCE):
            while True:
                said = await self.typed(*words, "-o", "json")
                if said.code == 0 and condition(found := json.loads(said.stdout)):
                    return found
        raise AssertionError(f"not within {PATIENCE:g} s: {words}, but {found}")

    async def answer(self, method: str, path: str) -> Any:
        return (await control.ask(self.socket, method, path)).body

    def polls(self, job: int) -> int:
        return self.world.record.instances[2, job]

    async def looks(self, job: int, times: int) -> None:
        """Wait until the daemon has looked at *job* so many times more."""
        enough = self.polls(job) + times
        await self.daemon.reaches(lambda: self.polls(job) >= enough, "some more looks")

    async def sees(self, meaning: str, count: int = 1) -> None:
        """Wait until the daemon has seen so many instances whose status means this."""
        await self.comes(lambda all_: len(all_) == count, "ls", "--meaning", meaning)


@asynccontextmanager
async def at_work(
    directory: Path, *stories: dict[str, Any], api: Api = "esb-v2", **settings: Any
) -> AsyncIterator[House]:
    house = House()
    played = [
        entry.enact(house.world, entry.decoded({"beat": 1, **story}))
        for story in stories
    ]
    async with serving(house.world) as url:
        house.site = Site(directory, course.base(api, url))
        house.site.source["api"] = api
        house.site.settings |= settings
        house.site.write()
        house.site.watch(*(f"{each} team=sre" for each in played))
        with running(house.site.config) as house.daemon:
            await house.daemon.says("service.started")
            await house.comes(lambda said: said["status"]["unseen"] == 0, "status")
            yield house
