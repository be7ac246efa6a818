"""A server that costs next to nothing: one canned v2 answer with fresh request ids.

Run as a process of its own (``python -m benchmarks.answering HOSTS SECONDS``), so that
it can be kept off the core on which a client is measured; prints its port. Each job
has been running for so many seconds when the server starts.
"""

import asyncio
import sys
from datetime import timedelta, timezone
from itertools import count
from typing import Final, cast

import uvloop

from monitor import clock

ZONE: Final = timezone(timedelta(hours=8))

_HEAD = (
    b'{"result":true,"code":0,"message":"","request_id":"%032x",'
    b'"job_request_id":"%016x","data":{"is_finished":false,"job_instance":'
    b'{"job_instance_id":%d,"bk_biz_id":2,"bk_scope_type":"biz","bk_scope_id":"2",'
    b'"bk_job_id":-1,"name":"API Quick execution script","operator":"admin",'
    b'"status":2,"start_way":2,"create_time":"%b",'
    b'"start_time":"%b","end_time":null,"total_time":null,'
    b'"current_step_instance_id":20000311},'
)


def local(seconds_ago: float) -> str:
    """Tell a moment as JOB does, in its own time zone."""
    moment = clock.utc_now() - timedelta(seconds=seconds_ago)
    return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


def body(hosts: int, began: str) -> bytes:
    rows = ",".join(
        f'{{"ip":"10.0.{n // 250}.{n % 250 + 1}","bk_cloud_id":0,"status":7}}'
        for n in range(hosts)
    )
    return (
        '"blocks":[{"step_instances":[{"step_instance_id":20000311,"step_id":-1,'
        '"name":"API Quick execution script","type":1,"operator":"admin","status":2,'
        '"execute_count":0,"pause":null,"start_time":'
        f'"{began}","end_time":null,"total_time":null,"step_ip_status":[{rows}]}}]}}]}}}}'
    ).encode()


class Answering(asyncio.Protocol):
    ids = count(1)
    answered = 0

    def __init__(self, rest: bytes, began: bytes) -> None:
        self._rest = rest
        self._began = began
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
            self._transport.write(b"%d" % self.answered)
            return
        Answering.answered += 1
        number = next(self.ids)
        instance = int(content.partition(b'"job_instance_id":')[2].split(b"}")[0])
        head = _HEAD % (number, number, instance, self._began, self._began)
        answer = head + self._rest
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer)
        )


async def main(hosts: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began = local(seconds)
    rest = body(hosts, began)
    server = await loop.create_server(
        lambda: Answering(rest, began.encode()), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
