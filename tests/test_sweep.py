from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Final

import anyio
import pytest
from structlog.testing import capture_logs

from monitor import errors
from monitor.core.listing import Row
from monitor.core.sweeping import Limits
from monitor.ports import Means
from monitor.sweep import Mode, Sweep
from tests.support import clock
from tests.support.answers import a_key
from tests.support.budget import FreeBudget
from tests.support.rows import ListingSource, a_row
from tests.support.visits import Visits

pytestmark = pytest.mark.looptime

LIMITS: Final = Limits(floor=5.0, cap=60.0)


def rows(numbers: Iterable[int], *, ago: float = 60.0, scope: str = "2") -> list[Row]:
    """Build rows that were created second after second, the first *ago* seconds ago."""
    return [a_row(n, ago=ago + at, scope=scope) for at, n in enumerate(numbers)]


class Sweeping:
    def __init__(self, source: ListingSource, visits: Visits, mode: Mode) -> None:
        self.visits = visits
        self.budget = FreeBudget()
        self.sweep = Sweep(
            source,
            self.budget,
            visits,
            mode=mode,
            limits=LIMITS,
            now=clock.now,
            luck=clock.middling,
        )

    def visits_since(self, when: float) -> int:
        return sum(at >= when for at, _ in self.visits.visits)


@asynccontextmanager
async def sweeping(
    source: ListingSource,
    tracked: Iterable[Row],
    *,
    mode: Mode = "auto",
    interval: float = 10.0,
) -> AsyncIterator[Sweeping]:
    """Sweep and visit *tracked* for as long as the block lasts."""
    visits = Visits(source, interval=interval)
    visits.track(*(row.key for row in tracked))
    all_of_it = Sweeping(source, visits, mode)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(all_of_it.sweep.run)
        tasks.start_soon(visits.run)
        yield all_of_it
        tasks.cancel_scope.cancel()


async def test_one_page_replaces_the_visits_of_all_that_it_shows() -> None:
    listed = rows(range(1, 101))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        await anyio.sleep(604)

        # Each once when the watch began.
        assert len(found.visits.visits) == 100
        assert source.page_times == [5.0 * n for n in range(121)]
        assert found.visits.hinted == []
        assert (found.sweep.pages, found.sweep.rows) == (121, 12_100)
        assert found.sweep.saved == pytest.approx(121 * 50)
        assert found.budget.turns == 121


async def test_what_changed_is_visited_and_no_other() -> None:
    listed = rows(range(1, 101))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        await anyio.sleep(31)
        source.becomes(7, 4, ended_at=clock.now())
        await anyio.sleep(300)

        assert found.visits.hinted == [(35.0, 7, True)]
        later = [key for when, key in found.visits.visits if when > 0]
        assert set(later) == {a_key(7)}


async def test_a_run_that_ended_like_the_one_before_is_seen() -> None:
    listed = rows(range(1, 11))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        await anyio.sleep(1)
        source.becomes(7, 4, ended_at=clock.now())
        await anyio.sleep(40)
        source.becomes(7, 4, ended_at=clock.now())
        await anyio.sleep(40)

        assert found.visits.hinted == [(5.0, 7, True), (45.0, 7, True)]


async def test_a_finished_instance_is_vouched_for_once_a_visit_saw_it_so() -> None:
    listed = rows(range(1, 11))
    source = ListingSource(*listed)
    for number in range(1, 11):
        source.becomes(number, 4, ended_at=clock.MORNING)
    source.latency = 0.5
    async with sweeping(source, listed) as found:
        await anyio.sleep(8)
        assert found.visits.vouched == {}

        await anyio.sleep(300)

        assert len(found.visits.vouched) == 10
        assert found.visits.hinted == []
        assert len(found.visits.visits) == 20


async def test_an_instance_that_no_row_shows_is_visited_as_ever() -> None:
    listed = rows(range(1, 101))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        await anyio.sleep(11)
        source.hidden.add(a_key(7))
        await anyio.sleep(90)

        assert found.visits.hinted == [(15.0, 7, False)]
        assert len(found.visits.vouched) == 99
        later = [key for when, key in found.visits.visits if when > 0]
        assert later == [a_key(7)] * 9


async def test_absence_is_a_hint_once_in_some_minutes() -> None:
    listed = rows(range(1, 101))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        source.hidden.add(a_key(7))
        await anyio.sleep(1_000)

        assert found.visits.hints == [(0.0, 7), (600.0, 7)]


@pytest.mark.parametrize(
    ("instances", "mode", "pages"),
    [(2, "auto", 0), (3, "auto", 0), (4, "auto", 12), (1, "on", 12), (50, "off", 0)],
)
async def test_a_list_is_read_only_where_that_is_worth_it(
    instances: int, mode: Mode, pages: int
) -> None:
    listed = rows(range(1, instances + 1))
    source = ListingSource(*listed)
    async with sweeping(source, listed, mode=mode, interval=5.0) as found:
        await anyio.sleep(59)

        assert found.sweep.pages == pages


