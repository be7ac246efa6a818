"""One message per POST, signed by Standard Webhooks, tried once.

The answer is shown masked and bounded.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from pydantic import SecretStr

from monitor import errors
from monitor.core.message import Message
from monitor.formats import robots
from monitor.formats.library import Library
from monitor.formats.robots import Robot
from monitor.ports import Now
from monitor.sinks import http
from monitor.sinks.http import Answer, Client
from monitor.sinks.webhook import credentials, signature, writing
from monitor.sinks.webhook.config import WebhookConfig
from monitor.sinks.webhook.credentials import Credentials
from monitor.sinks.webhook.writing import Writing

DEFAULT: Final = Library()


@asynccontextmanager
async def opened(
    config: WebhookConfig, *, now: Now, library: Library = DEFAULT
) -> AsyncIterator["WebhookSink"]:
    proven, written = await credentials.read(config), writing.of(config, library)
    async with http.opened(
        patience=config.timeout,
        ca_file=config.ca_file,
        allow_networks=config.allow_networks,
    ) as client:
        yield WebhookSink(config, written, client, proven, now=now)


class WebhookSink:
    def __init__(
        self,
        config: WebhookConfig,
        written: Writing,
        client: Client,
        proven: Credentials,
        *,
        now: Now,
    ) -> None:
        self._config = config
        self._writing = written
        self._client = client
        self._credentials = proven
        self._now = now

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        proven, now = self._credentials, self._now()
        url, body = self._signed(self._writing.body(message), proven, now)
        headers = {
            **proven.headers,
            "Content-Type": self._writing.content_type,
            **signature.headers(proven.keys, message.id, int(now.timestamp()), body),
        }
        answer = await self._client.post(url, body, headers)
        if not answer.taken:
            await self._judge(answer, proven)
        elif self._writing.robot is not None:
            await self._hear(self._writing.robot, answer, proven)

    def _signed(
        self, body: bytes, proven: Credentials, now: datetime
    ) -> tuple[SecretStr, bytes]:
        """Prove who we are to a robot that wants that in its own way."""
        robot, url = self._writing.robot, self._config.url
        if robot is None or robot.sign is None or not proven.robot:
            return url, body
        signed, body = robot.sign(url.get_secret_value(), body, proven.robot, now)
        return SecretStr(signed), body

    async def _hear(self, robot: Robot, answer: Answer, proven: Credentials) -> None:
        """Robots refuse with a good status."""
        what = f"{self._config.origin} answered"
        refused = robots.refusal(robot, proven.masked(answer.said), what)
        if isinstance(refused, robots.Unproven):
            await self._prove_anew(proven, str(refused))
        if refused is not None:
            raise refused

    async def _judge(self, answer: Answer, proven: Credentials) -> None:
        what = f"{self._config.origin} answered {answer.status}"
        if answer.status in (401, 403):
            await self._prove_anew(proven, what)
        raise http.verdict(
            what,
            answer.status,
            said=proven.masked(answer.said),
            retry_after=http.retry_after(answer.retry_after, self._now()),
        )

    async def _prove_anew(self, refused: Credentials, what: str) -> None:
        """Read the files again; raise Undelivered where another try may be believed."""
        if self._credentials == refused:
            try:
                self._credentials = await credentials.read(self._config)
            except errors.Misconfigured as exc:
                raise errors.Undelivered(f"{what}, and {exc}") from None
        if self._credentials != refused:
            raise errors.Undelivered(f"{what}; credentials were read anew")
