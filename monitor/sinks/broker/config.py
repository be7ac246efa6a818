"""What a sink of the kind ``broker`` takes: one set of keys for five kinds of broker."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from monitor.sinks.notation import Common, Timeout

SOURCE: Final = "{source}"
"""In a topic, the source of the message."""


Broker = Literal["nats", "rabbitmq", "redis", "kafka", "mqtt"]


class Scheme(NamedTuple):
    """*only* are the keys that no other kind of broker knows."""

    broker: Broker
    port: int
    topic: re.Pattern[str]
    only: tuple[str, ...] = ()
    tls: bool = False
    many: bool = False


# Sources: NATS docs, "Subjects"; Kafka, Topic.legalChars; MQTT 5.0, 4.7.
_NATS: Final = re.compile(r"[^\s.*>]+([.][^\s.*>]+)*")
_KAFKA: Final = re.compile(r"[A-Za-z0-9._-]+")
_MQTT: Final = re.compile(r"[^+#$][^+#]*")
_ANY: Final = re.compile(r".+")

SCHEMES: Final[Mapping[str, Scheme]] = {
    "nats": Scheme("nats", 4222, _NATS, ("stream",), many=True),
    "tls": Scheme("nats", 4222, _NATS, ("stream",), tls=True, many=True),
    "amqp": Scheme("rabbitmq", 5672, _ANY, ("exchange",)),
    "amqps": Scheme("rabbitmq", 5671, _ANY, ("exchange",), tls=True),
    "redis": Scheme("redis", 6379, _ANY, ("max_length",)),
    "rediss": Scheme("redis", 6379, _ANY, ("max_length",), tls=True),
    "kafka": Scheme("kafka", 9092, _KAFKA, ("sasl",), many=True),
    "kafkas": Scheme("kafka", 9093, _KAFKA, ("sasl",), tls=True, many=True),
    "mqtt": Scheme("mqtt", 1883, _MQTT),
    "mqtts": Scheme("mqtt", 8883, _MQTT, tls=True),
}
_SPECIAL: Final = ("stream", "exchange", "max_length", "sasl")


def _url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if len(text) > 2048 or " " in text or not text.isprintable():
        raise ValueError("must be one printable word of at most 2048 characters")
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"must begin with one of {', '.join(SCHEMES)} and ://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password: use password_file")
    if parts.query or parts.fragment:
        raise ValueError("must not have ? or #")
    found = list(servers(url))
    if not all(host for host, _ in found):
        raise ValueError("must name a host")
    if len(found) > 1 and not SCHEMES[parts.scheme].many:
        raise ValueError("must name one server only")
    return url


def servers(url: SecretStr) -> tuple[tuple[str, int], ...]:
    """List host and port of each server; ValueError where a port is none."""
    parts = urlsplit(url.get_secret_value())
    default = SCHEMES[parts.scheme].port
    each = [urlsplit(f"//{one}") for one in parts.netloc.split(",")]
    return tuple((one.hostname or "", one.port or default) for one in each)


def _topic(text: str) -> str:
    plain = text.replace(SOURCE, "source")
    if "{" in plain or "}" in plain:
        raise ValueError(f"knows no placeholder but {SOURCE}")
    if " " in plain or not plain.isprintable() or len(plain.encode()) > 249:
        raise ValueError("must be one printable word of at most 249 bytes")
    return text


class BrokerConfig(Common):
    kind: Literal["broker"]

    url: Annotated[SecretStr, AfterValidator(_url)]
    """Which kind of broker, and where: ``nats://``, ``amqp://``, ``redis://``, …"""

    topic: Annotated[str, Field(min_length=1), AfterValidator(_topic)]
    """The subject, routing key, stream or topic to publish to."""

    stream: Annotated[str, Field(pattern=r"^[^\s.*>/\\]{1,255}$")] | None = None
    """NATS: the JetStream stream that must take each message."""

    exchange: Annotated[str, Field(max_length=255)] = ""
    """RabbitMQ: by default the one that knows every queue by its name."""

    max_length: Annotated[int, Field(ge=1)] | None = None
    """Redis: about how many entries the stream keeps."""

    sasl: Literal["plain", "scram-sha-256", "scram-sha-512"] = "plain"
    """Kafka: how user and password are shown."""

    username: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """As whom, where the broker asks; with a password."""

    password: Annotated[SecretStr, Field(min_length=1)] | None = None
    """Of ``username``, or a token for NATS and Redis alone; or ``password_file``."""

    password_file: Path | None = None

    timeout: Timeout = timedelta(seconds=15)
    """For one try as a whole."""

    ca_file: Path | None = None
    """Trust these authorities, and only these."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        scheme = self.scheme
        if not scheme.topic.fullmatch(self.topic.replace(SOURCE, "source")):
            raise ValueError(f"topic: is none that {scheme.broker} knows")
        for key in _SPECIAL:
            default = type(self).model_fields[key].default
            if getattr(self, key) != default and key not in scheme.only:
                raise ValueError(f"{key}: {scheme.broker} has no such key")
        if scheme.broker == "nats" and self.stream is None:
            raise ValueError("stream: name the JetStream stream that takes the topic")
        if scheme.broker == "redis" and not re.fullmatch(r"\d{0,4}", self.path):
            raise ValueError("url: the path is the number of a database")
        if self.ca_file is not None and not scheme.tls:
            raise ValueError("ca_file: the scheme of url says that there is no TLS")
        return self

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        secret = self.password or self.password_file
        if self.username is not None and secret is None:
            raise ValueError("username: needs a password or password_file")
        alone = secret is not None and self.username is None
        if alone and self.scheme.broker not in ("nats", "redis"):
            raise ValueError("password: needs a username")
        return self

    @property
    def scheme(self) -> Scheme:
        return SCHEMES[urlsplit(self.url.get_secret_value()).scheme]

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        return servers(self.url)

    @property
    def path(self) -> str:
        """RabbitMQ's virtual host or the number of Redis' database."""
        return unquote(urlsplit(self.url.get_secret_value()).path.removeprefix("/"))

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"