async def test_what_pays_at_leisure_is_read_at_leisure() -> None:
    listed = rows(range(1, 11))
    source = ListingSource(*listed)
    async with sweeping(source, listed, interval=60.0) as found:
        await anyio.sleep(600)

        assert 20 <= found.sweep.pages <= 30
        assert found.visits_since(1) == 0


async def test_a_few_more_or_less_do_not_turn_it_on_and_off() -> None:
    listed = rows(range(1, 5))
    source = ListingSource(*listed)
    with capture_logs() as logs:
        async with sweeping(source, listed, interval=5.0) as found:
            for _ in range(10):
                await anyio.sleep(20)
                found.visits.forget(a_key(4))
                await anyio.sleep(20)
                found.visits.track(a_key(4))

    assert [entry["event"] for entry in logs] == ["sweep.started"]


async def test_whom_nobody_vouches_for_any_more_is_visited_again() -> None:
    listed = rows(range(1, 5))
    source = ListingSource(*listed)
    async with sweeping(source, listed, interval=5.0) as found:
        await anyio.sleep(21)
        assert found.visits_since(1) == 0
        found.visits.forget(a_key(3), a_key(4))
        await anyio.sleep(30)

        assert sorted(found.visits.unvouched) == [(25.0, 1), (25.0, 2)]
        assert found.visits_since(22) == 2 * 5


async def test_loners_among_strangers_are_left_to_their_visits() -> None:
    crowd = rows(range(10_000, 12_000), ago=500.0)
    loners = [a_row(n, ago=500.5 + 200.0 * n) for n in range(1, 8)]
    together = rows(range(100, 150))
    source = ListingSource(*crowd, *loners, *together, page=60)
    async with sweeping(source, [*together, *loners]) as found:
        await anyio.sleep(100)
        pages = found.sweep.pages
        await anyio.sleep(300)

        # One page each time, for those that stand together.
        assert found.sweep.pages - pages == 60
        assert {key.job_instance_id for key in found.visits.vouched} >= {
            *range(100, 150)
        }
        later = {key for when, key in found.visits.visits if when > 100}
        assert later == {row.key for row in loners}


async def test_who_is_vouched_for_stays_so_while_loners_are_tried_again() -> None:
    crowd = rows(range(10_000, 12_000), ago=500.0)
    loners = [a_row(n, ago=500.5 + 100.0 * n) for n in range(1, 20)]
    together = rows(range(100, 150), ago=3_000.0)
    source = ListingSource(*crowd, *loners, *together, page=60)
    async with sweeping(source, [*together, *loners]) as found:
        await anyio.sleep(100)
        found.visits.unvouched.clear()
        pages = found.sweep.pages
        await anyio.sleep(1_800)

        assert {number for _, number in found.visits.unvouched} <= {*range(1, 20)}
        assert {key.job_instance_id for key in found.visits.vouched} >= {
            *range(100, 150)
        }
        # The page of those that stand together, and each loner once in ten minutes.
        assert 1_800 / 5 - 36 <= found.sweep.pages - pages <= 1_800 / 5 + 3 * 20


async def test_pages_full_of_strangers_are_given_up_soon() -> None:
    crowd = rows(range(10_000, 14_000), ago=100.0)
    few = [a_row(n, ago=100.5 + 100.0 * n) for n in range(1, 31)]
    source = ListingSource(*crowd, *few, page=60)
    async with sweeping(source, few) as found:
        await anyio.sleep(300)

        assert found.sweep.pages <= 30
        assert found.visits_since(100) >= 30 * 19


async def test_each_scope_is_swept_for_itself() -> None:
    mine, theirs = rows(range(1, 21)), rows(range(101, 103), scope="9")
    source = ListingSource(*mine, *theirs)
    async with sweeping(source, [*mine, *theirs]) as found:
        await anyio.sleep(60)

        assert {key.scope_id for key in found.visits.vouched} == {"2"}
        assert {query.scope_id for _, query in source.queries} == {"2"}
        assert found.sweep.swept == {"prod/biz/2"}


async def test_a_scope_that_is_tracked_later_is_swept_soon() -> None:
    source = ListingSource(*rows(range(1, 21)))
    async with sweeping(source, []) as found:
        await anyio.sleep(15)
        found.visits.track(*source.rows)
        await anyio.sleep(10)

        assert len(found.visits.vouched) == 20


async def test_a_list_of_many_pages_is_asked_for_less_often() -> None:
    listed = rows(range(1, 1_001))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        await anyio.sleep(299)

        assert len(found.visits.vouched) == 1_000
        # Five pages and a row of overlap: a page for each five seconds.
        assert found.sweep.pages == pytest.approx(60, abs=6)


