"""``job-monitor pause``: do not look at an instance for a time."""

from typing import Annotated, Final

import typer

from monitor.cli import completing, daemon, keys, moments, options, printing
from monitor.cli.printing import Columns, Output
from monitor.web.shapes.watches import LookedData, PauseAsked, PauseData, WatchData

MOST: Final = 10_000


def _of(watch: WatchData) -> PauseData:
    assert watch.paused is not None  # noqa: S101 - they were asked for
    return watch.paused


COLUMNS: Final[Columns[WatchData]] = {
    "KEY": lambda watch: watch.key,
    "SINCE": lambda watch: f"{printing.ago(_of(watch).since)} ago",
    "UNTIL": lambda watch: until_when(_of(watch)),
    "AUTHOR": lambda watch: _of(watch).author,
    "COMMENT": lambda watch: _of(watch).comment,
}


def until_when(pause: PauseData) -> str:
    return printing.local(pause.ends_at) if pause.ends_at else "somebody ends it"


def pause(
    *,
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            show_default=False,
            autocompletion=completing.instances,
            help="An instance, like 2/20000153; without it, pauses are listed.",
        ),
    ] = None,
    author: options.Author,
    for_: options.For = None,
    until: options.Until = None,
    comment: options.Comment = "",
    end: Annotated[bool, typer.Option("--end", help="Look at it again, now.")] = False,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Do not look at an instance for a time; without an end, until --end.

    JOB is asked nothing about it. Its watch, what is known of it and its alerts stay
    as they are, and people are reminded of them: to tell nobody, use silence. Ends
    with 6 if nobody watches it.

    Try:

      job-monitor pause 2/20000153 --for 2h --comment 'JOB is being moved'

      job-monitor pause 2/20000153 --end
    """
    said_more = for_ or until or comment
    if end and said_more:
        raise typer.BadParameter("--end goes without --for, --until, --comment")
    if key is None and (end or said_more):
        raise typer.BadParameter("name an instance, such as 2/20000153")
    there = daemon.found(config, socket)
    if key is None:
        listed = [*there.pages("/watches", WatchData, most=MOST, paused="true")]
        printing.things(listed, output, COLUMNS)
        if not listed:
            typer.echo("Nothing is paused.", err=True)
        return
    path = f"/watches{keys.path(keys.typed(there, key))}/pause"
    if end:
        there.send("DELETE", path, LookedData)
        typer.echo("It is looked at again.", err=True)
        return
    wanted = PauseAsked(
        ends_at=moments.end(for_, until), author=author, comment=comment
    )
    said = there.send("POST", path, LookedData, wanted)
    printing.things([said], output, COLUMNS)
