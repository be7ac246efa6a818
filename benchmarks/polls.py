"""Polls per CPU-second, against a bare aiohttp + uvloop loop in the same run.

    python -m benchmarks.polls [--seconds 2] [--rounds 5]

Both clients take turns on one core, the server has the other. Ours has everything
on: heap, pace, digest, reach, cadence. Nothing changes between answers but the
request ids, as in nearly all polls of real life. Figures are CPU time of the
client process, so that a busy machine distorts them little.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta, timezone
from pathlib import Path

import aiohttp
import anyio
import msgspec

from monitor import clock
from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.model import InstanceKey
from monitor.core.watch import Place, Watch
from monitor.job import source as job
from monitor.pace import Pace
from monitor.poller import Poller
from monitor.recorder import Recorder
from monitor.scheduler import Scheduler
from monitor.sight import Patience, Sight
from monitor.store import opening

WIDTH = 64
WATCHES = 2000
CREDENTIALS = {"bk_app_code": "x", "bk_app_secret": "secret", "bk_username": "admin"}
PLACE = Place("benchmark")
PATH = "/api/c/compapi/v2/job/get_job_instance_status/"

Count = Callable[[], int]


def key(number: int) -> InstanceKey:
    return InstanceKey("prod", "biz", "2", 20000000 + number)


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[Count]:
    """The least that any aiohttp client must do: post, read, again."""
    polls = 0
    bodies = [
        msgspec.json.encode(
            {**CREDENTIALS, "bk_biz_id": 2, "job_instance_id": key(n).job_instance_id}
        )
        for n in range(WATCHES)
    ]

    async def loop(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal polls
        while True:
            body = bodies[number % WATCHES]
            async with session.post(url + PATH, data=body) as response:
                await response.read()
            polls += 1
            number += WIDTH

    async with aiohttp.ClientSession() as session, anyio.create_task_group() as tasks:
        for number in range(WIDTH):
            tasks.start_soon(loop, session, number)
        yield lambda: polls
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Count]:
    """Scheduler, poller, source and store, as ``service`` puts them together."""
    polls = 0

    def luck() -> float:
        # Asked once for each poll, so that counting costs nothing beside it.
        nonlocal polls
        polls += 1
        return 0.5

    config = job.SourceConfig(
        name="prod",
        url=url,
        credentials=lambda: CREDENTIALS,
        timezone=timezone(timedelta(hours=8)),
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "monitor.db"
        async with (
            opening.opened(f"sqlite:///{path}") as store,
            job.opened(config) as source,
        ):
            recorder = Recorder(store, lambda _: None)
            pace = Pace(width=WIDTH, per_second=None, luck=lambda: 0.5)
            scheduler = Scheduler("prod", pace, luck=luck)
            sight = Sight(
                "prod",
                scheduler,
                memory=store,
                recorder=recorder,
                patience=Patience(),
                now=clock.utc_now,
                luck=luck,
            )
            poller = Poller(
                source,
                scheduler,
                memory=store,
                recorder=recorder,
                sight=sight,
                pace=pace,
                rules=Rules(limits=Limits(floor=0.0, cap=0.0), spread=0.0),
                now=clock.utc_now,
                luck=luck,
            )
            await poller.watch(Watch(key=key(n), place=PLACE) for n in range(WATCHES))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(scheduler.run, poller.visit)
                yield lambda: polls
                tasks.cancel_scope.cancel()


async def rate(count: Count, seconds: float) -> float:
    """Count polls per second of this process's CPU time."""
    before, cpu = count(), time.process_time()
    await anyio.sleep(seconds)
    return (count() - before) / (time.process_time() - cpu)


async def warm(count: Count) -> None:
    while count() < 2 * WATCHES:
        await anyio.sleep(0.05)


async def compare(
    hosts: int, seconds: float, rounds: int
) -> tuple[list[float], list[float]]:
    with served(hosts) as url:
        rates: dict[Callable[[str], object], list[float]] = {bare: [], ours: []}
        for _ in range(rounds):
            for client in (bare, ours):
                async with client(url) as count:
                    await warm(count)
                    rates[client].append(await rate(count, seconds))
    return rates[bare], rates[ours]


class served:  # noqa: N801
    """The canned server in a process of its own, on the other core."""

    def __init__(self, hosts: int, *, pin: bool = True, running: float = 60.0) -> None:
        command = [sys.executable, "-m", "benchmarks.answering"]
        self._process = subprocess.Popen(
            [*command, str(hosts), str(running)], stdout=subprocess.PIPE, text=True
        )
        self._pin = pin
        self._port = 0

    def __enter__(self) -> str:
        assert self._process.stdout is not None  # noqa: S101
        self._port = int(self._process.stdout.readline())
        if self._pin and len(os.sched_getaffinity(0)) > 1:
            first, second, *_ = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(self._process.pid, {second})
            os.sched_setaffinity(0, {first})
        return f"http://127.0.0.1:{self._port}"

    def polled(self) -> int:
        """Ask how many polls it has answered."""
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall(b"COUNT\r\n\r\n}")
            return int(connection.recv(64))

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for hosts, what in ((2, "700 bytes"), (1000, "1,000 hosts")):
        bare_rates, our_rates = anyio.run(
            compare,
            hosts,
            arguments.seconds,
            arguments.rounds,
            backend_options={"use_uvloop": True},
        )
        ratios = [o / b for o, b in zip(our_rates, bare_rates, strict=True)]
        print(
            f"{what}: bare {statistics.median(bare_rates):,.0f}, "
            f"ours {statistics.median(our_rates):,.0f} polls per CPU-second, "
            f"ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
