"""What one daemon can say of all that share the store."""

import anyio
import pytest

from monitor.core.cluster import Report, SinkReport, SourceReport
from monitor.core.model import InstanceKey
from monitor.core.shards import shard
from monitor.holdings import Holdings
from monitor.neighbours import Neighbours
from monitor.store.membership import SURE, Membership
from monitor.web.shapes.sources import SourceData
from tests.support import rolls
from tests.support.rolls import ME, OTHER, STARTED, a_node

KEY = InstanceKey("prod", "biz", "2", 20000153)
LOW, HIGH = frozenset(range(32)), frozenset(range(32, 64))
MINE = Report(version="1", watches=3)


def a_source(**more: object) -> SourceData:
    known = SourceData(
        name="prod",
        api="v3",
        standing="seen",
        since=None,
        watches=3,
        rate=10.0,
        in_flight=1,
        width=8,
        throttled=1,
        requests={"ok": 5},
        late=0.5,
    )
    for name, value in more.items():
        setattr(known, name, value)
    return known


def of(membership: Membership | None, holdings: Holdings) -> Neighbours:
    return Neighbours(membership, holdings, lambda: MINE, started_at=STARTED)


async def sharing(*nodes: object, mine: frozenset[int] = LOW) -> Neighbours:
    holdings = Holdings(mine)
    return of(await rolls.met(holdings, *nodes), holdings)  # type: ignore[arg-type]


def seeing(**said: object) -> Report:
    report = SourceReport(**{"standing": "seen", "watches": 4, **said})  # type: ignore[arg-type]
    return Report(watches=4, sources={"prod": report})


async def test_who_is_alone_owns_everything_for_ever() -> None:
    alone = of(None, Holdings())
    [node] = alone.view().nodes
    numbers = {each.metric.name: each.value for each in alone.samples()}

    assert not alone.shared
    assert (node.state, len(node.shards), node.report) == ("living", 64, MINE)
    assert alone.trouble() == ""
    assert numbers["lease_seconds"] == float("inf")
    assert (numbers["nodes"], numbers["shards_owned"]) == (1, 64)


async def test_each_shard_is_named_with_its_owner() -> None:
    mine = shard(str(KEY)) in LOW
    one = await sharing(a_node(shards=HIGH))
    free = await sharing(mine=HIGH if mine else LOW)

    assert one.owner(KEY) == ("vm-1 (process 812)" if mine else "vm-2 (process 790)")
    assert free.owner(KEY) is None
    assert len(free.view().unowned()) == 32


async def test_who_is_silent_for_a_lease_is_gone_though_nobody_could_be_asked() -> None:
    one = await sharing(a_node(shards=HIGH, seen=4.0))
    before = [node.state for node in one.view().nodes]
    await anyio.sleep(7)
    after = [(node.name, node.state) for node in one.view().nodes]

    assert before == ["living", "living"]
    assert after == [(ME, "living"), (OTHER, "gone")]
    assert len(one.view().unowned()) == 32


async def test_who_is_not_sure_of_its_lease_says_so_and_owns_nothing() -> None:
    one = await sharing(a_node(shards=HIGH))
    before = one.trouble()
    await anyio.sleep(SURE + 1)
    numbers = {each.metric.name: each.value for each in one.samples()}

    assert before == ""
    assert one.trouble() == f"its lease is not sure: not renewed for {SURE + 1:.0f} s"
    assert (numbers["shards_owned"], numbers["lease_seconds"]) == (0, 0)


async def test_it_is_counted_in_what_nodes_differ() -> None:
    prod = Report(version="2", sources={"prod": SourceReport()})
    one = await sharing(a_node(report=MINE), a_node("vm-3/7/c", report=prod))
    numbers = {each.metric.name: each.value for each in one.samples()}

    assert numbers["node_differences"] == 2


async def test_who_gives_up_its_shards_is_not_to_be_asked_any_more() -> None:
    holdings = Holdings(LOW)
    membership = await rolls.met(holdings)
    membership.drain()

    assert of(membership, holdings).trouble() == "it gives up its shards, and ends"


async def test_who_owns_nothing_yet_takes_part() -> None:
    one = await sharing(a_node(shards=LOW | HIGH), mine=frozenset())

    assert one.trouble() == ""


async def test_numbers_of_a_source_are_summed_and_the_latest_visit_counts() -> None:
    report = seeing(rate=5.0, in_flight=2, width=4, throttled=3, late=2.0)
    report.sources["prod"].requests.update({"ok": 7, "missing": 1})  # type: ignore[attr-defined]
    one = await sharing(a_node(shards=HIGH, report=report))
    [found] = one.sources([a_source()])

    assert (found.watches, found.rate, found.late) == (7, 15.0, 2.0)
    assert (found.in_flight, found.width, found.throttled) == (3, 12, 4)
    assert found.requests == {"ok": 12, "missing": 1}
    assert one.watches(3) == 7


@pytest.mark.parametrize(
    ("mine", "theirs", "together"),
    [
        ({"standing": "lost"}, {"standing": "lost"}, "lost"),
        ({"standing": "seen"}, {"standing": "lost"}, "doubted"),
        ({"standing": "lost", "watches": 0}, {"standing": "seen"}, "seen"),
        ({"standing": "seen"}, {"standing": "lost", "watches": 0}, "seen"),
        ({"standing": "doubted"}, {"standing": "doubted"}, "doubted"),
    ],
)
async def test_a_source_is_lost_where_nobody_who_looks_sees_it(
    mine: dict[str, object], theirs: dict[str, object], together: str
) -> None:
    one = await sharing(a_node(shards=HIGH, report=seeing(**theirs)))
    [found] = one.sources([a_source(**mine)])

    assert found.standing == together


async def test_who_says_nothing_of_a_source_yet_changes_nothing() -> None:
    one = await sharing(a_node(report=Report()))

    assert one.sources([a_source()]) == [a_source()]


async def test_those_that_are_gone_are_not_counted() -> None:
    gone = a_node(report=seeing(), living=False)
    one = await sharing(gone)

    assert one.watches(3) == 3
    assert one.sources([a_source()]) == [a_source()]


async def test_others_are_heard_of_sinks_and_of_whom_nobody_saw() -> None:
    fare = SinkReport(condition="failing", error="502")
    sources = {"prod": SourceReport(unseen=(str(KEY),))}
    report = Report(sinks={"oncall": fare}, sources=sources)
    one = await sharing(a_node(report=report))

    assert one.sinks("oncall") == [("vm-2 (process 790)", fare)]
    assert one.sinks("other") == []
    assert [*one.unseen("prod")] == [str(KEY)]
