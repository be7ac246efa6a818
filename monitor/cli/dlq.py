"""``job-monitor dlq``: dead letters, what a sink will never take by itself."""

from typing import Annotated, Final

import msgspec
import typer

from monitor import errors
from monitor.cli import daemon, options, printing
from monitor.cli.printing import Columns, Output
from monitor.sinks.printable import printable
from monitor.web.shapes.delivery import LetterData, LettersAsked, LettersMoved

COLUMNS: Final[Columns[LetterData]] = {
    "SINK": lambda letter: letter.sink,
    "DIED": lambda letter: f"{printing.ago(letter.died_at)} ago",
    "TRIES": lambda letter: str(letter.tries),
    "ID": lambda letter: letter.id,
    "TYPE": lambda letter: letter.type,
    "WHY": lambda letter: letter.error,
}

Sink = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only those of this sink.")
]
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", show_default=False, help="As ls lists them."),
]
All = Annotated[bool, typer.Option("--all", help="All there are, and no ids.")]

dlq = typer.Typer(
    help="Look at dead letters, send them again, or throw them away.\n\n"
    "A message becomes one when its sink refuses it for good, or has not taken it for"
    " three days.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dlq.command("ls")
def ls(
    *,
    sink: Sink = None,
    limit: Annotated[
        int, typer.Option(min=1, help="So many at most, the oldest first.")
    ] = 100,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """List dead letters, the oldest first."""
    there = daemon.found(config, socket)
    listed = list(there.pages("/dlq", LetterData, most=limit + 1, sink=sink))
    printing.things(listed[:limit], output, COLUMNS)
    if not listed:
        typer.echo("There are no dead letters.", err=True)
    elif len(listed) > limit:
        typer.echo(f"There are more than {limit:,}; see --limit.", err=True)


@dlq.command("show")
def show(
    *,
    id_: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    sink: Sink = None,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Show dead letters whole, as JSON: the message as its sink would have got it."""
    there = daemon.found(config, socket)
    found = [*there.pages("/dlq", LetterData, most=100, sink=sink, id=id_)]
    if not found:
        raise errors.NotFound(f"{printable(id_)} is no dead letter; see dlq ls")
    for letter in found:
        typer.echo(msgspec.json.format(msgspec.json.encode(letter)))


@dlq.command("replay")
def replay(
    *,
    ids: Ids = None,
    all_: All = False,
    sink: Sink = None,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Send dead letters again, under the ids that they have.

    They are on their way then, tried as if they were new; what fails for good is dead
    again. Ends with 1 if some could not be sent.

    Try:

      job-monitor dlq replay --all --sink oncall
    """
    there = daemon.found(config, socket)
    moved = there.send(
        "POST", "/dlq/replay", LettersMoved, _asked(ids, sink, all_=all_)
    )
    typer.echo(f"{_letters(moved.letters)} on the way again.", err=True)
    if moved.skipped:
        typer.echo(
            f"{_letters(moved.skipped)} left as they are: their sinks are configured no"
            " more, or they are on their way already.",
            err=True,
        )
        raise typer.Exit(1)


@dlq.command("drop")
def drop(
    *,
    ids: Ids = None,
    all_: All = False,
    sink: Sink = None,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Throw dead letters away; that they were is remembered, and explain says so."""
    there = daemon.found(config, socket)
    moved = there.send("POST", "/dlq/drop", LettersMoved, _asked(ids, sink, all_=all_))
    typer.echo(f"{_letters(moved.letters)} thrown away.", err=True)


def _asked(ids: list[str] | None, sink: str | None, *, all_: bool) -> LettersAsked:
    if bool(ids) == all_:
        raise typer.BadParameter("name ids, as dlq ls lists them, or else --all")
    return LettersAsked(ids=ids or (), all=all_, sink=sink)


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"
