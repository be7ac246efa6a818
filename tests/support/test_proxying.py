"""The way to a server that can be cut, and can fall silent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from tests.support.proxying import Proxy, proxying


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[Proxy, list[str]]]:
    """Give a proxy to a server that says everything again; and who came there."""
    came: list[str] = []

    async def echo(client: SocketStream) -> None:
        came.append(str(client.extra(SocketAttribute.remote_address)[0]))  # noqa: S610
        async with client:
            async for piece in client:
                await client.send(piece)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, echo)
        [port] = {
            each.extra(SocketAttribute.local_port)  # noqa: S610
            for each in listener.listeners
        }
        async with proxying(port) as proxy:
            yield proxy, came
        tasks.cancel_scope.cancel()


async def connected(proxy: Proxy) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", proxy.port)


async def test_what_is_sent_comes_through_from_the_address_that_was_chosen() -> None:
    async with echoing() as (proxy, came):
        proxy.address = "127.7.0.1"
        async with await connected(proxy) as client:
            await client.send(b"hello")

            assert await client.receive() == b"hello"
            assert came == ["127.7.0.1"]


async def test_a_way_that_is_severed_ends_and_the_next_one_works() -> None:
    async with echoing() as (proxy, _):
        async with await connected(proxy) as client:
            await client.send(b"hello")
            await client.receive()
            proxy.sever()
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await client.receive()

        async with await connected(proxy) as client:
            await client.send(b"again")
            assert await client.receive() == b"again"


async def test_in_a_black_hole_nothing_passes_and_nothing_ends_until_it_is_healed() -> (
    None
):
    async with echoing() as (proxy, came), await connected(proxy) as client:
        await client.send(b"hello")
        await client.receive()
        proxy.darken()
        await client.send(b"late")
        async with await connected(proxy) as other:
            await other.send(b"later")
            with anyio.move_on_after(0.1) as silence:
                await client.receive()
            assert silence.cancelled_caught
            assert len(came) == 1
            proxy.heal()

            assert await client.receive() == b"late"
            assert await other.receive() == b"later"


async def test_a_server_that_is_not_there_is_an_end() -> None:
    async with proxying(1) as proxy, await connected(proxy) as client:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await client.receive()
