"""A way to a server that can be cut, and can fall silent as a dead network does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
from anyio.abc import SocketAttribute, SocketStream

_LOST: Final = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)

_PORT: Final = SocketAttribute.local_port


class Proxy:
    """*port* leads to the *server*, which sees whoever comes as coming from *address*.

    Both may be changed, for whoever comes then.
    """

    def __init__(self, server: int) -> None:
        self.port = 0
        self.address = "127.0.0.1"
        self.server = server
        self._links: set[anyio.CancelScope] = set()
        self._passes = anyio.Event()
        self._passes.set()

    def sever(self) -> None:
        """Hang up on both sides, now; whoever comes again is let through."""
        for link in self._links:
            link.cancel()

    def darken(self) -> None:
        """Accept nothing, forward nothing, close nothing."""
        self._passes = anyio.Event()

    def heal(self) -> None:
        """Let everything through, also what was sent meanwhile."""
        self._passes.set()

    async def serve(self, client: SocketStream) -> None:
        async with client:
            await self._passes.wait()
            # A server that is not there is what the client sees as well.
            with suppress(*_LOST):
                server = await anyio.connect_tcp(
                    "127.0.0.1", self.server, local_host=self.address
                )
                async with server:
                    await self._link(client, server)

    async def _link(self, client: SocketStream, server: SocketStream) -> None:
        async with anyio.create_task_group() as pumps:
            link = pumps.cancel_scope
            self._links.add(link)
            try:
                pumps.start_soon(self._pump, client, server, link)
                await self._pump(server, client, link)
            finally:
                self._links.discard(link)

    async def _pump(
        self, source: SocketStream, target: SocketStream, link: anyio.CancelScope
    ) -> None:
        with suppress(*_LOST):
            async for piece in source:
                await self._passes.wait()
                await target.send(piece)
        # An end is news as well.
        await self._passes.wait()
        link.cancel()


@asynccontextmanager
async def proxying(server: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(server)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        [proxy.port] = {each.extra(_PORT) for each in listener.listeners}  # noqa: S610 - anyio
        tasks.start_soon(listener.serve, proxy.serve)
        yield proxy
        tasks.cancel_scope.cancel()
