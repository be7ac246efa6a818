"""Ways of alerts in words: who is told, by which rule, and what another file changes."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from monitor import durations
from monitor.cli.printing import Cell
from monitor.core.ways import WayData

_TIMES: Final = ("after", "group_wait", "group_interval", "repeat_interval")


def told(ways: Iterable[WayData]) -> str:
    return ", ".join(dict.fromkeys(way.sink for way in ways if way.told)) or "nobody"


def changes(now: Iterable[WayData], instead: Iterable[WayData]) -> Iterator[str]:
    before = {(way.sink, way.group): way for way in now if way.told}
    after = {(way.sink, way.group): way for way in instead if way.told}
    for sink, group in sorted(before.keys() | after.keys()):
        old, new = before.get((sink, group)), after.get((sink, group))
        if old is None:
            yield f"+{sink} in {group}" if _known(sink, before) else f"+{sink}"
        elif new is None:
            yield f"-{sink} in {group}" if _known(sink, after) else f"-{sink}"
        else:
            yield from (f"{sink} {what}" for what in _slower(old, new))


def _known(sink: str, ways: Iterable[tuple[str, str]]) -> bool:
    return any(name == sink for name, _ in ways)


def _slower(old: WayData, new: WayData) -> Iterator[str]:
    for name in _TIMES:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} {_seconds(before)} → {_seconds(after)}"


def _seconds(length: float) -> str:
    return durations.text(timedelta(seconds=length))


def lines(ways: Sequence[WayData]) -> Iterator[Sequence[Cell]]:
    width = max((len(way.sink) for way in ways), default=0)
    for way in ways:
        standing = ("told    ", "green") if way.told else ("not told", "yellow")
        yield f"  {way.sink:{width}}  ", standing, f"  {'; '.join(_facts(way))}"


def _facts(way: WayData) -> Iterator[str]:
    if not way.route:
        yield "no route leads to it"
        return
    if way.unfit:
        yield f"its match does not fit: {way.unfit}"
    yield f"route {way.route}" + "".join(f" {rule}" for rule in way.rule)
    if not way.told:
        return
    yield f"in {way.group}"
    if way.after:
        yield f"after {_seconds(way.after)}"
    yield f"waits {_seconds(way.group_wait)}"
    yield f"reminds every {_seconds(way.repeat_interval)}"
