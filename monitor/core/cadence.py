"""When to look at an instance again.

Pure arithmetic in seconds; the scheduler obeys it. Until durations have been
learnt, the interval grows like the square root of the time since something last
changed: at equal cost that beats a fixed interval where durations are
heavy-tailed, and an interval in proportion to age is the worst of the simple
rules. Once they have, looks follow the learnt hazard at the price of the source
(``hazard``, ``price``). While its source is lost an instance is not asked for an interval at all:
one probe of the source backs off by itself (``sight``).
"""

from math import sqrt
from typing import Final

from msgspec import Struct

from monitor.core.hazard import Curve

# JOB samples its own agents 10 times each second, then each 2 s up to 1 min, each
# 5 s up to 5 min, then each 10 s: looking more often cannot show more.
# Source: bk-job ScriptTaskResultHandleScheduleStrategy, read 2026-11.
_SAMPLING: Final = ((10.0, 1.0), (60.0, 2.0), (300.0, 5.0))
_SAMPLING_AFTERWARDS: Final = 10.0
_JITTER: Final = 0.1
# Up to this a learnt wait may be longer than the age. With 60 s the narrow classes
# were looked at several times before anything could end (benchmarks.cadence).
_UNCAPPED: Final = 300.0


class Limits(Struct, frozen=True, kw_only=True):
    """*floor* is None where the user left it to JOB's own sampling."""

    floor: float | None = None
    cap: float = 60.0


def interval(quiet: float, age: float, limits: Limits, luck: float) -> float:
    """Say how long to wait when nothing has changed for *quiet* seconds.

    *age* is that of the step under way: JOB samples its agents by it. Varied by
    ±10 % so that instances that started together drift apart, never below *floor*;
    *cap* always binds.
    """
    floor = _sampling(age) if limits.floor is None else limits.floor
    root = sqrt(quiet) if quiet > 0 else 0.0
    # Asked after each poll: comparing costs a third of calling min and max.
    wait = (root if root > floor else floor) * (1 + _JITTER * (2 * luck - 1))
    if wait < floor:
        wait = floor
    return wait if wait < limits.cap else limits.cap


def learnt(
    curve: Curve,
    age: float,
    stride: float,
    limits: Limits,
    luck: float,
    *,
    since: float,
    stretch: float = 1.0,
) -> float:
    """Say how long to wait by what has been learnt of instances like this one.

    *stride* is the price of its source over the root of its weight. *age* is that of
    the instance, *since* that of the step under way. Floor and jitter are as in
    ``interval``. However little is expected, no wait is longer than *cap*, nor than
    five minutes or the age; only where the budget cannot hold that, *stretch* times
    as long (``price.stretch``).
    """
    floor, cap = bounds(age, limits, since, stretch)
    wait = curve.next_age(age, stride) - age
    wait = (wait if wait > floor else floor) * (1 + _JITTER * (2 * luck - 1))
    if wait < floor:
        wait = floor
    return wait if wait < cap else cap


def bounds(
    age: float, limits: Limits, since: float, stretch: float = 1.0
) -> tuple[float, float]:
    """Give the shortest and the longest wait by what has been learnt."""
    floor = _sampling(since) if limits.floor is None else limits.floor
    cap = age if age > _UNCAPPED else _UNCAPPED
    return floor, (cap if cap < limits.cap else limits.cap) * stretch


def settling(since_finished: float, limits: Limits, luck: float) -> float:
    """Say how long to wait before looking at a finished instance again.

    Once soon, because JOB writes hosts, step and job one after the other and a
    first finished answer may be torn (reference 4.6); then at leisure, because
    people retry failed hosts.
    """
    soon = interval(0.0, 0.0, limits, 0.0)
    if since_finished < soon:
        return soon
    leisurely = limits.cap * (1 - _JITTER * luck)
    return min(limits.cap, max(limits.floor or 0.0, leisurely))


def _sampling(age: float) -> float:
    for until, period in _SAMPLING:
        if age < until:
            return period
    return _SAMPLING_AFTERWARDS
