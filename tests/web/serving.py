"""The server on a real socket, and JOB as far as it calls back."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from msgspec import Struct

from monitor.metering import Meter, Sample
from monitor.web import server
from monitor.web.api.operation import Operation
from monitor.web.config import WebConfig
from monitor.web.health import Check, Checks
from monitor.web.hints import Callbacks
from tests.support import clock

ANY = "t"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Queue:
    """Stands for the poller: *watched* are the ids it knows, *moved* what it heard."""

    def __init__(self, *watched: int) -> None:
        self.watched = set(watched)
        self.moved: list[int] = []

    def hint(self, job_instance_id: int) -> int:
        if job_instance_id not in self.watched:
            return 0
        self.moved.append(job_instance_id)
        return 1


class Fixed:
    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._samples = list(samples)

    def samples(self) -> Iterable[Sample]:
        return self._samples


class Answer(Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        said = json.loads(self.body)
        assert said["status"] == self.status
        return dict(said)


class Site:
    def __init__(self, url: str, callbacks: Callbacks) -> None:
        self.url = url
        self.callbacks = callbacks

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def counts(self) -> dict[str, float]:
        samples = self.callbacks.samples()
        return {one.labels[0]: one.value for one in samples if one.value}

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, headers=headers)

    async def calls_back(
        self, said: object, secret: str = ANY, headers: dict[str, str] = JSON
    ) -> Answer:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        path = f"/callback/{secret}"
        return await self.ask("POST", path, headers=headers, data=body)

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", **more) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, await response.read())


@asynccontextmanager
async def following(site: Site, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """Begin to read what does not end."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{site.url}{path}") as response,
    ):
        yield response


def config(**given: Any) -> WebConfig:
    tokens = {
        name: given.pop(name, None)
        for name in ("token", "read_token", "callback_token")
    }
    return WebConfig(
        **{"host": "127.0.0.1", "port": 0, **given},
        token=lambda: tokens["token"],
        read_token=lambda: tokens["read_token"],
        callback_token=lambda: tokens["callback_token"],
    )


def checks(ready: Callable[[], bool]) -> Checks:
    async def check() -> list[Check]:
        trouble = "" if ready() else "the watch lists are not read yet"
        return [Check(name="watch lists", trouble=trouble)]

    return check


@asynccontextmanager
async def serving(
    queue: Queue | None = None,
    *,
    meters: Iterable[Meter] = (),
    ready: Callable[[], bool] = lambda: True,
    operations: Sequence[Operation] = (),
    idle: float = server.IDLE,
    **given: Any,
) -> AsyncIterator[Site]:
    callbacks = Callbacks((queue or Queue()).hint)
    async with server.serving(
        config(**given),
        callbacks=callbacks,
        meters=[*meters],
        checks=checks(ready),
        operations=operations,
        now=clock.now,
        idle=idle,
    ) as url:
        yield Site(url, callbacks)
