"""The control API of one configuration, on a socket that outlives it.

The socket is bound once; while a configuration is replaced, who comes waits in its
backlog and is refused by nobody.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from aiohttp import web
from anyio.lowlevel import checkpoint

from monitor.web import problems, server
from monitor.web.api import operation
from monitor.web.api.operation import Operation

BODY_MAX: Final = 1 << 20

_TURNS: Final = 3
"""Of the loop, from accepting to reading: attached, connected, read."""


@asynccontextmanager
async def serving(
    listener: socket.socket, operations: Iterable[Operation]
) -> AsyncIterator[None]:
    """Serve *operations* on *listener*, which stays open, for as long as the block lasts."""
    app = web.Application(client_max_size=BODY_MAX, middlewares=[problems.worded])
    app.on_response_prepare.append(problems.headed)
    app.add_routes(operation.route(each) for each in operations)
    runner = server.runner_of(app)
    await runner.setup()
    # A duplicate, since the site closes what it is given.
    door = listener.dup()
    try:
        await web.SockSite(runner, door).start()
        yield
    finally:
        await _shut(door)
        await runner.cleanup()


async def _shut(door: socket.socket) -> None:
    """Accept nobody more; wait until who has been is the server's, and was heard.

    Of whom it accepted in the turn before its server closes, asyncio loses sight,
    and does not hang up. uvloop, on which the daemon runs, has no such turn.
    """
    asyncio.get_running_loop().remove_reader(door)
    with anyio.CancelScope(shield=True):
        for _ in range(_TURNS):
            await checkpoint()
