"""What verbs print: tables for people, JSON for programs.

Nothing that came from elsewhere is read as markup or reaches a terminal as it is.
In a pipe a table is as wide as it has to be.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec
import typer

from monitor import clock, durations
from monitor.sinks.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

T = TypeVar("T")

Cell = str | tuple[str, str]
"""A text, or a text and its style."""

Columns = Mapping[str, Callable[[T], Cell]]

CELL_MAX: Final = 1000
_WIDE: Final = 1 << 16

SEVERITIES: Final = {"critical": "bold red", "warning": "yellow"}


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


Option = Annotated[
    Output, typer.Option("--output", "-o", help="A table for people, or JSON.")
]


def things(found: Iterable[T], output: Output, columns: Columns[T]) -> int:
    """Print many things, and say how many there were."""
    if output is Output.JSONL:
        return sum(_line(each) for each in found)
    listed = list(found)
    if output is Output.JSON:
        _block(listed)
    elif listed:
        _table(listed, columns)
    return len(listed)


def thing(found: T, output: Output, say: Callable[[T], str]) -> None:
    """Print one thing; *say* words it for people, a line or more."""
    match output:
        case Output.JSONL:
            _line(found)
        case Output.JSON:
            _block(found)
        case Output.TABLE:
            for line in say(found).splitlines():
                typer.echo(printable(line, CELL_MAX))


def lines(said: Iterable[Sequence[Cell]]) -> None:
    """Print lines of several cells each, with nothing between them."""
    there = console()
    for cells in said:
        there.print(text(cells), soft_wrap=True)


def text(cells: Iterable[Cell]) -> "Text":
    from rich.text import Text  # noqa: PLC0415

    line = Text()
    for cell in cells:
        line.append(*_cell(cell))
    return line


def severity(name: str) -> Cell:
    return name, SEVERITIES.get(name, "")


def ago(moment: datetime) -> str:
    """Say how long ago that was, in its two largest units."""
    return length(clock.utc_now() - moment)


def ahead(moment: datetime) -> str:
    """Say how long it is until then."""
    return length(moment - clock.utc_now())


def local(moment: datetime) -> str:
    """Write a moment by the clock here."""
    try:
        here = moment.astimezone()
    except OverflowError:  # the end of the year 9999, as people write "for ever"
        here = moment
    return f"{here:%Y-%m-%d %H:%M:%S}"


def length(span: timedelta) -> str:
    """Say how long that is, in its two largest units."""
    passed = int(span.total_seconds())
    for unit in (86400, 3600, 60):
        if passed >= unit:
            smaller = {86400: 3600, 3600: 60, 60: 1}[unit]
            passed -= passed % smaller
            break
    return durations.text(timedelta(seconds=max(0, passed)))


def _line(found: object) -> int:
    typer.echo(msgspec.json.encode(found))
    return 1


def _block(found: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(found)))


def _table(found: Iterable[T], columns: Columns[T]) -> None:
    there = console()
    with there.capture() as captured:
        there.print(table(found, columns))
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def table(found: Iterable[T], columns: Columns[T], *, wrap: bool = True) -> "Table":
    """Lay out *found*; without *wrap*, each is one line, cut where there is no room."""
    from rich.table import Table  # noqa: PLC0415

    laid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in columns:
        overflow: Literal["fold", "ellipsis"] = "fold" if wrap else "ellipsis"
        laid.add_column(title, overflow=overflow, no_wrap=not wrap)
    for each in found:
        laid.add_row(*(text([of(each)]) for of in columns.values()))
    return laid


def console() -> "Console":
    from rich.console import Console  # noqa: PLC0415

    found = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = _WIDE
    return found


def _cell(cell: Cell) -> tuple[str, str]:
    said, style = (cell, "") if isinstance(cell, str) else cell
    return printable(said, CELL_MAX), style
