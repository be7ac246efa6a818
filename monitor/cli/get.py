"""``job-monitor get``: all that is known of one instance."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final

import typer
from msgspec import structs

from monitor.cli import completing, daemon, keys, ls, options, printing
from monitor.cli.daemon import Daemon
from monitor.cli.pause import until_when
from monitor.cli.printing import Cell, Output
from monitor.core.codes import Meaning
from monitor.core.model import InstanceKey
from monitor.core.notifications import ClusterData
from monitor.core.watch import Origin
from monitor.web.shapes.alerts import AlertData
from monitor.web.shapes.instances import (
    HostStateData,
    InstanceStateData,
    StepStateData,
)
from monitor.web.shapes.watches import PauseData, WatchData

Line = Sequence[Cell]

MOST: Final = 1_000_000
"""Hosts of a step; JOB's own limit is far below."""

_SHOWN: Final = 50
_TAIL: Final = 10
"""Lines of a log that people are shown of each cluster."""


class HostLine(HostStateData, kw_only=True):
    """A host, and of which step."""

    step_instance_id: int
    execute_count: int
    step: str


def get(
    *,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            show_default=False,
            autocompletion=completing.instances,
            help="[source/][scope_type/]scope_id/job_instance_id, like 2/20000153.",
        ),
    ],
    hosts: Annotated[
        bool,
        typer.Option("--hosts", help="List all hosts of all steps, the failed first."),
    ] = False,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Show all that is known of an instance: steps, failed hosts, alerts, its watch.

    Hosts that failed alike are shown together, with the end of the log of one of
    them. Ends with 6 if nothing is known of it.

    Try:

      job-monitor get prod/2/20000153

      job-monitor get 2/20000153 --hosts -o jsonl | jq -r 'select(.failed_in).ip'
    """
    there = daemon.found(config, socket)
    named = keys.typed(there, key)
    found = there.get(f"/instances{keys.path(named)}", InstanceStateData)
    if hosts:
        _print_hosts(there, named, found, output)
    elif output is Output.TABLE:
        printing.lines(_lines(found))
    else:
        printing.thing(found, output, str)


def _print_hosts(
    there: Daemon, key: InstanceKey, found: InstanceStateData, output: Output
) -> None:
    if output is not Output.TABLE:
        listed = (each for step in found.steps for each in _hosts(there, key, step))
        printing.things(listed, output, {})
        return
    for step in found.steps:
        printing.lines([_step_head(step)])
        printing.lines(_host(each) for each in _hosts(there, key, step))


def _hosts(there: Daemon, key: InstanceKey, step: StepStateData) -> Iterator[HostLine]:
    path = f"/instances{keys.path(key)}/steps/{step.step_instance_id}/hosts"
    for each in there.pages(path, HostStateData, most=MOST):
        yield HostLine(
            **structs.asdict(each),
            step_instance_id=step.step_instance_id,
            execute_count=step.execute_count,
            step=step.name,
        )


def _host(host: HostLine) -> Line:
    facts = [*_code(host.exit_code, host.tag)]
    if host.bk_cloud_id:
        facts.append(f"cloud area {host.bk_cloud_id}")
    if host.failed_in is not None and host.failed_in != host.execute_count:
        facts.append(f"failed in attempt {host.failed_in + 1}")
    if host.stale:
        facts.append("not in the last answer")
    style = "red" if host.failed_in is not None else ""
    return (
        f"  {host.shown:<39}  ",
        (host.status_name, style),
        f"  {', '.join(facts)}" if facts else "",
    )


def _lines(found: InstanceStateData) -> Iterator[Line]:
    changed = (
        f", changed {printing.ago(found.changed_at)} ago" if found.changed_at else ""
    )
    yield (
        (found.key, "bold"),
        f"  {found.name}  " if found.name else "  ",
        ls.standing(found),
        changed,
    )
    yield from (
        (f"  {fact}",) for fact in (*_ran(found), *_watched(found), found.link) if fact
    )
    yield from map(_problem, found.problems)
    for step in found.steps:
        yield ("",)
        yield from _step(step)


def _ran(found: InstanceStateData) -> Iterator[str]:
    if found.gone:
        yield "JOB knows it no more"
    facts = [f"by {found.operator}"] if found.operator else []
    if found.plan_id is not None:
        facts.append(f"plan {found.plan_id}")
    facts += _times(found.started_at, found.ended_at)
    yield ", ".join(facts)


def _times(started: datetime | None, ended: datetime | None) -> Iterator[str]:
    if started is None:
        return
    yield f"started {printing.local(started)}"
    if ended is not None:
        yield f"took {printing.length(ended - started)}"


def _watched(found: InstanceStateData) -> Iterator[str]:
    if found.watch is None:
        yield "nobody watches it"
        return
    watch = found.watch
    labels = "".join(f", {name}={value}" for name, value in watch.labels.items())
    by = f"{watch.author} (added)" if watch.origin == Origin.API else watch.place
    yield f"watched by {by}{labels}{''.join(_options(watch))}"
    if watch.comment:
        yield f"because: {watch.comment}"
    if watch.paused is not None:
        yield _paused(watch.paused)
    if found.failures is None:
        yield f"looked at by {found.owner or 'nobody at the moment'}"
        return
    seen = f"looked at {printing.ago(found.seen_at)} ago" if found.seen_at else ""
    again = f"again in {printing.ahead(found.next_at)}" if found.next_at else ""
    yield ", ".join(filter(None, [seen or "not looked at yet", again]))


def _paused(pause: PauseData) -> str:
    by = f" by {pause.author}" if pause.author else ""
    why = f": {pause.comment}" if pause.comment else ""
    return f"paused{by} until {until_when(pause)}{why}"


def _options(watch: WatchData) -> Iterator[str]:
    given = {
        "severity": watch.severity,
        "settle": watch.settle,
        "overdue_after": watch.overdue_after,
        "stalled_after": watch.stalled_after,
        "until": watch.until and printing.local(watch.until),
    }
    yield from (f", {name} {value}" for name, value in given.items() if value)


def _problem(alert: AlertData) -> Line:
    return (
        "  ",
        (f"{alert.severity:8}", printing.SEVERITIES.get(alert.severity, "")),
        f"  {alert.name}  for {printing.ago(alert.since)}  {alert.summary}",
    )


def _step(step: StepStateData) -> Iterator[Line]:
    yield _step_head(step)
    if step.counts:
        said = (f"{each.hosts:,} {each.status_name}" for each in step.counts)
        yield (f"  hosts: {', '.join(said)}",)
    for cluster in step.clusters:
        yield from _cluster(cluster)


def _step_head(step: StepStateData) -> Line:
    attempt = f", attempt {step.execute_count + 1}" if step.execute_count else ""
    facts = [*_times(step.started_at, step.ended_at)]
    if step.failed:
        facts.append(f"{step.failed:,} of {step.hosts:,} hosts failed")
    return (
        ("step ", "bold"),
        (step.name or "(unnamed)", "bold"),
        f"  {step.step_instance_id}{attempt}  ",
        (step.status_name, ls.MEANINGS.get(Meaning(step.meaning), "")),
        f"  {', '.join(facts)}" if facts else "",
    )


def _cluster(cluster: ClusterData) -> Iterator[Line]:
    said = ", ".join([cluster.status_name, *_code(cluster.exit_code, cluster.tag)])
    hosts = " ".join(host.shown for host in cluster.hosts[:_SHOWN])
    more = cluster.count - len(cluster.hosts[:_SHOWN])
    rest = f" and {more:,} more" if more > 0 else ""
    yield (f"  {said}: ", "red"), f"{hosts}{rest}"
    tail = cluster.log.splitlines()
    yield from ((("    | ", "dim"), line) for line in tail[-_TAIL:])


def _code(exit_code: int | None, tag: str) -> Iterator[str]:
    if exit_code is not None:
        yield f"exit code {exit_code}"
    if tag:
        yield f"tag {tag}"
