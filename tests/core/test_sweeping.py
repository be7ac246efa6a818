from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from monitor.core import sweeping
from monitor.core.listing import Query, Row
from monitor.core.model import InstanceKey
from monitor.core.sweeping import Limits, Standing, Trace, Verdict
from tests.support.answers import a_key
from tests.support.clock import MORNING
from tests.support.rows import ListingSource, a_row

RANGE = timedelta(days=30)
DAY = 86_400.0


def a_standing(number: int, ago: float = 60.0, status: int = 2) -> Standing:
    created_at = MORNING - timedelta(seconds=ago)
    return Standing(key=a_key(number), status=status, created_at=created_at)


def swept(
    source: ListingSource, standings: Iterable[Standing]
) -> tuple[set[InstanceKey], set[InstanceKey], list[Query]]:
    """Go all the way; say who was seen, who was missed, and what was asked."""
    way = sweeping.course(standings, RANGE)
    tracked = {one.key for one in way.standings}
    query: Query | None = sweeping.first(way)
    queries: list[Query] = []
    seen: set[InstanceKey] = set()
    while query is not None:
        page = source.answer(query)
        queries.append(query)
        seen |= {row.key for row in page.rows} & tracked
        query = sweeping.onward(way, query, page, seen)
    return seen, {one.key for one in sweeping.missed(way, None, seen)}, queries


class Listed:
    """Instances of which some have a row, some are tracked, and some both."""

    def __init__(self, drawn: Sequence[tuple[int, bool, bool]], page: int) -> None:
        moments: list[int] = []
        self.rows, self.standings = [], []
        for number, (ms, listed, tracked) in enumerate(drawn, 1):
            if listed and moments.count(ms) < page - 1:
                moments.append(ms)
                self.rows.append(a_row(number, ago=ms / 1_000))
            if tracked:
                self.standings.append(a_standing(number, ms / 1_000))


moments = st.integers(0, 20) | st.integers(0, 5_000) | st.integers(0, 70 * 86_400_000)
drawn = st.lists(st.tuples(moments, st.booleans(), st.booleans()), max_size=60)


@given(drawn=drawn, page=st.integers(2, 9), luck=st.integers(0, 99))
def test_every_tracked_instance_is_in_a_page_or_missed(
    drawn: list[tuple[int, bool, bool]], page: int, luck: int
) -> None:
    listed = Listed([*drawn, (7, True, True)], page)
    source = ListingSource(*listed.rows, page=page, luck=luck)

    seen, missed, queries = swept(source, listed.standings)

    tracked = {one.key for one in listed.standings}
    assert seen == tracked & source.rows.keys()
    assert missed == tracked - source.rows.keys()
    assert all(query.until - query.since <= RANGE for query in queries)


@given(drawn=drawn, page=st.integers(1, 9), luck=st.integers(0, 99))
def test_a_sweep_ends_whatever_the_list_says(
    drawn: list[tuple[int, bool, bool]], page: int, luck: int
) -> None:
    rows = [a_row(n, ago=ms / 1_000) for n, (ms, _, _) in enumerate(drawn, 1)]
    standings = [
        a_standing(n, ms / 1_000) for n, (ms, _, t) in enumerate(drawn, 1) if t
    ]
    standings.append(a_standing(1_000, 7))
    source = ListingSource(*rows, page=page, luck=luck)

    seen, missed, queries = swept(source, standings)

    assert seen | missed == {one.key for one in standings}
    # Where every moment is full, each row may cost a page, and each instance a jump.
    assert len(queries) <= 3 * (len(rows) + len(standings)) + 5


def test_a_page_is_asked_for_the_newest_first_by_jobs_own_clock() -> None:
    way = sweeping.course([a_standing(1, 50), a_standing(2, 90)], RANGE)

    query = sweeping.first(way)

    assert query.until == MORNING - timedelta(seconds=50) + sweeping.MARGIN
    assert query.since == MORNING - timedelta(seconds=90) - sweeping.MARGIN


def test_times_in_which_nothing_tracked_was_created_are_jumped_over() -> None:
    crowd = [a_row(n, ago=100.0 + n) for n in range(1, 30_001)]
    old = [a_row(50_000 + n, ago=40_000.0 + n) for n in range(10)]
    new = [a_row(60_000 + n, ago=float(n)) for n in range(10)]
    standings = [
        a_standing(row.key.job_instance_id, (MORNING - row.created_at).total_seconds())
        for row in (*old, *new)
    ]

    seen, missed, queries = swept(ListingSource(*crowd, *old, *new), standings)

    assert (len(seen), missed, len(queries)) == (20, set(), 2)
    assert {query.start for query in queries} == {0}


