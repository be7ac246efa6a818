"""Callbacks that came before their watches: remembered for a little while. Pure.

A short job may end, and call back, before whoever launched it has written it into
a watch list.
"""

from collections.abc import Iterator
from typing import Final

KEPT_FOR: Final = 60.0
MOST: Final = 500


class Early:
    """*now* is in seconds, of any clock that only goes forward."""

    def __init__(self) -> None:
        # The oldest first.
        self._came: dict[int, float] = {}

    def remember(self, job_instance_id: int, now: float) -> None:
        """Keep it for a minute from now; of too many the oldest goes."""
        self._came.pop(job_instance_id, None)
        self._came[job_instance_id] = now
        if len(self._came) > MOST:
            self.forget(next(iter(self._came)))

    def forget(self, job_instance_id: int) -> None:
        self._came.pop(job_instance_id, None)

    def waiting(self, now: float) -> Iterator[int]:
        """List what came within the last minute; it may be forgotten meanwhile."""
        came = self._came.items()
        self._came = {each: at for each, at in came if now - at < KEPT_FOR}
        yield from tuple(self._came)
