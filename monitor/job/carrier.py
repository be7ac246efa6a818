"""Carries bytes to one source and back; knows HTTP and nothing of JOB.

One session for each source. Whatever goes wrong on the way is ``Unavailable``
with a short text that names neither the path nor a header, and without a cause,
because aiohttp's errors hold our headers; an answer that no API would give (too
long, a redirect) is ``Garbled``.
"""

import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from socket import socket
from typing import Any, Final

import aiohttp
from aiohttp import (
    ClientResponse,
    ClientSession,
    ClientTimeout,
    StreamReader,
    TCPConnector,
)
from aiohttp.payload import BytesPayload
from msgspec import Struct
from yarl import URL

from monitor import errors
from monitor.job import mishap

# Front ends of JOB (nginx, the API gateway) keep idle connections for a minute
# and more. Where a server is quicker to close, the race is lost within a
# millisecond only, and then we ask once more on a new connection.
KEEPALIVE: Final = timedelta(seconds=15)

_JSON: Final = "application/json"


class Answer(Struct, frozen=True):
    """*cut*: there was more of *body* than was to be read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


class Route(Struct, frozen=True, kw_only=True):
    """The way to one source. *max_body* counts bytes after inflation."""

    url: str
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    proxy: str | None = None
    connect_timeout: timedelta = timedelta(seconds=5)
    timeout: timedelta = timedelta(seconds=30)
    max_body: int = 64 * 1024 * 1024
    max_in_flight: int = 64


class Carrier:
    """Asks once, or twice where a kept connection turned out to be closed.

    A request must be harmless to repeat. A *path* is one of few: what its URL is
    made of is kept.
    """

    def __init__(
        self, session: ClientSession, route: Route, sockets: "_Sockets"
    ) -> None:
        self._session = session
        self._max_body = route.max_body
        self._root = route.url.rstrip("/")
        self._urls: dict[str, URL] = {}
        self._sockets = sockets

    # Neither is ``async``: one coroutine less at every poll.

    def get(
        self, path: str, query: str, headers: Mapping[str, str] | None = None
    ) -> Coroutine[Any, Any, Answer]:
        """Get *path*; *query* is encoded already."""
        kept = self._url(path)
        url = URL.build(
            scheme=kept.scheme,
            authority=kept.raw_authority,
            path=kept.raw_path,
            query_string=query,
            encoded=True,
        )
        return self._ask(url, None, headers, None)

    def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> Coroutine[Any, Any, Answer]:
        """Post *body*, and read no more than *most* bytes of what comes back."""
        most = most and min(most, self._max_body)
        return self._ask(self._url(path), body, headers, most)

    def _url(self, path: str) -> URL:
        return self._urls.get(path) or self._urls.setdefault(
            path, URL(self._root + path)
        )

    async def _ask(
        self,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        most: int | None,
    ) -> Answer:
        opened = self._sockets.opened
        for last in (False, True):
            # One coroutine for all of it: each more costs a fiftieth of a poll.
            try:
                response = await self._session.request(
                    "GET" if body is None else "POST",
                    url,
                    # As a payload, since aiohttp would have to find out what bytes are.
                    data=body and BytesPayload(body, content_type=_JSON),
                    headers=headers,
                    allow_redirects=False,
                )
                # Not ``async with``, which costs a tenth of a poll: the connection of
                # an answer that was read to its end is back in the pool by itself.
                try:
                    if 300 <= response.status < 400:
                        raise _redirected(response)
                    content = await self._read(response.content, most)
                    cut = most is not None and len(content) > most
                    return Answer(
                        response.status, response.headers, content[:most], cut
                    )
                finally:
                    if not response.content.at_eof():
                        response.close()
            except (aiohttp.ClientError, OSError) as error:
                fresh = self._sockets.opened != opened
                if last or fresh or not mishap.hung_up(error):
                    raise errors.Unavailable(mishap.words(error)) from None
        raise AssertionError  # the last try returns or raises

    async def _read(self, stream: StreamReader, most: int | None) -> bytes:
        """Read until there is more than *most*, or up to the limit of all answers."""
        chunks, left = [], self._max_body if most is None else most
        while not stream.at_eof() and left >= 0:
            chunk = await stream.readany()
            chunks.append(chunk)
            left -= len(chunk)
        if left < 0 and most is None:
            raise self._too_long()
        return b"".join(chunks)

    def _too_long(self) -> errors.Garbled:
        return errors.Garbled(f"the answer is longer than {self._max_body:d} bytes")


def _redirected(response: ClientResponse) -> errors.Garbled:
    words = f"HTTP {response.status}: redirected, maybe to a login page"
    return errors.Garbled(words, whole_source=True)


@asynccontextmanager
async def opened(route: Route, headers: Mapping[str, str]) -> AsyncIterator[Carrier]:
    """Open a session; *headers* go with every request."""
    sockets = _Sockets()
    connector = TCPConnector(
        # Twice what is let in: a connector at its limit is a poor throttle.
        # Source: aiohttp issues 1821 and 9670.
        limit=2 * route.max_in_flight,
        keepalive_timeout=KEEPALIVE.total_seconds(),
        ssl=_tls(route),
        socket_factory=sockets.open,
    )
    async with ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        proxy=route.proxy,
        trust_env=False,
        timeout=ClientTimeout(
            total=route.timeout.total_seconds(),
            connect=route.connect_timeout.total_seconds(),
        ),
    ) as session:
        yield Carrier(session, route, sockets)


class _Sockets:
    """Counts what is opened: a request during which nothing was had a kept one."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self, address: aiohttp.AddrInfoType) -> socket:
        self.opened += 1
        family, kind, protocol, _, _ = address
        return socket(family, kind, protocol)


def _tls(route: Route) -> ssl.SSLContext | bool:
    if not (route.ca_file or route.client_cert_file):
        return True

    try:
        context = ssl.create_default_context(cafile=route.ca_file)
        if route.client_cert_file:
            context.load_cert_chain(
                route.client_cert_file,
                route.client_key_file,
                # Or else OpenSSL would ask the terminal.
                password=str,
            )
    except OSError as error:
        files = ", ".join(
            str(file)
            for file in (route.ca_file, route.client_cert_file, route.client_key_file)
            if file
        )
        raise errors.Misconfigured(
            f"{files}: no usable certificate: {error}"
        ) from error

    return context
