"""One list that speaks for the instances of two daemons, in virtual time."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import anyio
import pytest

from monitor import errors
from monitor.core.listing import Page, Row
from monitor.core.sweeping import Limits
from monitor.overhearing import Overhearing
from monitor.sweep import Sweep
from tests.support import clock
from tests.support.budget import FreeBudget
from tests.support.rows import ListingSource, a_row
from tests.support.visits import Visits

pytestmark = pytest.mark.looptime

LIMITS: Final = Limits(floor=5.0, cap=60.0)


def rows(numbers: Iterable[int]) -> list[Row]:
    return [a_row(number, ago=60.0 + number) for number in numbers]


class Two:
    """The one sweeps, the other overhears; *ours*: which of them is to sweep."""

    def __init__(self, source: ListingSource) -> None:
        self.ours = True
        self.sweeper, self.hearer = Visits(source), Visits(source)
        self._overhearing = Overhearing(self.hearer, patience=2 * LIMITS.cap)
        self.sweep = Sweep(
            source,
            FreeBudget(),
            self.sweeper,
            mode="auto",
            limits=LIMITS,
            now=clock.now,
            luck=clock.middling,
            ours=lambda: self.ours,
            shown=self._show,
            daemons=lambda: 2,
        )

    async def _show(self, page: Page, at: datetime) -> None:
        self._overhearing.hear(page.rows, at)

    async def look(self) -> None:
        while True:
            self._overhearing.look()
            await anyio.sleep(2)

    def looks(self) -> int:
        return len(self.sweeper.visits) + len(self.hearer.visits)


@asynccontextmanager
async def two(source: ListingSource) -> AsyncIterator[Two]:
    """Let the one look at the odd instances, the other at the even ones."""
    both = Two(source)
    keys = [*source.rows]
    both.sweeper.track(*keys[::2])
    both.hearer.track(*keys[1::2])
    async with anyio.create_task_group() as tasks:
        for run in (both.sweep.run, both.sweeper.run, both.hearer.run, both.look):
            tasks.start_soon(run)
        yield both
        tasks.cancel_scope.cancel()


async def test_one_list_replaces_the_visits_of_both() -> None:
    source = ListingSource(*rows(range(1, 101)))
    async with two(source) as both:
        await anyio.sleep(604)

        assert both.looks() == 100
        assert source.page_times == [5.0 * n for n in range(121)]


async def test_a_list_too_poor_for_one_is_worth_it_for_both() -> None:
    source = ListingSource(*rows(range(1, 5)))
    async with two(source) as both:
        await anyio.sleep(604)

        assert len(both.hearer.vouched) == 2
        assert both.looks() == 4


async def test_what_changed_is_visited_by_whoever_looks_at_it() -> None:
    source = ListingSource(*rows(range(1, 101)))
    async with two(source) as both:
        await anyio.sleep(31)
        source.becomes(8, 4, ended_at=clock.now())
        await anyio.sleep(100)

        assert both.hearer.hinted == [(35.0, 8, True)]
        assert both.sweeper.hinted == []


async def test_an_end_is_vouched_for_once_a_visit_saw_it_so() -> None:
    source = ListingSource(*rows(range(1, 101)))
    async with two(source) as both:
        await anyio.sleep(31)
        source.becomes(8, 4, ended_at=clock.now())
        await anyio.sleep(5)
        assert len(both.hearer.vouched) == 49

        await anyio.sleep(30)
        assert len(both.hearer.vouched) == 50


async def test_of_whom_nothing_is_heard_any_more_is_visited_as_ever() -> None:
    source = ListingSource(*rows(range(1, 101)))
    async with two(source) as both:
        await anyio.sleep(31)
        source.trouble = errors.Unavailable()
        await anyio.sleep(125)
        assert len(both.hearer.vouched) == 0
        assert len(both.hearer.unvouched) == 50

        source.trouble = None
        await anyio.sleep(100)
        assert len(both.hearer.vouched) == 50


async def test_who_is_not_to_sweep_any_more_asks_for_no_page() -> None:
    source = ListingSource(*rows(range(1, 101)))
    async with two(source) as both:
        await anyio.sleep(31)
        both.ours = False
        await anyio.sleep(600)

        assert source.page_times[-1] == 30
        assert both.sweeper.vouched == both.hearer.vouched == {}
