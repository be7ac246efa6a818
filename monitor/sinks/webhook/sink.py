"""One message per POST, signed by Standard Webhooks, tried once.

The answer is shown masked and bounded.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor import errors
from monitor.core.message import Message
from monitor.ports import Now
from monitor.sinks import http
from monitor.sinks.http import Answer, Client
from monitor.sinks.webhook import credentials, signature, writing
from monitor.sinks.webhook.config import WebhookConfig
from monitor.sinks.webhook.credentials import Credentials


@asynccontextmanager
async def opened(config: WebhookConfig, *, now: Now) -> AsyncIterator["WebhookSink"]:
    proven = await credentials.read(config)
    async with http.opened(
        patience=config.timeout,
        ca_file=config.ca_file,
        allow_networks=config.allow_networks,
    ) as client:
        yield WebhookSink(config, client, proven, now=now)


class WebhookSink:
    def __init__(
        self, config: WebhookConfig, client: Client, proven: Credentials, *, now: Now
    ) -> None:
        self._config = config
        self._writing = writing.of(config)
        self._client = client
        self._credentials = proven
        self._now = now

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        proven, now = self._credentials, self._now()
        body = self._writing.body(message)
        headers = {
            **proven.headers,
            "Content-Type": self._writing.content_type,
            **signature.headers(proven.keys, message.id, int(now.timestamp()), body),
        }
        answer = await self._client.post(self._config.url, body, headers)
        if not answer.taken:
            await self._judge(answer, proven)

    async def _judge(self, answer: Answer, proven: Credentials) -> None:
        if answer.status in (401, 403):
            await self._prove_anew(proven, answer.status)
        raise http.verdict(
            f"{self._config.origin} answered {answer.status}",
            answer.status,
            said=proven.masked(answer.said),
            retry_after=http.retry_after(answer.retry_after, self._now()),
        )

    async def _prove_anew(self, refused: Credentials, status: int) -> None:
        """Read the files again; raise Undelivered where another try may be believed."""
        if self._credentials == refused:
            try:
                self._credentials = await credentials.read(self._config)
            except errors.Misconfigured as exc:
                raise errors.Undelivered(
                    f"{self._config.origin} answered {status}, and {exc}"
                ) from None
        if self._credentials != refused:
            raise errors.Undelivered(
                f"{self._config.origin} answered {status}; credentials were read anew"
            )
