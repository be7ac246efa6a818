"""A program of the operator's, started for each message.

The message is its standard input, a CloudEvent in JSON: text from JOB is nowhere
else. It gets a session of its own, and whatever is left of that is killed.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process

from monitor import durations, errors
from monitor.core.message import Message
from monitor.sinks import secrets
from monitor.sinks.exec import config as configuration
from monitor.sinks.exec.config import OURS, ExecConfig
from monitor.sinks.printable import printable

SEARCHED: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SAID_MAX: Final = 4096
GRACE: Final = 2.0
"""Seconds between being asked to end and being killed."""

LISTENED: Final = 0.5
"""Seconds for which the last words are waited for: others may hold the pipe."""

NEVER: Final = os.EX_DATAERR
"""The exit code by which a program says that it will never take this message."""


@asynccontextmanager
async def opened(config: ExecConfig) -> AsyncIterator["ExecSink"]:
    """Find the program; Misconfigured where there is none."""
    given = await _environment(config)
    program = shutil.which(config.command[0], path=given.get("PATH", SEARCHED))
    if program is None:
        raise errors.Misconfigured(
            f"sink {config.name}: {config.command[0]} is no program that may be run:"
            " write its whole path"
        )
    yield ExecSink(config, program, given)


async def _environment(config: ExecConfig) -> Mapping[str, str]:
    found = dict(config.environment)
    if config.environment_file is not None:
        text = await secrets.text(config.environment_file)
        found |= secrets.checked(configuration.lines, text, config.environment_file)
    return {name: value.get_secret_value() for name, value in found.items()}


class ExecSink:
    def __init__(
        self, config: ExecConfig, program: str, environment: Mapping[str, str]
    ) -> None:
        self._config = config
        self._program = program
        self._environment = environment
        self._slots = anyio.CapacityLimiter(config.at_once)

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        async with self._slots:
            code, said = await self._run(message)
        if code == 0:
            return
        said = secrets.masked(said.strip(), self._environment.values())
        what = f"{_name(self._program)} {_ended(code)}"
        text = f"{what}: {printable(said)}" if said else what
        raise errors.Rejected(text) if code == NEVER else errors.Undelivered(text)

    async def _run(self, message: Message) -> tuple[int, str]:
        try:
            process = await self._started(message)
        except OSError as failed:
            raise errors.Undelivered(
                f"{_name(self._program)} cannot be started: {failed.strerror}"
            ) from failed
        said = bytearray()
        try:
            with anyio.fail_after(self._config.timeout.total_seconds()):
                return await _talk(
                    process, message.cloudevent() + b"\n", said
                ), said.decode(errors="replace")
        except TimeoutError:
            raise errors.Undelivered(
                f"{_name(self._program)} had not ended after"
                f" {durations.text(self._config.timeout)}"
            ) from None
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)

    async def _started(self, message: Message) -> Process:
        return await anyio.open_process(
            [self._program, *self._config.command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._config.directory or "/",
            env={
                "PATH": SEARCHED,
                "LANG": "C.UTF-8",
                **self._environment,
                f"{OURS}SINK": self.name,
                f"{OURS}TYPE": message.type,
            },
            start_new_session=True,
        )


async def _talk(process: Process, body: bytes, said: bytearray) -> int:
    """Hand over *body*, gather what is *said*, give the exit code."""
    heard = anyio.Event()

    async def listen() -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for chunk in process.stdout:
                said.extend(chunk[: SAID_MAX - len(said)])
        heard.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        tasks.start_soon(_feed, process, body)
        code = await process.wait()
        with anyio.move_on_after(LISTENED):
            await heard.wait()
        tasks.cancel_scope.cancel()
    return code


async def _feed(process: Process, body: bytes) -> None:
    """Write the message; a program need not read it to its end."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(body)
        await process.stdin.aclose()


async def _end(process: Process) -> None:
    """Leave nothing of its session behind."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with anyio.move_on_after(GRACE):
            await process.wait()
    _signal(process, signal.SIGKILL)
    await process.wait()
    await process.aclose()


def _signal(process: Process, number: signal.Signals) -> None:
    # The group outlives its leader: what that has started is in it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _name(program: str) -> str:
    return printable(Path(program).name)


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with {code}"
