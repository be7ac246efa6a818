"""``job-monitor ack``: somebody cares for an incident."""

from typing import Annotated, Final

import typer

from monitor.cli import completing, daemon, moments, options, printing
from monitor.cli.printing import Columns, Output
from monitor.web.shapes.quiet import AckAsked, AckData, AcksData

MOST: Final = 10_000

COLUMNS: Final[Columns[AckData]] = {
    "INCIDENT": lambda ack: ack.group,
    "AUTHOR": lambda ack: ack.author,
    "SINCE": lambda ack: f"{printing.ago(ack.at)} ago",
    "UNTIL": lambda ack: printing.local(ack.ends_at) if ack.ends_at else "it is over",
    "STICKY": lambda ack: "yes" if ack.sticky else "",
    "COMMENT": lambda ack: ack.comment,
}


def ack(
    *,
    of: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            show_default=False,
            autocompletion=completing.instances,
            help="An instance (2/20000153), a scope, a source, or the name of a group;"
            " without it, acknowledgements are listed.",
        ),
    ] = None,
    author: options.Author,
    for_: options.For = None,
    until: options.Until = None,
    sticky: Annotated[
        bool, typer.Option("--sticky", help="Say nothing even if it gets worse.")
    ] = False,
    comment: options.Comment = "",
    end: Annotated[
        bool, typer.Option("--end", help="Nobody cares for it any more.")
    ] = False,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Say that you care for an incident: no reminders, no escalation.

    What gets worse is told, and so is the end, with which the acknowledgement ends,
    too. An instance that is told of with others is acknowledged with them. Ends with
    6 if nothing is wrong with KEY.

    Try:

      job-monitor ack 2/20000153 --comment 'disk is being replaced'

      job-monitor ack 2/20000153 --end
    """
    said_more = for_ or until or sticky or comment
    if end and said_more:
        raise typer.BadParameter(
            "--end goes without --for, --until, --sticky, --comment"
        )
    if of is None and (end or said_more):
        raise typer.BadParameter("name what is acknowledged, such as 2/20000153")
    there = daemon.found(config, socket)
    if of is None:
        listed = [*there.pages("/acks", AckData, most=MOST)]
        printing.things(listed, output, COLUMNS)
        if not listed:
            typer.echo("Nobody has acknowledged anything.", err=True)
        return
    if end:
        said = there.send("DELETE", "/acks", AcksData, of=of)
    else:
        wanted = AckAsked(
            of=of,
            ends_at=moments.end(for_, until),
            sticky=sticky,
            author=author,
            comment=comment,
        )
        said = there.send("POST", "/acks", AcksData, wanted)
    printing.things(said.acks, output, COLUMNS)
    if end:
        typer.echo("Acknowledged no more.", err=True)
