"""Options that several verbs share, worded once."""

import getpass
import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer


def _user() -> str:
    """Name who types, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # nobody has this number
        return ""


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

Author = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        default_factory=_user,
        show_default=False,
        help="Who says so.  [default: you]",
    ),
]

Comment = Annotated[
    str, typer.Option("--comment", metavar="TEXT", help="Why; explain repeats it.")
]

For = Annotated[
    str | None,
    typer.Option(
        "--for", metavar="HOW LONG", show_default=False, help="For so long, like 2h."
    ),
]

Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="WHEN",
        show_default=False,
        help="Until then, like 2026-11-27T08:00.",
    ),
]

Matchers = Annotated[
    list[str],
    typer.Argument(
        metavar="MATCHER",
        show_default=False,
        help="Which alerts, like 'team=~\"sre|dba\"'; all of several must fit. They see"
        " a watch's labels and alert, severity, source, scope, instance, plan, name"
        " and step.",
    ),
]

Match = Annotated[
    list[str] | None,
    typer.Option(
        "--match",
        "-m",
        metavar="MATCHER",
        show_default=False,
        help="Only those that it fits, like 'team=~\"sre|dba\"'; all of several.",
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


def quoted(name: str) -> str:
    """Write a name into a path."""
    return quote(name, safe="", errors="surrogateescape")


def colour() -> bool:
    """Tell whether a terminal may get colour. Source: https://no-color.org."""
    return not os.environ.get("NO_COLOR")
