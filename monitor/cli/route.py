"""``job-monitor route``: which way alerts take; nobody is told of anything."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import structs

from monitor import clock, errors, wiring
from monitor.cli import daemon, moments, options, printing, ways
from monitor.cli.printing import Cell, Columns, Output
from monitor.core import explaining
from monitor.core.quiet import Quiet
from monitor.core.ways import WayData
from monitor.settings import loading
from monitor.settings.model import Settings
from monitor.sinks.printable import printable
from monitor.web.shapes.routes import RoutedData

Line = Sequence[Cell]

MOST: Final = 10_000
"""Alerts that are looked at."""

_TRAIT: Final = re.compile(r"(?P<name>[^\s=!~\"'{},/]+)=(?P<value>.*)", re.DOTALL)


class TriedData(RoutedData, kw_only=True):
    """*instead*: the ways by the file; *changes*: in what it differs from *ways*."""

    instead: Sequence[WayData] = ()
    changes: Sequence[str] = ()


route = typer.Typer(
    help="Try routes on what is on record, or on labels. Nobody is told of anything.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@route.callback()
def _top() -> None:
    """Keep ``test`` a verb of its own while it is the only one."""


@route.command("test")
def try_(
    *,
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY | LABEL=VALUE...]",
            show_default=False,
            help="The key of an instance, a scope or a source, or the name of a group;"
            " or labels, and alert, severity and whatever else matchers see.",
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Alerts that were raised since then.")
    ] = "24h",
    changed: Annotated[
        bool,
        typer.Option("--changed", help="Only alerts that would take another way."),
    ] = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SINK",
            show_default=False,
            help="With labels: end with 1 unless these are told, and no others.",
        ),
    ] = None,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Show who would be told of an alert, by which route, and grouped how.

    With labels, from the configuration alone, and no daemon is needed. Otherwise
    from the daemon's record: alerts that hold now, or were raised since a time; who
    is told of them by the configuration in force, and where the file (--config) leads
    elsewhere, who would be told after a reload.

    Try:

      job-monitor route test alert=hosts_failed severity=critical team=dba

      job-monitor route test prod/2/20000153

      job-monitor route test --changed --config edited.yaml --socket monitor.sock
    """
    traits = _traits(what or [])
    if traits is not None:
        _try_traits(loading.load(config, os.environ), traits, expect, output)
        return
    if expect:
        raise typer.BadParameter("--expect goes with labels")
    of = what[0] if what else None
    found = daemon.found(config, socket).pages(
        "/routes", TriedData, most=MOST, of=of, since=moments.ago(since).isoformat()
    )
    settings = _file(config)
    tried = list(_tried(_once(found), settings))
    if of is not None and not tried:
        raise errors.NotFound(f"no alert of {printable(of)} is on record since then")
    shown = [each for each in tried if each.changes or not changed]
    if of is not None and output is Output.TABLE:
        printing.lines(line for each in shown for line in _lines(each))
    else:
        printing.things(shown, output, COLUMNS)
    typer.echo(_summary(tried, settings), err=True)


def _traits(words: list[str]) -> dict[str, str] | None:
    """Read labels; None where a key is given, or nothing."""
    found = [_TRAIT.fullmatch(word) for word in words]
    if words and all(found):
        return {each["name"]: each["value"] for each in found if each}
    if len(words) > 1:
        raise typer.BadParameter("give one key, or else labels alone: team=dba")
    return None


def _file(config: Path | None) -> Settings | None:
    named = config is not None or loading.DEFAULT.exists()
    return loading.load(config, os.environ) if named else None


def _try_traits(
    settings: Settings,
    traits: Mapping[str, str],
    expect: list[str] | None,
    output: Output,
) -> None:
    source = traits.get("source") or next(iter(settings.sources))
    seen = {"source": source, **traits}
    found = wiring.ways(settings).of_traits(seen, source)
    if output is Output.TABLE:
        printing.lines(ways.lines(found))
    else:
        printing.things(found, output, {})
    for said in _quiet(settings, seen):
        typer.echo(printable(said, printing.CELL_MAX), err=True)
    told = {way.sink for way in found if way.told}
    if expect is not None and told != set(expect):
        names = ", ".join(sorted(told)) or "nobody"
        typer.echo(f"Not as expected: {names} would be told.", err=True)
        raise typer.Exit(1)


def _quiet(settings: Settings, traits: Mapping[str, str]) -> Iterator[str]:
    """Say what the file has to keep such an alert quiet."""
    written = Quiet(
        silences=[*wiring.silences(settings)],
        maintenance=[*wiring.maintenance(settings)],
    )
    mute = written.muting(traits, clock.utc_now())
    if mute is not None:
        said = explaining.SILENT[mute.reason].en
        yield f"Nobody would be told now: {said}: {mute.detail}"
    for rule in wiring.inhibiting(settings.alerts):
        if rule.keeps_quiet(traits):
            others = " ".join(map(str, rule.source))
            yield f"Nobody would be told while {others} holds: {rule.name}"


def _once(found: Iterable[TriedData]) -> Iterator[TriedData]:
    """Leave out what was raised more than once and takes the same ways."""
    known: set[object] = set()
    for each in found:
        same = (each.key, each.id, frozenset(each.traits.items()))
        if same not in known:
            known.add(same)
            yield each


def _tried(
    found: Iterable[TriedData], settings: Settings | None
) -> Iterator[TriedData]:
    if settings is None:
        yield from found
        return
    written = wiring.ways(settings)
    for each in found:
        instead = written.of(each.key, each.traits)
        changes = tuple(ways.changes(each.ways, instead))
        yield structs.replace(each, instead=instead, changes=changes)


COLUMNS: Final[Columns[TriedData]] = {
    "SEVERITY": lambda alert: printing.severity(alert.severity),
    "ALERT": lambda alert: alert.id,
    "WHERE": lambda alert: alert.key,
    "WHEN": lambda alert: f"{printing.ago(alert.at)} ago",
    "HOLDS": lambda alert: "yes" if alert.holds else "",
    "TOLD": lambda alert: ways.told(alert.ways),
    "CHANGES": lambda alert: (", ".join(alert.changes), "yellow"),
}


def _lines(alert: TriedData) -> Iterator[Line]:
    when = "for" if alert.holds else "raised"
    ago = printing.ago(alert.at) + ("" if alert.holds else " ago")
    yield (
        (alert.key, "bold"),
        "  ",
        printing.severity(alert.severity),
        f"  {alert.id}  {when} {ago}",
    )
    yield from ways.lines(alert.ways)
    if alert.quiet:
        yield (f"  Nobody is told now: {alert.quiet}",)
    if alert.changes:
        yield (("  by the file", "yellow"), f"  {', '.join(alert.changes)}")
        yield from ways.lines(alert.instead)


def _summary(tried: Sequence[TriedData], settings: Settings | None) -> str:
    alerts = f"{len(tried):,} alert{'' if len(tried) == 1 else 's'}"
    if settings is None:
        return f"{alerts}, by the configuration in force."
    changed = sum(bool(each.changes) for each in tried)
    return f"{alerts}; {changed:,} would take another way by the file."
