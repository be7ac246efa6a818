"""``job-monitor silence``: what is told to nobody for a time."""

from typing import Annotated, Final

import typer

from monitor.cli import daemon, moments, options, printing
from monitor.cli.printing import Columns, Output
from monitor.web.shapes.quiet import SilenceAsked, SilenceData

MOST: Final = 20_000
"""All that the daemon keeps: what holds or will, and what is over."""


def _when(silence: SilenceData) -> str:
    end = printing.local(silence.ends_at)
    match silence.state:
        case "active":
            return f"until {end}"
        case "pending":
            return f"from {printing.local(silence.starts_at)} until {end}"
        case _:
            return f"ended {end}"


COLUMNS: Final[Columns[SilenceData]] = {
    "ID": lambda silence: silence.id,
    "STATE": lambda silence: silence.state,
    "WHEN": _when,
    "MATCHERS": lambda silence: " ".join(silence.matchers),
    "AUTHOR": lambda silence: silence.author,
    "COMMENT": lambda silence: silence.comment,
}

silence = typer.Typer(
    help="Tell nobody of what matches, for a time.\n\n"
    "What still holds when the silence ends is told then. What was told before is not"
    " reminded of; its end is told all the same.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@silence.command("add")
def add(
    *,
    matchers: options.Matchers,
    author: options.Author,
    for_: options.For = None,
    until: options.Until = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHEN",
            show_default=False,
            help="From then on: 30m (from now), or 2026-11-27T08:00.  [default: now]",
        ),
    ] = None,
    comment: options.Comment = "",
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Silence what matches, and print the id of the silence.

    Try:

      job-monitor silence add 'team="dba"' 'severity="warning"' --for 2h --comment 'new disks'
    """
    starts_at = None if from_ is None else moments.ahead(from_)
    ends_at = moments.end(for_, until, starts_at)
    if ends_at is None:
        raise typer.BadParameter("say for how long: --for 2h, or --until WHEN")
    wanted = SilenceAsked(
        matchers=matchers,
        starts_at=starts_at,
        ends_at=ends_at,
        author=author,
        comment=comment,
    )
    made = daemon.found(config, socket).send("POST", "/silences", SilenceData, wanted)
    typer.echo(made.id)
    typer.echo(f"Silent {_when(made)}.", err=True)


@silence.command("ls")
def ls(
    *,
    expired: Annotated[
        bool, typer.Option("--expired", help="Those that ended within a day as well.")
    ] = False,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """List silences, the one that ends first at the top."""
    there = daemon.found(config, socket)
    listed = [
        each
        for each in there.pages("/silences", SilenceData, most=MOST)
        if expired or each.state != "expired"
    ]
    printing.things(listed, output, COLUMNS)
    if not listed:
        typer.echo("Nothing is silenced.", err=True)


@silence.command("rm")
def rm(
    *,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID", show_default=False, help="As ls lists them."),
    ],
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """End silences now; what holds is told."""
    there = daemon.found(config, socket)
    for id_ in ids:
        path = f"/silences/{options.quoted(id_)}"
        ended = there.send("DELETE", path, SilenceData)
        typer.echo(f"{ended.id} ended {printing.local(ended.ends_at)}.", err=True)
