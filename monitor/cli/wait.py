"""``job-monitor wait``: look until instances have ended, and print the failed IPs.

A daemon that watches them is asked instead of JOB. Needs none, and of the
configuration only where JOB is. Failed IPs go to
stdout, all talk to stderr; ``core.ending`` says which exit code counts. What does
the work is imported when it is needed, so that help comes at once.
"""

from datetime import timedelta
from typing import Annotated

import typer

from monitor import durations
from monitor.cli import completing, options
from monitor.cli.waiting.report import Output
from monitor.core.ending import Condition, Goal


def wait(
    *,
    keys: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY",
            show_default=False,
            autocompletion=completing.instances,
            help="[source/][scope_type/]scope_id/job_instance_id; - reads keys, or"
            " the answer of an execute call, from stdin.",
        ),
    ],
    config: options.Config = None,
    socket: options.Socket = None,
    direct: Annotated[
        bool, typer.Option("--direct", help="Ask JOB, also where a daemon watches it.")
    ] = False,
    goal: Annotated[
        Goal, typer.Option("--for", help="What to wait for.")
    ] = Goal.FINISHED,
    any_: Annotated[
        bool,
        typer.Option("--any/--all", help="One instance is enough, or all must."),
    ] = False,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Give up after 30s, 5m, 2h30m …"),
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            metavar="[SOURCE/][TYPE/]ID",
            help="The business of ids that come without: 2, biz_set/5, prod/2.",
        ),
    ] = None,
    output: Annotated[
        Output | None,
        typer.Option(
            "--output",
            "-o",
            show_default=False,
            help="How to print.  [default: table on a terminal, else plain]",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing on stderr.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell each transition on stderr.")
    ] = False,
) -> None:
    """Wait for instances to end and print the IPs that failed.

    What a daemon watches is heard from the daemon, at no cost for JOB; all else is
    asked of JOB. Plain output has a line for each failed IP: ip, cloud area, key, status and its
    name, with tabs between.

    Ends with 0 if the condition is met: all succeeded, or with --for failed, all
    failed. Otherwise 1 the wrong outcome, 3 timed out, 4 auth or permission, 5 JOB
    cannot be seen, 6 no such instance, 78 configuration, 130 interrupted. An outage
    shorter than 30 s never ends it.

    Try:

      job-monitor wait prod/2/20000153 --timeout 30m

      curl … fast_execute_script … | job-monitor wait - --scope 2

      job-monitor wait 2/20000153 2/20000154 --for success -o jsonl
    """
    from monitor.cli.waiting import errand  # noqa: PLC0415

    code = errand.run(
        errand.Errand(
            words=tuple(keys),
            config=config,
            condition=Condition(goal, any_),
            timeout=_duration(timeout),
            scope=scope,
            output=output,
            quiet=quiet,
            verbose=verbose,
            socket=socket,
            direct=direct,
        )
    )
    raise typer.Exit(code)


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        duration = durations.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from error
    if not duration:
        raise typer.BadParameter(
            "0s leaves no time to look; write 5s or more", param_hint="--timeout"
        )
    return duration
