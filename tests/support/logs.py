"""A source that has logs, and a budget that notes who asks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import anyio

from monitor import errors
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Step
from monitor.ports import Look, Means

Mishap = errors.SourceError | None


class SourceWithLogs:
    """Satisfies ``ports.Source``, of which nothing but logs is asked for.

    Gives *logs* by host; *tail_latency* is what each call takes. *mishaps* are
    raised first, one a call. *calls* lists when which hosts were asked for;
    *at_once* are those under way.
    """

    def __init__(
        self, logs: Mapping[HostId, str] | None = None, *, tails: int = 0
    ) -> None:
        self.name: Final = "prod"
        self.means: Final = Means(tails=tails)
        self.logs = dict(logs or {})
        self.tail_latency = 0.0
        self.mishaps: list[Mishap] = []
        self.calls: list[tuple[float, InstanceKey, tuple[HostId, ...]]] = []
        self.at_once = self.most_at_once = 0

    async def look(
        self, key: InstanceKey, digest: bytes = b"", *, hosts: bool = True
    ) -> Look:
        raise errors.Garbled("not scripted")

    async def groups(self, key: InstanceKey, step: Step, most: int) -> Step:
        raise errors.Garbled("not scripted")

    async def page(self, query: Query) -> Page:
        raise errors.Garbled("not scripted")

    async def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        self.calls.append((round(anyio.current_time(), 3), key, tuple(hosts)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await anyio.sleep(self.tail_latency)
        finally:
            self.at_once -= 1
        if self.mishaps and (mishap := self.mishaps.pop(0)) is not None:
            raise mishap
        return {host: self.logs[host] for host in hosts if host in self.logs}


class Turns:
    """Satisfies ``ports.Budget``: *spare* says of each turn whether it was a spare one.

    No turn is given before *open* is set; *noted* are the errors that left one.
    """

    def __init__(self) -> None:
        self.open = anyio.Event()
        self.open.set()
        self.spare: list[bool] = []
        self.noted: list[errors.SourceError] = []

    def turn(self, *, spare: bool = False) -> AbstractAsyncContextManager[None]:
        return self._turn(spare)

    @asynccontextmanager
    async def _turn(self, spare: bool) -> AsyncIterator[None]:  # noqa: FBT001
        await self.open.wait()
        self.spare.append(spare)
        try:
            yield
        except errors.SourceError as error:
            self.noted.append(error)
            raise
