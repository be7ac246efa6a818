"""``job-monitor``: its verbs, and what ends it.

A verb's module is imported when that verb is called, so that help and the small
verbs start fast. Every error that is expected becomes one exit code here and a
few lines on stderr; only a bug shows a traceback.
"""

import importlib
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from monitor import errors
from monitor.cli import streams

VERBS: Final = {
    "run": "Watch all that the watch lists name, and tell people.",
    "check": "Check configuration and watch lists, show what is in effect.",
    "status": "Show the state of everything on one screen.",
    "ls": "List instances, the worst first.",
    "get": "Show all that is known of an instance.",
    "events": "List what was recorded, and follow it.",
    "alerts": "List what is wrong now, the worst first.",
    "explain": "Tell why somebody was told of something, or was not.",
    "silence": "Tell nobody of what matches, for a time.",
    "add": "Watch an instance that no file names.",
    "rm": "End a watch that was added.",
    "pause": "Do not look at an instance for a time.",
    "ack": "Say that you care for an incident.",
    "maintenance": "Tell nobody in windows that come again and again.",
    "render": "Write a message as a sink or a template would; send nothing.",
    "route": "Try routes on what is on record, or on labels.",
    "sink": "See how sinks fare, and try them.",
    "dlq": "Look at dead letters, send them again, or drop them.",
    "replay": "Send a sink again what it was sent before.",
    "store": "See the store, bring it up to date, copy it.",
    "reload": "Let the daemon read its configuration and lists anew.",
    "wait": "Wait for instances to end and print the IPs that failed.",
    "demo": "Show failures and a recovery, with a simulated JOB.",
    "simulate": "Play a JOB to try things on.",
    "version": "Print the version.",
}
"""Verb → one sentence. Each is a function, or a ``Typer`` with verbs of its own, in a
module of its name."""

_EXAMPLES: Final = """\
Examples:

\b
  job-monitor demo
  job-monitor check --config /etc/job-monitor/monitor.yaml
  job-monitor run --config /etc/job-monitor/monitor.yaml
  job-monitor wait prod/2/20000153

\b
Exit codes:
  0 done   1 the outcome is bad   2 usage   3 timed out, still running
  4 auth or permission   5 source or daemon unreachable   6 no such instance
  78 configuration refused   130 interrupted
"""

_EXITS: Final = (
    (errors.Misconfigured, 78),
    (errors.Refused, 4),
    (errors.Forbidden, 4),
    (errors.NotAllowed, 4),
    (errors.Missing, 6),
    (errors.NotFound, 6),
    (errors.NoDaemon, 5),
    (errors.SourceError, 5),
    (errors.MonitorError, 1),
)


class Verbs(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Enough for the list in the help.
        self.commands = {
            verb: TyperCommand(verb, help=sentence, rich_markup_mode=None)
            for verb, sentence in VERBS.items()
        }

    # typer keeps the type of a context to itself.
    def resolve_command(
        self, ctx: Any, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        return name, _imported(name) if name and found else None, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except errors.MonitorError as exc:
            raise _ended(exc) from exc
        except ExceptionGroup as group:
            raise _ended(_expected(group)) from group


app = typer.Typer(
    cls=Verbs,
    epilog=_EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _top() -> None:
    """Watch BlueKing JOB instances and tell people which IPs failed, and why."""


def main() -> None:
    streams.fill()
    app(prog_name="job-monitor")


def _imported(verb: str) -> TyperCommand | TyperGroup:
    found = getattr(importlib.import_module(f"monitor.cli.{verb}"), verb)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(verb, context_settings={"help_option_names": ["-h", "--help"]})(found)
    command = typer.main.get_command(alone)
    assert isinstance(command, TyperCommand)  # noqa: S101 - one function, no group
    return command


def _expected(group: BaseException) -> errors.MonitorError:
    """Find the one cause of several that a person can do something about."""
    if isinstance(group, errors.MonitorError):
        return group
    if isinstance(group, ExceptionGroup):
        expected, rest = group.split(errors.MonitorError)
        if expected is not None and rest is None:
            return _expected(expected.exceptions[0])
    raise group


def _ended(exc: errors.MonitorError) -> typer.Exit:
    code = next(code for kind, code in _EXITS if isinstance(exc, kind))
    typer.echo(str(exc) if code == 78 else f"Error: {exc}", err=True)
    return typer.Exit(code)
