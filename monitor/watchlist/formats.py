"""Reads a watch-list file, whatever its format: the name says which.

Pure and total: any bytes give watches and faults. An entry that cannot be used is
a fault of its own and the others are read; ``legible`` is False where it is the
file that cannot be used.
"""

from collections.abc import Callable
from pathlib import PurePath
from typing import Final

from monitor.watchlist import document, lines, objects, table
from monitor.watchlist.reading import Parsed, Reading, Unfit

LARGEST: Final = 64 * 1024 * 1024

_READERS: Final[dict[str, Callable[[bytes, Reading], None]]] = {
    ".txt": lines.read,
    ".csv": table.read,
    ".jsonl": objects.read,
    ".yaml": document.read,
    ".yml": document.read,
    ".json": document.read_json,
}


def known(path: str) -> bool:
    """Tell whether the name of *path* says how to read it."""
    return PurePath(path).suffix in _READERS


def parse(path: str, content: bytes, *, sources: tuple[str, ...]) -> Parsed:
    """Read *content*; *path* is shown as it is; *sources* must not be empty."""
    reading = Reading(path, sources)
    try:
        _reader(path, content)(content, reading)
    except Unfit as unfit:
        reading.fault(unfit)
        return reading.parsed(legible=False)
    return reading.parsed(legible=True)


def _reader(path: str, content: bytes) -> Callable[[bytes, Reading], None]:
    if not known(path):
        raise Unfit(f"unknown kind of file; the name must end in {', '.join(_READERS)}")
    if len(content) > LARGEST:
        raise Unfit(f"is larger than {LARGEST // 1024**2} MiB")
    return _READERS[PurePath(path).suffix]
