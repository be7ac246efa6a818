"""``job-monitor ls``: instances, filtered and sorted."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from monitor.cli import daemon, options, printing
from monitor.cli.printing import Cell, Columns, Output
from monitor.core.codes import Meaning
from monitor.core.watch import Severity
from monitor.ports import Sort
from monitor.web.shapes.instances import ListedData

MEANINGS: Final = {
    Meaning.FAILED: "bold red",
    Meaning.SUCCEEDED: "green",
    Meaning.RUNNING: "cyan",
}


class Phases(StrEnum):
    WATCHED = "watched"
    RETIRED = "retired"
    UNWATCHED = "unwatched"
    ANY = "any"


def standing(of: ListedData) -> Cell:
    """Say how an instance stands, and what became of its watch."""
    said = of.status_name or "not seen yet"
    if of.phase != Phases.WATCHED:
        said += f", {of.phase}"
    if of.paused:
        said += ", paused"
    return said, MEANINGS.get(Meaning(of.meaning), "")


COLUMNS: Final[Columns[ListedData]] = {
    "SEVERITY": lambda one: printing.severity(one.severity),
    "STATUS": standing,
    "CHANGED": lambda one: printing.ago(one.changed_at) if one.changed_at else "",
    "FAILED": lambda one: f"{one.failed:,}/{one.hosts:,}" if one.hosts else "",
    "KEY": lambda one: one.key,
    "JOB": lambda one: one.name,
}


def ls(
    *,
    meaning: Annotated[
        list[Meaning] | None,
        typer.Option(
            show_default=False, help="Whose status means this; any of several."
        ),
    ] = None,
    severity: Annotated[
        Severity | None, typer.Option(help="With an alert at least so bad.")
    ] = None,
    below: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE[/TYPE/ID]", help="Of this source or scope: prod/biz/2."
        ),
    ] = None,
    phase: Annotated[
        Phases, typer.Option(help="Those that ended long ago are retired.")
    ] = Phases.WATCHED,
    text: Annotated[
        str | None,
        typer.Option("--query", "-q", metavar="TEXT", help="Whose key or name has it."),
    ] = None,
    sort: Annotated[
        Sort, typer.Option(help="The worst, or the latest, at the top.")
    ] = Sort.WORST,
    match: options.Match = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 100,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """List instances that were seen, the worst first.

    FAILED: how many hosts have failed and not recovered, of how many. Matchers see a
    watch's labels and source, scope, instance, name, plan and severity.

    Try:

      job-monitor ls --meaning failed --below prod/biz/2

      job-monitor ls -m 'team="dba"' -o jsonl | jq -r .key
    """
    found = daemon.found(config, socket).pages(
        "/instances",
        ListedData,
        most=limit + 1,
        meaning=meaning,
        severity=severity,
        below=below,
        phase=phase,
        q=text,
        sort=sort,
        match=match,
    )
    listed = list(found)
    printing.things(listed[:limit], output, COLUMNS)
    if not listed:
        typer.echo("There is no such instance.", err=True)
    elif len(listed) > limit:
        typer.echo(f"There are more than {limit:,}; see --limit.", err=True)
