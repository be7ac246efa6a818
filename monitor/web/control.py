"""The control API of one configuration, on a socket that outlives it.

The socket is bound once; while a configuration is replaced, who comes waits in its
backlog and is refused by nobody.
"""

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from monitor.web import problems, server
from monitor.web.api import operation
from monitor.web.api.operation import Operation

BODY_MAX: Final = 1 << 20


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
    try:
        # A duplicate, since the site closes what it is given.
        await web.SockSite(runner, listener.dup()).start()
        yield
    finally:
        await runner.cleanup()
