"""How a list says whether many instances have changed, at the price of few pages.

The way leads along the instances that are looked at, the newest first, by what JOB
itself says of their creation, so that it does not matter whose clock is right. It
jumps over times in which none of them was created. What a list says is a hint: it
moves visits, never a state.
"""

from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from math import inf
from typing import Final

from msgspec import Struct

from monitor.core import codes, paging
from monitor.core.listing import Page, Query, Row
from monitor.core.model import InstanceKey

MARGIN: Final = timedelta(seconds=1)
"""By how much a status answer and the list may differ about a creation."""

_LONGER: Final = 1.25


class Standing(Struct, frozen=True, kw_only=True, gc=False):
    """What is known of an instance that is looked at.

    *seen_at*: when the last visit that brought an answer began, in seconds of the
    clock of ``Trace.since``. *interval*: in how many seconds it would be visited if
    no list spoke for it.
    """

    key: InstanceKey
    status: int
    created_at: datetime
    seen_at: float = -inf
    interval: float = 0.0


class Trace(Struct, frozen=True, gc=False):
    """What of a row changes when its job does, and *since* when it is read so.

    Not total_time, which JOB counts on while a job runs. Source: bk-job
    EsbGetJobInstanceListV3ResourceImpl, read 2026-11.
    """

    status: int
    started_at: datetime | None
    ended_at: datetime | None
    since: float


class Verdict(Enum):
    SAME = "same"
    CHANGED = "changed"
    UNSURE = "unsure"


class Limits(Struct, frozen=True, kw_only=True):
    """Seconds between two sweeps: *floor* for each page of a list, *cap* at most."""

    floor: float = 2.0
    cap: float = 60.0


class Course(Struct, frozen=True):
    """The way of one sweep: *standings*, the oldest first, of one scope."""

    standings: Sequence[Standing]
    most: timedelta

    @property
    def since(self) -> datetime:
        return self.standings[0].created_at - MARGIN


def course(standings: Iterable[Standing], most: timedelta) -> Course:
    """Lay the way; *most* is the range of one question."""
    return Course(sorted(standings, key=_created_at), most)


def first(way: Course) -> Query:
    """Ask for the newest of them; there must be one."""
    newest = way.standings[-1]
    until = newest.created_at + MARGIN
    query = Query(
        scope_type=newest.key.scope_type,
        scope_id=newest.key.scope_id,
        since=way.since,
        until=until,
    )
    return paging.within(query, until=until, since=way.since, most=way.most)


def onward(
    way: Course, query: Query, page: Page, seen: Container[InstanceKey]
) -> Query | None:
    """Ask for the next of them that is not *seen*; None: all that is left is read."""
    rest = paging.onward(query, page, since=way.since, most=way.most)
    if rest is None:
        return None
    end = bisect_right(way.standings, rest.until, key=_created_at)
    left = (one for one in reversed(way.standings[:end]) if one.key not in seen)
    target = next(left, None)
    if target is None:
        return None
    until = target.created_at + MARGIN
    if rest.start or until >= rest.until:
        return rest
    return paging.within(query, until=until, since=way.since, most=way.most)


def missed(
    way: Course, rest: Query | None, seen: Container[InstanceKey]
) -> list[Standing]:
    """List who was in no row, though all but *rest* was read."""
    return [
        one
        for one in way.standings
        if one.key not in seen and (rest is None or one.created_at > rest.until)
    ]


def judge(standing: Standing, row: Row, before: Trace | None) -> Verdict:
    """Tell whether *row* says something that a visit has yet to see.

    A finished job may have run again and ended alike since it was visited: only
    whom a visit saw after the row became what it is has not changed.
    """
    if row.status != standing.status or (before and not _shows(before, row)):
        return Verdict.CHANGED
    finished = codes.run(row.status).finished
    if finished and (before is None or standing.seen_at < before.since):
        return Verdict.UNSURE
    return Verdict.SAME


def traced(row: Row, before: Trace | None, now: float) -> Trace:
    if before and _shows(before, row):
        return before
    return Trace(row.status, row.started_at, row.ended_at, now)


def weight(interval: float, period: float) -> float:
    """Say how many visits within *period* a row may replace: at most one."""
    return 1.0 if interval <= period else period / interval


def period(
    intervals: Sequence[float], pages: int, limits: Limits, needed: float
) -> float | None:
    """Choose how often to sweep whom one would visit at *intervals*, with *pages*.

    As often as the limits allow and each page replaces *needed* visits; None where
    none does, however rarely it were asked for.
    """
    seconds = min(limits.cap, limits.floor * pages)
    while sum(weight(one, seconds) for one in intervals) < needed * pages:
        if seconds >= limits.cap:
            return None
        seconds = min(limits.cap, seconds * _LONGER)
    return seconds


def _shows(trace: Trace, row: Row) -> bool:
    shown = (row.status, row.started_at, row.ended_at)
    return shown == (trace.status, trace.started_at, trace.ended_at)


def _created_at(standing: Standing) -> datetime:
    return standing.created_at
