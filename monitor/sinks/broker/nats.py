"""NATS: JetStream's PubAck, from the one stream that is configured."""

from typing import Any, ClassVar, Final, cast

import anyio
from faststream.nats import NatsBroker, security
from nats import errors as nats
from nats.aio.client import Client
from nats.js import errors as jetstream

from monitor import errors
from monitor.core.message import Message
from monitor.sinks.broker.carriers import (
    NAME,
    CloudEvents,
    Place,
    Troubles,
    or_closed,
)
from monitor.sinks.printable import printable

# Source: nats-server, server/errors.json: JSStreamMessageExceedsMaximumErr.
_TOO_LARGE: Final = 10054


class Nats:
    troubles: ClassVar[Troubles] = (nats.Error, OSError)

    def __init__(self, place: Place) -> None:
        self._place = place
        self._said = ""
        self._client: Client | None = None
        self._waiting: dict[anyio.CancelScope, str] = {}
        scheme = "tls" if place.tls else "nats"
        self._broker = _Broker(
            [f"{scheme}://{address}" for address in place.addresses()],
            name=NAME,
            codec=CloudEvents(),
            security=_security(place),
            error_cb=self._hear,
            closed_cb=self._closed,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=cast("int", place.seconds()),
            logger=None,
        )

    async def _hear(self, error: Exception) -> None:
        """Wake who waits in vain: what is forbidden gets no answer, only this."""
        self._said = str(error)
        for scope, topic in self._waiting.items():
            if f'"{topic}"'.lower() in self._said.lower():
                scope.cancel()

    async def _closed(self) -> None:
        for scope in self._waiting:
            scope.cancel()

    @property
    def lives(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def connect(self) -> None:
        try:
            self._client = await self._broker.connect()
        except nats.NoServersError:
            raise OSError(self._said or "no server answers") from None

    async def publish(self, message: Message) -> None:
        """Publish; JetStream's answer names the stream and the place in it."""
        topic = self._place.topic(message)
        with anyio.CancelScope() as scope:
            self._waiting[scope] = topic
            try:
                await self._ask(message, topic)
            finally:
                del self._waiting[scope]
        if scope.cancelled_caught and self.lives:
            raise errors.Rejected(printable(self._said))
        if scope.cancelled_caught:
            raise OSError("the connection was lost")

    async def _ask(self, message: Message, topic: str) -> None:
        try:
            await self._broker.publish(
                message.cloudevent(),
                topic,
                headers={"Nats-Msg-Id": message.id},
                correlation_id=message.id,
                stream=self._place.config.stream,
                timeout=self._place.seconds(),
            )
        except nats.MaxPayloadError:
            raise errors.Rejected("the message is larger than max_payload") from None
        except jetstream.NoStreamResponseError:
            raise errors.Undelivered(
                f"no stream of JetStream takes {topic}: add it to the subjects of "
                f"{self._place.config.stream}"
            ) from None
        except jetstream.APIError as exc:
            raise _refusal(exc.err_code, exc.description) from None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


class _Broker(NatsBroker):
    async def _connect(self) -> Client:
        client = Client()
        async with or_closed(client.close):
            await client.connect(**self._connection_kwargs)
        self.config.connect(client)
        return client


def _refusal(code: int | None, said: str | None) -> errors.SinkError:
    answer = f"JetStream: {printable(said or 'refused')} ({code})"
    if code == _TOO_LARGE:
        return errors.Rejected(answer)
    return errors.Undelivered(answer)


def _security(place: Place) -> Any:
    user, password = place.config.username, place.password
    if password is None:
        return security.NatsSecurity(ssl_context=place.tls)
    if user is None:
        return security.NatsToken(password, ssl_context=place.tls)
    return security.NatsUserPassword(user, password, ssl_context=place.tls)
