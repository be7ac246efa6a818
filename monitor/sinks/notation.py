"""What the entries of ``sinks:`` have in common: keys, and how values are written.

Quick to import: no sink's technology is needed to check its configuration. A
faulty value is never shown, since it may be a secret in the wrong place.
"""

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from monitor import durations
from monitor.core import matchers
from monitor.core.matchers import Matcher
from monitor.core.message import Kind

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


Timeout = Annotated[timedelta, BeforeValidator(_timeout), AfterValidator(_positive)]
Url = Annotated[SecretStr, AfterValidator(_url)]
"""Kept like a secret: the paths of many receivers hold a token."""

Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Headers = dict[
    Annotated[str, AfterValidator(_header)],
    Annotated[SecretStr, AfterValidator(_header_value)],
]


class Common(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=64)]
    """How logs, metrics and the command line call this sink."""

    send: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.ALERTS,)
    """Alerts are told and reminded of; events are the log of all transitions."""

    match: tuple[Annotated[str, AfterValidator(_matcher)], ...] = ()
    """Matchers over labels, type, source and severity; all must match."""

    fallback: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=64)] | None = (
        None
    )
    """The sink that is told of alerts that this one has not taken for *fallback_after*,
    or will never take. From then on it is told of that incident to its end."""

    fallback_after: Timeout = timedelta(minutes=5)
    """How long to wait for this one before the fallback is told."""

    max_backlog: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    """So many messages may wait for this sink, and as many be dead letters; beyond that
    the oldest are given up. Events can be replayed for as long as ``retention``."""

    @property
    def level(self) -> bool:
        """Tell whether it, or who reads it, keeps a level.

        It is told of every end and, at each start, of what holds.
        """
        return False

    @property
    def origin(self) -> str:
        """Give the address without its path, where it has one: fit to be shown."""
        return ""

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        return tuple(matchers.parse(text) for text in self.match)


def headers(lines: str) -> dict[str, SecretStr]:
    """Read the lines of a *headers_file*; ValueError shows no value."""
    found = {}
    for line in filter(None, map(str.strip, lines.splitlines())):
        name, _, value = line.partition(":")
        found[_header(name.strip())] = _header_value(SecretStr(value.strip()))
    return found


def origin(url: SecretStr) -> str:
    """Give the address without its path: fit to be shown."""
    parts = urlsplit(url.get_secret_value())
    return f"{parts.scheme}://{parts.netloc}"
