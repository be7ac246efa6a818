"""What a sink of the kind ``file`` takes."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainValidator

from monitor import sizes
from monitor.core.message import Kind
from monitor.sinks.notation import Common
from monitor.sizes import Size


class FileConfig(Common):
    kind: Literal["file"]
    send: Annotated[tuple[Kind, ...], Field(min_length=1)] = (Kind.EVENTS, Kind.ALERTS)

    path: Path
    """One JSON document a line. Whoever may read this file reads what scripts printed."""

    max_size: Annotated[Size, PlainValidator(sizes.parse)] = Size(64 << 20)
    """Beyond it another file is begun; the one before is called ``….1``."""

    keep: Annotated[int, Field(ge=0, le=1000)] = 5
    """So many of those before are kept."""
