"""Servers on loopback: a polite one that speaks HTTP, and one that need not."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from aiohttp import web
from anyio.abc import SocketAttribute, SocketStream

V2 = "/api/c/compapi/v2/job/get_job_instance_status/"

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    answer: Answering, *, path: str = V2, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve *answer* at *path* and yield the root URL."""
    app = web.Application()
    app.router.add_route("*", path, answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        scheme, port = "https" if tls else "http", runner.addresses[0][1]
        yield f"{scheme}://localhost:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def saying(*answers: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """Say the *answers* byte by byte to one connection after the other.

    A connection is closed after its answer, the last answer is said for ever,
    and each b"" closes without a word. Yields the root URL and a list that holds
    the number of connections so far.
    """
    connections = [0]

    async def answer(stream: SocketStream) -> None:
        turn = min(connections[0], len(answers) - 1)
        connections[0] += 1
        async with stream:
            await stream.receive()
            await stream.send(answers[turn])

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra_attributes[SocketAttribute.local_port]()
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer, name="rude server")
        yield f"http://127.0.0.1:{port}", connections
        tasks.cancel_scope.cancel()
