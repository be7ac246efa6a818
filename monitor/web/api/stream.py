"""Events as they happen: server-sent events, to be resumed where they broke off.

Source: the WHATWG HTML standard, section 9.2, read 2026-11.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Final

import anyio
from aiohttp import web
from msgspec import Struct

from monitor.core import matchers
from monitor.core.matchers import Matcher
from monitor.core.message import Message
from monitor.web import api
from monitor.web.api import asked, events, named, operation
from monitor.web.api.operation import Operation, Parameter
from monitor.web.feed import KEPT, Entry, Feed

PATH: Final = f"{api.ROOT}/stream"

MEDIA: Final = "text/event-stream"
FOLLOWERS: Final = 250
ALIVE: Final = 15.0
"""Seconds after which a silent stream says that it is there, for proxies and clients."""

PATIENCE: Final = 30.0
"""Seconds for a follower to take what it is given; else its place is for others."""

AGAIN: Final = 2000
"""Milliseconds after which a client comes again."""


Lines = Callable[[Sequence[Entry]], Iterator[bytes]]
Write = Callable[[bytes], Awaitable[None]]


class _Wanted(Struct, frozen=True):
    keys: frozenset[str]
    types: frozenset[str]
    matching: Sequence[Matcher]

    def fits(self, message: Message) -> bool:
        if self.keys and message.key not in self.keys:
            return False
        if self.types and message.type not in self.types:
            return False
        return matchers.all_match(self.matching, message.traits)


def operations(
    feed: Feed, sources: Collection[str], patience: float = PATIENCE
) -> list[Operation]:
    slots, written = anyio.Semaphore(FOLLOWERS), Written()

    async def show(request: web.Request) -> web.StreamResponse:
        wanted, after = _wanted(request, sources), _after(request)
        lines = partial(written.lines, fits=wanted.fits)
        try:
            slots.acquire_nowait()
        except anyio.WouldBlock:
            raise web.HTTPServiceUnavailable(
                text=f"{FOLLOWERS} follow already; try again later"
            ) from None
        try:
            return await _told(request, feed, lines, after, patience)
        finally:
            slots.release()

    return [
        operation.get(
            PATH,
            show,
            "Follow events as they are recorded; Last-Event-ID resumes.",
            str,
            media=MEDIA,
            query=(
                Parameter(name="key", help="Of this key; any of several.", many=True),
                Parameter(name="type", help="Of this type; any of several.", many=True),
                Parameter(
                    name="after",
                    type=asked.Position,
                    help="Begin behind this id, which may be 0; else with what comes.",
                ),
                operation.MATCH,
            ),
            refusals=(503,),
        )
    ]


def _wanted(request: web.Request, sources: Collection[str]) -> _Wanted:
    keys = request.query.getall("key", [])
    return _Wanted(
        keys=frozenset(named.in_full(key, sources) for key in keys),
        types=frozenset(events.types_of(request)),
        matching=asked.matching(request),
    )


def _after(request: web.Request) -> int | None:
    given = request.headers.get("Last-Event-ID") or request.query.get("after")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise web.HTTPBadRequest(text="after: give the id of an event of the stream")
    return int(given)


async def _told(
    request: web.Request,
    feed: Feed,
    lines: Lines,
    after: int | None,
    patience: float,
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": MEDIA, "X-Accel-Buffering": "no"}
    )
    begin = feed.end if after is None else after
    await response.prepare(request)
    await response.write(f"retry: {AGAIN}\nid: {begin}\n\n".encode())
    write = _writing(request, response, patience)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_say_alive, write)
        async for found in feed.follow(begin):
            await write(b"".join(lines(found)))
        tasks.cancel_scope.cancel()
    return response


def _writing(
    request: web.Request, response: web.StreamResponse, patience: float
) -> Write:
    turn = anyio.Lock()

    async def write(said: bytes) -> None:
        async with turn:
            with anyio.move_on_after(patience) as waiting:
                await response.write(said)
        if waiting.cancelled_caught and request.transport is not None:
            # Which cancels us: there is nobody to say farewell to.
            request.transport.abort()

    return write


class Written:
    """The latest events as they are sent: written once, however many follow."""

    def __init__(self) -> None:
        self._latest: dict[int, bytes] = {}

    def lines(
        self, found: Sequence[Entry], fits: Callable[[Message], bool]
    ) -> Iterator[bytes]:
        for position, message in found:
            if fits(message):
                yield self._line(position, message)
        # Also of what it does not want, so that it is not read again.
        yield b"id: %d\n\n" % found[-1][0]

    def _line(self, position: int, message: Message) -> bytes:
        known = self._latest.get(position)
        if known is None:
            known = b"id: %d\ndata: %s\n\n" % (position, message.cloudevent())
            self._latest[position] = known
            if len(self._latest) > KEPT:
                del self._latest[next(iter(self._latest))]
        return known


async def _say_alive(write: Write) -> None:
    while True:
        await anyio.sleep(ALIVE)
        await write(b": alive\n\n")
