"""What the log says of nodes that were set up differently."""

from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from monitor.core.cluster import Report, View
from monitor.likeness import LASTING, Likeness
from tests.support.rolls import ME, OTHER, a_node

pytestmark = pytest.mark.looptime


def a_view(**theirs: str) -> View:
    mine = Report(version="1", settings={"alerts": "a1"})
    other = Report(version="1", settings={"alerts": "a1", **theirs})
    return View(me=ME, nodes=(a_node(ME, report=mine), a_node(OTHER, report=other)))


def events(lines: Any) -> list[str]:
    return [line["event"] for line in lines]


async def heard(likeness: Likeness, view: View, seconds: float) -> list[Any]:
    """Let *likeness* hear of the same *view* every other second."""
    with capture_logs() as lines:
        until = anyio.current_time() + seconds
        while anyio.current_time() < until:
            likeness.met(view)
            await anyio.sleep(2)
    return lines


async def test_what_differs_for_long_is_said_once_and_once_when_it_is_over() -> None:
    likeness = Likeness()
    differs = await heard(likeness, a_view(alerts="a2"), 3 * LASTING)
    agrees = await heard(likeness, a_view(), 3 * LASTING)

    assert differs == [
        {
            "event": "nodes.differ",
            "log_level": "warning",
            "differences": ["alerts: vm-1 (process 812) ≠ vm-2 (process 790)"],
            "remedy": "give all nodes the same configuration and version",
        }
    ]
    assert agrees == [
        {"event": "nodes.agree", "log_level": "info", "about": ["alerts"]}
    ]


async def test_while_one_node_after_the_other_is_updated_nothing_is_said() -> None:
    likeness = Likeness()
    for _ in range(3):
        assert await heard(likeness, a_view(alerts="a2"), LASTING - 2) == []
        assert await heard(likeness, a_view(), 2) == []


async def test_what_differs_later_is_said_by_itself() -> None:
    likeness = Likeness()
    first = await heard(likeness, a_view(alerts="a2"), 2 * LASTING)
    both = await heard(likeness, a_view(alerts="a2", routes="r1"), 2 * LASTING)
    none = await heard(likeness, a_view(), LASTING)

    assert events([*first, *both, *none]) == [
        "nodes.differ",
        "nodes.differ",
        "nodes.agree",
    ]
    [later] = both
    assert later["differences"] == [
        "routes: vm-2 (process 790); not at vm-1 (process 812)"
    ]
    assert none[0]["about"] == ["alerts", "routes"]
