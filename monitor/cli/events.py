"""``job-monitor events``: what was recorded, and what is being recorded."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Annotated, Final

import msgspec
import typer
from msgspec import Struct

from monitor.cli import completing, daemon, following, moments, options, printing
from monitor.cli.daemon import Daemon
from monitor.cli.printing import Cell, Output
from monitor.core import wording
from monitor.core.events import EventData
from monitor.core.message import Message
from monitor.web.shapes.events import LoggedData

Query = dict[str, object]

SHOWN: Final = 10
"""Hosts of an event that people are shown."""

_TYPE: Final = len("instance.appeared")
_KEY: Final = len("prod/biz/2/20000153")


class _Told(Struct):
    """What people are shown of a CloudEvent."""

    id: str
    type: str
    time: datetime
    partitionkey: str
    data: EventData


def events(
    *,
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
            show_default=False,
            autocompletion=completing.instances,
            help="Of this instance (2/20000153), scope (prod/biz/2) or source.",
        ),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            show_default=False,
            help="Only those, like hosts.failed, or alert for all of alerts; any of"
            " several.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            show_default=False,
            help="Recorded since then: 2h (ago), or 2026-11-27T08:00.",
        ),
    ] = None,
    match: options.Match = None,
    limit: Annotated[int, typer.Option(min=0, help="So many of the latest.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes.")
    ] = False,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """List what was recorded, the newest last, and follow it with -f.

    JSON is the CloudEvents that sinks are sent. Matchers see a watch's labels, and
    type, source and, of alerts, severity. Following goes on over a reload of the
    daemon, and misses nothing; it ends with 5 if none is back after a minute.

    Try:

      job-monitor events 2/20000153

      job-monitor events -f --limit 0 --type hosts.failed -o jsonl | jq .data.hosts
    """
    if follow and output is Output.JSON:
        raise typer.BadParameter("with --follow, give -o jsonl")
    there = daemon.found(config, socket)
    chosen: Query = {"key": key, "type": type_, "match": match}
    after = None if since is None else moments.ago(since).isoformat()
    recorded = partial(_recorded, there, limit, since=after, **chosen)
    if follow:
        _print(_followed(recorded, there, chosen), output)
    else:
        found = recorded()
        _print(found, output)
        if limit and not found:
            typer.echo("Nothing like that is on record.", err=True)


def _recorded(there: Daemon, limit: int, **query: object) -> list[bytes]:
    found = there.pages("/events", LoggedData, most=limit + 1, **query)
    newest = [*islice(found, limit)]
    if newest and next(found, None) is not None:
        typer.echo(f"There are more than {limit:,}; see --limit.", err=True)
    return [_message(each).cloudevent() for each in reversed(newest)]


def _message(logged: LoggedData) -> Message:
    frame = wording.frame_of(logged.key, "en")
    return Message(
        id=logged.id,
        key=logged.key,
        type=logged.type,
        source=frame.source,
        subject=frame.subject,
        time=logged.time,
        sequence=logged.sequence,
        data=bytes(logged.data),
        traits=logged.traits,
    )


def _followed(
    recorded: "partial[list[bytes]]", there: Daemon, chosen: Query
) -> Iterator[bytes]:
    """Give what was recorded, then what comes, each once and none left out."""
    known: frozenset[bytes] | None = None
    say = partial(typer.echo, err=True)
    for event in following.follow(there, say, **chosen):
        if known is None:
            # Not sooner: what is recorded meanwhile is heard of.
            listed = recorded()
            yield from listed
            known = frozenset(listed)
        if event and event not in known:
            yield event


def _print(found: Iterable[bytes], output: Output) -> None:
    if output is Output.TABLE:
        printing.lines(_line(each) for each in found)
    else:
        printing.things(map(msgspec.Raw, found), output, {})


def _line(event: bytes) -> Sequence[Cell]:
    told = msgspec.json.decode(event, type=_Told)
    alert = told.data.alert
    style = printing.SEVERITIES.get(alert.severity, "") if alert else ""
    kind = told.type.removeprefix("bkjob.")
    return (
        f"{printing.local(told.time)}  ",
        (f"{kind:{_TYPE}}", "" if kind == "alert.resolved" else style),
        f"  {told.partitionkey:{_KEY}}  ",
        "; ".join(_said(told.data)),
    )


def _said(data: EventData) -> Iterator[str]:
    if data.instance and data.instance.name:
        yield data.instance.name
    if data.step:
        attempt = data.step.execute_count
        again = f", attempt {attempt + 1}" if attempt else ""
        yield f"step {data.step.name or '(unnamed)'}{again}"
    both = [status.status_name for status in (data.before, data.after) if status]
    if both:
        yield " → ".join(dict.fromkeys(both))
    yield from _hosts(data)
    if data.alert:
        yield f"{data.alert.name}: {data.alert.summary}"
    if data.cause:
        yield data.cause


def _hosts(data: EventData) -> Iterator[str]:
    if data.counts:
        yield ", ".join(f"{each.count:,} {each.status_name}" for each in data.counts)
    if data.hosts:
        shown = " ".join(host.shown for host in data.hosts[:SHOWN])
        more = len(data.hosts) - SHOWN
        yield f"{shown} and {more:,} more" if more > 0 else shown
    if data.total:
        yield f"{data.failed or 0:,} of {data.total:,} hosts failed"
