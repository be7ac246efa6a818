"""A server whose every answer differs from the one before: each poll is a transition.

Run as a process of its own (``python -m benchmarks.changing``); prints its port. An
instance waits and runs in turns, which is an event of the instance and one of its step.
"""

import asyncio
from collections import Counter
from typing import ClassVar, cast

import msgspec
import uvloop

WAITING, RUNNING = 1, 2


class Changing(asyncio.Protocol):
    asked: ClassVar[Counter[int]] = Counter()

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, content = self._received.partition(b"\r\n\r\n")
        if not found or b"}" not in content:
            return
        self._received = b""
        if head == b"COUNT":
            self._transport.write(b"%d" % self.asked.total())
            return
        number = int(content.partition(b'"job_instance_id":')[2].split(b"}")[0])
        self.asked[number] += 1
        body = _answer(number, RUNNING if self.asked[number] % 2 else WAITING)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )


def _answer(number: int, status: int) -> bytes:
    instance = {"job_instance_id": number, "status": status, "name": "benchmark"}
    step = {"step_instance_id": 1, "status": status, "step_ip_status": []}
    data = {"job_instance": instance, "blocks": [{"step_instances": [step]}]}
    return msgspec.json.encode({"result": True, "code": 0, "data": data})


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Changing, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
