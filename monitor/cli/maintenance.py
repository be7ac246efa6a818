"""``job-monitor maintenance``: windows in which nobody is told."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from monitor.cli import daemon, moments, options, printing
from monitor.cli.printing import Columns, Output
from monitor.core.quiet import DAYS
from monitor.web.shapes.quiet import DailyData, MaintenanceAsked, MaintenanceData

MOST: Final = 20_000
"""All that the daemon keeps: what holds or will, and what is over."""

_DAILY: Final = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)", re.ASCII)


def _when(one: MaintenanceData) -> str:
    if one.state == "active":
        return (
            f"until {printing.local(one.until)}" if one.until else "until it is ended"
        )
    if one.begins is not None:
        return f"from {printing.local(one.begins)}"
    return "over"


COLUMNS: Final[Columns[MaintenanceData]] = {
    "NAME": lambda one: one.name,
    "STATE": lambda one: one.state,
    "WHEN": _when,
    "MATCHERS": lambda one: " ".join(one.matchers),
    "ORIGIN": lambda one: one.origin,
    "AUTHOR": lambda one: one.author,
    "COMMENT": lambda one: one.comment,
}

maintenance = typer.Typer(
    help="Tell nobody of what matches in windows that come again and again.\n\n"
    "What still holds when a window ends is told then.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@maintenance.command("add")
def add(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    matchers: options.Matchers,
    author: options.Author,
    daily: Annotated[
        str | None,
        typer.Option(
            metavar="FROM-TO",
            show_default=False,
            help="Each day between these times, like 22:00-06:00.",
        ),
    ] = None,
    days: Annotated[
        str,
        typer.Option(
            metavar="DAYS",
            show_default=False,
            help="On these alone, by its beginning, like mon-fri or sat,sun.",
        ),
    ] = "",
    timezone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            show_default=False,
            help="By whose clock, like Asia/Shanghai.  [default: UTC]",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="WHEN", show_default=False, help="From then on."
        ),
    ] = None,
    for_: options.For = None,
    until: options.Until = None,
    comment: options.Comment = "",
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Add a window: daily, or once until its end, or daily until then.

    Try:

      job-monitor maintenance add nightly 'scope="biz/2"' --daily 22:00-06:00 --days mon-fri --timezone Asia/Shanghai

      job-monitor maintenance add move 'team="dba"' --from 2026-11-28T20:00 --until 2026-11-29T04:00
    """
    if daily is None and (days or timezone):
        raise typer.BadParameter("--days and --timezone go with --daily 22:00-06:00")
    starts_at = None if from_ is None else moments.ahead(from_)
    wanted = MaintenanceAsked(
        name=name,
        matchers=matchers,
        daily=None if daily is None else _daily(daily, days, timezone or "UTC"),
        starts_at=starts_at,
        ends_at=moments.end(for_, until, starts_at),
        author=author,
        comment=comment,
    )
    there = daemon.found(config, socket)
    made = there.send("POST", "/maintenance", MaintenanceData, wanted)
    typer.echo(f"{made.name} is {made.state}: {_when(made)}.", err=True)


@maintenance.command("ls")
def ls(
    *,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """List windows, those of the configuration too."""
    there = daemon.found(config, socket)
    listed = [*there.pages("/maintenance", MaintenanceData, most=MOST)]
    printing.things(listed, output, COLUMNS)
    if not listed:
        typer.echo("There are no windows.", err=True)


@maintenance.command("rm")
def rm(
    *,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", show_default=False, help="As ls lists them."),
    ],
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """End windows for good; what holds is told."""
    there = daemon.found(config, socket)
    for name in names:
        path = f"/maintenance/{options.quoted(name)}"
        ended = there.send("DELETE", path, MaintenanceData)
        typer.echo(f"{ended.name} is over.", err=True)


def _daily(daily: str, days: str, timezone: str) -> DailyData:
    times = _DAILY.fullmatch(daily)
    if times is None:
        raise typer.BadParameter(
            f"--daily: write it like 22:00-06:00, not {daily[:40]}"
        )
    return DailyData(start=times[1], end=times[2], days=_days(days), timezone=timezone)


def _days(text: str) -> Sequence[str]:
    """Read ``mon-fri`` or ``sat,sun``; what is no day the daemon refuses."""
    if not text:
        return ()
    first, dash, last = text.partition("-")
    if dash and first in DAYS and last in DAYS:
        start, count = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % 7
        return [DAYS[(start + number) % 7] for number in range(count + 1)]
    return [day.strip() for day in text.split(",")]
