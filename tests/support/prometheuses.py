"""A real Prometheus on loopback, and promtool."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import anyio
import pytest
import yaml

from tests.e2e.waiting import OFTEN, PATIENCE, until
from tests.support import ports

MISSING: Final = "there is no {}: apt-get install prometheus"


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    async def is_ready(self) -> None:
        """Wait until it answers queries: it listens before it has opened its store."""
        async with aiohttp.ClientSession() as session:
            with anyio.fail_after(PATIENCE):
                while await self._refuses(session):  # noqa: ASYNC110
                    await anyio.sleep(OFTEN)

    async def _refuses(self, session: aiohttp.ClientSession) -> bool:
        async with session.get(f"{self.url}/-/ready") as response:
            return response.status != 200

    async def asked(self, path: str, **query: str) -> dict[str, Any]:
        """Give its answer, also where it refuses."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/{path}", params=query) as response,
        ):
            answer: dict[str, Any] = await response.json()
            return answer

    async def query(self, expr: str) -> list[dict[str, Any]]:
        answer = await self.asked("query", query=expr)
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    async def finds(self, expr: str) -> list[dict[str, Any]]:
        """Wait until *expr* gives anything."""
        with anyio.fail_after(PATIENCE):
            while not (found := await self.query(expr)):  # noqa: ASYNC110
                await anyio.sleep(OFTEN)
        return found


def binary(name: str) -> str:
    """Find it, or skip aloud."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(MISSING.format(name))
    return found


def promtool(*arguments: str, given: str | None = None) -> tuple[int, str]:
    """Run it; give its exit code and all that it says."""
    done = subprocess.run(
        [binary("promtool"), *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@asynccontextmanager
async def prometheus(
    directory: Path, target: str, *rules: Path
) -> AsyncIterator[Prometheus]:
    """Run one that scrapes *target* (``host:port``) and evaluates *rules*, often."""
    command, port = binary("prometheus"), ports.free()
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump(_config(target, rules)))
    with _process(
        directory / "prometheus.log",
        command,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ):
        await until(lambda: _listens(port), "Prometheus listens")
        running = Prometheus(f"http://127.0.0.1:{port}")
        await running.is_ready()
        yield running


def _config(target: str, rules: tuple[Path, ...]) -> dict[str, Any]:
    scrape = {
        "job_name": "job-monitor",
        "static_configs": [{"targets": [target]}],
    }
    return {
        "global": {
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "evaluation_interval": "200ms",
        },
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [scrape],
    }


@contextlib.contextmanager
def _process(output: Path, *command: str) -> Iterator[None]:
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
