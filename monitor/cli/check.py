"""``job-monitor check``: is everything written as it should be, and what is in effect?

Looks at files and the environment only. Faults go to stderr, a line each; the
effective values, secrets masked, go to stdout.
"""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from monitor.cli import options
from monitor.settings import effective, loading
from monitor.settings.model import Settings
from monitor.sinks.plugin import sink as plugin
from monitor.sinks.plugin.config import PluginConfig
from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing
from monitor.watchlist.reading import Fault


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
    faults = (*listing.faults, *_in_vain(settings, listing))
    for fault in faults:
        typer.echo(str(fault), err=True)
    typer.echo(_rendered(settings, output), nl=False)
    typer.echo(f"watch lists: {_summary(listing, faults)}", err=True)
    if faults:
        raise typer.Exit(1)


def _rendered(settings: Settings, output: Output) -> str:
    if output is Output.YAML:
        return effective.text(settings)
    encoded = msgspec.json.encode(effective.values(settings))
    return msgspec.json.format(encoded).decode() + "\n"


def _in_vain(settings: Settings, listing: Listing) -> list[Fault]:
    """Find the rules that nobody can ever follow: v2 of the API has no list."""
    return [
        Fault(rule.place, f"source {rule.source} is {api}, which has no list to search")
        for rule in listing.rules
        if (api := settings.sources[rule.source].api) == "esb-v2"
    ]


def _summary(listing: Listing, faults: Sequence[Fault]) -> str:
    paths = {watch.place.path for watch in listing.watches.values()}
    paths |= {rule.place.path for rule in listing.rules}
    paths |= {fault.place.path for fault in faults}
    wanted = _count(len(listing.watches), "watch", "watches")
    if listing.rules:
        wanted += f" and {_count(len(listing.rules), 'rule', 'rules')}"
    parts = [
        f"{wanted} in {_count(len(paths), 'file', 'files')}",
        f"{_count(len(faults), 'entry', 'entries')} quarantined",
    ]
    if listing.repeats:
        parts.append(f"{_count(len(listing.repeats), 'repeat', 'repeats')} ignored")
    return ", ".join(parts)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
