"""What the carriers of the five kinds of broker have in common.

A carrier returns from ``publish`` once the broker has said that it holds the
message. It raises ``errors.SinkError`` for what the broker answered instead, and
one of ``troubles`` where the connection is of no more use. The sink around it has
the only deadline.

All are FastStream's brokers. Its own ``_connect`` leaves a half-open connection
behind when it is cancelled, so ours stands in its place where that matters.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, Protocol

import anyio
from msgspec import Struct

from monitor.core.message import CONTENT_TYPE, Message
from monitor.sinks.broker.config import SOURCE, BrokerConfig
from monitor.sinks.printable import printable

NAME: Final = "job-monitor"
CLOSING: Final = 1.0
"""Seconds for a goodbye; whoever does not answer it is left."""

Troubles = tuple[type[Exception], ...]


class Place(Struct, frozen=True):
    """Where to, and as whom. *tls* is None where none is spoken."""

    config: BrokerConfig
    password: str | None
    tls: ssl.SSLContext | None

    def topic(self, message: Message) -> str:
        return self.config.topic.replace(SOURCE, message.source)

    def addresses(self) -> list[str]:
        return [f"{bracketed(host)}:{port}" for host, port in self.config.servers]

    def seconds(self) -> float:
        """Longer than the sink waits, so that no driver gives up first."""
        return (self.config.timeout + timedelta(seconds=1)).total_seconds()

    def __repr__(self) -> str:
        return f"Place({self.config.origin})"


class Carrier(Protocol):
    @property
    def troubles(self) -> Troubles: ...

    @property
    def lives(self) -> bool:
        """Whether the connection is worth a try, as far as is known."""

    async def connect(self) -> None: ...

    async def publish(self, message: Message) -> None: ...

    async def close(self) -> None: ...


@asynccontextmanager
async def or_closed(close: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        with anyio.move_on_after(CLOSING, shield=True):
            await close()
        raise


class CloudEvents:
    """FastStream's codec for what is encoded already."""

    async def encode(
        self, msg: Any, serializer: object = None
    ) -> tuple[bytes, str | None]:
        return msg, CONTENT_TYPE

    async def decode(self, msg: Any) -> Any:
        return msg.body


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def text(exc: Exception) -> str:
    return printable(str(exc) or type(exc).__name__)
