"""``job-monitor explain``: why somebody was told of something, or was not."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final

import typer

from monitor.cli import completing, daemon, options, printing
from monitor.cli.printing import Cell, Output
from monitor.core.explaining import (
    CaseData,
    DeliveryData,
    Fate,
    SinkData,
    VerdictData,
)
from monitor.core.telling import Why
from monitor.web.shapes.alerts import AlertData
from monitor.web.shapes.explain import ExplanationData, GroupData

Line = Sequence[Cell]

_TOLD: Final = ("told", "green")
_NOT_TOLD: Final = ("not told", "yellow")
_NOT_YET: Final = ("not yet", "cyan")
_GIVEN_UP: Final = ("given up", "bold red")
_STANDINGS: Final = {
    Fate.DELIVERED: _TOLD,
    Fate.WAITING: _NOT_YET,
    Fate.BEHIND: _NOT_YET,
    Fate.UNREAD: _NOT_YET,
    Fate.DEAD: _GIVEN_UP,
    Fate.DROPPED: _GIVEN_UP,
}
_WIDEST: Final = len("not told")


def explain(
    *,
    of: Annotated[
        str,
        typer.Argument(
            metavar="ID|KEY",
            show_default=False,
            autocompletion=completing.instances,
            help="The id of an event (2/20000153#4) or of a notification"
            " (2/20000153!1), or the key of an instance, a scope or a source, or the"
            " name of a group.",
        ),
    ],
    sink: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only about this sink.")
    ] = None,
    limit: Annotated[
        int,
        typer.Option(min=1, max=1000, help="So many decisions about each group."),
    ] = 10,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Tell why somebody was told of something, or was not.

    From what is on record: each change of mind about who is told, what a sink asked
    for at that time, and how far its deliveries are. Ends with 6 if nothing is
    known of what was asked about.

    Try:

      job-monitor explain prod/2/20000153

      job-monitor explain 'prod/2/20000153#4' --sink oncall
    """
    found = daemon.found(config, socket).get(
        "/explain", ExplanationData, of=of, sink=sink, limit=limit
    )
    if output is Output.TABLE:
        printing.lines(_lines(found))
    else:
        printing.thing(found, output, str)


def _lines(found: ExplanationData) -> Iterator[Line]:
    about = found.name or found.type
    yield (found.of, "bold"), f"  {about}" if about else ""
    if found.kind == "event":
        if found.at is not None:
            yield ((f"recorded {_when(found.at)}", "dim"),)
        yield from _sinks(found.sinks, "  ")
        return
    if found.kind in ("key", "group"):
        yield from _holding(found.alerts, of=found.of)
    for group in found.groups:
        yield from _group(group)
    if found.sinks:
        yield ("",)
        yield from _sinks(found.sinks, "  ")
    if found.alerts and not found.groups and not found.sinks:
        yield ("Nothing is decided yet; ask again in a few seconds.",)


def _holding(alerts: Sequence[AlertData], *, of: str) -> Iterator[Line]:
    if not alerts:
        yield ("Nothing is wrong with it now.",)
    for alert in alerts:
        style = printing.SEVERITIES.get(alert.severity, "")
        yield (
            "  ",
            (f"{alert.severity:8}", style),
            "" if alert.key == of else f"  {alert.key}",
            f"  {alert.name}  for {printing.ago(alert.since)}  {alert.summary}",
        )


def _group(group: GroupData) -> Iterator[Line]:
    if not group.verdicts:
        return
    latest, *earlier = group.verdicts
    yield ("",)
    yield (group.group, "bold"), (f"  decided {_when(latest.at)}", "dim")
    yield from _sinks(latest.sinks, "  ", group=group.group)
    if earlier:
        yield (("  before that", "dim"),)
    for verdict in earlier:
        yield from _earlier(verdict)


def _earlier(verdict: VerdictData) -> Iterator[Line]:
    yield ((f"  {_when(verdict.at)}", "dim"),)
    yield from _sinks(verdict.sinks, "    ", again=True)


def _sinks(
    sinks: Sequence[SinkData], margin: str, *, group: str = "", again: bool = False
) -> Iterator[Line]:
    width = max((len(sink.sink) for sink in sinks), default=0)
    for sink in sinks:
        yield from _sink(sink, margin, width, again=again)
        if not again:
            inner = f"{margin}{'':{width}}  {'':{_WIDEST}}  "
            yield from _below(sink, inner, group)


def _sink(sink: SinkData, margin: str, width: int, *, again: bool) -> Iterator[Line]:
    name, style = _standing(sink)
    facts = [_with(sink.said, sink.detail), *_facts(sink, again=again)]
    if sink.delivery is not None and sink.reason == sink.delivery.state:
        facts = [*_way(sink.delivery), *filter(None, [sink.detail])]
    yield (
        margin,
        f"{sink.sink:{width}}  ",
        (f"{name:{_WIDEST}}", style),
        f"  {'; '.join(facts)}",
    )


def _below(sink: SinkData, margin: str, group: str) -> Iterator[Line]:
    delivery = sink.delivery
    if sink.notification and delivery and delivery.state != Fate.DELIVERED:
        yield margin, "; ".join(_way(delivery))
    if sink.reason == Why.STORM and sink.notification.startswith(f"{group}!"):
        yield from ((margin, f"about {case.alert}") for case in sink.cases)
        what = "incidents"
    else:
        yield from _cases(sink, margin)
        what = "alerts"
    if sink.omitted:
        yield margin, (f"and {sink.omitted:,} more {what}", "dim")


def _standing(sink: SinkData) -> tuple[str, str]:
    if sink.delivery is not None:
        return _STANDINGS.get(Fate(sink.delivery.state), _NOT_YET)
    return _TOLD if sink.told else _NOT_TOLD


def _facts(sink: SinkData, *, again: bool) -> Iterator[str]:
    if sink.notification:
        yield sink.notification
    if sink.delivery is not None and sink.delivery.state == Fate.DELIVERED:
        yield sink.delivery.said
    if again:
        return
    if sink.until is not None:
        yield f"until {printing.local(sink.until)}"
    if sink.route:
        yield f"route {sink.route}"


def _way(delivery: DeliveryData) -> Iterator[str]:
    yield _with(delivery.said, delivery.behind)
    if delivery.tries:
        times = "once" if delivery.tries == 1 else f"{delivery.tries} times"
        yield f"tried {times}"
    if delivery.due is not None and delivery.tries:
        yield f"next in {printing.ahead(delivery.due)}"
    if delivery.at is not None:
        yield _when(delivery.at)
    if delivery.error:
        yield delivery.error
    if delivery.passed_on:
        yield f"passed on to {delivery.passed_on}"


def _cases(sink: SinkData, margin: str) -> Iterator[Line]:
    """Say of alerts what stood in their way, unless that was said already."""
    for case in _other(sink.cases, sink):
        yield margin, f"without {case.alert}: {_with(case.said, case.detail)}"


def _other(cases: Iterable[CaseData], sink: SinkData) -> Iterator[CaseData]:
    for case in cases:
        if case.reason and (case.reason, case.detail) != (sink.reason, sink.detail):
            yield case


def _with(said: str, detail: str) -> str:
    return f"{said}: {detail}" if detail else said


def _when(moment: datetime) -> str:
    return f"{printing.local(moment)}, {printing.ago(moment)} ago"
