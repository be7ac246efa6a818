"""Kafka: the answer of a partition's leader once all in-sync replicas hold it."""

from typing import Any, ClassVar

import anyio
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka
from faststream import security
from faststream.kafka import KafkaBroker

from monitor import errors
from monitor.core.message import Message
from monitor.sinks.broker.carriers import (
    CLOSING,
    NAME,
    CloudEvents,
    Place,
    Troubles,
    or_closed,
    text,
)


class Kafka:
    troubles: ClassVar[Troubles] = (kafka.KafkaError, OSError)

    def __init__(self, place: Place) -> None:
        self._place = place
        self._broker = _Broker(
            place.addresses(),
            client_id=NAME,
            acks="all",
            enable_idempotence=True,
            # Before the sink gives up, so that it can be said what is missing.
            request_timeout_ms=int(place.config.timeout.total_seconds() * 800),
            codec=CloudEvents(),
            security=_security(place),
            logger=None,
        )
        self._producer: Any = None
        self.lives = True

    async def connect(self) -> None:
        self._producer = await self._broker.connect()

    async def publish(self, message: Message) -> None:
        """Publish; all in-sync replicas hold the message when this returns."""
        topic = self._place.topic(message)
        try:
            await self._broker.publish(
                message.cloudevent(),
                topic,
                key=message.key.encode(),
                correlation_id=message.id,
                headers={"id": message.id},
            )
        except (
            kafka.MessageSizeTooLargeError,
            kafka.RecordListTooLargeError,
            kafka.TopicAuthorizationFailedError,
            kafka.InvalidTopicError,
        ) as exc:
            raise errors.Rejected(f"{topic}: {text(exc)}") from None
        except kafka.KafkaTimeoutError:
            raise errors.Undelivered(
                f"no leader of {topic} answers: is there such a topic?"
            ) from None
        except kafka.KafkaError as exc:
            # An idempotent producer that has lost count takes nothing more.
            self.lives = exc.retriable
            raise errors.Undelivered(f"{topic}: {text(exc)}") from None

    async def close(self) -> None:
        if self._producer is not None:
            with anyio.move_on_after(CLOSING / 2) as late:
                await self._producer.flush()
            if late.cancelled_caught:
                await _leave(self._producer)
        await self._broker.stop()


async def _leave(producer: AIOKafkaProducer) -> None:
    """End it with messages that are not sent: ``stop`` would wait for them for ever."""
    await producer.client.close()
    await producer._sender.close()  # noqa: SLF001
    producer._closed = True  # noqa: SLF001


class _Broker(KafkaBroker):
    async def _connect(self) -> Any:
        producer = AIOKafkaProducer(**self._connection_kwargs)
        async with or_closed(producer.stop):
            await self.config.broker_config.producer.connect(
                producer, serializer=None, codec=CloudEvents()
            )
        return producer


def _security(place: Place) -> Any:
    user, password = place.config.username, place.password
    if user is None or password is None:
        return security.BaseSecurity(ssl_context=place.tls)
    mechanism = {
        "plain": security.SASLPlaintext,
        "scram-sha-256": security.SASLScram256,
        "scram-sha-512": security.SASLScram512,
    }[place.config.sasl]
    return mechanism(user, password, ssl_context=place.tls)
