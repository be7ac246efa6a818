"""Which shards are this daemon's, and for how long it may be sure of that."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from math import inf
from typing import Final

import anyio
import structlog

from monitor.core import shards
from monitor.core.shards import ALL, SHARDS

MOMENT: Final = 0.5
"""Seconds by which clocks may differ: an answer takes as long."""

FAR: Final = 5.0
"""Seconds by which clocks differ so far that somebody should hear of it."""

log = structlog.get_logger()


class Holdings:
    """Without a word from anybody this daemon owns everything, for ever.

    *epochs* are of the shards that may be written; with those that are *active*
    something new is begun; until *deadline*, on the clock of the event loop, nobody
    takes them over. *ahead* is what the store's clock is ahead of this machine's: times
    that daemons leave to one another are by that one.
    """

    def __init__(self, owned: Collection[int] = ALL) -> None:
        self.epochs: Mapping[int, int] = dict.fromkeys(owned, 0)
        self.active = frozenset(owned)
        self._sealed: frozenset[int] = frozenset()
        self.deadline = inf
        self.ahead = timedelta(0)

    def owns(self, key: str) -> bool:
        return self.active is ALL or shards.shard(key) in self.active

    def holds(self, key: str) -> bool:
        """Tell whether *key* may be written: what is under way is brought to its end."""
        if len(self.epochs) == SHARDS and not self._sealed:
            return True
        shard = shards.shard(key)
        return shard in self.epochs and shard not in self._sealed

    def seal(self, left: Collection[int]) -> None:
        """Begin to write nothing more there; what was begun is brought to its end."""
        self._sealed |= frozenset(left)

    def sure(self) -> bool:
        """Tell whether nobody else can have taken over by now."""
        return anyio.current_time() < self.deadline

    def differ(self, ahead: float) -> None:
        """Hear by how many seconds the clocks differ; what is a moment stays."""
        if abs(ahead - self.ahead.total_seconds()) > MOMENT:
            self.ahead = timedelta(seconds=ahead)
            if abs(ahead) > FAR:
                log.warning(
                    "clock.differs",
                    seconds=round(ahead, 1),
                    remedy="let an NTP client set the clock of this machine",
                )

    def take(self, epochs: Mapping[int, int]) -> None:
        self.epochs = {**self.epochs, **epochs}
        # Not with the keys as they are: that gives a set, which changes under its readers.
        self._activate(self.active | frozenset(epochs))

    def leave(self, leaving: Collection[int]) -> None:
        """Begin nothing more for these; what is under way may still be written."""
        self._activate(self.active - frozenset(leaving))

    def stay(self, kept: Collection[int]) -> None:
        """Do not leave these after all."""
        self._sealed -= frozenset(kept)
        self._activate(self.active | frozenset(kept))

    def drop(self, left: Collection[int]) -> Mapping[int, int]:
        """Write nothing more there; gives the epochs that are over with that."""
        self._sealed -= frozenset(left)
        over = {s: self.epochs[s] for s in left}
        self.epochs = {s: e for s, e in self.epochs.items() if s not in left}
        return over

    def _activate(self, active: frozenset[int]) -> None:
        # The same object, so that asking costs nothing where all is ours.
        self.active = ALL if active == ALL else active
