"""A real receiver of webhooks on loopback, which remembers what it was sent."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from aiohttp import web
from anyio.abc import SocketAttribute, SocketStream
from msgspec import Struct

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Delivery(Struct):
    headers: dict[str, str]
    body: bytes


class Receiver:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.deliveries: list[Delivery] = []
        self.origin = ""

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.deliveries.append(Delivery(headers, await request.read()))
        return await self.answer(request)


@asynccontextmanager
async def receiving(
    answer: Answer | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer or answering(204))
    runner = web.ServerRunner(web.Server(receiver.take), shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    host, port = runner.addresses[0]
    receiver.origin = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(raw: bytes) -> AsyncIterator[str]:
    """Answer every connection with *raw* and then keep silent; gives the origin."""

    async def speak(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(raw)
            await anyio.sleep_forever()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, speak)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


def answering(status: int, text: str = "", **headers: str) -> Answer:
    async def answer(_request: web.BaseRequest) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer


async def hanging(_request: web.BaseRequest) -> web.StreamResponse:
    await anyio.sleep_forever()
    raise AssertionError


async def babbling(request: web.BaseRequest) -> web.StreamResponse:
    """Refuse, with a body that has no end."""
    response = web.StreamResponse(status=400)
    await response.prepare(request)
    while True:
        await response.write(b"x" * 4096)
