"""One CloudEvent to a message broker, and the broker's own acknowledgement.

A connection is kept while it works. After trouble it is closed, and the next
message opens another one, with the credentials as their file has them by then.
"""

import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, assert_never

import anyio

from monitor import durations, errors
from monitor.core.message import Message
from monitor.sinks import secrets
from monitor.sinks.broker import carriers
from monitor.sinks.broker.carriers import Carrier, Place
from monitor.sinks.broker.config import BrokerConfig

# What the drivers would log is in our errors, told once and without passwords.
_TALKATIVE: Final = ("aio_pika", "aiokafka", "aiormq", "faststream", "nats", "zmqtt")


@asynccontextmanager
async def opened(config: BrokerConfig) -> AsyncIterator["BrokerSink"]:
    """Open the sink; the broker need not be there yet.

    Misconfigured where a file cannot be read or the extra is not installed.
    """
    sink = BrokerSink(config, _tls(config))
    await sink.prepare()
    try:
        yield sink
    finally:
        await sink.close()


class BrokerSink:
    def __init__(self, config: BrokerConfig, tls: ssl.SSLContext | None) -> None:
        self._config = config
        self._tls = tls
        self._password = ""
        self._carrier: Carrier | None = None
        self._connecting = anyio.Lock()

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        carrier = None
        try:
            with anyio.fail_after(self._config.timeout.total_seconds()):
                carrier = await self._connected()
                await self._publish(carrier, message)
        except TimeoutError:
            await self._part_with(carrier)
            raise self._undelivered(
                f"did not acknowledge within {durations.text(self._config.timeout)}"
            ) from None

    async def prepare(self) -> Carrier:
        """Read the credentials and make a carrier, which is not connected yet."""
        config = self._config
        self._password = await secrets.word(config.password, config.password_file)
        try:
            return _carrier(Place(config, self._password or None, self._tls))
        except ImportError as exc:
            raise errors.Misconfigured(
                f"sink {self.name}: {exc.name} is not installed: "
                "pip install 'job-monitor[broker]'"
            ) from None

    async def close(self) -> None:
        await self._part_with(self._carrier)

    async def _connected(self) -> Carrier:
        """Give the one connection, opened by whoever comes first."""
        async with self._connecting:
            if self._carrier is not None and not self._carrier.lives:
                await self._part_with(self._carrier)
            if self._carrier is None:
                self._carrier = await self._connect()
            return self._carrier

    async def _connect(self) -> Carrier:
        try:
            carrier = await self.prepare()
        except errors.Misconfigured as exc:
            raise self._undelivered(f"was not tried: {exc}") from None
        try:
            await carrier.connect()
        except carrier.troubles as exc:
            raise self._unreached(exc) from None
        return carrier

    async def _publish(self, carrier: Carrier, message: Message) -> None:
        try:
            await carrier.publish(message)
        except errors.Rejected as exc:
            raise errors.Rejected(
                self._masked(f"{self._config.origin}: {exc}")
            ) from None
        except errors.Undelivered as exc:
            raise self._undelivered(str(exc)) from None
        except carrier.troubles as exc:
            await self._part_with(carrier)
            raise self._unreached(exc) from None

    async def _part_with(self, carrier: Carrier | None) -> None:
        """Hang up, unless somebody else has done so meanwhile."""
        if carrier is None or carrier is not self._carrier:
            return
        self._carrier = None
        with (
            anyio.move_on_after(carriers.CLOSING, shield=True),
            contextlib.suppress(*carrier.troubles),
        ):
            await carrier.close()

    def _unreached(self, exc: Exception) -> errors.Undelivered:
        return self._undelivered(f"cannot be reached: {carriers.text(exc)}")

    def _undelivered(self, why: str) -> errors.Undelivered:
        return errors.Undelivered(self._masked(f"{self._config.origin} {why}"))

    def _masked(self, said: str) -> str:
        """Blot the password out: Redis for one repeats commands it does not know."""
        return secrets.masked(said, [self._password])


def _carrier(place: Place) -> Carrier:
    """Import the driver that is needed, and no other."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    match place.config.scheme.broker:
        case "nats":
            from monitor.sinks.broker.nats import Nats  # noqa: PLC0415

            return Nats(place)
        case "rabbitmq":
            from monitor.sinks.broker.rabbit import Rabbit  # noqa: PLC0415

            return Rabbit(place)
        case "redis":
            from monitor.sinks.broker.redis import Redis  # noqa: PLC0415

            return Redis(place)
        case "kafka":
            from monitor.sinks.broker.kafka import Kafka  # noqa: PLC0415

            return Kafka(place)
        case "mqtt":
            from monitor.sinks.broker.mqtt import Mqtt  # noqa: PLC0415

            return Mqtt(place)
        case unknown:
            assert_never(unknown)


def _tls(config: BrokerConfig) -> ssl.SSLContext | None:
    if not config.scheme.tls:
        return None
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except OSError as exc:
        raise errors.Misconfigured(
            f"{config.ca_file}: no certificates of authorities can be read: {exc}"
        ) from exc
