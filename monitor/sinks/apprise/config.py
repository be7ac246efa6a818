"""What a sink of the kind ``apprise`` takes."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from monitor.core.message import Kind
from monitor.sinks.notation import Common, Timeout

URLS_MAX: Final = 20


def _url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    scheme, separator, rest = text.partition("://")
    if not separator or not rest or not scheme.isascii() or not scheme.isalnum():
        raise ValueError("must be an address of Apprise, as mailto://…")
    if len(text) > 2048 or not text.isprintable():
        raise ValueError("must be printable and have at most 2048 characters")
    return url


Address = Annotated[SecretStr, AfterValidator(_url)]
"""Kept secret: nearly all of them hold a password or a token."""


class AppriseConfig(Common):
    kind: Literal["apprise"]

    urls: Annotated[tuple[Address, ...], Field(max_length=URLS_MAX)] = ()
    """Where to, as Apprise writes it: ``mailtos://…``, ``tgram://…``, …"""

    urls_file: Path | None = None
    """The same, a line each; ``#`` begins a comment."""

    format: Literal["text", "markdown"] = "text"
    """How the letter is written."""

    locale: Literal["en", "zh-CN"] | None = None
    """The language of the text; by default that of everything."""

    timeout: Timeout = timedelta(seconds=30)
    """For one try as a whole."""

    allow_unguarded: bool = False
    """Take also addresses of Apprise that post to any host over HTTP."""

    @model_validator(mode="after")
    def _some_urls(self) -> Self:
        if bool(self.urls) == bool(self.urls_file):
            raise ValueError("give either urls or urls_file")
        if self.send != (Kind.ALERTS,):
            raise ValueError("send: people are told of alerts only")
        return self


def lines(text: str) -> tuple[SecretStr, ...]:
    """Read a *urls_file*; ValueError shows no address."""
    stripped = (line.strip() for line in text.splitlines())
    found = [line for line in stripped if line and not line.startswith("#")]
    if not 0 < len(found) <= URLS_MAX:
        raise ValueError(f"must hold between one and {URLS_MAX} addresses")
    return tuple(_url(SecretStr(line)) for line in found)
