"""Durations as people write them: ``500ms``, ``30s``, ``5m``, ``2h5m``, ``90d``.

One grammar for settings and watch lists: whole numbers, each with its unit, the
larger unit first. A bare number is refused, because nobody can tell its unit.
"""

import re
from datetime import timedelta
from typing import Final

UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
"""Unit → milliseconds, the largest first."""

LONGEST: Final = timedelta(days=36_500)

_WRITTEN = re.compile("".join(rf"(?:([0-9]{{1,15}}){unit})?" for unit in UNITS))


def parse(text: str) -> timedelta:
    """Read a duration; ValueError says what is wrong with it and how to write it.

    >>> parse("2h5m")
    datetime.timedelta(seconds=7500)
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        raise ValueError(f"{text[:20]!r} has no unit: write {text[:20]}s for seconds")
    written = _WRITTEN.fullmatch(text)
    if not text or written is None:
        raise ValueError(
            f"{text[:20]!r} is no duration: write whole numbers with units,"
            " the larger first, like 500ms, 30s, 2h5m or 90d"
        )
    counts = (int(count or 0) for count in written.groups())
    length = sum(map(int.__mul__, counts, UNITS.values()))
    if length > LONGEST / timedelta(milliseconds=1):
        raise ValueError(f"{text[:20]!r} is longer than {LONGEST.days}d")
    return timedelta(milliseconds=length)


def text(duration: timedelta) -> str:
    """Write a duration the way ``parse`` reads it; parts of a millisecond are lost.

    >>> text(timedelta(seconds=7500))
    '2h5m'
    """
    left, parts = duration // timedelta(milliseconds=1), []
    for unit, size in UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
