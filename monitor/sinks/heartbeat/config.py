"""What a sink of the kind ``heartbeat`` takes."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from monitor import durations
from monitor.core.message import Kind
from monitor.sinks import notation
from monitor.sinks.notation import HEADERS_MAX, Common, Headers, Network, Timeout, Url


def _duration(value: Any) -> Any:
    return value if isinstance(value, timedelta) else durations.parse(str(value))


def _apart(value: timedelta) -> timedelta:
    if not timedelta(seconds=5) <= value <= timedelta(days=1):
        raise ValueError("must be between 5s and 1d")
    return value


class HeartbeatConfig(Common):
    kind: Literal["heartbeat"]

    send: Annotated[tuple[Kind, ...], Field(max_length=0)] = ()
    """It is sent neither events nor alerts."""

    url: Url
    """Asked for as long as the daemon works: whoever misses that raises the alarm."""

    method: Literal["GET", "POST"] = "GET"
    """How it is asked for."""

    every: Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_apart)] = (
        timedelta(minutes=1)
    )
    """How often; between 5s and 1d."""

    headers: Annotated[Headers, Field(max_length=HEADERS_MAX, default_factory=dict)]
    """Sent with each request."""

    headers_file: Path | None = None
    """More of them, a line each: ``Name: value``."""

    timeout: Timeout = timedelta(seconds=10)
    """For one try as a whole."""

    ca_file: Path | None = None
    """Trust these authorities, and only these."""

    allow_networks: tuple[Network, ...] = ()
    """Private and other special addresses that this sink may reach."""

    @model_validator(mode="after")
    def _takes_nothing(self) -> Self:
        if self.match or self.fallback:
            raise ValueError(
                "a heartbeat is sent nothing: leave out match and fallback"
            )
        return self

    @property
    def origin(self) -> str:
        return notation.origin(self.url)
