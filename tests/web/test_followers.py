"""Followers of the stream who do not behave, on a real socket."""

import socket
from contextlib import closing

import anyio
from aiohttp import web
from msgspec import structs

from monitor.core.message import Message
from monitor.web.api import stream
from monitor.web.feed import Feed
from tests.store.changes import KEY, an_event
from tests.web.serving import Site, following, serving
from tests.web.test_feed import Log

MORE_THAN_BUFFERS_HOLD = 40_000
"""Events, of some 300 bytes each."""


def deaf(site: Site) -> socket.socket:
    """Ask for all there is, and read nothing of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", site.port))
    asked = f"GET {stream.PATH}?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    client.sendall(asked.encode())
    return client


async def test_who_takes_nothing_loses_the_place_to_others() -> None:
    log, left = Log(MORE_THAN_BUFFERS_HOLD), anyio.Event()
    [follow] = stream.operations(Feed(log), ("prod",), patience=0.1)

    async def show(request: web.Request) -> web.StreamResponse:
        try:
            return await follow.handler(request)
        finally:
            left.set()

    async with serving(operations=[structs.replace(follow, handler=show)]) as site:
        with closing(deaf(site)), anyio.fail_after(20):
            await left.wait()


async def test_a_stream_says_at_once_what_binds_browsers() -> None:
    async with (
        serving(operations=stream.operations(Feed(Log()), ("prod",))) as site,
        following(site, stream.PATH) as response,
    ):
        headers = response.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] == "job-monitor"


class Counted(Message, frozen=True, kw_only=True):
    """A message that remembers how often it was written."""

    written: list[str]

    def cloudevent(self) -> bytes:
        self.written.append(self.id)
        return super().cloudevent()


async def test_an_event_is_written_once_however_many_follow() -> None:
    log, written, heard = Log(), list[str](), list[str]()
    for number in (1, 2, 3):
        event = Counted(**structs.asdict(an_event(number)), written=written)
        log.entries.append((number, event))

    async def follow(site: Site) -> None:
        async with following(site, f"{stream.PATH}?after=0") as response:
            while b"id: 3\n" not in (line := await response.content.readline()):
                assert line
            heard.append(line.decode())

    async with (
        serving(operations=stream.operations(Feed(log), ("prod",))) as site,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(20):
            tasks.start_soon(follow, site)

    assert len(heard) == 20
    assert written == [f"{KEY}#{number}" for number in (1, 2, 3)]
