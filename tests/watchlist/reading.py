"""Builders: read a file of the given content, and say in text what came of it."""

from monitor.core.watch import Watch
from monitor.watchlist import formats
from monitor.watchlist.reading import Parsed

SOURCES = ("prod", "stag")


def parsed(path: str, content: str | bytes) -> Parsed:
    data = content.encode() if isinstance(content, str) else content
    return formats.parse(path, data, sources=SOURCES)


def keys(found: Parsed) -> list[str]:
    return [str(watch.key) for watch in found.watches]


def faults(found: Parsed) -> list[str]:
    return [str(fault) for fault in found.faults]


def only(found: Parsed) -> Watch:
    """The one watch of a file without faults."""
    assert faults(found) == []
    (watch,) = found.watches
    return watch
