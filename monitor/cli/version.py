"""``job-monitor version``."""

from enum import StrEnum
from importlib import metadata
from typing import Annotated

import msgspec
import typer


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


def version(
    output: Annotated[Output, typer.Option("--output", "-o")] = Output.TABLE,
) -> None:
    """Print the version."""
    found = {"name": "job-monitor", "version": metadata.version("job-monitor")}
    if output is Output.JSON:
        typer.echo(msgspec.json.encode(found))
    else:
        typer.echo(" ".join(found.values()))
