"""Who is watched at one source, and what is kept in memory of each between visits.

Also the view that those have of it who look at many at once: a list that vouches
for instances, a callback that names one, the price of looking at them all. Asks
nothing, records nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from math import inf
from typing import Final, Protocol

import anyio
from msgspec import Struct

from monitor.core import model
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.watch import Severity, Watch
from monitor.looking import Memo
from monitor.ports import Head

CRITICAL: Final = 2.0
"""How much more a look at a watch of this severity is worth than at another."""

Kinds = tuple[str, ...]
"""Of which kind an instance is, the narrowest kind first."""


class Plan(Protocol):
    """The scheduler, as far as it is told from outside when to visit whom."""

    def spread(self, keys: Iterable[InstanceKey], seconds: float) -> None: ...
    def plan(self, key: InstanceKey, delay: float = 0.0) -> None: ...
    def put_off(self, key: InstanceKey, delay: float) -> None: ...
    def urge(self, key: InstanceKey) -> None: ...
    def drop(self, key: InstanceKey) -> None: ...


class First(Struct, frozen=True, gc=False):
    """When an instance was first seen, and when JOB says that it had last moved."""

    seen_at: datetime
    moved_at: datetime


class Track(Memo):
    """What is kept of one watch.

    *changed_at*, *stepped_at* and *finished_at* are as in ``State``; *began* is when
    the job started, on the clock of the event loop, so that ages are a subtraction.
    *pause* is how long the scheduler was told to wait. *due* is when, on that clock,
    something may be wrong though nothing changed. *vouched*: a list is watched
    instead, and says when something moves.
    """

    __slots__ = (
        "began",
        "changed_at",
        "created_at",
        "due",
        "failures",
        "finished_at",
        "first",
        "kinds",
        "missing",
        "missing_at",
        "pause",
        "paused",
        "seen_at",
        "stepped_at",
        "vouched",
        "watch",
    )

    def __init__(self, watch: Watch, head: Head | None) -> None:
        super().__init__()
        self.watch = watch
        self.pause = 1.0
        self.due = inf
        self.seen_at = -inf
        self.paused = False
        self.failures = 0
        self.missing = 0
        self.missing_at = 0.0
        self.changed_at = self.stepped_at = head.changed_at if head else None
        self.finished_at = head.finished_at if head else None
        self.created_at: datetime | None = None
        self.began: float | None = None
        self.kinds: Kinds = ()
        self.vouched = False
        self.first: First | None = None

    @property
    def still_since(self) -> datetime | None:
        """When something last moved: what JOB says of it, until we see it move."""
        first = self.first
        if first is not None and self.changed_at == first.seen_at:
            return first.moved_at
        return self.changed_at

    @property
    def weight(self) -> float:
        return CRITICAL if self.watch.options.severity is Severity.CRITICAL else 1.0

    def place(self, known: Snapshot, now: datetime) -> None:
        """Note when the job began and of which kind it is."""
        start = known.started_at or known.created_at
        self.created_at = known.created_at
        self.kinds = kinds_of(self.watch.key, known)
        if self.first is None and self.changed_at is not None:
            moved = min(self.changed_at, model.last_moved(known) or self.changed_at)
            self.first = First(self.changed_at, moved)
        age = max(0.0, (now - start).total_seconds()) if start else 0.0
        self.began = anyio.current_time() - age


def kinds_of(key: InstanceKey, *told: Snapshot | None) -> Kinds:
    """Name the kinds of an instance by what was *told* of it, the newest first."""
    known = [snapshot for snapshot in told if snapshot is not None]
    plans = (snapshot.plan_id for snapshot in known if snapshot.plan_id is not None)
    names = (snapshot.name for snapshot in known if snapshot.name)
    return kinds(key.source, key.scope, next(plans, None), next(names, ""))


@lru_cache(maxsize=4096)  # so that those who are alike hold the same object
def kinds(source: str, scope: str, plan_id: int | None, name: str) -> Kinds:
    """Name the kinds of an instance: those who run the same plan, or have its name."""
    alike = f"plan {plan_id}" if plan_id is not None else f"name {name}"
    return f"{scope} {alike}", scope, source


class Tracks(dict[InstanceKey, Track]):
    """By key; *plan* is the scheduler's."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        # Grows only: a scope that is gone costs a look in vain.
        self._scopes: set[tuple[str, str]] = set()

    def follow(self, tracks: Mapping[InstanceKey, Track]) -> None:
        self.update(tracks)
        self._scopes |= {(key.scope_type, key.scope_id) for key in tracks}

    def scopes(self) -> dict[str, int]:
        """Count the instances of each scope."""
        counts: dict[str, int] = {}
        for key in self:
            counts[key.scope] = counts.get(key.scope, 0) + 1
        return counts

    def of(self, scope: str) -> Iterator[tuple[InstanceKey, Track]]:
        source, scope_type, scope_id = scope.split("/")
        for key, track in self.items():
            if (key.scope_id, key.scope_type, key.source) == (
                scope_id,
                scope_type,
                source,
            ):
                yield key, track

    def named(self, source: str, job_instance_id: int) -> Iterator[InstanceKey]:
        """Find who has this id, in whatever scope: JOB gives each id once."""
        for scope_type, scope_id in self._scopes:
            key = InstanceKey(source, scope_type, scope_id, job_instance_id)
            if key in self:
                yield key

    def running(self) -> Iterator[tuple[Kinds, float, float]]:
        """Say of those that have not finished their kinds, age and weight."""
        now = anyio.current_time()
        for track in self.values():
            if track.paused:
                continue
            if track.began is not None and track.finished_at is None:
                yield track.kinds, max(0.0, now - track.began), track.weight

    def hint(self, key: InstanceKey, *, moved: bool = False) -> bool:
        """Visit *key* next; with its hosts, where it is known to have *moved*."""
        track = self.get(key)
        if track is None or track.paused:
            return False
        track.hurried = track.hurried or moved
        # Until a list has seen it as that visit will.
        track.vouched = False
        self._plan.urge(key)
        return True
