"""What a sink of the kind ``log`` takes."""

from typing import Annotated, Literal

from pydantic import Field

from monitor.core.message import Kind
from monitor.sinks.notation import Common


class LogConfig(Common):
    kind: Literal["log"]
    send: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.EVENTS, Kind.ALERTS)
