"""A source that answers what is true at the moment, as deep as it is asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio
import msgspec
from msgspec import structs

from monitor import errors
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Outcome, Snapshot, Step
from monitor.ports import Look, Means

ALL_MEANS: Final = Means(light=True, groups=True, page=1000, tails=500)


class Truth:
    """Satisfies ``ports.Source``: *says* is asked for the truth about an instance.

    *asked* lists when it was asked what: light, hosts or groups. What *refuses*
    gives for such a question is raised.
    """

    def __init__(
        self,
        says: Callable[[InstanceKey], Snapshot],
        *,
        means: Means = ALL_MEANS,
        name: str = "prod",
    ) -> None:
        self.name: Final = name
        self.means: Final = means
        self.says = says
        self.asked: list[tuple[float, str]] = []
        self.refuses: Callable[[str], errors.SourceError | None] = lambda _: None

    @property
    def depths(self) -> list[str]:
        return [depth for _, depth in self.asked]

    async def look(
        self, key: InstanceKey, digest: bytes = b"", *, hosts: bool = True
    ) -> Look:
        await self._hear("hosts" if hosts else "light")
        said = self.says(key)
        if not hosts:
            said = structs.replace(said, steps=tuple(map(_without_rows, said.steps)))
        seen = msgspec.msgpack.encode(said)
        return Look(seen, None if seen == digest else said)

    async def groups(self, key: InstanceKey, step: Step, most: int) -> Step:
        await self._hear("groups")
        said = {each.step_instance_id: each for each in self.says(key).steps}
        rows: dict[HostId, int] = {}
        counts: dict[int, int] = {}
        for host, status in said[step.step_instance_id].hosts.items():
            counts[status] = counts.get(status, 0) + 1
            if counts[status] <= most:
                rows[host] = status
        outcomes = {host: Outcome(1) for host, status in rows.items() if status == 104}
        return structs.replace(step, hosts=rows, outcomes=outcomes, partial=True)

    async def page(self, query: Query) -> Page:
        await self._hear("page")
        return Page((), full=False)

    async def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        await self._hear("tails")
        return {}

    async def _hear(self, what: str) -> None:
        self.asked.append((round(anyio.current_time(), 1), what))
        if refusal := self.refuses(what):
            raise refusal


def _without_rows(step: Step) -> Step:
    return structs.replace(step, hosts={}, partial=True)
