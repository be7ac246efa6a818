"""The daemon's events as they are recorded, also over its reloads and restarts."""

import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from monitor import errors

PATIENCE: Final = 60.0
"""Seconds for a daemon that went away to come back."""

_BETWEEN: Final = 0.5
_LONG: Final = 10
"""Tries to find it again until somebody is told."""


class There(Protocol):
    def stream(
        self, path: str, last: str | None, **query: object
    ) -> Iterator[tuple[str, bytes]]: ...


def follow(
    there: There, away: Callable[[str], None] = lambda _: None, **query: object
) -> Iterator[bytes]:
    """Give each event that comes, a CloudEvent, once.

    What is empty says that we are connected, and hear of all that is recorded from now
    on. *away* hears of a daemon that is away for longer than a reload takes. Raises
    ``errors.NoDaemon`` where none is there, or none comes back.
    """
    last: str | None = None
    tries = 0
    while True:
        try:
            for place, event in there.stream("/stream", last, **query):
                last, tries = place, 0
                yield event
        except errors.NoDaemon as gone:
            tries += 1
            if tries == _LONG:
                away(str(gone))
            if last is None or tries * _BETWEEN > PATIENCE:
                raise
        time.sleep(_BETWEEN)
