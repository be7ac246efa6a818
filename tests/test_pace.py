"""The budget of one source: visits and those who ask beside them; virtual time."""

from collections import Counter

import anyio
import pytest

from monitor import errors
from monitor.core.model import InstanceKey
from monitor.pace import Pace
from monitor.scheduler import Scheduler
from tests.support import clock
from tests.support.answers import a_key

pytestmark = pytest.mark.looptime


def a_pace(*, width: int = 64, per_second: float | None = None) -> Pace:
    return Pace(width=width, per_second=per_second, luck=clock.middling)


async def test_turns_are_slots_of_the_same_budget() -> None:
    pace, begun = a_pace(per_second=10), []

    async def ask() -> None:
        async with pace.turn():
            begun.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        for _ in range(21):
            tasks.start_soon(ask)

    assert begun[-1] == pytest.approx(1.9, abs=0.11)


async def test_a_turn_waits_out_a_throttle_that_came_meanwhile() -> None:
    pace, begun = a_pace(per_second=1), 0.0
    async with pace.turn(), pace.turn():
        pass
    with pytest.raises(errors.Throttled):
        async with pace.turn():
            raise errors.Throttled

    async with pace.turn():
        begun = anyio.current_time()

    assert begun == pytest.approx(2 + 1, abs=0.2)
    assert pace.throttled == 1


async def test_a_spare_turn_waits_until_no_visit_is_due() -> None:
    pace, begun = a_pace(per_second=10), 0.0
    scheduler = Scheduler("prod", pace, luck=clock.middling)
    scheduler.spread((a_key(number) for number in range(1, 51)), 0)

    async def visit(_: InstanceKey) -> None:
        return None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scheduler.run, visit)
        async with pace.turn(spare=True):
            begun = anyio.current_time()
        tasks.cancel_scope.cancel()

    assert begun >= 4.7


async def test_scopes_take_turns_however_many_instances_they_have() -> None:
    pace, visited = a_pace(per_second=10), []
    scheduler = Scheduler("prod", pace, luck=clock.middling)
    scheduler.spread((a_key(number, scope="2") for number in range(1, 1001)), 0)
    scheduler.spread((a_key(number, scope="3") for number in range(1, 6)), 0)

    async def visit(key: InstanceKey) -> None:
        visited.append(key.scope_id)

    with anyio.move_on_after(2):
        await scheduler.run(visit)

    assert visited.count("3") == 5
    assert len(visited) == pytest.approx(20, abs=2)


async def test_where_not_all_can_have_their_turn_the_worthiest_come_first() -> None:
    pace, visited = a_pace(width=2, per_second=10), []
    scheduler = Scheduler(
        "prod",
        pace,
        luck=clock.middling,
        worth=lambda key, late: late * key.job_instance_id,
    )
    for number in range(1, 101):
        scheduler.plan(a_key(number))

    async def visit(key: InstanceKey) -> None:
        visited.append(key.job_instance_id)

    with anyio.move_on_after(3):
        await scheduler.run(visit)

    assert visited[15:25] == sorted(visited[15:25], reverse=True)
    assert min(visited[15:25]) > 80


async def test_the_more_wait_the_more_rarely_they_are_ranked() -> None:
    """Where 20,000 wait it is done each 2 s, though a ranking may be due each second."""
    many, asked = 20_000, Counter[int]()

    def worth(_: InstanceKey, late: float) -> float:
        asked[int(anyio.current_time() - began)] += 1
        return late

    scheduler = Scheduler(
        "prod", a_pace(width=1, per_second=20), luck=clock.middling, worth=worth
    )
    began = anyio.current_time()
    for number in range(many):
        scheduler.plan(a_key(number))

    async def visit(key: InstanceKey) -> None:
        pass

    with anyio.move_on_after(5.5):
        await scheduler.run(visit)

    assert [*asked] == [0, 2, 4]
    assert max(asked.values()) <= many


async def test_what_is_urged_is_visited_next() -> None:
    pace, visited = a_pace(width=1, per_second=1), []
    scheduler = Scheduler("prod", pace, luck=clock.middling)
    for number in range(1, 101):
        scheduler.plan(a_key(number))

    async def visit(key: InstanceKey) -> None:
        visited.append(key.job_instance_id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scheduler.run, visit)
        await anyio.sleep(5.5)
        before = len(visited)
        scheduler.urge(a_key(77))
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()

    assert visited[before] == 77


async def test_lateness_is_how_long_after_its_time_a_visit_begins() -> None:
    pace, late = a_pace(width=1), list[float]()
    scheduler = Scheduler("prod", pace, luck=clock.middling, late=late.append)
    scheduler.plan(a_key(1), 1)
    scheduler.plan(a_key(2), 2)

    async def visit(_: InstanceKey) -> None:
        await anyio.sleep(5)

    with anyio.move_on_after(20):
        await scheduler.run(visit)

    assert late == [0, 4]


async def test_who_has_no_part_of_the_budget_waits_until_it_gets_one() -> None:
    pace, begun = a_pace(per_second=10), []
    scheduler = Scheduler("prod", pace, luck=clock.middling)
    scheduler.spread((a_key(number) for number in range(1, 51)), 0)
    pace.take_part(0.0)

    async def visit(_: InstanceKey) -> None:
        begun.append(anyio.current_time())

    async def ask() -> None:
        async with pace.turn():
            begun.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scheduler.run, visit)
        tasks.start_soon(ask)
        await anyio.sleep(100)
        before = [*begun]
        pace.take_part(0.5)
        await anyio.sleep(4)
        tasks.cancel_scope.cancel()

    assert before == []
    assert begun[0] == 100
    assert len(begun) == pytest.approx(20, abs=2)


async def test_a_part_of_the_width_is_ours() -> None:
    pace, most = a_pace(width=10), 0
    pace.take_part(0.3)
    scheduler = Scheduler("prod", pace, luck=clock.middling)
    scheduler.spread((a_key(number) for number in range(1, 51)), 0)

    async def visit(_: InstanceKey) -> None:
        nonlocal most
        most = max(most, pace.in_flight)
        await anyio.sleep(1)
        pace.succeeded()

    with anyio.move_on_after(60):
        await scheduler.run(visit)

    assert most == 3
