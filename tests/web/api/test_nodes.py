"""The nodes, and what is asked of one about all of them, on a real socket."""

from pathlib import Path
from typing import Any

import pytest

from monitor.core.cluster import Report, SinkReport, SourceReport, View
from monitor.core.model import InstanceKey
from monitor.core.watch import Pause, Place, Watch
from monitor.outlet import Condition, Health
from monitor.ports import Looked, Standing
from monitor.watchlist import entry
from monitor.web.api import nodes, sinks, watches
from tests.support import clock, control
from tests.support.answers import a_key
from tests.support.rolls import ME, OTHER, STARTED, a_node

# Replies come over sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

PROD = SourceReport(standing="seen", watches=4, rate=2.5)
VIEW = View(
    me=ME,
    nodes=(
        a_node(ME, [1, 2], Report(version="2", url="http://a", watches=4)),
        a_node(OTHER, [3], Report(version="1", sources={"prod": PROD}), draining=True),
        a_node("vm-3/7/c", living=False, seen=60.0),
    ),
)


async def test_nodes_are_listed_with_what_they_own(tmp_path: Path) -> None:
    operations = nodes.operations(lambda: VIEW, clock.now)
    async with control.serving(tmp_path, operations) as socket:
        answer = await control.ask(socket, "GET", "/nodes")

    mine, other, gone = answer.body["items"]
    assert (mine["name"], mine["id"], mine["me"]) == ("vm-1 (process 812)", ME, True)
    assert (mine["shards"], mine["owned"], mine["url"]) == ([1, 2], 2, "http://a")
    assert mine["started_at"] == f"{STARTED:%Y-%m-%dT%H:%M:%SZ}"
    assert (other["state"], other["me"], other["version"]) == ("draining", False, "1")
    assert other["sources"]["prod"]["rate"] == 2.5
    assert (gone["state"], gone["owned"]) == ("gone", 0)
    assert answer.body["differences"] == []


async def test_nodes_that_differ_are_named_with_what_differs(tmp_path: Path) -> None:
    other = a_node(OTHER, report=Report(version="1"))
    view = View(me=ME, nodes=(a_node(ME, report=Report(version="2")), other))
    operations = nodes.operations(lambda: view, clock.now)
    async with control.serving(tmp_path, operations) as socket:
        answer = await control.ask(socket, "GET", "/nodes")

    alike = [["vm-1 (process 812)"], ["vm-2 (process 790)"]]
    assert answer.body["differences"] == [
        {"what": "version", "alike": alike, "lacking": []}
    ]


class Sinks:
    """Satisfies ``sinks.Sinks`` and ``sinks.Standings``: one that is well here."""

    names = ("oncall",)

    def health(self, sink: str) -> Health:
        return Health(condition=Condition.WELL, taken_at=STARTED)

    def fallback(self, sink: str) -> str:
        return ""

    async def standing(self, sink: str) -> Standing:
        return Standing(waiting=7)


@pytest.mark.parametrize(
    ("condition", "node"), [("well", None), ("failing", "vm-2"), ("resting", "vm-2")]
)
async def test_of_a_sink_the_worst_is_said_with_the_node_that_has_it(
    tmp_path: Path, condition: str, node: str | None
) -> None:
    theirs = SinkReport(condition=condition, error="502" if node else "")
    here = Sinks()
    operations = sinks.operations(here, here, lambda _: [("vm-2", theirs)])
    async with control.serving(tmp_path, operations) as socket:
        answer = await control.ask(socket, "GET", "/sinks")

    [said] = answer.body["items"]
    assert (said["condition"], said["node"]) == (condition, node)
    assert said["error"] == theirs.error
    assert said["taken_at"] is not None
    assert said["waiting"] == 7


HERE, THERE, OVER = (a_key(number) for number in (1, 2, 3))


def a_watch(key: InstanceKey) -> Watch:
    return Watch(key=key, place=Place("watches.txt", 1))


class Wishes:
    """Satisfies ``watches.Wishes``, as far as nothing was wished for."""

    def pause_of(self, key: InstanceKey) -> Pause | None:
        return None


async def retired(keys: Any) -> set[InstanceKey]:
    return {OVER} & {*keys}


def looked(key: InstanceKey) -> Looked:
    failures = 0 if key == HERE else None
    return Looked(watch=a_watch(key), seen_at=None, next_at=None, failures=failures)


def house() -> watches.House:
    return watches.House(
        watches=lambda: [a_watch(HERE)],
        elsewhere=lambda: [a_watch(OVER), a_watch(THERE)],
        retired=retired,
        lists=list,
        looked=looked,
        owner=lambda key: "vm-1" if key == HERE else "vm-2",
        written=lambda _: None,
        beside=lambda asked: entry.said(asked.labels, {}),
        sources=("prod",),
    )


async def asked(tmp_path: Path, path: str) -> control.Answer:
    operations = watches.operations(house(), Wishes(), clock.now)  # type: ignore[arg-type]
    async with control.serving(tmp_path, operations) as socket:
        return await control.ask(socket, "GET", path)


async def test_all_watches_are_listed_but_those_that_ended_elsewhere(
    tmp_path: Path,
) -> None:
    answer = await asked(tmp_path, "/watches")

    assert [each["key"] for each in answer.body["items"]] == [str(HERE), str(THERE)]


async def test_a_page_ends_where_the_next_one_begins(tmp_path: Path) -> None:
    first = (await asked(tmp_path, "/watches?limit=1")).body
    second = (await asked(tmp_path, f"/watches?limit=1&after={first['next']}")).body

    assert [each["key"] for each in first["items"]] == [str(HERE)]
    assert [each["key"] for each in second["items"]] == [str(THERE)]
    assert second["next"] is None


async def test_what_only_the_owner_knows_is_null_and_never_wrong(
    tmp_path: Path,
) -> None:
    here = (await asked(tmp_path, f"/watches/{HERE}")).body
    there = (await asked(tmp_path, f"/watches/{THERE}")).body
    over = await asked(tmp_path, f"/watches/{OVER}")

    assert (here["owner"], here["failures"]) == ("vm-1", 0)
    assert (there["owner"], there["failures"]) == ("vm-2", None)
    assert over.status == 404
