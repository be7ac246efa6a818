"""The daemon's API for whoever waits: asked on its socket without blocking others."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from monitor import errors
from monitor.web import unix
from monitor.web.shapes.page import PageData

T = TypeVar("T")

ROOT: Final = "http://localhost/api/v1"
PAGE: Final = 1000

_ANSWER: Final = aiohttp.ClientTimeout(total=10)
# A stream says every 15 s that it is there.
_STREAM: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=40)


@asynccontextmanager
async def opened(socket: Path) -> AsyncIterator["Inquiry"]:
    with unix.reachable(socket) as address:
        connector = aiohttp.UnixConnector(address)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Inquiry(session)


class Inquiry:
    """Whatever goes wrong is an ``errors.DaemonError``, or ``errors.NotFound``."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str, type_: type[T], **query: Any) -> T:
        with _worded():
            async with self._session.get(
                f"{ROOT}{path}", params=_params(query), timeout=_ANSWER
            ) as response:
                _check(response.status, path)
                return msgspec.json.decode(await response.read(), type=type_)

    async def all_of(self, path: str, type_: type[T], **query: Any) -> list[T]:
        items: list[T] = []
        after: str | None = None
        while True:
            pages: Any = PageData[type_]  # type: ignore[valid-type]
            page = await self.get(path, pages, limit=PAGE, after=after, **query)
            items += page.items
            after = page.next
            if after is None:
                return items

    async def stream(
        self, last: str | None, **query: Any
    ) -> AsyncGenerator[tuple[str, bytes], None]:
        """Give the id and the data of events until the daemon hangs up.

        It begins behind the id *last*, or with what comes. Data is empty where only
        the place has moved, and in the first.
        """
        headers = {} if last is None else {"Last-Event-ID": last}
        with _worded():
            async with self._session.get(
                f"{ROOT}/stream",
                params=_params(query),
                headers=headers,
                timeout=_STREAM,
            ) as response:
                _check(response.status, "/stream")
                place, data = "", b""
                async for line in _lines(response.content):
                    name, _, value = line.partition(b": ")
                    if name == b"id":
                        place = value.decode(errors="replace")
                    elif name == b"data":
                        data = value
                    elif not line and place:
                        yield place, data
                        place, data = "", b""


@contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError, TimeoutError) as failed:
        raise errors.NoDaemon(f"the daemon does not answer: {failed}") from failed
    except msgspec.DecodeError as error:
        raise errors.DaemonError(
            f"the daemon is no Job Monitor of this version: {error}"
        ) from error


def _check(status: int, path: str) -> None:
    if status == 404:
        raise errors.NotFound(f"the daemon knows nothing of {path}")
    if status >= 400:
        raise errors.DaemonError(f"the daemon refuses {path} with {status}")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Read lines of any length: an event may be about a thousand hosts."""
    rest = b""
    async for some in content.iter_any():
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            yield line


def _params(query: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(one))
        for name, value in query.items()
        if value is not None
        for one in (value if isinstance(value, list) else [value])
    ]
