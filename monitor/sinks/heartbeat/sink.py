"""Asks for an address, so that somebody elsewhere notices when that ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from monitor import errors
from monitor.core.message import Message
from monitor.ports import Now
from monitor.sinks import http, secrets
from monitor.sinks.heartbeat.config import HeartbeatConfig
from monitor.sinks.http import Client


@asynccontextmanager
async def opened(
    config: HeartbeatConfig, *, now: Now
) -> AsyncIterator["HeartbeatSink"]:
    headers = await secrets.headers(config.headers, config.headers_file)
    async with http.opened(
        patience=config.timeout,
        ca_file=config.ca_file,
        allow_networks=config.allow_networks,
    ) as client:
        yield HeartbeatSink(config, client, headers, now=now)


class HeartbeatSink:
    def __init__(
        self,
        config: HeartbeatConfig,
        client: Client,
        headers: dict[str, str],
        *,
        now: Now,
    ) -> None:
        self._config = config
        self._client = client
        self._headers = headers
        self._now = now

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, _message: Message) -> None:
        """Beat once, whatever the message says."""
        config = self._config
        if config.method == "GET":
            answer = await self._client.get(config.url, self._headers)
        else:
            answer = await self._client.post(config.url, b"", self._headers)
        if answer.taken:
            return
        url = urlsplit(config.url.get_secret_value())
        hidden = [url.path, url.query, *self._headers.values()]
        refused = http.verdict(
            f"{config.origin} answered {answer.status}",
            answer.status,
            said=secrets.masked(answer.said, hidden),
            retry_after=http.retry_after(answer.retry_after, self._now()),
        )
        # Whatever it says, the next beat may be welcome.
        raise errors.Undelivered(
            str(refused), retry_after=getattr(refused, "retry_after", None)
        )
