"""What ``sinks:`` accepts: one model per kind.

Quick to import: no sink's technology is needed to check its configuration. A
faulty value is never shown, since it may be a secret in the wrong place.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_serializer,
    model_validator,
)

from monitor import durations
from monitor.core import matchers
from monitor.core.matchers import Matcher
from monitor.core.message import Kind
from monitor.sinks import signature

HEADERS_MAX: Final = 32
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OURS: Final = frozenset(
    {"connection", "content-length", "content-type", "host", "transfer-encoding"}
)


def _timeout(value: Any) -> Any:
    return value if isinstance(value, timedelta) else durations.parse(str(value))


def _positive(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= timedelta(minutes=10):
        raise ValueError("must be more than 0s and at most 10m")
    return value


def _network(value: Any) -> Any:
    return ip_network(value) if isinstance(value, str) else value


def _matcher(text: str) -> str:
    return str(matchers.parse(text))


def _url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if len(text) > 2048 or " " in text or not text.isprintable():
        raise ValueError("must be one printable word of at most 2048 characters")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password: use headers_file")
    if parts.port == 0:
        raise ValueError("has no port 0")
    return url


def _header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError("the name of a header has letters, digits and - only")
    if name.lower() in _OURS or name.lower().startswith("webhook-"):
        raise ValueError(f"the header {name} is ours to set")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or len(text) > 4096:
        raise ValueError("the value of a header is printable ASCII, at most 4096")
    return value


def _secret(secret: SecretStr) -> SecretStr:
    signature.keys(secret.get_secret_value())
    return secret


Timeout = Annotated[timedelta, BeforeValidator(_timeout), AfterValidator(_positive)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Headers = dict[
    Annotated[str, AfterValidator(_header)],
    Annotated[SecretStr, AfterValidator(_header_value)],
]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=64)]
    """How logs, metrics and the command line call this sink."""

    send: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.ALERTS,)
    """Alerts are told and reminded of; events are the log of all transitions."""

    match: tuple[Annotated[str, AfterValidator(_matcher)], ...] = ()
    """Matchers over labels, type, source and severity; all must match."""

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        return tuple(matchers.parse(text) for text in self.match)


class LogConfig(_Config):
    kind: Literal["log"]
    send: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.EVENTS, Kind.ALERTS)


class WebhookConfig(_Config):
    kind: Literal["webhook"]

    url: Annotated[SecretStr, AfterValidator(_url)]
    """Kept like a secret: the paths of many receivers hold a token."""

    secret: Annotated[SecretStr, AfterValidator(_secret)] | None = None
    """Signs each request; several, separated by space, while one replaces another."""

    secret_file: Path | None = None

    headers: Annotated[Headers, Field(max_length=HEADERS_MAX)] = {}
    """Sent with each request, for receivers that want a token."""

    headers_file: Path | None = None
    """More of them, a line each: ``Name: value``."""

    timeout: Timeout = timedelta(seconds=15)
    """For one try as a whole."""

    ca_file: Path | None = None
    """Trust these authorities, and only these."""

    allow_networks: tuple[Network, ...] = ()
    """Private and other special addresses that this sink may reach."""

    batch: Annotated[int, Field(ge=1, le=1000)] = 1

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("give secret or secret_file, not both")
        return self

    @property
    def origin(self) -> str:
        """The address without its path: fit to be shown."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"


class PluginConfig(_Config):
    kind: Literal["plugin"]

    plugin: Annotated[str, Field(min_length=1, max_length=128)]
    """The name of an entry point in the group ``monitor.sinks``."""

    options: Annotated[Mapping[str, Any], Field(repr=False)] = {}
    """Handed to the plugin as they are; shown to nobody."""

    timeout: Timeout = timedelta(seconds=30)
    """For one try as a whole."""

    @field_serializer("options")
    def _masked(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        return dict.fromkeys(options, "**********")


def headers(lines: str) -> dict[str, SecretStr]:
    """Read the lines of a *headers_file*; ValueError shows no value."""
    found = {}
    for line in filter(None, map(str.strip, lines.splitlines())):
        name, _, value = line.partition(":")
        found[_header(name.strip())] = _header_value(SecretStr(value.strip()))
    return found
