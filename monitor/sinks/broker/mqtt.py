"""MQTT 5: the PUBACK of QoS 1."""

import contextlib
import struct
from typing import ClassVar, Final

from faststream.mqtt import MQTTBroker
from zmqtt import (
    MQTTDisconnectedError,
    MQTTError,
    MQTTPublishError,
    QoS,
    ReconnectConfig,
)

from monitor import errors
from monitor.core.message import Message
from monitor.sinks.broker.carriers import CloudEvents, Place, Troubles, bracketed, text
from monitor.sinks.broker.security import plaintext

# Source: MQTT 5.0, 3.4.2.1: not authorized, topic name invalid, payload invalid.
_FOR_GOOD: Final = frozenset({0x87, 0x90, 0x99})


class Mqtt:
    # The last three: what zmqtt raises at bytes that are no MQTT.
    troubles: ClassVar[Troubles] = (
        MQTTError,
        OSError,
        ValueError,
        LookupError,
        struct.error,
    )

    def __init__(self, place: Place) -> None:
        self._place = place
        [(host, port)] = place.config.servers
        self._broker = MQTTBroker(
            f"{'mqtts' if place.tls else 'mqtt'}://{bracketed(host)}:{port}",
            version="5.0",
            mqtt_connect_timeout=place.seconds(),
            reconnect=ReconnectConfig(enabled=False),
            codec=CloudEvents(),
            security=plaintext(place, user=None, password=None),
            logger=None,
        )

    @property
    def lives(self) -> bool:
        with contextlib.suppress(MQTTDisconnectedError):
            return bool(self._broker.connection_info)
        return False

    async def connect(self) -> None:
        await self._broker.connect()

    async def publish(self, message: Message) -> None:
        """Publish; the broker's PUBACK says that it took over."""
        topic = self._place.topic(message)
        try:
            await self._broker.publish(
                message.cloudevent(),
                topic,
                qos=QoS.AT_LEAST_ONCE,
                headers={"partitionkey": message.key},
                correlation_id=message.id,
            )
        except MQTTPublishError as exc:
            raise _refusal(exc.reason_code, f"{topic}: {text(exc)}") from None

    async def close(self) -> None:
        await self._broker.stop()


def _refusal(code: int, answer: str) -> errors.SinkError:
    if code in _FOR_GOOD:
        return errors.Rejected(answer)
    return errors.Undelivered(answer)
