"""``job-monitor alerts``: what is wrong now."""

from typing import Annotated, Final

import typer

from monitor.cli import daemon, options, printing
from monitor.cli.printing import Columns, Output
from monitor.web.shapes.alerts import AlertData

COLUMNS: Final[Columns[AlertData]] = {
    "SEVERITY": lambda alert: printing.severity(alert.severity),
    "ALERT": lambda alert: alert.name,
    "FOR": lambda alert: printing.ago(alert.since),
    "HOSTS": lambda alert: f"{alert.failed}/{alert.total}" if alert.total else "",
    "WHERE": lambda alert: alert.key,
    "JOB": lambda alert: alert.instance.name if alert.instance else "",
    "SUMMARY": lambda alert: alert.summary,
}


def alerts(
    *,
    match: options.Match = None,
    limit: Annotated[
        int, typer.Option(min=1, help="So many at most, the worst first.")
    ] = 100,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """List what is wrong now, the worst first, whether or not anybody was told.

    Matchers see a watch's labels and alert, severity, source, scope, instance, plan,
    name and step.
    """
    one_more = daemon.found(config, socket).pages(
        "/alerts", AlertData, most=limit + 1, match=match
    )
    listed = list(one_more)
    printing.things(listed[:limit], output, COLUMNS)
    if not listed:
        typer.echo("Nothing is wrong.", err=True)
    elif len(listed) > limit:
        typer.echo(f"There are more than {limit:,}; see --limit.", err=True)
