"""A source that replays what it is told to say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
import msgspec

from monitor import errors
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.ports import Look, Means

Answer = Snapshot | errors.SourceError | ZeroDivisionError
"""An answer, a failure, or a bug in the client."""


class ScriptedSource:
    """Satisfies ``ports.Source``: gives one answer after the other, the last for ever.

    Each instance begins at the start of the script, or has a script of its own.
    *asked* lists when which instance was asked about; each answer takes *latency*
    seconds.
    """

    def __init__(self, *script: Answer, name: str = "prod") -> None:
        self.name: Final = name
        self.means = Means()
        self.asked: list[tuple[float, InstanceKey]] = []
        self.latency = 0.0
        self._script = script
        self._scripts: dict[InstanceKey, list[Answer]] = {}

    @property
    def times(self) -> list[float]:
        return [round(when, 3) for when, _ in self.asked]

    @property
    def counts(self) -> Counter[InstanceKey]:
        return Counter(key for _, key in self.asked)

    def says(self, *script: Answer, about: InstanceKey | None = None) -> None:
        """Go on with another script, about one instance or about all."""
        if about is None:
            self._script, self._scripts = script, {}
        else:
            self._scripts[about] = [*script]

    async def look(
        self, key: InstanceKey, digest: bytes = b"", *, hosts: bool = True
    ) -> Look:
        self.asked.append((anyio.current_time(), key))
        if self.latency:
            await anyio.sleep(self.latency)
        answer = self._next(key)
        if not isinstance(answer, Snapshot):
            raise answer.with_traceback(None)
        seen = msgspec.msgpack.encode(answer)
        return Look(seen, None if seen == digest else answer)

    async def groups(self, key: InstanceKey, step: Step, most: int) -> Step:
        raise errors.Garbled("not scripted")

    async def page(self, query: Query) -> Page:
        raise errors.Garbled("not scripted")

    async def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        raise errors.Garbled("not scripted")

    def _next(self, key: InstanceKey) -> Answer:
        script = self._scripts.setdefault(key, [*self._script])
        return script.pop(0) if len(script) > 1 else script[0]
