"""``job-monitor sink``: how sinks fare, and whether they can be reached."""

import os
from datetime import timedelta
from typing import Annotated, Final

import anyio
import typer

from monitor import clock, durations, errors
from monitor.cli import daemon, options, printing
from monitor.cli.printing import Cell, Columns, Output
from monitor.core import trying
from monitor.core.message import Kind, Message
from monitor.outlet import Condition
from monitor.settings import loading, templating
from monitor.settings.model import Settings
from monitor.sinks import catalogue
from monitor.sinks.catalogue import SinkConfig
from monitor.sinks.printable import printable
from monitor.web.shapes.delivery import SinkStateData

_STYLES: Final = {Condition.WELL: "green", Condition.FAILING: "yellow"}


def _condition(state: SinkStateData) -> Cell:
    known = Condition(state.condition)
    since = f" for {printing.ago(state.since)}" if state.since else ""
    return f"{state.condition}{since}", _STYLES.get(known, "bold red")


COLUMNS: Final[Columns[SinkStateData]] = {
    "SINK": lambda sink: sink.name,
    "CONDITION": _condition,
    "LAST TAKEN": lambda sink: (
        f"{printing.ago(sink.taken_at)} ago" if sink.taken_at else ""
    ),
    "WAITING": lambda sink: f"{sink.waiting + sink.unread:,}",
    "OLDEST": lambda sink: printing.ago(sink.oldest) if sink.oldest else "",
    "DEAD": lambda sink: f"{sink.dead:,}",
    "TROUBLE": lambda sink: sink.error if sink.since else "",
}

sink = typer.Typer(
    help="See how sinks fare, and try them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@sink.command("ls")
def ls(
    *,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """List the daemon's sinks: how each fares, and what waits for it."""
    there = daemon.found(config, socket)
    printing.things(there.pages("/sinks", SinkStateData, most=1000), output, COLUMNS)


@sink.command("test")
def try_(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", show_default=False, help="Which sinks; all without any."
        ),
    ] = None,
    config: options.Config = None,
) -> None:
    """Send each sink a message that says that it is a test.

    Straight from the configuration, so that it needs no daemon: with its addresses
    and secrets, but whatever it matches. A sink for alerts gets a test alert and then
    its end; one for events gets an event. Ends with 1 if one of them does not take it.

    Try:

      job-monitor sink test oncall --config /etc/job-monitor/monitor.yaml
    """
    settings = loading.load(config, os.environ)
    wanted = _named(settings, names or [])
    if not anyio.run(_try_all, settings, wanted):
        raise typer.Exit(1)


def _named(settings: Settings, names: list[str]) -> list[SinkConfig]:
    known = {each.name: each for each in settings.sinks}
    for name in names:
        if name not in known:
            there = ", ".join(known)
            raise errors.NotFound(
                f"no sink is called {printable(name)}; there are: {there}"
            )
    return [known[name] for name in names] if names else [*settings.sinks]


async def _try_all(settings: Settings, wanted: list[SinkConfig]) -> bool:
    width = max(len(config.name) for config in wanted)
    well = True
    for config in wanted:
        began = anyio.current_time()
        trouble = await _tried(settings, config)
        took = durations.text(timedelta(seconds=anyio.current_time() - began))
        said = trouble or f"taken within {took}"
        typer.echo(f"{config.name:{width}}  {printable(said, printing.CELL_MAX)}")
        well = well and not trouble
    return well


async def _tried(settings: Settings, config: SinkConfig) -> str:
    """Try one sink; give what is wrong."""
    library = templating.library(settings)
    try:
        async with catalogue.opened(
            config, now=clock.utc_now, library=library
        ) as opened:
            for message in _messages(config, settings.locale):
                await opened.deliver(message)
    except errors.SinkError as failed:
        return f"not taken: {failed}"
    except errors.Misconfigured as refused:
        return f"cannot be opened: {refused}"
    return ""


def _messages(config: SinkConfig, locale: str) -> list[Message]:
    now = clock.utc_now()
    if Kind.ALERTS in config.send:
        return trying.notifications_of(config.name, now, locale)
    return [trying.event(config.name, now, locale)]
