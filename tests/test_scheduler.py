"""When visits happen, in virtual time."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from looptime import LoopTimeProxy
from structlog.testing import capture_logs

from monitor import errors
from monitor.core.model import InstanceKey
from monitor.pace import Pace
from monitor.scheduler import Scheduler, Visit
from tests.support import clock
from tests.support.answers import a_key

pytestmark = pytest.mark.looptime

A, B, C = (a_key(number) for number in (1, 2, 3))


class Diary:
    """A visit that takes *lasting* seconds and is due again in *again*."""

    def __init__(
        self, *, again: float | None = None, lasting: float = 0.0, failing: bool = False
    ) -> None:
        self.again = again
        self.lasting = lasting
        self.failing = failing
        self.visits: list[tuple[float, InstanceKey]] = []
        self.under_way: Counter[InstanceKey] = Counter()
        self.most_at_once = 0
        self.most_of_one_key = 0

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.visits]

    async def visit(self, key: InstanceKey) -> float | None:
        self.visits.append((round(anyio.current_time(), 3), key))
        self.under_way[key] += 1
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        self.most_of_one_key = max(self.most_of_one_key, self.under_way[key])
        await anyio.sleep(self.lasting)
        self.under_way[key] -= 1
        if self.failing:
            raise ZeroDivisionError
        return self.again


def a_scheduler(
    *,
    width: int = 4,
    rate: float | None = None,
    luck: Callable[[], float] = clock.middling,
) -> Scheduler:
    pace = Pace(width=width, per_second=rate, luck=luck)
    return Scheduler("prod", pace, luck=luck)


def throttle(scheduler: Scheduler, seconds: float) -> None:
    scheduler._pace.slots.wait_until(anyio.current_time() + seconds)


@asynccontextmanager
async def running(scheduler: Scheduler, visit: Visit) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        await tasks.start(scheduler.run, visit)
        yield
        tasks.cancel_scope.cancel()


async def test_a_key_is_visited_when_it_is_due_and_again_when_its_visit_says() -> None:
    scheduler, diary = a_scheduler(), Diary(again=10)
    scheduler.plan(A, 5)

    async with running(scheduler, diary.visit):
        await anyio.sleep(26)

    assert diary.visits == [(5, A), (15, A), (25, A)]


async def test_a_day_of_visits_takes_no_time(looptime: LoopTimeProxy) -> None:
    scheduler, diary = a_scheduler(), Diary(again=60)
    scheduler.plan(A)

    async with running(scheduler, diary.visit):
        await anyio.sleep(86_400)

    assert len(diary.visits) == 1440
    assert looptime == 86_400


async def test_a_visit_that_says_never_was_the_last() -> None:
    scheduler, diary = a_scheduler(), Diary(again=None)
    scheduler.plan(A)

    async with running(scheduler, diary.visit):
        await anyio.sleep(3600)

    assert diary.visits == [(0, A)]
    assert len(scheduler) == 0


async def test_it_says_how_long_a_visit_has_been_due_that_has_not_begun() -> None:
    scheduler, diary = a_scheduler(width=1), Diary(lasting=30)
    ages = []

    async with running(scheduler, diary.visit):
        await anyio.sleep(1)
        for delay in (0, 5, 100):
            scheduler.plan(a_key(delay + 1), delay)
        await anyio.sleep(20)
        ages.append(scheduler.oldest)
        await anyio.sleep(25)
        ages.append(scheduler.oldest)
        await anyio.sleep(30)
        ages.append(scheduler.oldest)

    assert ages == pytest.approx([15, 0, 0], abs=0.01)


async def test_who_was_put_to_the_front_or_off_is_not_waiting() -> None:
    scheduler = a_scheduler()
    scheduler.plan(A)
    scheduler.plan(B)
    await anyio.sleep(10)
    before = scheduler.oldest
    scheduler.urge(A)
    scheduler.put_off(B, 60)

    assert [before, scheduler.oldest] == pytest.approx([10, 0])


async def test_no_key_is_visited_twice_at_once() -> None:
    scheduler, diary = a_scheduler(), Diary(again=0, lasting=10)
    scheduler.plan(A)

    async with running(scheduler, diary.visit):
        for _ in range(20):
            await anyio.sleep(1)
            scheduler.plan(A)

    assert diary.most_of_one_key == 1
    assert diary.times == [0, 10, 20]


async def test_no_more_than_width_visits_are_under_way() -> None:
    scheduler, diary = a_scheduler(width=3), Diary(lasting=10)
    scheduler.spread((a_key(number) for number in range(1, 11)), 0)

    async with running(scheduler, diary.visit):
        await anyio.sleep(35)

    assert diary.most_at_once == 3
    assert diary.times == [0] * 3 + [10] * 3 + [20] * 3 + [30]


async def test_the_rate_is_kept_however_many_are_due() -> None:
    scheduler, diary = a_scheduler(width=50, rate=10), Diary()
    scheduler.spread((a_key(number) for number in range(1, 101)), 0)

    async with running(scheduler, diary.visit):
        await anyio.sleep(5)
        in_five_seconds = len(diary.visits)
        await anyio.sleep(5)

    assert in_five_seconds == pytest.approx(50, abs=2)
    assert len(diary.visits) == 100


async def test_there_is_no_burst_after_a_rest() -> None:
    scheduler, diary = a_scheduler(width=50, rate=10), Diary()

    async with running(scheduler, diary.visit):
        await anyio.sleep(3600)
        scheduler.spread((a_key(number) for number in range(1, 101)), 0)
        await anyio.sleep(1)

    assert len(diary.visits) <= 12


async def test_what_is_due_first_is_visited_first() -> None:
    scheduler, diary = a_scheduler(width=1), Diary(lasting=10)
    scheduler.plan(A, 3)
    scheduler.plan(B, 2)
    scheduler.plan(C, 1)

    async with running(scheduler, diary.visit):
        await anyio.sleep(30)

    assert [key for _, key in diary.visits] == [C, B, A]


async def test_the_sooner_of_two_plans_counts() -> None:
    scheduler, diary = a_scheduler(), Diary()
    scheduler.plan(A, 50)
    scheduler.plan(B, 5)

    async with running(scheduler, diary.visit):
        scheduler.plan(A, 5)
        scheduler.plan(B, 50)
        await anyio.sleep(100)

    assert sorted(diary.visits) == [(5, A), (5, B)]


async def test_a_plan_made_during_a_visit_is_kept() -> None:
    scheduler, diary = a_scheduler(), Diary(again=60, lasting=10)
    scheduler.plan(A)

    async with running(scheduler, diary.visit):
        await anyio.sleep(5)
        scheduler.plan(A, 7)
        await anyio.sleep(15)

    assert diary.times == [0, 12]


async def test_a_dropped_key_is_visited_no_more() -> None:
    scheduler, diary = a_scheduler(), Diary(again=10)
    scheduler.plan(A)
    scheduler.plan(B, 1)

    async with running(scheduler, diary.visit):
        await anyio.sleep(5)
        scheduler.drop(A)
        await anyio.sleep(15)

    assert diary.visits == [(0, A), (1, B), (11, B)]


async def test_a_key_dropped_during_its_visit_is_visited_no_more() -> None:
    scheduler, diary = a_scheduler(), Diary(again=10, lasting=5)
    scheduler.plan(A)

    async with running(scheduler, diary.visit):
        await anyio.sleep(1)
        scheduler.drop(A)
        await anyio.sleep(60)

    assert diary.times == [0]
    assert len(scheduler) == 0


async def test_a_key_dropped_and_planned_again_during_its_visit_is_visited_again() -> (
    None
):
    scheduler, diary = a_scheduler(), Diary(again=None, lasting=5)
    scheduler.plan(A)

    async with running(scheduler, diary.visit):
        await anyio.sleep(1)
        scheduler.drop(A)
        scheduler.plan(A, 9)
        await anyio.sleep(60)

    assert diary.times == [0, 10]


async def test_a_key_that_comes_while_all_wait_is_visited_at_its_time() -> None:
    scheduler, diary = a_scheduler(), Diary()
    scheduler.plan(A, 1000)

    async with running(scheduler, diary.visit):
        await anyio.sleep(10)
        scheduler.plan(B, 5)
        scheduler.plan(C)
        await anyio.sleep(10)

    assert diary.visits == [(10, C), (15, B)]


async def test_a_crash_in_a_visit_is_contained_and_tried_again_after_a_minute() -> None:
    scheduler, diary = a_scheduler(), Diary(failing=True)
    scheduler.plan(A)

    with capture_logs() as lines:
        async with running(scheduler, diary.visit):
            await anyio.sleep(100)

    assert diary.times == [0, 60]
    assert {(line["event"], line["key"]) for line in lines} == {
        ("visit.crashed", str(A))
    }
    assert all(line["exc_info"] for line in lines)


async def test_a_store_that_fails_ends_the_scheduler() -> None:
    async def visit(_: InstanceKey) -> float | None:
        raise errors.StoreError("disk full")

    scheduler = a_scheduler()
    scheduler.plan(A)

    with pytest.RaisesGroup(errors.StoreError, flatten_subgroups=True):
        await scheduler.run(visit)


async def test_a_throttle_holds_all_back() -> None:
    scheduler, diary = a_scheduler(), Diary()
    scheduler.spread((A, B, C), 0)
    throttle(scheduler, 30)
    throttle(scheduler, 10)

    async with running(scheduler, diary.visit):
        await anyio.sleep(60)

    assert diary.times == [30] * 3


async def test_a_probe_lets_one_visit_pass_and_holds_the_others_back() -> None:
    scheduler, diary = a_scheduler(), Diary(again=60)
    scheduler.spread((A, B, C), 0)
    scheduler.probe(20)

    async def visit(key: InstanceKey) -> float | None:
        await diary.visit(key)
        scheduler.probe(20)
        return 0

    async with running(scheduler, visit):
        await anyio.sleep(70)

    assert diary.times == [20, 40, 60]
    assert {key for _, key in diary.visits} == {A, B, C}


async def test_a_probe_does_not_wait_until_something_is_due() -> None:
    scheduler, diary = a_scheduler(), Diary()
    scheduler.plan(A, 3600)
    scheduler.probe(5)

    async with running(scheduler, diary.visit):
        await anyio.sleep(10)

    assert diary.visits == [(5, A)]


async def test_a_probe_comes_no_sooner_than_a_throttle_allows() -> None:
    scheduler, diary = a_scheduler(), Diary()
    scheduler.plan(A)
    throttle(scheduler, 300)
    scheduler.probe(5)

    async with running(scheduler, diary.visit):
        await anyio.sleep(400)

    assert diary.visits == [(300, A)]


async def test_what_is_overdue_at_the_return_is_spread() -> None:
    luck = iter([0.0, 0.25, 0.75])
    scheduler, diary = a_scheduler(luck=lambda: next(luck)), Diary(again=1000)
    for key in (A, B, C):
        scheduler.plan(key)
    later = a_key(4)
    scheduler.plan(later, 105)
    scheduler.probe(10_000)

    async with running(scheduler, diary.visit):
        await anyio.sleep(100)
        scheduler.resume(20)
        await anyio.sleep(50)

    assert sorted(diary.times) == [100, 105, 105, 115]
    assert (105, later) in diary.visits


async def test_a_return_does_not_lift_a_throttle() -> None:
    scheduler, diary = a_scheduler(), Diary()
    scheduler.plan(A)
    scheduler.probe(1)
    throttle(scheduler, 60)
    scheduler.resume(0)

    async with running(scheduler, diary.visit):
        await anyio.sleep(100)

    assert diary.visits == [(60, A)]


async def test_ten_thousand_keys_are_visited_by_a_few_tasks() -> None:
    keys = [a_key(number) for number in range(1, 10_001)]
    evenly = iter(number // 100 / 100 for number in range(10_000))
    scheduler, diary = a_scheduler(width=8, luck=lambda: next(evenly)), Diary()
    scheduler.spread(keys, 10)

    async with running(scheduler, diary.visit):
        await anyio.sleep(5)
        tasks = len(anyio.get_running_tasks())
        await anyio.sleep(5)

    assert {key for _, key in diary.visits} == set(keys)
    assert tasks < 15


async def test_it_is_held_up_if_a_visit_is_due_that_nobody_makes() -> None:
    scheduler = a_scheduler()
    scheduler.plan(A, 5)

    before = scheduler.held_up()
    await anyio.sleep(6)
    assert (before, scheduler.held_up()) == (False, True)


async def test_it_is_held_up_while_as_many_are_visited_as_may_be() -> None:
    scheduler, diary = a_scheduler(width=2), Diary(lasting=10)
    scheduler.spread([A, B], 0)

    async with running(scheduler, diary.visit):
        await anyio.sleep(5)
        while_full, moves = scheduler.held_up(), scheduler._pace.moves
        await anyio.sleep(6)
        assert (while_full, moves) == (True, 2)
        assert (scheduler.held_up(), scheduler._pace.moves) == (False, 4)


async def test_it_is_not_held_up_by_a_source_that_wants_no_visits() -> None:
    scheduler = a_scheduler()
    scheduler.plan(A)
    throttle(scheduler, 3600)

    assert not scheduler.held_up()


async def test_it_is_not_held_up_while_a_lost_source_is_probed() -> None:
    scheduler, diary = a_scheduler(width=1), Diary(lasting=1e6)
    scheduler.spread([A, B], 0)
    scheduler.probe(60)

    async with running(scheduler, diary.visit):
        await anyio.sleep(30)
        waiting = scheduler.held_up()
        await anyio.sleep(60)
        assert len(diary.visits) == 1
        assert (waiting, scheduler.held_up()) == (False, False)
