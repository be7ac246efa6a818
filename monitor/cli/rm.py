"""``job-monitor rm``: end watches that were added at run time."""

from typing import Annotated

import typer

from monitor.cli import completing, daemon, keys, options
from monitor.web.shapes.watches import WatchData


def rm(
    *,
    named: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY",
            show_default=False,
            autocompletion=completing.instances,
            help="Instances, like 2/20000153.",
        ),
    ],
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """End watches that were added with add, as if a line were taken out of a list.

    What is wrong with the instance is resolved, for nobody looks at it any more. Ends
    with 1 if a file names it, and says where; with 6 if nobody watches it.
    """
    there = daemon.found(config, socket)
    for text in named:
        path = f"/watches{keys.path(keys.typed(there, text))}"
        ended = there.send("DELETE", path, WatchData)
        typer.echo(f"{ended.key} is watched no more.", err=True)
