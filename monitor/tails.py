"""Asks for the logs of hosts that failed, and remembers how they end.

A log explains and never alarms: it is asked for in turns that no visit needs, a
few times at most, and what goes wrong with it says nothing about the source. Where
there is none to be had, an empty one is remembered, so that nobody waits for it
any longer. One per source.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Never

import anyio
import structlog

from monitor import errors
from monitor.core import backoff, clusters, model, redaction, state
from monitor.core.clusters import Tail, Wanted
from monitor.core.model import HostId, InstanceKey
from monitor.core.state import Change
from monitor.ports import Budget, Ledger, Luck, Memory, Source
from monitor.recorder import Recorder

TRIES: Final = 3
DEADLINE: Final = 10.0
"""Seconds for one request: v2 reads the logs of all hosts, one after the other."""

AT_ONCE: Final = 2
"""Instances whose logs are read together."""

BACKLOG: Final = 1000
"""Instances that wait for their logs; beyond, those that waited longest go without."""

HOPELESS: Final = (errors.Missing, errors.Forbidden, errors.Garbled)
"""What another try would bring again."""

log = structlog.get_logger()


class Tails:
    """*secrets* are our own, should a log repeat them; *owns* tells whose logs are read here."""

    def __init__(
        self,
        source: Source,
        budget: Budget,
        *,
        ledger: Ledger,
        memory: Memory,
        recorder: Recorder,
        luck: Luck,
        secrets: Sequence[str] = (),
        owns: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._source = source
        self._budget = budget
        self._ledger = ledger
        self._memory = memory
        self._recorder = recorder
        self._luck = luck
        self._secrets = secrets
        self._owns = owns
        self._waiting: dict[str, None] = {}
        self._reading: set[str] = set()
        self._changed = anyio.Event()

    def __len__(self) -> int:
        """Count the instances that wait for their logs."""
        return len(self._waiting)

    def changed(self, change: Change) -> None:
        """Something was recorded: hosts may have failed."""
        if self._is_mine(change.state.key) and state.wanting(change.state):
            self._add(change.state.key)

    async def run(self) -> None:
        """Read until cancelled, first what an earlier run did not come to."""
        await self.take_up()
        async with anyio.create_task_group() as tasks:
            for n in range(AT_ONCE):
                tasks.start_soon(self._read_on, name=f"logs {self._source.name}/{n}")

    async def take_up(self) -> None:
        """Read what somebody else did not come to."""
        for key in filter(self._is_mine, await self._ledger.alerting()):
            self._add(key)

    def _is_mine(self, key: str) -> bool:
        return key.startswith(f"{self._source.name}/") and self._owns(key)

    def _add(self, key: str) -> None:
        self._waiting.setdefault(key)
        if len(self._waiting) > BACKLOG:
            del self._waiting[next(iter(self._waiting))]
        self._changed.set()

    async def _read_on(self) -> Never:
        while True:
            key = await self._next()
            await self._read(key)
            self._reading.discard(key)
            self._changed.set()

    async def _next(self) -> str:
        while (key := next(self._free(), None)) is None:
            if self._changed.is_set():
                self._changed = anyio.Event()
            await self._changed.wait()
        del self._waiting[key]
        self._reading.add(key)
        return key

    def _free(self) -> Iterator[str]:
        return (key for key in self._waiting if key not in self._reading)

    async def _read(self, key: str) -> None:
        """Read what is wanted of one instance: gather → decide → apply."""
        instance, known = model.read_key(key), await self._memory.load(key)
        if instance is not None:
            for wanted in state.wanting(known):
                tails = await self._tails(instance, wanted)
                await self._remember(key, {wanted.step_instance_id: tails})

    async def _remember(self, key: str, tails: clusters.Tails) -> None:
        await self._recorder.insist(key, lambda known: state.heard(known, tails))

    async def _tails(self, key: InstanceKey, wanted: Wanted) -> Mapping[HostId, Tail]:
        texts: dict[HostId, str] = {}
        size = self._source.means.tails or len(wanted.hosts)
        for start in range(0, len(wanted.hosts), size):
            hosts = wanted.hosts[start : start + size]
            texts |= await self._insist(key, wanted.step_instance_id, hosts)
        return {
            host: Tail(wanted.execute_count, self._redacted(texts.get(host, "")))
            for host in wanted.hosts
        }

    def _redacted(self, text: str) -> str:
        return redaction.redacted(text, known=self._secrets)

    async def _insist(
        self, key: InstanceKey, step: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        for failures in range(1, TRIES + 1):
            try:
                return await self._ask(key, step, hosts)
            except errors.SourceError as error:
                if failures == TRIES or isinstance(error, HOPELESS):
                    log.debug("logs.given_up", key=str(key), reason=str(error))
                    break
            await anyio.sleep(backoff.full_jitter(failures, self._luck()))
        return {}

    async def _ask(
        self, key: InstanceKey, step: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        with anyio.CancelScope() as patience:
            async with self._budget.turn(spare=True):
                patience.deadline = anyio.current_time() + DEADLINE
                return await self._source.tails(key, step, hosts)
        # Outside the turn: it must not slow down the visits.
        raise errors.Unavailable(f"no log within {DEADLINE:.0f} s")
