"""Sizes as people write them: ``4KiB``, ``64MiB``, ``1GiB``, or a number of bytes."""

import re
from typing import Final

_UNITS: Final = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "": 1}
_SIZE: Final = re.compile(r"(\d{1,12})\s*(GiB|MiB|KiB|)", re.ASCII)


class Size(int):
    """A number of bytes."""

    def __str__(self) -> str:
        unit = next(unit for unit, size in _UNITS.items() if self % size == 0)
        return f"{self // _UNITS[unit]}{unit}"


def parse(value: object) -> Size:
    """Read a size; ValueError says how to write it."""
    found = _SIZE.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{str(value)[:20]!r} is no size: write it like 64MiB")
    size = Size(int(found[1]) * _UNITS[found[2]])
    if not _UNITS["KiB"] <= size <= _UNITS["GiB"]:
        raise ValueError(f"{size} is not between 1KiB and 1GiB")
    return size
