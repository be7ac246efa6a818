"""A daemon's part of a budget, from renewal to renewal; virtual time."""

from datetime import UTC, datetime
from typing import Final

import anyio
import pytest

from monitor.core.cluster import Node, Report, SourceReport, View
from monitor.holdings import Holdings
from monitor.pace import Pace
from monitor.sharing import Sharing
from tests.support import clock

pytestmark = pytest.mark.looptime

STARTED: Final = datetime(2026, 11, 29, tzinfo=UTC)


def a_pace() -> Pace:
    return Pace(width=64, per_second=10.0, luck=clock.middling)


def a_view(**shares: float) -> View:
    """Build what *a* sees of daemons that need as much as one another."""
    return View(me="a", nodes=tuple(_node(n, s) for n, s in shares.items()))


def _node(name: str, share: float) -> Node:
    said = SourceReport(need=1.0, share=share)
    return Node(
        name=name,
        started_at=STARTED,
        seen=0.0,
        draining=False,
        living=True,
        report=Report(version="1", sources={"prod": said}),
    )


async def test_who_shares_no_store_has_the_whole_budget_for_ever() -> None:
    pace = a_pace()
    sharing = Sharing("prod", pace, Holdings(), View())
    with anyio.move_on_after(1000):
        await sharing.run()

    assert (pace.slots.rate, pace.width.limit) == (10.0, 8.0)


async def test_who_joins_has_nothing_until_the_other_has_left_half_of_it() -> None:
    pace = a_pace()
    sharing = Sharing("prod", pace, Holdings(), a_view(b=1.0))
    rates = [pace.slots.rate]
    for others in (1.0, 0.5):
        sharing.met(a_view(a=sharing.claim, b=others))
        rates.append(pace.slots.rate)

    assert rates == [0, 0, 5]


async def test_who_was_joined_gives_up_half_at_once() -> None:
    pace = a_pace()
    sharing = Sharing("prod", pace, Holdings(), View(me="a"))
    sharing.met(a_view(a=sharing.claim, b=0.5))

    assert (pace.slots.rate, pace.width.limit) == (5.0, 8.0)


async def test_who_cannot_reach_the_others_asks_for_nothing_until_it_can() -> None:
    pace, holdings = a_pace(), Holdings()
    holdings.deadline = 8.0
    sharing = Sharing("prod", pace, holdings, View(me="a"))
    sharing.met(a_view(a=1.0, b=0.5))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sharing.run)
        await anyio.sleep(7.9)
        before = pace.slots.rate
        await anyio.sleep(0.2)
        without = pace.slots.rate
        await anyio.sleep(100)
        holdings.deadline = anyio.current_time() + 8
        sharing.met(a_view(a=0.5, b=0.5))
        await anyio.sleep(5)
        tasks.cancel_scope.cancel()

    assert (before, without, pace.slots.rate) == (5, 0, 5)
