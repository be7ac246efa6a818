"""A poller as far as lists speak for its instances: who is due when, without visits.

Independent of ``monitor.poller``; what it is told moves the due times as
``sweep.Swept`` promises, and a visit is a look into the same list.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from math import inf

import anyio

from monitor.core.model import InstanceKey
from monitor.core.sweeping import Standing
from tests.support.rows import ListingSource


class Visits:
    """Satisfies ``sweep.Swept`` and ``overhearing.Tracked``; *visits* is who was looked at when.

    Each instance is visited every *interval* seconds, unless somebody vouches for
    it.
    """

    def __init__(self, source: ListingSource, *, interval: float = 10.0) -> None:
        self.interval = interval
        self.visits: list[tuple[float, InstanceKey]] = []
        self.hinted: list[tuple[float, int, bool]] = []
        self.vouched: dict[InstanceKey, datetime] = {}
        self.unvouched: list[tuple[float, int]] = []
        self._source = source
        self._standings: dict[InstanceKey, Standing] = {}
        self._due: dict[InstanceKey, float] = {}

    @property
    def hints(self) -> list[tuple[float, int]]:
        return [(when, number) for when, number, _ in self.hinted]

    def track(self, *keys: InstanceKey) -> None:
        for key in keys:
            self._visit(key)

    def forget(self, *keys: InstanceKey) -> None:
        for key in keys:
            del self._standings[key], self._due[key]

    async def run(self) -> None:
        while True:
            await anyio.sleep(1)
            now = anyio.current_time()
            for key in [key for key, due in self._due.items() if due <= now]:
                self._visit(key)

    def _visit(self, key: InstanceKey) -> None:
        now, row = anyio.current_time(), self._source.rows[key]
        self.visits.append((round(now, 3), key))
        self._standings[key] = Standing(
            key=key,
            status=row.status,
            created_at=row.created_at,
            seen_at=now,
            interval=self.interval,
        )
        self._due[key] = now + self.interval

    def scopes(self) -> Iterable[str]:
        return {key.scope for key in self._standings}

    def tracked(self, scope: str) -> Iterable[Standing]:
        return [one for key, one in self._standings.items() if key.scope == scope]

    def standing(self, key: InstanceKey) -> Standing | None:
        return self._standings.get(key)

    def vouch(self, keys: Collection[InstanceKey], at: datetime) -> None:
        for key in self._due.keys() & keys:
            self.vouched[key] = at
            self._due[key] = inf

    def unvouch(self, keys: Collection[InstanceKey]) -> None:
        now = anyio.current_time()
        for key in self._due.keys() & keys:
            self.unvouched.append((round(now, 1), key.job_instance_id))
            self.vouched.pop(key, None)
            self._due[key] = now + self.interval

    def hint(self, key: InstanceKey, *, finished: bool) -> None:
        now = anyio.current_time()
        self.hinted.append((round(now, 1), key.job_instance_id, finished))
        self.vouched.pop(key, None)
        if key in self._source.rows:
            self._due[key] = now