async def test_a_list_that_fails_is_vouching_for_nobody() -> None:
    listed = rows(range(1, 21))
    source = ListingSource(*listed)
    with capture_logs() as logs:
        async with sweeping(source, listed) as found:
            await anyio.sleep(21)
            source.trouble = errors.Unavailable("502")
            await anyio.sleep(100)
            unvouched = sorted((n, when) for when, n in found.visits.unvouched)
            assert unvouched == [(n, 26.5) for n in range(1, 21)]
            assert found.visits_since(27) >= 20 * 8

            source.trouble = None
            await anyio.sleep(60)
            assert len(found.visits.vouched) == 20

    assert [entry["event"] for entry in logs] == [
        "sweep.started",
        "sweep.failing",
        "sweep.works_again",
    ]


async def test_a_page_that_fails_once_or_twice_is_no_reason_to_visit_everybody() -> (
    None
):
    listed = rows(range(1, 21))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        await anyio.sleep(21)
        source.trouble = errors.Throttled("429")
        await anyio.sleep(5)
        source.trouble = None
        source.becomes(7, 4, ended_at=clock.now())
        await anyio.sleep(20)

        assert found.visits.unvouched == []
        assert found.visits.hints == [(26.5, 7)]


async def test_a_list_that_hangs_speaks_for_nobody_after_the_longest_interval() -> None:
    listed = rows(range(1, 21))
    source = ListingSource(*listed)
    async with sweeping(source, listed) as found:
        await anyio.sleep(21)
        source.trouble, source.latency = errors.Unavailable("no answer"), 61
        await anyio.sleep(100)

        assert {when for when, _ in found.visits.unvouched} == {86.0}


async def test_a_change_during_an_outage_of_the_list_is_seen_after_it() -> None:
    listed = rows(range(1, 21))
    source = ListingSource(*listed)
    source.becomes(7, 4, ended_at=clock.MORNING)
    async with sweeping(source, listed) as found:
        await anyio.sleep(21)
        assert a_key(7) in found.visits.vouched
        source.trouble = errors.Unavailable("502")
        await anyio.sleep(5)
        source.becomes(7, 4, ended_at=clock.MORNING + timedelta(seconds=9))
        source.trouble = None
        await anyio.sleep(5)

        assert [number for _, number, _ in found.visits.hinted] == [7]


async def test_a_scope_that_job_refuses_is_asked_for_rarely() -> None:
    listed = rows(range(1, 21))
    source = ListingSource(*listed)
    source.trouble = errors.Forbidden("9900403")
    async with sweeping(source, listed):
        await anyio.sleep(899)

        assert source.page_times == [0, 300, 600]


async def test_an_api_without_a_list_is_never_asked() -> None:
    listed = rows(range(1, 21))
    source = ListingSource(*listed)
    source.means = Means()
    async with sweeping(source, listed, mode="on") as found:
        await anyio.sleep(100)

        assert source.queries == []
        assert found.visits_since(1) == 20 * 9


@pytest.mark.parametrize("stale", [True, False])
@pytest.mark.parametrize("seed", range(20))
async def test_whatever_has_happened_a_visit_sees_it(
    seed: int,
    stale: bool,  # noqa: FBT001
) -> None:
    random = Random(seed)
    listed = rows(range(1, 41), ago=random.uniform(60, 90_000))
    strangers = rows(range(1_000, random.choice([1_000, 1_300])), ago=70.0)
    page = random.choice([7, 20, 200])
    source = ListingSource(*listed, *strangers, page=page, luck=seed)
    source.latency, source.stale = 0.7, stale
    for number in range(1, 21):
        source.becomes(number, 4, ended_at=clock.MORNING)
    changed: dict[int, float] = {}
    async with sweeping(source, listed, interval=random.choice([3, 8, 60])) as found:
        for _ in range(random.choice([5, 50, 300])):
            await anyio.sleep(random.expovariate(2.0))
            number = random.randint(1, 40)
            status = random.choice([2, 3, 4, 4])
            ended_at = None if status == 2 else clock.now()
            source.becomes(number, status, ended_at=ended_at)
            changed[number] = anyio.current_time()
            source.hidden = {a_key(n) for n in range(1, 41) if random.random() < 0.01}
        await anyio.sleep(120)

        seen = {key.job_instance_id: when for when, key in found.visits.visits}
        standings = {one.key: one for one in found.visits.tracked("prod/biz/2")}
        for number, when in changed.items():
            row = source.rows[a_key(number)]
            assert standings[row.key].status == row.status
            # That a run ended and ran again between two looks, nobody can tell.
            assert row.ended_at is None or seen[number] >= round(when, 3)
        assert found.sweep.pages > 0
        assert strangers or found.sweep.saved > found.sweep.pages


async def test_ten_thousand_running_instances_cost_few_calls() -> None:
    listed = [a_row(n, ago=n / 4) for n in range(1, 10_001)]
    source = ListingSource(*listed, page=1_000)
    async with sweeping(source, listed, interval=20.0) as found:
        await anyio.sleep(600)

        plain = 10_000 * 600 / 20
        assert found.visits_since(1) == 0
        assert found.sweep.pages < plain / 1_000
