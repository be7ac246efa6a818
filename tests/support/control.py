"""The control API on a real socket, asked raw or as a person types it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio.to_thread
import msgspec
from msgspec import Struct
from typer.testing import CliRunner

from monitor.cli.main import app
from monitor.web import control, unix
from monitor.web.api.operation import Operation

ROOT = "http://localhost/api/v1"


class Answer(Struct):
    status: int
    type: str
    body: Any


@asynccontextmanager
async def serving(
    directory: Path, operations: Iterable[Operation]
) -> AsyncIterator[Path]:
    """Serve *operations* in *directory*; give the socket."""
    path = directory / "monitor.sock"
    with unix.listening(path, 0o600) as listener:
        async with control.serving(listener, operations):
            yield path


async def ask(socket: Path, method: str, path: str, **more: Any) -> Answer:
    connector = aiohttp.UnixConnector(str(socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, f"{ROOT}{path}", **more) as response,
    ):
        body = msgspec.json.decode(await response.read() or b"null")
        return Answer(response.status, response.content_type, body)


async def reload(socket: Path) -> Answer:
    """Reload, and give the first answer once another configuration is in effect."""
    answer = await ask(socket, "POST", "/reload")
    while answer.status == 202 and (await _latest(socket)).status == 202:
        continue
    return answer


async def _latest(socket: Path) -> Answer:
    try:
        return await ask(socket, "GET", "/reload")
    except aiohttp.ClientConnectionError:  # the one that goes hung up
        return Answer(202, "", None)


class Typed(Struct):
    code: int
    stdout: str
    stderr: str


async def typed(*words: str, **environment: str) -> Typed:
    """Type ``job-monitor`` and *words*, while the loop serves on."""
    runner = CliRunner(env=environment)
    result = await anyio.to_thread.run_sync(lambda: runner.invoke(app, words))
    return Typed(result.exit_code, result.stdout, result.stderr)