def test_deep_lists_are_read_without_deep_offsets() -> None:
    rows = [a_row(n, ago=n / 10) for n in range(1, 25_001)]
    standings = [a_standing(n, n / 10) for n in range(1, 25_001)]

    seen, missed, queries = swept(ListingSource(*rows, page=1_000), standings)

    assert (len(seen), missed) == (25_000, set())
    assert {query.start for query in queries} == {0}
    assert len(queries) == 26


def test_instances_of_months_are_asked_for_in_ranges_that_job_allows() -> None:
    rows = [a_row(n, ago=n * 29 * DAY) for n in range(4)]
    standings = [a_standing(n, n * 29 * DAY) for n in range(4)]

    seen, _, queries = swept(ListingSource(*rows), standings)

    assert len(seen) == 4
    assert max(query.until - query.since for query in queries) <= RANGE


def test_what_was_not_reached_is_not_missed() -> None:
    rows = [a_row(n, ago=float(n)) for n in range(1, 7)]
    way = sweeping.course([a_standing(n, float(n)) for n in range(1, 10)], RANGE)
    source = ListingSource(*rows[1:], page=3)
    query = sweeping.first(way)
    page = source.answer(query)
    seen = {row.key for row in page.rows}

    rest = sweeping.onward(way, query, page, seen)

    assert [one.key for one in sweeping.missed(way, rest, seen)] == [a_key(1)]


RUNNING = a_row(1)
ENDED = structs.replace(RUNNING, status=4, ended_at=MORNING)
AGAIN = structs.replace(ENDED, ended_at=MORNING + timedelta(seconds=9))


def as_read(row: Row, at: float) -> Trace:
    return sweeping.traced(row, None, at)


@pytest.mark.parametrize(
    ("known", "seen_at", "row", "before", "verdict"),
    [
        (2, 0.0, RUNNING, None, Verdict.SAME),
        (2, 9.0, ENDED, None, Verdict.CHANGED),
        (4, 9.0, RUNNING, None, Verdict.CHANGED),
        (4, 9.0, ENDED, as_read(ENDED, 5.0), Verdict.SAME),
        (4, 9.0, AGAIN, as_read(ENDED, 5.0), Verdict.CHANGED),
        (4, 9.0, ENDED, None, Verdict.UNSURE),
        (4, 4.0, ENDED, as_read(ENDED, 5.0), Verdict.UNSURE),
    ],
)
def test_a_row_is_compared_with_what_is_known_and_with_the_row_before(
    known: int, seen_at: float, row: Row, before: Trace | None, verdict: Verdict
) -> None:
    standing = structs.replace(a_standing(1, status=known), seen_at=seen_at)

    assert sweeping.judge(standing, row, before) is verdict


def test_a_trace_remembers_since_when_the_row_says_so() -> None:
    first = sweeping.traced(ENDED, None, 5.0)

    assert sweeping.traced(ENDED, first, 8.0).since == 5.0
    assert sweeping.traced(AGAIN, first, 8.0).since == 8.0


@pytest.mark.parametrize(
    ("intervals", "pages", "expected"),
    [
        ([5.0] * 11, 1, 2.0),
        ([5.0] * 100, 4, 8.0),
        ([5.0] * 100, 99, None),
        ([60.0] * 2, 1, None),
        ([60.0] * 4, 1, 60.0),
        ([], 1, None),
    ],
)
def test_a_list_is_read_as_often_as_it_is_worth(
    intervals: list[float], pages: int, expected: float | None
) -> None:
    assert sweeping.period(intervals, pages, Limits(), 4.0) == expected


@given(
    intervals=st.lists(st.floats(1, 600), max_size=50),
    pages=st.integers(1, 20),
    needed=st.floats(1, 5),
)
def test_what_is_read_replaces_what_it_must(
    intervals: list[float], pages: int, needed: float
) -> None:
    limits = Limits()
    seconds = sweeping.period(intervals, pages, limits, needed)

    at = limits.cap if seconds is None else seconds
    worth = sum(sweeping.weight(one, at) for one in intervals)
    assert (worth >= needed * pages) is (seconds is not None)
    assert min(limits.cap, limits.floor * pages) <= at <= limits.cap
