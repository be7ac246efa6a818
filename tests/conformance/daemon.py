"""The whole daemon in this process, on a simulated JOB, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from monitor import service
from monitor.core.message import Kind
from monitor.job.ask import Api
from monitor.settings.model import Settings
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.conformance import course
from tests.support import clock, stores
from tests.support.sink import RecordingSink, told


class Heard(RecordingSink):
    """Everything that was told, in its order."""

    @property
    def events(self) -> list[str]:
        return [
            message.type.removeprefix("bkjob.")
            for message in self.delivered
            if message.kind is Kind.EVENTS
        ]

    @property
    def notifications(self) -> list[str]:
        """The groups and reasons."""
        return [
            f"{message.key} {told(message).reason}"
            for message in self.delivered
            if message.kind is Kind.ALERTS
        ]


@asynccontextmanager
async def running(
    api: Api,
    world: World,
    directory: Path,
    *,
    source: dict[str, Any] | None = None,
    watch_list: str | None = None,
    **settings: Any,
) -> AsyncIterator[Heard]:
    """Watch all of *world*, or what *watch_list* (YAML) says."""
    listed = "".join(f"{each}\n" for each in world.instances.values())
    path = directory / ("list.txt" if watch_list is None else "list.yaml")
    path.write_text(listed if watch_list is None else watch_list)
    heard, stop = Heard("heard"), anyio.Event()
    async with serving(world) as url, anyio.create_task_group() as tasks:
        given = {
            "sources": {
                "prod": {
                    "api": api,
                    "url": course.base(api, url),
                    "access_token": "t0ken",
                    **(source or {}),
                }
            },
            "watch_lists": [str(path)],
            "store": f"sqlite:///{directory}/m.db",
            **settings,
        }

        async def serve() -> None:
            await service.serve(
                lambda: Settings.model_validate(given),
                until=stop.wait,
                guests=[heard],
                now=clock.now,
                luck=clock.middling,
                run=stores.inline,
            )

        tasks.start_soon(serve)
        # Virtual time runs on while the watch list is read in a worker thread.
        while watch_list is None and len(heard.events) < len(world.instances):  # noqa: ASYNC110
            await anyio.sleep(1)
        yield heard
        stop.set()
