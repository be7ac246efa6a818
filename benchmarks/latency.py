"""From a change in an answer of JOB to its event at a sink.

    python -m benchmarks.latency [--instances 2000] [--seconds 20]

A server in the same process ends each instance at a random moment and notes when
the first answer that says so leaves; a sink notes when ``finished`` arrives. What
lies between is everything of ours: decode, decide, group commit, dispatch. The
wait for the next poll is not in it.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
from pathlib import Path
from typing import cast

import anyio
import msgspec

from benchmarks.watches import write
from monitor import logs, service
from monitor.core.message import Message
from monitor.settings import loading
from monitor.settings.model import Settings

RUNNING, SUCCEEDED = 2, 3


class Ending(asyncio.Protocol):
    """Answers that an instance runs until its end, and then that it succeeded."""

    def __init__(self, ends: dict[int, float], told: dict[int, float]) -> None:
        self._ends = ends
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        number = int(data.partition(b'"job_instance_id":')[2].split(b"}")[0])
        now = anyio.current_time()
        over = now >= self._ends[number]
        body = _answer(number, SUCCEEDED if over else RUNNING)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        if over:
            self._told.setdefault(number, now)


def _answer(number: int, status: int) -> bytes:
    instance = {"job_instance_id": number, "status": status, "name": "benchmark"}
    step = {"step_instance_id": 1, "status": status, "step_ip_status": []}
    data = {"job_instance": instance, "blocks": [{"step_instances": [step]}]}
    return msgspec.json.encode({"result": True, "code": 0, "data": data})


class Finish:
    """A sink that notes when each instance is said to be finished."""

    name = "finish"

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

    async def deliver(self, message: Message) -> None:
        if message.type == "bkjob.instance.finished":
            number = int(message.key.rpartition("/")[2])
            self.at[number] = anyio.current_time()


async def measure(directory: Path, instances: int, seconds: float) -> list[float]:
    begin, luck = anyio.current_time() + 5, random.Random(0)
    numbers = range(20000000, 20000000 + instances)
    ends = {number: begin + luck.random() * seconds for number in numbers}
    told: dict[int, float] = {}
    finish = Finish()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Ending(ends, told), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    polling = "{min_interval: 1s, max_interval: 2s}"
    write(directory, url, instances, polling=polling)

    def load() -> Settings:
        settings = loading.load(directory / "monitor.yaml", {})
        logs.configure("json", "error")
        return settings

    async def all_finished() -> None:
        while len(finish.at) < instances:
            await anyio.sleep(0.1)

    async with server:
        await service.serve(load, until=all_finished, guests=[finish])
    return sorted(finish.at[number] - told[number] for number in numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instances", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        delays = anyio.run(
            measure,
            Path(name),
            arguments.instances,
            arguments.seconds,
            backend_options={"use_uvloop": True},
        )
    p99 = delays[int(len(delays) * 0.99)]
    print(
        f"{len(delays):,} ends within {arguments.seconds:.0f} s: "
        f"p50 {statistics.median(delays) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
        f"max {delays[-1] * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
