"""Lets the lists that another daemon reads speak for the instances that are ours.

As a sweep of our own would: whom a row shows unchanged is vouched for, who looks
changed is visited now, and of whom nothing is heard any more is visited as ever.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol

import anyio

from monitor.core import codes, sweeping
from monitor.core.listing import Row
from monitor.core.model import InstanceKey
from monitor.core.sweeping import Standing, Trace, Verdict


class Tracked(Protocol):
    """The poller, as far as lists speak for its instances; see ``sweep.Swept``."""

    def standing(self, key: InstanceKey) -> Standing | None:
        """Say how *key* is looked at here; None: nobody may speak for it."""
        ...

    def vouch(self, keys: Collection[InstanceKey], at: datetime) -> None: ...

    def unvouch(self, keys: Collection[InstanceKey]) -> None: ...

    def hint(self, key: InstanceKey, *, finished: bool) -> None: ...


class Overhearing:
    """*patience*: seconds without a word of an instance, until it is visited as ever."""

    def __init__(self, tracked: Tracked, *, patience: float) -> None:
        self._tracked = tracked
        self._patience = patience
        self._traces: dict[InstanceKey, Trace] = {}
        self._heard_at: dict[InstanceKey, float] = {}

    def hear(self, rows: Iterable[Row], at: datetime) -> None:
        """Take in a page that was read *at* that moment."""
        same = [row.key for row in rows if self._judge(row) is Verdict.SAME]
        if same:
            self._tracked.vouch(same, at)

    def _judge(self, row: Row) -> Verdict | None:
        standing, key = self._tracked.standing(row.key), row.key
        if standing is None:
            return None
        now, before = anyio.current_time(), self._traces.get(key)
        self._traces[key] = sweeping.traced(row, before, now)
        self._heard_at[key] = now
        verdict = sweeping.judge(standing, row, before)
        if verdict is Verdict.CHANGED:
            self._tracked.hint(key, finished=codes.run(row.status).finished)
        return verdict

    def look(self) -> None:
        """Leave those to their visits of whom nobody speaks any more."""
        late = anyio.current_time() - self._patience
        silent = [key for key, at in self._heard_at.items() if at < late]
        for key in silent:
            del self._heard_at[key], self._traces[key]
        if silent:
            self._tracked.unvouch(silent)
