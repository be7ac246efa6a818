"""What other daemons pin up is heard while there are any, in virtual time."""

from pathlib import Path

import anyio
import pytest

from monitor.hearsay import Hearsay, Hints
from monitor.ports import Shown
from tests.support import clock, stores
from tests.support.rows import a_row

pytestmark = pytest.mark.looptime


async def test_hints_and_pages_are_heard_within_a_second_of_one_another(
    tmp_path: Path,
) -> None:
    hinted: list[int] = []
    shown: list[Shown] = []
    others = False
    page = Shown("prod", (a_row(),), clock.MORNING)
    async with stores.opened(tmp_path) as store, anyio.create_task_group() as tasks:
        hearsay = Hearsay(
            store, others=lambda: others, hinted=hinted.append, shown=shown.append
        )
        tasks.start_soon(hearsay.run)
        await store.hint(1, clock.now())
        await anyio.sleep(5)
        others = True
        await anyio.sleep(1.5)
        await store.hint(2, clock.now())
        await store.show(page)
        await anyio.sleep(1)
        heard = [*hinted], [*shown]
        others = False
        await anyio.sleep(1)
        await store.hint(3, clock.now())
        await anyio.sleep(5)
        tasks.cancel_scope.cancel()

    assert heard == ([2], [page])
    assert hinted == [2]


class Watched:
    """One instance is looked at here, whoever has an odd id elsewhere."""

    def hint(self, job_instance_id: int) -> int:
        return int(job_instance_id == 2)

    def watched_elsewhere(self, job_instance_id: int) -> bool:
        return job_instance_id % 2 == 1


async def test_who_called_back_and_is_watched_elsewhere_is_pinned_up(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store, anyio.create_task_group() as tasks:
        hints = Hints(store, Watched(), now=clock.now)
        tasks.start_soon(hints.run)
        moved = [hints.take(job_instance_id) for job_instance_id in (1, 2, 4)]
        await anyio.sleep(1)
        found = [job_instance_id for _, job_instance_id in await store.hinted(0)]
        tasks.cancel_scope.cancel()

    assert moved == [1, 1, 0]
    assert found == [1]
