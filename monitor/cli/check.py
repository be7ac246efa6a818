"""``job-monitor check``: is everything written as it should be, and what is in effect?

Looks at files and the environment only. Faults go to stderr, a line each; the
effective values, secrets masked, go to stdout.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from monitor.cli import options
from monitor.settings import effective, loading
from monitor.settings.model import Settings
from monitor.sinks import plugin
from monitor.sinks.config import PluginConfig
from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing


class Output(StrEnum):
    YAML = "yaml"
    JSON = "json"


def check(
    config: options.Config = None,
    output: Annotated[Output, typer.Option("--output", "-o")] = Output.YAML,
) -> None:
    """Check configuration and watch lists, and show what is in effect.

    Faults go to stderr, each as path:line:column: reason; the effective values,
    secrets masked, go to stdout. Ends with 0 if all is well, 1 if entries of watch
    lists cannot be used, 78 if the configuration is refused.
    """
    settings = loading.load(config, os.environ)
    for sink in settings.sinks:
        if isinstance(sink, PluginConfig):
            plugin.find(sink)
    files = Files(
        settings.watch_lists,
        directory=Path(),
        sources=tuple(settings.sources),
    )
    listing = files.read()
    for fault in listing.faults:
        typer.echo(str(fault), err=True)
    typer.echo(_rendered(settings, output), nl=False)
    typer.echo(f"watch lists: {_summary(listing)}", err=True)
    if listing.faults:
        raise typer.Exit(1)


def _rendered(settings: Settings, output: Output) -> str:
    if output is Output.YAML:
        return effective.text(settings)
    encoded = msgspec.json.encode(effective.values(settings))
    return msgspec.json.format(encoded).decode() + "\n"


def _summary(listing: Listing) -> str:
    paths = {watch.place.path for watch in listing.watches.values()}
    paths |= {fault.place.path for fault in listing.faults}
    watches = _count(len(listing.watches), "watch", "watches")
    parts = [
        f"{watches} in {_count(len(paths), 'file', 'files')}",
        f"{_count(len(listing.faults), 'entry', 'entries')} quarantined",
    ]
    if listing.repeats:
        parts.append(f"{_count(len(listing.repeats), 'repeat', 'repeats')} ignored")
    return ", ".join(parts)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
