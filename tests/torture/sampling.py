"""Who owns which shard, looked at ten times a second, around all proxies."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import psycopg
from msgspec import Struct

from monitor.core.shards import SHARDS

EVERY: Final = 0.1

_LEASES: Final = """
    SELECT shard, owner, epoch, extract(epoch FROM clock_timestamp()) < expires_at
    FROM leases"""


class Tenure(Struct):
    """From *at* on, until somebody else's, *shard* was *owner*'s."""

    shard: int
    at: float
    owner: str
    epoch: int

    @property
    def pid(self) -> int:
        """Of the owner, who is called ``node/pid/…``; 0: nobody."""
        return int(self.owner.split("/")[1]) if self.owner else 0


class Sampler:
    def __init__(self, url: str) -> None:
        self.tenures: dict[int, list[Tenure]] = defaultdict(list)
        self.looks = 0
        self.falls: list[Tenure] = []
        """Tenures of another owner whose epoch was not above that of the one before."""

        self._url = url

    async def run(self) -> None:
        """Look until cancelled; a database that is away is looked for."""
        while True:
            with suppress(psycopg.OperationalError):
                async with _connected(self._url) as connection:
                    await self._look(connection)
            await anyio.sleep(EVERY)

    async def _look(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            rows = await (await connection.execute(_LEASES)).fetchall()
            now = anyio.current_time()
            for shard, owner, epoch, lives in rows:
                self.saw(Tenure(shard, now, owner or "" if lives else "", epoch))
            self.looks += 1
            await anyio.sleep(EVERY)

    def saw(self, seen: Tenure) -> None:
        tenures = self.tenures[seen.shard]
        last = tenures[-1] if tenures else None
        if last and (last.owner, last.epoch) == (seen.owner, seen.epoch):
            return
        tenures.append(seen)
        if last and not _rises(last, seen):
            self.falls.append(seen)

    def owner(self, shard: int, at: float) -> int:
        before = [tenure for tenure in self.tenures[shard] if tenure.at <= at]
        return before[-1].pid if before else 0

    def owned(self, pid: int, at: float) -> frozenset[int]:
        """Give the shards that the process *pid* had *at* that time."""
        return frozenset(s for s in range(SHARDS) if self.owner(s, at) == pid)

    def after(self, shard: int, at: float) -> list[Tenure]:
        """List the tenures of *shard* that began after *at*."""
        return [tenure for tenure in self.tenures[shard] if tenure.at > at]


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, connect_timeout=5
    )
    try:
        yield connection
    finally:
        # psycopg's own block would be cancelled before it closes anything.
        with anyio.CancelScope(shield=True):
            await connection.close()


def _rises(last: Tenure, seen: Tenure) -> bool:
    is_another = last.owner != seen.owner and "" not in (last.owner, seen.owner)
    return seen.epoch > last.epoch if is_another else seen.epoch >= last.epoch
