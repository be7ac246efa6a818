"""`make torture` in a minute or two: the same run, with fewer of everything."""

from pathlib import Path
from typing import Final

import pytest

from tests.torture import campaign, figures
from tests.torture.schedule import Kind, Plan

PLAN: Final = Plan(
    instances=100,
    kills=2,
    stops=1,
    drains=1,
    severs=1,
    restarts=1,
    holes=1,
    hole_seconds=12.0,
    duration=50.0,
    beat=6.0,
    max_interval=1.0,
    slack=30.0,
    patience=30.0,
    seed=20261129,
)


@pytest.mark.timeout(400)
async def test_three_daemons_keep_every_promise_whatever_befalls_them(
    tmp_path: Path,
) -> None:
    found = await campaign.run(PLAN, tmp_path, print)
    print(figures.table(found))  # noqa: T201

    assert found.faults.keys() == {kind.value for kind in Kind}
    assert found.breaches == {}
    assert found.takeovers["kill"].never == 0
