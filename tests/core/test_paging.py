from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.core import paging
from monitor.core.listing import Query, Row
from monitor.core.model import InstanceKey
from tests.support.clock import MORNING
from tests.support.rows import ListingSource, a_row

RANGE = timedelta(days=30)
UNTIL = MORNING + timedelta(days=1)


def read(
    source: ListingSource, since: datetime, until: datetime = UNTIL
) -> tuple[list[Row], list[Query]]:
    """Read all of the list of business 2 from *since* to *until*."""
    whole = Query(scope_type="biz", scope_id="2", since=since, until=until)
    query: Query | None = paging.within(whole, until=until, since=since, most=RANGE)
    rows: list[Row] = []
    queries: list[Query] = []
    while query is not None:
        page = source.answer(query)
        rows += page.rows
        queries.append(query)
        query = paging.onward(query, page, since=since, most=RANGE)
    return rows, queries


def keys(rows: Sequence[Row]) -> set[InstanceKey]:
    return {row.key for row in rows}


moments = st.lists(
    st.integers(0, 400_000_000) | st.integers(0, 20) | st.just(7), max_size=60
)


@given(milliseconds=moments, page=st.integers(2, 9), luck=st.integers(0, 99))
def test_every_row_is_read_if_no_page_is_full_of_a_moment_and_its_neighbours(
    milliseconds: list[int], page: int, luck: int
) -> None:
    kept: list[int] = []
    for ms in milliseconds:
        # A page begins with the moment before the one that its predecessor ended in.
        if sum(abs(ms - other) <= 1 for other in kept) < page - 1:
            kept.append(ms)
    rows = [a_row(n, ago=ms / 1_000) for n, ms in enumerate(kept, 1)]
    source = ListingSource(*rows, page=page, luck=luck)

    found, _ = read(source, MORNING - timedelta(days=40))

    assert keys(found) == keys(rows)


@given(milliseconds=moments, page=st.integers(1, 9), luck=st.integers(0, 99))
def test_no_row_outside_the_one_full_moment_is_missed(
    milliseconds: list[int], page: int, luck: int
) -> None:
    rows = [a_row(n, ago=ms / 1_000) for n, ms in enumerate(milliseconds, 1)]
    source = ListingSource(*rows, page=page, luck=luck)

    found, _ = read(source, MORNING - timedelta(days=40))

    sure = [
        row
        for row in rows
        if sum(abs(row.created_at - other.created_at) <= paging.TICK for other in rows)
        < page
    ]
    assert keys(found) >= keys(sure)


def test_a_page_begins_where_the_last_one_ended() -> None:
    source = ListingSource(*(a_row(n, ago=n) for n in range(1, 8)), page=3)

    found, queries = read(source, MORNING - timedelta(hours=1))

    assert [row.key.job_instance_id for row in found] == [1, 2, 3, 3, 4, 5, 5, 6, 7, 7]
    assert {query.start for query in queries} == {0}


def test_only_a_moment_that_fills_a_page_is_read_by_offset() -> None:
    source = ListingSource(
        *(a_row(n, ago=5) for n in range(1, 8)), a_row(8, ago=6), page=3
    )

    found, queries = read(source, MORNING - timedelta(hours=1))

    assert keys(found) >= {a_row(8).key}
    assert [query.start for query in queries] == [0, 0, 3, 6]


def test_offsets_end_before_job_refuses_them() -> None:
    rows = [a_row(n, ago=5) for n in range(1, 12_001)]
    source = ListingSource(*rows, a_row(20_000, ago=6), page=1_000)

    found, queries = read(source, MORNING - timedelta(hours=1))

    assert keys(found) >= {a_row(20_000).key}
    assert max(query.start for query in queries) == paging.DEEPEST


def test_a_long_time_is_read_in_ranges_that_job_allows() -> None:
    rows = [a_row(n, ago=n * 86_400.0) for n in range(1, 70)]
    source = ListingSource(*rows)

    found, queries = read(source, MORNING - timedelta(days=65))

    assert keys(found) == keys(rows[:65])
    assert len(queries) == 3
