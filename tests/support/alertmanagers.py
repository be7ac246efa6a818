"""A real Alertmanager on loopback, and the one who receives its webhooks."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import yaml
from aiohttp import web
from msgspec import json

from tests.e2e.receiver import listening
from tests.e2e.waiting import until
from tests.support import ports

NAMES: Final = ("prometheus-alertmanager", "alertmanager")
ALSO: Final = "/usr/bin/prometheus-alertmanager"


class Alertmanager:
    """*told* are the bodies of its webhooks, in the order in which they came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.told: list[dict[str, Any]] = []

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        self.told.append(json.decode(await request.read()))
        return web.Response(status=200)

    @property
    def courses(self) -> dict[str, list[str]]:
        """Say which statuses each alert went through; saying one again is no change.

        In how many webhooks it tells them is its own affair: a busy one takes more.
        """
        courses: dict[str, list[str]] = {}
        for alert in (alert for body in self.told for alert in body["alerts"]):
            course = courses.setdefault(alert["labels"]["alertname"], [])
            if course[-1:] != [alert["status"]]:
                course.append(alert["status"])
        return courses

    async def tells(self, status: str, *names: str) -> dict[str, Any]:
        """Wait until these alerts, and no others, are said to have a status.

        Gives the webhook that said so of the last of them.
        """
        wanted = dict.fromkeys(names, status)

        def said() -> bool:
            return {name: last for name, [*_, last] in self.courses.items()} == wanted

        await until(said, f"it tells {status} {names}")
        return self.told[-1]

    async def alerts(self) -> list[dict[str, Any]]:
        """List what it holds to be firing."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v2/alerts") as response,
        ):
            found: list[dict[str, Any]] = await response.json()
            return found


def binary() -> str:
    """Find it, or skip aloud."""
    found = next(filter(None, map(shutil.which, (*NAMES, ALSO))), None)
    if found is None:
        pytest.skip("there is no Alertmanager: apt-get install prometheus-alertmanager")
    return found


@asynccontextmanager
async def alertmanager(directory: Path, **route: Any) -> AsyncIterator[Alertmanager]:
    """Run one that tells at once; *route* is laid over its root route."""
    command, port = binary(), ports.free()
    running = Alertmanager(f"http://127.0.0.1:{port}")
    async with listening(running.take) as receiver:
        config = directory / "alertmanager.yml"
        config.write_text(yaml.safe_dump(_config(f"{receiver}/hook", route)))
        with _process(
            directory / "alertmanager.log",
            command,
            f"--config.file={config}",
            f"--storage.path={directory / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ):
            await until(lambda: _listens(port), "Alertmanager listens")
            yield running


@contextlib.contextmanager
def _process(output: Path, *command: str) -> Iterator[None]:
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _config(url: str, route: dict[str, Any]) -> dict[str, Any]:
    waits = {"group_wait": "100ms", "group_interval": "200ms", "repeat_interval": "1h"}
    return {
        "global": {"resolve_timeout": "5m"},
        "route": {"receiver": "us", "group_by": ["instance"], **waits, **route},
        "receivers": [
            {"name": "us", "webhook_configs": [{"url": url, "send_resolved": True}]}
        ],
    }


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
