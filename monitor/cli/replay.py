"""``job-monitor replay``: send again what a sink was sent before."""

from typing import Annotated

import typer

from monitor.cli import daemon, moments, options, printing
from monitor.cli.printing import Output
from monitor.web.shapes.delivery import ReplayAsked, ReplayedData


def replay(
    *,
    sink: Annotated[
        str,
        typer.Option(metavar="NAME", show_default=False, help="To which sink."),
    ],
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            show_default=False,
            help="What was recorded since then: 2h (ago), or 2026-11-27T08:00.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option(metavar="WHEN", show_default=False, help="And before then."),
    ] = None,
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match",
            "-m",
            metavar="MATCHER",
            show_default=False,
            help="Only what it fits, like 'team=\"sre\"'; all of several.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only say how much that is.")
    ] = False,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Send a sink again what it was sent before, under the same ids.

    Events that it has read, as far as it wants them now, and the notifications that
    it was sent, the oldest first. A receiver that remembers ids takes none of them
    for new. They wait in line behind what is on its way already.

    Try:

      job-monitor replay --sink archive --since 2h --dry-run

      job-monitor replay --sink oncall --since 2026-11-27T08:00 --until 2026-11-27T09:00
    """
    asked = ReplayAsked(
        sink=sink,
        since=moments.ago(since),
        until=None if until is None else moments.ago(until),
        match=match or (),
        dry=dry_run,
    )
    said = daemon.found(config, socket).send("POST", "/replay", ReplayedData, asked)
    printing.thing(said, output, lambda found: _words(found, dry=dry_run))


def _words(said: ReplayedData, *, dry: bool) -> str:
    what = f"{said.events:,} events, {said.notifications:,} notifications"
    if dry:
        return f"would send {what}"
    already = f"; {said.already:,} of them were on it already" if said.already else ""
    return f"on the way: {what}{already}"
