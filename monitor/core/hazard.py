"""How likely what is running is to end now, by its age, as learnt from its like.

A table counts, in 65 bins of age, the seconds that were lived there and the ends
that came there; a curve is what the tables of one class and of those above it say
together. Ages are seconds. Nothing here knows an instance, a clock or a budget.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise, repeat
from math import exp, expm1, log, sqrt
from operator import mul
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

EDGES: Final[tuple[float, ...]] = (0.0, *(10.0 ** (n / 8) for n in range(65)))
"""A bin up to 1 s, then eight for each decade up to 10^8 s; the last has no end."""

BINS: Final = len(EDGES) - 1

SHIFT: Final = 240.0
"""Seconds by which the prior counts everything older than it is."""

MIDDLES: Final = tuple((low + high) / 2 for low, high in pairwise(EDGES))

_WIDTHS: Final = tuple(high - low for low, high in pairwise(EDGES))

# What is known of nothing: the longer it has run, the longer it will (Lindy).
_PRIOR: Final = tuple(1.0 / (middle + SHIFT) for middle in MIDDLES)

# How many ends the parent is worth in each bin. With a whole one, the narrow bins of
# early age cost looks long after it was clear that nothing ends there.
_BELIEF: Final = 0.3

# However sure a table is that nothing ends at this age, it is looked at now and then.
_FLOOR: Final = tuple(0.03 * hazard for hazard in _PRIOR)

_HALF_LIFE: Final = 500
_KEPT: Final = 0.5 ** (1 / _HALF_LIFE)


class Table(Struct, frozen=True, array_like=True, gc=False):
    """Watch-seconds and ends of one class; bins that were never reached are absent.

    *seconds* is how long those that ended have run, all together. Stored: it may
    only gain fields, at the end, each with a default.
    """

    exposure: tuple[float, ...] = ()
    deaths: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def completions(self) -> float:
        """How many ends stand behind this, as far as they are not forgotten."""
        return sum(self.deaths)


class Curve(Struct, frozen=True, gc=False):
    """R(t), the integral of √hazard: how far a look has come by age t.

    *slopes* are √hazard in each bin, *rises* is R at each edge.
    """

    slopes: tuple[float, ...]
    rises: tuple[float, ...]

    def at(self, age: float) -> float:
        place = bin_of(age)
        return self.rises[place] + self.slopes[place] * (age - EDGES[place])

    def age_at(self, rise: float) -> float:
        """Say at which age R is *rise*: the inverse of ``at``."""
        place = bisect_right(self.rises, rise, 1, BINS) - 1
        return EDGES[place] + (rise - self.rises[place]) / self.slopes[place]

    def next_age(self, age: float, stride: float) -> float:
        """Say at which age R has grown by *stride* since *age*.

        Integrating matters: a step by the hazard at *age* alone would jump over a
        peak that is still to come.
        """
        place = bisect_right(EDGES, age, 1, BINS) - 1
        slope = self.slopes[place]
        # Mostly the next look is in the same bin; and there nothing is rounded away.
        later = age + stride / slope
        if later <= EDGES[place + 1]:
            return later
        return max(age, self.age_at(self.at(age) + stride))


def bin_of(age: float) -> int:
    return bisect_right(EDGES, age, 1, BINS) - 1


def ended(table: Table, seconds: float, fading: float = 0.0) -> Table:
    """Count one completion after *seconds*, and forget a little of all before it.

    Half is forgotten every 500 completions. *fading* (see there) is forgotten of
    what this one lived through long before its end.
    """
    seconds = max(0.0, seconds)
    lived = _lived_by_one(seconds, fading)
    death = (*repeat(0.0, bin_of(seconds)), 1.0)
    return Table(
        exposure=_sum(lived, (_KEPT * old for old in table.exposure)),
        deaths=_sum(death, (_KEPT * old for old in table.deaths)),
        seconds=_KEPT * table.seconds + seconds,
    )


def merged(known: Table, learnt: Table) -> Table:
    """Add what was *learnt*, from nothing on, to what else is *known*.

    It is as if all of it had ended now, one after the other: that much is forgotten of
    what was known before.
    """
    kept = max(0.0, 1 - (1 - _KEPT) * learnt.completions)
    return Table(
        exposure=_sum(learnt.exposure, (kept * old for old in known.exposure)),
        deaths=_sum(learnt.deaths, (kept * old for old in known.deaths)),
        seconds=kept * known.seconds + learnt.seconds,
    )


def percentile(table: Table, percent: float) -> float | None:
    """Say within how many seconds *percent* of those that ended did so.

    Rounded up to the end of a bin, so by a third at most; None where nothing ended.
    """
    wanted, so_far = table.completions * percent / 100, 0.0
    for died, edge in zip(table.deaths, EDGES[1:], strict=False):
        so_far += died
        if died and so_far >= wanted:
            return edge
    return None


def joined(table: Table, running: Sequence[float], fading: float = 0.0) -> Table:
    """Add what those that still run have lived through; *running* counts them by bin.

    Without them a table knows only those that have ended, the short ones first.
    """
    lived = _lived_by_many(running, fading)
    return replace(table, exposure=_sum(lived, table.exposure))


def fading(table: Table, running: Sequence[float]) -> float:
    """Say how fast, by the second, a class with *running* watches in each bin forgets.

    A table forgets by completions. What was lived through while others ended must be
    forgotten with their ends: otherwise, in a class that has more than a few hundred
    watches running, the old outweigh those that ended at their side, and every hazard
    comes out too low. Ends come at the rate of those that run over how long they do
    (Little); who is older than all that ever ended has no part in it.
    """
    if table.seconds <= 0:
        return 0.0
    alive = sum(running[: len(table.deaths)])
    return log(2) / _HALF_LIFE * alive * table.completions / table.seconds


def hazards(tables: Iterable[Table]) -> tuple[float, ...]:
    """Give the hazard of each bin; the most general table first, then its children.

    Where a table knows little it says what its parent says.
    """
    known = _PRIOR
    for table in tables:
        known = refined(known, table)
    return known


def refined(parent: tuple[float, ...], table: Table) -> tuple[float, ...]:
    """Give the hazards of a class whose parent has the hazards *parent*."""
    deaths = chain(table.deaths, repeat(0.0))
    own = tuple(
        max(floor, (died + _BELIEF) / (lived + _BELIEF / prior))
        for lived, died, prior, floor in zip(
            table.exposure, deaths, parent, _FLOOR, strict=False
        )
    )
    return own + parent[len(own) :]


def curve(by_bin: Sequence[float]) -> Curve:
    """Integrate the roots of the hazards *by_bin*."""
    slopes = tuple(map(sqrt, by_bin))
    return Curve(slopes, tuple(accumulate(map(mul, slopes, _WIDTHS), initial=0.0)))


def _lived_by_one(seconds: float, fading: float) -> list[float]:
    stops = (*EDGES[: bin_of(seconds) + 1], seconds)
    if fading * seconds < 1e-6:
        return [high - low for low, high in pairwise(stops)]
    left = [exp(fading * (stop - seconds)) for stop in stops]
    return [(high - low) / fading for low, high in pairwise(left)]


def _lived_by_many(running: Sequence[float], fading: float) -> list[float]:
    lived = [0.0] * len(running)
    older = 0.0
    # From the oldest down: *older* is how many went through the whole bin, each
    # counted for what is still remembered of that time. Those in it are half through.
    for place in range(len(running) - 1, -1, -1):
        here = running[place]
        if not older and not here:
            continue
        width = _WIDTHS[place]
        half = width / 2
        lived[place] = older * _remembered(width, fading)
        lived[place] += here * _remembered(half, fading)
        older = older * exp(-fading * width) + here * exp(-fading * half)
    return lived


def _remembered(seconds: float, fading: float) -> float:
    if fading * seconds < 1e-6:
        return seconds
    return -expm1(-fading * seconds) / fading


def _sum(one: Iterable[float], other: Iterable[float]) -> tuple[float, ...]:
    first, second = [*one], [*other]
    if len(first) < len(second):
        first, second = second, first
    for place, value in enumerate(second):
        first[place] += value
    return tuple(first)
