"""The simulator on a socket: parses requests, asks a door, delivers the answer.

All knowledge of aiohttp's server is here and in ``control``. An answer that hangs
ends when the client leaves or the server closes, whichever comes first.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
import msgspec
from aiohttp import web

from monitor.simulator import callback, control, endpoints, esb, gateway
from monitor.simulator.answer import Answer, Ending
from monitor.simulator.endpoints import Endpoint
from monitor.simulator.envelope import Door
from monitor.simulator.question import Question
from monitor.simulator.record import Request
from monitor.simulator.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PIECES: Final = 20
_CHUNK: Final = 2**16
_AT_ONCE: Final = 0.01  # seconds; aiohttp takes 0 for "wait for ever"


@asynccontextmanager
async def serving(
    world: World, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve *world* for as long as the block lasts; yield the base URL.

    Port 0 takes any free port.
    """
    runner = web.AppRunner(
        application(world),
        access_log=None,
        # A client that gives up must free the request that hangs for it.
        handler_cancellation=True,
        shutdown_timeout=_AT_ONCE,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        yield _url(host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def application(world: World) -> web.Application:
    async def unpublished(request: web.Request) -> web.StreamResponse:
        said = gateway.no_api(world, request.method, request.path)
        return await _deliver(said, request)

    # A body of a hundred thousand host ids is a legal question.
    app = web.Application(client_max_size=2**24)
    for endpoint in endpoints.ALL:
        for method in endpoint.methods:
            app.router.add_route(method, endpoint.path, _handler(world, endpoint))
    control.add_routes(app, world)
    app.cleanup_ctx.append(_calling_back(world))
    app.router.add_route("*", "/api/bk-job/{path:.*}", unpublished)
    app.router.add_route("*", "/{path:.*}", _no_page)
    return app


def _calling_back(world: World) -> Callable[[web.Application], AsyncIterator[None]]:
    async def calling_back(_: web.Application) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(callback.deliver, world)
            yield
            tasks.cancel_scope.cancel()

    return calling_back


def _handler(world: World, endpoint: Endpoint) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await _answered(world, endpoint, request)

    return handler


async def _no_page(request: web.Request) -> web.StreamResponse:
    # The page of the bus itself: a status line and no code (legacy-bk-paas, esb).
    said = {"result": False, "data": None, "message": f"no page at {request.path}"}
    return web.json_response(said, status=404)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _answered(
    world: World, endpoint: Endpoint, request: web.Request
) -> web.StreamResponse:
    question = Question(
        parameters=await _parameters(request),
        authorization=request.headers.get("X-Bkapi-Authorization"),
        username=request.headers.get("X-Bk-Username"),
        tenant=request.headers.get("X-Bk-Tenant-Id"),
        language=request.headers.get("Blueking-Language"),
    )
    seen = Request(
        at=world.now(),
        endpoint=endpoint.path,
        method=request.method,
        instance=question.key,
    )
    answer = esb.answer if endpoint.door is Door.ESB else gateway.answer
    with world.record.answering(seen):
        return await _deliver(answer(world, question, endpoint), request)


async def _parameters(request: web.Request) -> Mapping[str, Any]:
    """Read a GET's query or a POST's JSON; what is no object says nothing."""
    if request.method == "GET":
        return request.query
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


async def _deliver(answer: Answer, request: web.Request) -> web.StreamResponse:
    if answer.wait:
        await anyio.sleep(answer.wait)
    match answer.ending:
        case Ending.NEVER:
            await anyio.sleep_forever()
        case Ending.REFUSED:
            return _drop(request)
    if answer.ending is Ending.WHOLE and not answer.drip and not answer.padding:
        return web.Response(
            body=answer.body, status=answer.status, headers=answer.headers
        )
    return await _stream(answer, request)


async def _stream(answer: Answer, request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    size = len(answer.body) + answer.padding
    if not answer.padding:
        response.content_length = size
    with suppress(ConnectionError):  # the client has left: nobody to tell
        await response.prepare(request)
        for piece in _pieces(answer):
            await anyio.sleep(answer.drip * len(piece) / size)
            await response.write(piece)
    return _drop(request) if answer.ending is Ending.TORN else response


def _pieces(answer: Answer) -> Iterator[bytes]:
    size = len(answer.body)
    end = size // 2 if answer.ending is Ending.TORN else size
    step = max(size // _PIECES if answer.drip else size, 1)
    for begin in range(0, end, step):
        yield answer.body[begin : min(begin + step, end)]
    for begin in range(0, answer.padding, _CHUNK):
        yield b" " * min(_CHUNK, answer.padding - begin)


def _drop(request: web.Request) -> web.StreamResponse:
    """Close the connection; what is returned finds nobody to read it."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
