"""``.csv``: a header with JOB's field names, then a row for each instance.

Columns that are neither an id nor an option are labels. Every line is a row of its
own (no line breaks in quotes), so that a lost quote costs one row and not the rest.
"""

import csv
import re

from monitor.watchlist import entry
from monitor.watchlist.reading import Entry, Reading, Unfit

_CELL = re.compile(r'\s*(?:"(?:[^"]|"")*+"|[^,]*+)[^,]*+(?:,|$)')


def read(content: bytes, reading: Reading) -> None:
    lines = reading.lines(content)
    header = next(lines, None)
    if header is None:
        return
    names = _header(*header, reading)
    reading.entries(lines, lambda line: _row(line, names, reading))


def _header(number: int, line: str, reading: Reading) -> list[str]:
    """List the names of the columns; one that cannot be used is faulted and empty."""
    names: list[str] = []
    for index, cell in enumerate(_cells(line)):
        try:
            names.append(_name(cell.strip(), names))
        except ValueError as error:
            names.append("")
            reading.fault(error, number, _column(line, index))
    if "job_instance_id" not in names or not {"bk_biz_id", "bk_scope_id"} & {*names}:
        raise Unfit(
            "no header: the first line must name job_instance_id and bk_biz_id"
            " (or bk_scope_type and bk_scope_id)",
            line=number,
        )
    return names


def _name(name: str, before: list[str]) -> str:
    if name and name in before:
        raise ValueError(f"column {name!r} is there twice; this one is not read")
    if name and name not in entry.IDS and name not in entry.OPTIONS:
        entry.check_label_name(name)
    return name


def _row(line: str, names: list[str], reading: Reading) -> Entry:
    cells, draft = _cells(line), reading.draft()
    if any(cells[len(names) :]):
        column = _column(line, len(names))
        raise Unfit(f"more than the {len(names)} cells of the header", column=column)
    for index, (name, cell) in enumerate(zip(names, cells, strict=False)):
        if name and cell:
            try:
                draft.field(name, cell)
            except ValueError as error:
                raise Unfit(str(error), column=_column(line, index)) from error
    return draft.key(), reading.beside(draft)


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader((line,), strict=True))
    except csv.Error as error:
        raise Unfit(f"is no row of CSV: {error}") from error


def _column(line: str, index: int) -> int:
    starts = [cell.start() for cell in _CELL.finditer(line)]
    return starts[index] + 1
