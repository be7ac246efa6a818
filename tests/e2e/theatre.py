"""A simulated JOB whose time stands still until it is moved, and a daemon at work.

So no state is ever missed, however slow the machine: time moves on once all that
the last move gave rise to has been received.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from monitor.simulator import entry
from monitor.simulator.server import serving
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import Delivery, Receiver, receiving, types
from tests.e2e.site import Site
from tests.support import worlds


class Stage:
    """*now* is the time at JOB."""

    def __init__(self) -> None:
        self.now = 0.0
        self.world = worlds.today(clock=lambda: self.now)
        self.url = ""
        self.site: Site
        self.receiver: Receiver
        self.daemon: Daemon
        self._told: list[str] = []

    async def tells(self, *events: str) -> None:
        """Wait until *events*, and no others, have followed those before."""
        self._told += events
        most = len(self._told)
        await self.daemon.reaches(
            lambda: len(self.receiver.events()) >= most, f"{events} are received"
        )
        self.has_told_no_more()

    def has_told_no_more(self) -> None:
        received = types(self.receiver.events())
        assert received == self._told, f"received {received}, not {self._told}"

    async def notifies(self, number: int) -> Delivery:
        """Wait for the notification of this *number*; there must be none after it."""
        await self.daemon.reaches(
            lambda: len(self.receiver.notifications) >= number, f"message {number}"
        )
        assert len(self.receiver.notifications) == number
        return self.receiver.notifications[-1]

    async def retry(self, job: str) -> None:
        """Retry the failed hosts of *job*, as a user would in a browser."""
        door = f"{self.url}/_simulator/instances/{job}/retry"
        async with (
            aiohttp.ClientSession() as session,
            session.post(door, json={"beat": 1}) as response,
        ):
            assert response.status == 200


@asynccontextmanager
async def playing(
    directory: Path, *stories: dict[str, Any], **alerts: str
) -> AsyncIterator[Stage]:
    """Watch *stories*, written as for the simulator; each state lasts a second.

    *alerts* are settings.
    """
    stage = Stage()
    played = [
        entry.enact(stage.world, entry.decoded({"beat": 1, **story}))
        for story in stories
    ]
    async with serving(stage.world) as stage.url, receiving() as stage.receiver:
        stage.site = Site(directory, stage.url)
        stage.site.settings["alerts"] |= alerts
        stage.site.tell(stage.receiver)
        stage.site.watch(*played)
        with running(stage.site.config) as stage.daemon:
            yield stage
            assert await stage.daemon.stop() == 0
            stage.has_told_no_more()
