"""``job-monitor status``: the state of everything on one screen."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer
from msgspec import Struct

from monitor.cli import daemon, options, printing
from monitor.cli.daemon import Daemon
from monitor.cli.printing import Cell, Output
from monitor.core.differences import Difference
from monitor.core.shards import SHARDS
from monitor.outlet import Condition
from monitor.web.shapes.delivery import SinkStateData
from monitor.web.shapes.nodes import NodeData, NodesData
from monitor.web.shapes.sources import SourceData
from monitor.web.shapes.status import StatusData
from monitor.web.shapes.watches import WatchListData

Line = Sequence[Cell]

SHOWN: Final = 10
"""Faults that a screen shows."""

_STANDINGS: Final = {"seen": "green", "doubted": "yellow", "lost": "bold red"}
_STATES: Final = {"living": "green", "draining": "yellow", "gone": "bold red"}
_CONDITIONS: Final = {Condition.WELL: "green", Condition.FAILING: "yellow"}
_WIDTH: Final = 10


class StateData(Struct, kw_only=True):
    """*lists* are the watch lists that have faults; *differences*, those of nodes."""

    status: StatusData
    nodes: list[NodeData]
    differences: Sequence[Difference]
    sources: list[SourceData]
    sinks: list[SinkStateData]
    lists: list[WatchListData]


def status(
    *,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            "-w",
            help="Keep it on the screen with what is worst, until Ctrl-C; with"
            " -o jsonl, print a line whenever something changes.",
        ),
    ] = False,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Show the state of everything: watches, problems, nodes, sources, sinks, watch lists.

    Ends with 0 whenever the daemon answers, whatever is wrong: it is for looking. A
    script that wants to know whether something is wrong reads the numbers (-o json);
    5 says that no daemon answers.

    Try:

      job-monitor status --watch

      job-monitor status -o json | jq .status.problems.critical
    """
    there = daemon.found(config, socket)
    if watch:
        _keep(there, output)
        return
    state = asked(there)
    if output is Output.TABLE:
        printing.lines(lines(state))
    else:
        printing.thing(state, output, str)


def _keep(there: Daemon, output: Output) -> None:
    from monitor.cli import screen  # noqa: PLC0415

    if output is Output.JSON:
        raise typer.BadParameter("with --watch, give -o jsonl")
    if output is Output.JSONL:
        screen.stream(there)
    elif not printing.console().is_terminal:
        raise typer.BadParameter(
            "--watch needs a terminal; -o jsonl prints a line for each change"
        )
    else:
        screen.keep(there)


def asked(there: Daemon) -> StateData:
    nodes = there.get("/nodes", NodesData)
    return StateData(
        status=there.get("/status", StatusData),
        nodes=nodes.items,
        differences=nodes.differences,
        sources=[*there.pages("/sources", SourceData, most=1000)],
        sinks=[*there.pages("/sinks", SinkStateData, most=1000)],
        lists=[
            each
            for each in there.pages("/watch-lists", WatchListData, most=1000)
            if each.faults
        ],
    )


def lines(state: StateData) -> Iterator[Line]:
    said = state.status
    yield (
        ("Job Monitor", "bold"),
        f" {said.version}, up for {printing.ago(said.started_at)}",
    )
    yield _titled("watching", _watching(said))
    yield _titled("problems", *_problems(said))
    yield from _under("nodes", _nodes(state))
    yield from _under("sources", [_source(each) for each in state.sources])
    yield from _under("sinks", [_sink(each) for each in state.sinks])
    yield from _under("lists", _faults(state))


def _titled(title: str, *cells: Cell) -> Line:
    return (f"{title:{_WIDTH}}", "bold"), *cells


def _under(title: str, found: Sequence[Line]) -> Iterator[Line]:
    for number, each in enumerate(found):
        yield _titled("" if number else title, *each)


def _nodes(state: StateData) -> list[Line]:
    """Give a line for each; of one that is alone nothing is to be said."""
    if len(state.nodes) <= 1 and not state.status.unowned:
        return []
    found = [_node(each) for each in state.nodes]
    found += [((f"differs: {each}", "yellow"),) for each in state.differences]
    if state.status.unowned:
        free = f"{state.status.unowned} of {SHARDS} shards have no owner"
        found.append(((f"{free}: nobody looks there", "bold red"),))
    return found


def _node(node: NodeData) -> Line:
    many = "watch" if node.watches == 1 else "watches"
    facts = [f"{node.owned} shards, {node.watches:,} {many}"]
    if node.late >= 1:
        facts.append(f"a visit is {node.late:.1f}s overdue")
    if node.waiting:
        facts.append(f"{node.waiting:,} messages waiting")
    if node.state == "gone":
        facts = [f"not heard of for {printing.ago(node.seen_at)}"]
    return (
        f"{node.name}{' (asked)' if node.me else ''}  ",
        (node.state, _STATES.get(node.state, "")),
        f"  {node.version}, {', '.join(facts)}",
    )


def _watching(said: StatusData) -> str:
    by_meaning = [
        f"{count:,} {meaning}" for meaning, count in said.instances.items() if count
    ]
    if said.paused:
        by_meaning.append(f"{said.paused:,} paused")
    if said.unseen:
        by_meaning.append(f"{said.unseen:,} not seen yet")
    return ": ".join(filter(None, [f"{said.watches:,}", ", ".join(by_meaning)]))


def _problems(said: StatusData) -> Iterator[Cell]:
    bad = [(name, count) for name, count in said.problems.items() if count]
    if not bad:
        yield "none", "green"
    for number, (name, count) in enumerate(reversed(bad)):
        yield ", " if number else ""
        yield f"{count:,} {name}", printing.SEVERITIES.get(name, "")
    if said.hosts:
        yield f"; {said.failed:,} of {said.hosts:,} hosts failed"


def _source(source: SourceData) -> Line:
    since = f" for {printing.ago(source.since)}" if source.since else ""
    cause = f": {source.cause}" if source.cause else ""
    facts = [f"{source.watches:,} {'watch' if source.watches == 1 else 'watches'}"]
    if source.late >= 1:
        facts.append(f"visits {source.late:.1f}s late")
    if source.throttled:
        facts.append(f"throttled {source.throttled:,} times")
    return (
        f"{source.name}  ",
        (f"{source.standing}{since}{cause}", _STANDINGS.get(source.standing, "")),
        f"  {source.api}, {', '.join(facts)}",
    )


def _sink(sink: SinkStateData) -> Line:
    since = f" for {printing.ago(sink.since)}" if sink.since else ""
    style = _CONDITIONS.get(Condition(sink.condition), "bold red")
    where = f" at {sink.node}" if sink.node else ""
    return (
        f"{sink.name}  ",
        (f"{sink.condition}{where}{since}", style),
        "".join(f"  {fact}" for fact in _behind(sink)),
    )


def _behind(sink: SinkStateData) -> Iterator[str]:
    waiting = sink.waiting + sink.unread
    if waiting:
        oldest = f" (the oldest for {printing.ago(sink.oldest)})" if sink.oldest else ""
        yield f"{waiting:,} waiting{oldest}"
    if sink.dead:
        yield f"{sink.dead:,} dead"
    if sink.since and sink.error:
        yield sink.error


def _faults(state: StateData) -> list[Line]:
    faults = [fault for each in state.lists for fault in each.faults]
    found: list[Line] = [((fault, "yellow"),) for fault in faults[:SHOWN]]
    more = state.status.faults - len(found)
    if more > 0:
        found.append((f"and {more:,} more faults",))
    return found
