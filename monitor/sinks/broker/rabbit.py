"""RabbitMQ: a publisher confirm, of a message that some queue holds."""

from typing import Any, ClassVar

from aio_pika import RobustConnection, connect_robust
from aiormq import exceptions
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange

from monitor import errors
from monitor.core.message import CONTENT_TYPE, Message
from monitor.sinks.broker.carriers import (
    CloudEvents,
    Place,
    Troubles,
    or_closed,
    text,
)
from monitor.sinks.broker.security import plaintext


class Rabbit:
    troubles: ClassVar[Troubles] = (
        exceptions.AMQPError,
        exceptions.ChannelInvalidStateError,
        OSError,
        RuntimeError,
    )

    def __init__(self, place: Place) -> None:
        self._place = place
        self._line: RobustConnection | None = None
        self._exchange = RabbitExchange(place.config.exchange, declare=False)
        [(host, port)] = place.config.servers
        self._broker = _Broker(
            host=host,
            port=port,
            virtualhost=place.config.path or "/",
            security=plaintext(place, user="guest", password="guest"),  # noqa: S106
            default_channel=Channel(publisher_confirms=True, on_return_raises=True),
            codec=CloudEvents(),
            logger=None,
        )

    @property
    def lives(self) -> bool:
        line = self._line
        return line is not None and line.connected.is_set() and self._broker.is_open

    async def connect(self) -> None:
        self._line = await self._broker.connect()

    async def publish(self, message: Message) -> None:
        """Publish; the broker confirms once a queue holds the message."""
        topic = self._place.topic(message)
        try:
            await self._broker.publish(
                message.cloudevent(),
                topic,
                self._exchange,
                mandatory=True,
                persist=True,
                content_type=CONTENT_TYPE,
                message_id=message.id,
                correlation_id=message.id,
                headers={"partitionkey": message.key},
            )
        except exceptions.PublishError:
            raise errors.Undelivered(
                f"no queue takes {topic}: declare it, or bind one to it"
            ) from None
        except exceptions.DeliveryError:
            raise errors.Undelivered("the queue takes no more: is it full?") from None
        except exceptions.ChannelAccessRefused as exc:
            raise errors.Rejected(text(exc)) from None
        except exceptions.ChannelPreconditionFailed as exc:
            raise errors.Rejected(text(exc)) from None

    async def close(self) -> None:
        await self._broker.stop()


class _Line(RobustConnection):
    async def connect(self, timeout: Any = None) -> None:  # noqa: ASYNC109
        async with or_closed(self.close):
            await super().connect(timeout)


class _Broker(RabbitBroker):
    async def _connect(self) -> RobustConnection:
        line = await connect_robust(**self._connection_kwargs, connection_class=_Line)
        async with or_closed(line.close):
            self.config.connect(line)
            self._channel = await self.config.channel_manager.get_channel()
        return line

    @property
    def is_open(self) -> bool:
        return self._channel is not None and not self._channel.is_closed
