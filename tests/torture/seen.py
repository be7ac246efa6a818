"""Which states of each instance are on record, against those that it truly had.

A state must be on record if JOB told it to an owner of its shard that then stayed well,
and had a database, for long enough to write it down; and also if there was such an
owner for so long at a stretch that he must have asked. Other states may have been
missed: that is polling, and no loss. Instances whose answers are spoilt are left out.
"""

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from msgspec import Struct

from monitor.core.message import Message
from monitor.core.shards import SHARDS, shard
from monitor.simulator.instance import Instance
from monitor.simulator.story import Story
from tests.torture.evidence import Evidence
from tests.torture.members import Life
from tests.torture.sampling import Tenure
from tests.torture.schedule import RECOVERY

WRITTEN: Final = 15.0
"""Seconds after an answer until what it says is surely on record."""

Stretch = tuple[float, float]


class State(Struct, frozen=True):
    """From *begin* to *end* the instance *key* had this *status*."""

    key: str
    begin: float
    end: float
    status: int


class Sight(Struct):
    """What was true of instances, what is known, and what must be."""

    true: list[State]
    must: list[State]
    known: dict[str, list[int]]

    def missed(self) -> Iterator[str]:
        """List the instances of which too little is on record."""
        for key, must in _by_key(self.must):
            known = self.known.get(key, [])
            if not _runs_through(must, known):
                yield f"{key}: {known} on record, {must} must be"

    def invented(self) -> Iterator[str]:
        """List those of which something is on record that never was."""
        for key, true in _by_key(self.true):
            known = self.known.get(key, [])
            if not _runs_through(known, true):
                yield f"{key}: {known} on record, {true} were"


def sight(evidence: Evidence, events: Iterable[Message]) -> Sight:
    true = [
        state
        for instance in evidence.world.instances.values()
        for state in _states(instance, evidence)
    ]
    return Sight(true, [*_sure(evidence, true)], _recorded(events))


def _sure(evidence: Evidence, states: Iterable[State]) -> Iterator[State]:
    well, looks = stretches(evidence), evidence.looks()
    for state in states:
        mine, asked = well[shard(state.key)], looks.get(state.key, ())
        long = 2 * evidence.plan.max_interval + evidence.plan.slack
        if _longest(mine, state.begin, state.end) >= long or _told(state, asked, mine):
            yield state


def _told(state: State, asked: Sequence[float], well: Sequence[Stretch]) -> bool:
    """Tell whether somebody heard of *state* who could write it down."""
    heard = asked[bisect_left(asked, state.begin) : bisect_left(asked, state.end)]
    return any(_is_inside(at, at + WRITTEN, well) for at in heard)


def _is_inside(begin: float, end: float, stretches: Sequence[Stretch]) -> bool:
    later = bisect_right(stretches, begin, key=itemgetter(0))
    return later > 0 and end <= stretches[later - 1][1]


def _recorded(events: Iterable[Message]) -> dict[str, list[int]]:
    statuses: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.type.startswith("bkjob.instance.") and not event.type.endswith("gone"):
            statuses[event.key].append(json.loads(event.data)["after"]["status"])
    return {key: _without_repeats(many) for key, many in statuses.items()}


def _states(instance: Instance, evidence: Evidence) -> Iterator[State]:
    assert isinstance(instance.story, Story)
    if instance.story.faults:
        return
    begun = [
        (evidence.zero + instance.began + frame.at, frame.moment.status)
        for frame in instance.story.timeline.frames
        if frame.moment is not None
    ]
    ends = [*(at for at, _ in begun[1:]), evidence.ended]
    frames = zip(begun, ends, strict=True)
    for status, group in groupby(frames, lambda frame: frame[0][1]):
        lasting = [*group]
        (begin, _), end = lasting[0][0], min(lasting[-1][1], evidence.ended)
        yield State(f"prod/biz/{instance}", begin, end, status)


def stretches(evidence: Evidence) -> list[list[Stretch]]:
    """Give for each shard when it had an owner that was well, and a database."""
    tenures = evidence.sampler.tenures
    return [[*_well(evidence, tenures[each])] for each in range(SHARDS)]


def _well(evidence: Evidence, tenures: Sequence[Tenure]) -> Iterator[Stretch]:
    ends = [*(later.at for later in tenures[1:]), evidence.ended]
    for tenure, end in zip(tenures, ends, strict=True):
        if life := evidence.life(tenure.pid):
            for begin, until in life.well(evidence.ended):
                inside = max(begin, tenure.at), min(until, end)
                yield from _with_a_database(inside, _cuts(evidence, life))


def _cuts(evidence: Evidence, life: Life) -> list[Stretch]:
    severed = [(s.at, s.until) for s in evidence.severed if s.pid == life.pid]
    return [*evidence.outages, *severed]


def _with_a_database(stretch: Stretch, outages: Iterable[Stretch]) -> Iterator[Stretch]:
    begin, end = stretch
    for down, up in sorted(outages):
        if down < end and up + RECOVERY > begin:
            yield begin, down
            begin = up + RECOVERY
    yield begin, end


def _longest(stretches: Iterable[Stretch], begin: float, end: float) -> float:
    return max((min(e, end) - max(b, begin) for b, e in stretches), default=0.0)


def _by_key(states: Iterable[State]) -> Iterator[tuple[str, list[int]]]:
    for key, group in groupby(states, lambda state: state.key):
        yield key, _without_repeats(state.status for state in group)


def _without_repeats(statuses: Iterable[int]) -> list[int]:
    return [status for status, _ in groupby(statuses)]


def _runs_through(some: Sequence[int], others: Sequence[int]) -> bool:
    """Tell whether *others* are *some*, with none or more between."""
    left = iter(others)
    return all(status in left for status in some)
