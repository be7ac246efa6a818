"""``job-monitor add``: watch an instance that no file names."""

from collections.abc import Sequence
from typing import Annotated

import typer

from monitor.cli import daemon, moments, options, printing
from monitor.cli.printing import Output
from monitor.core.watch import Severity
from monitor.web.shapes.watches import WatchAsked, WatchData


def add(
    *,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            show_default=False,
            help="[source/][scope_type/]scope_id/job_instance_id, like 2/20000153.",
        ),
    ],
    labels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LABEL=VALUE", show_default=False, help="Labels, like team=sre."
        ),
    ] = None,
    severity: Annotated[
        Severity | None,
        typer.Option(show_default=False, help="How bad its alerts are."),
    ] = None,
    settle: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            show_default=False,
            help="How long it is still looked at once it has ended.",
        ),
    ] = None,
    overdue_after: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", show_default=False, help="When it runs for too long."
        ),
    ] = None,
    stalled_after: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            show_default=False,
            help="When nothing has moved for too long.",
        ),
    ] = None,
    until: options.Until = None,
    author: options.Author,
    comment: options.Comment = "",
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Watch an instance that no file names, until it has ended, and print its key.

    The daemon remembers it over restarts. Added again, it has the labels and options
    that were given last. Ends with 1 if a file names it: change it there.

    Try:

      job-monitor add 2/20000153 team=sre --severity critical --comment 'release 4.2'
    """
    wanted = WatchAsked(
        key=key,
        labels=_labels(labels or ()),
        severity=severity or "",
        settle=settle or "",
        overdue_after=overdue_after or "",
        stalled_after=stalled_after or "",
        until=None if until is None else moments.ahead(until),
        author=author,
        comment=comment,
    )
    made = daemon.found(config, socket).send("POST", "/watches", WatchData, wanted)
    printing.thing(made, output, lambda watch: watch.key)
    typer.echo("It is watched.", err=True)


def _labels(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r} is no label; write name=value")
        if name in found:
            raise typer.BadParameter(f"label {name!r} is given twice")
        found[name] = value
    return found
