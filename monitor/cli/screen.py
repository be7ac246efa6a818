"""``job-monitor status --watch``: a screen that is kept up to date.

Asked anew when the daemon's stream says that something was recorded, and at least
every other second: what time alone changes is told by no event.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import msgspec
import typer
from msgspec import structs
from rich.console import Console, Group, RenderableType
from rich.live import Live

from monitor import errors
from monitor.cli import following, ls, printing, status
from monitor.cli.daemon import Daemon
from monitor.cli.printing import Cell
from monitor.cli.status import StateData
from monitor.web.shapes.instances import ListedData

EVERY: Final = 2.0
"""Seconds until it is asked anew, though nothing was recorded."""

AT_MOST: Final = 0.25
"""Seconds between two askings: a storm of events is one change."""

_TABLE_HEAD: Final = 2


def keep(there: Daemon) -> None:
    """Show it in a terminal until Ctrl-C."""
    console = printing.console()
    with (
        suppress(KeyboardInterrupt),
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        for drawn in _drawn(there, console):
            live.update(drawn, refresh=True)


def stream(there: Daemon) -> None:
    """Print a line of JSON whenever something has changed, until Ctrl-C."""
    last: StateData | None = None
    with suppress(KeyboardInterrupt):
        for _ in _moments(there):
            try:
                state = status.asked(there)
            except errors.NoDaemon:
                continue
            if last is None or _lasting(state) != _lasting(last):
                typer.echo(msgspec.json.encode(state))
            last = state


def _drawn(there: Daemon, console: Console) -> Iterator[RenderableType]:
    """Draw what there is; a daemon that is away leaves the last of it, and a word."""
    state, worst = status.asked(there), _worst(there, console)
    trouble = ""
    for _ in _moments(there):
        yield _screen(state, worst, console, trouble)
        try:
            state, worst, trouble = status.asked(there), _worst(there, console), ""
        except errors.NoDaemon as gone:
            trouble = str(gone)


def _moments(there: Daemon) -> Iterator[None]:
    """Come up whenever it is time to look again; at first at once."""
    news = threading.Event()
    threading.Thread(target=_listen, args=(there, news), daemon=True).start()
    while True:
        yield
        time.sleep(AT_MOST)
        news.wait(EVERY)
        news.clear()


def _listen(there: Daemon, news: threading.Event) -> None:
    while True:
        with suppress(errors.MonitorError):
            for _ in following.follow(there):
                news.set()
        time.sleep(EVERY)


def _worst(there: Daemon, console: Console) -> list[ListedData]:
    return [
        *there.pages("/instances", ListedData, most=console.height, severity="warning")
    ]


def _screen(
    state: StateData, worst: list[ListedData], console: Console, trouble: str
) -> RenderableType:
    head = [*_cut([*status.lines(state)], console.height // 2)]
    if trouble:
        head.append([(trouble, "bold red")])
    texts = [printing.text(cells) for cells in head]
    for text in texts:
        text.no_wrap, text.overflow = True, "ellipsis"
    room = console.height - len(texts) - _TABLE_HEAD
    if not worst or room < 1:
        return Group(*texts)
    return Group(*texts, "", printing.table(worst[:room], ls.COLUMNS, wrap=False))


def _cut(lines: list[status.Line], most: int) -> Iterable[list[Cell]]:
    """Leave room for what is wrong where there are very many sources and sinks."""
    if len(lines) <= most:
        return map(list, lines)
    shown = lines[: max(1, most - 1)]
    return [*map(list, shown), [(f"and {len(lines) - len(shown):,} more lines", "dim")]]


def _lasting(state: StateData) -> object:
    """Leave out what moves all the time."""
    sources = [
        structs.replace(each, rate=None, in_flight=0, width=0, requests={}, late=0.0)
        for each in state.sources
    ]
    return structs.replace(state, sources=sources, sinks=[])
