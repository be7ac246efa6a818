"""What is known of the instances that are waited for, until waiting is decided.

Remembers nothing beyond that. An instance that has ended stays as it was found.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol

import anyio
from msgspec import structs

from monitor.core import ending
from monitor.core.ending import Condition, Counts, Ending, Finding
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.transitions import Transition

Until = Callable[[], Awaitable[None]]
Looking = Callable[[], Coroutine[Any, Any, None]]


class Hearer(Protocol):
    """Who is told while we look; must return at once.

    *who* cannot be understood is a source, or an instance alone. Who is *handed over*
    by the daemon is looked at directly.
    """

    def moved(self, finding: Finding, moved: Sequence[Transition]) -> None: ...
    def ended(self, finding: Finding) -> None: ...
    def doubted(self, who: str, reason: str) -> None: ...
    def restored(self, who: str) -> None: ...
    def lost(self, source: str, reason: str, instances: int) -> None: ...
    def handed_over(self, instances: int, reason: str) -> None: ...


class Vigil:
    """What has been found so far, in the order in which it was asked for."""

    def __init__(
        self, keys: Iterable[InstanceKey], condition: Condition, hearer: Hearer
    ) -> None:
        self.condition = condition
        self.hearer = hearer
        self.interrupted = self.timed_out = False
        self._found = {key: Finding(key=key) for key in keys}
        self._counts = Counter({Ending.RUNNING: len(self._found)})
        self._over = anyio.Event()

    def __getitem__(self, key: InstanceKey) -> Finding:
        return self._found[key]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._found.values())

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return ending.exit_code(self.condition, self._endings())

    def saw(
        self,
        key: InstanceKey,
        snapshot: Snapshot,
        moved: Sequence[Transition],
        told: Counts | None = None,
    ) -> None:
        finding = structs.replace(self._found[key], snapshot=snapshot, told=told)
        self._found[key] = finding
        self.hearer.moved(finding, moved)

    def end(self, key: InstanceKey, how: Ending, reason: str = "") -> None:
        # Its source may have been lost while this look was under way.
        if self._found[key].ending is not Ending.RUNNING:
            return
        self._settle(key, how, reason)
        self.hearer.ended(self._found[key])

    def lose(self, source: str, how: Ending, reason: str) -> None:
        """End all of *source* that is still running for us."""
        left = [
            key
            for key, finding in self._found.items()
            if key.source == source and finding.ending is Ending.RUNNING
        ]
        for key in left:
            self._settle(key, how, reason)
        self.hearer.lost(source, reason, len(left))

    async def keep(
        self, looking: Iterable[Looking], until: Until, seconds: float | None = None
    ) -> None:
        """Let all of *looking* run until it is decided, *until* returns or time is up."""

        async def interrupt() -> None:
            await until()
            self.interrupted = True
            self._over.set()

        with anyio.move_on_after(seconds) as limit:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(interrupt, name="until")
                for number, look in enumerate(looking):
                    tasks.start_soon(look, name=f"post {number}")
                await self._over.wait()
                tasks.cancel_scope.cancel()
        self.timed_out = limit.cancelled_caught

    def _settle(self, key: InstanceKey, how: Ending, reason: str) -> None:
        before = self._found[key]
        self._found[key] = structs.replace(before, ending=how, reason=reason)
        self._counts[before.ending] -= 1
        self._counts[how] += 1
        if ending.decided(self.condition, self._endings()):
            self._over.set()

    def _endings(self) -> frozenset[Ending]:
        return frozenset(+self._counts)
