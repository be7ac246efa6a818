"""What a run measured, for people and for programs."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import mean
from typing import Final

from msgspec import Struct

from tests.torture import seen
from tests.torture.evidence import Evidence
from tests.torture.schedule import PROMISE
from tests.torture.takeovers import Takeover, takeovers
from tests.torture.verdict import judge, repeats

SHOWN: Final = 10
"""Breaches of one promise that a table shows."""


class Spread(Struct, frozen=True):
    """Seconds."""

    number: int
    least: float
    mean: float
    p99: float
    most: float


class Replaced(Struct, frozen=True):
    """How shards changed hands; *late* are those above the promise, or never."""

    within: Spread | None
    late: int
    never: int


class Figures(Struct, kw_only=True):
    seed: int
    daemons: int
    skewed: bool
    """Whether the clocks were an hour apart; they are not without libfaketime."""

    instances: int
    seconds: float
    faults: dict[str, int]
    takeovers: dict[str, Replaced]
    """By kind of fault; apart, where the database was away meanwhile."""

    writes: int
    stale_writes: int
    events: int
    notifications: int
    events_lost: int
    states: int
    states_sure: int
    """States that lasted while somebody was well enough to see them."""

    states_missed: int
    duplicates: int
    duplicates_by: dict[str, int]
    disorder: int
    commit_to_receipt: Spread | None
    longest_silence: float
    ended_by_themselves: list[str]
    breaches: dict[str, list[str]]


def measured(evidence: Evidence) -> Figures:
    events = evidence.record.events()
    sight = seen.sight(evidence, events)
    repeated = [*repeats(evidence)]
    verdict = judge(evidence, sight, repeated)
    receiver = evidence.receiver
    return Figures(
        seed=evidence.plan.seed,
        daemons=evidence.plan.daemons,
        skewed=evidence.skewed,
        instances=len(evidence.world.instances),
        seconds=evidence.ended - evidence.began,
        faults=dict(Counter(struck.kind.value for struck in evidence.struck)),
        takeovers=_replaced(takeovers(evidence)),
        writes=len(evidence.writes),
        stale_writes=len(verdict.stale),
        events=len({w.id for w in evidence.writes if w.relation == "events"}),
        notifications=len(receiver.notifications),
        events_lost=len(verdict.lost),
        states=len(sight.true),
        states_sure=len(sight.must),
        states_missed=len(verdict.missed),
        duplicates=sum(len(repeat.moments) - 1 for repeat in repeated),
        duplicates_by=dict(Counter(r.why or "nothing" for r in repeated)),
        disorder=len(verdict.disorder),
        commit_to_receipt=_spread([*_delays(evidence)]),
        longest_silence=_silence(evidence),
        ended_by_themselves=[
            f"daemon {life.member} ended with {life.code}: {life.said}"
            for life in evidence.lives
            if life.code is not None
        ],
        breaches={name: lines[:SHOWN] for name, lines in verdict.breaches.items()},
    )


def _replaced(found: Iterable[Takeover]) -> dict[str, Replaced]:
    by: dict[str, list[float | None]] = defaultdict(list)
    for takeover in found:
        during = " while the database was away" if takeover.disturbed else ""
        by[f"{takeover.kind.value}{during}"].append(takeover.seconds)
    return {name: _handed_over(by[name]) for name in sorted(by)}


def _handed_over(seconds: Sequence[float | None]) -> Replaced:
    done = [each for each in seconds if each is not None]
    never = len(seconds) - len(done)
    late = sum(each > PROMISE for each in done) + never
    return Replaced(_spread(done), late, never)


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    ordered = sorted(values)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    return Spread(len(ordered), ordered[0], mean(ordered), p99, ordered[-1])


def _delays(evidence: Evidence) -> Iterator[float]:
    """Tell how long after its COMMIT each event or notification came."""
    came = {delivery.id: delivery.at for delivery in reversed(evidence.receiver.taken)}
    for write in evidence.writes:
        if write.relation != "states" and write.id in came:
            yield came[write.id] - (write.at - evidence.date_of_zero)


def _silence(evidence: Evidence) -> float:
    moments = [delivery.at for delivery in evidence.receiver.deliveries]
    return max((later - one for one, later in pairwise(moments)), default=0.0)


def table(found: Figures) -> str:
    return "\n".join([*_overview(found), *_takeovers(found), *_breaches(found)])


def _overview(found: Figures) -> Iterator[str]:
    clocks = "an hour apart" if found.skewed else "the same"
    yield (
        f"{found.daemons} daemons, {found.instances:,} instances, {found.seconds:,.0f} s,"
        f" seed {found.seed}, clocks {clocks}"
    )
    did = ", ".join(f"{number} × {kind}" for kind, number in found.faults.items())
    yield f"faults: {did or 'none'}"
    yield f"events {found.events:,}, notifications {found.notifications:,}"
    yield f"events lost: {found.events_lost}"
    yield (
        f"states missed: {found.states_missed} of {found.states_sure:,} that must be"
        f" seen ({found.states:,} in all)"
    )
    yield f"stale writes: {found.stale_writes} of {found.writes:,}"
    by = ", ".join(f"{number} {why}" for why, number in found.duplicates_by.items())
    yield f"duplicates: {found.duplicates} ({by or 'none'})"
    yield f"out of order: {found.disorder}"
    if delay := found.commit_to_receipt:
        yield f"COMMIT to receipt: {_told(delay)}"
    yield f"longest silence: {found.longest_silence:.1f} s"
    yield f"ended by themselves: {len(found.ended_by_themselves)}"
    yield from (f"  {line}" for line in found.ended_by_themselves[:SHOWN])


def _takeovers(found: Figures) -> Iterator[str]:
    for kind, replaced in found.takeovers.items():
        spread = _told(replaced.within) if replaced.within else "none"
        yield (
            f"takeover after {kind}: {spread}; {replaced.late} above {PROMISE:g} s"
            f" ({replaced.never} never)"
        )


def _told(spread: Spread) -> str:
    return (
        f"{spread.number:,} shards or messages, {spread.least:.2f} to {spread.most:.2f} s,"
        f" mean {spread.mean:.2f}, p99 {spread.p99:.2f}"
    )


def _breaches(found: Figures) -> Iterator[str]:
    for name, lines in found.breaches.items():
        yield f"BROKEN: {name}"
        yield from (f"  {line}" for line in lines)
