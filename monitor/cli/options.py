"""Options that several verbs share, worded once."""

import os
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="MONITOR_CONFIG",
        metavar="FILE",
        help="The configuration.  [default: monitor.yaml]",
        show_default=False,
    ),
]


Socket = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        envvar="MONITOR_SOCKET",
        metavar="PATH",
        help="The daemon's socket.  [default: the one beside its store]",
        show_default=False,
    ),
]


def colour() -> bool:
    """Tell whether a terminal may get colour. Source: https://no-color.org."""
    return not os.environ.get("NO_COLOR")
