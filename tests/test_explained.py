"""Every path to silence is brought about, and then asked about as people ask."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from msgspec import Struct, structs

from monitor.core import matchers, reach
from monitor.core.alerts import Name
from monitor.core.inhibition import Rule
from monitor.core.message import Kind
from monitor.core.obstacle import Flapping
from monitor.core.quiet import Ack, Daily, Maintenance, Silence
from monitor.core.routing import Route
from monitor.core.subscription import Subscription
from monitor.core.telling import WhyNot
from monitor.core.watch import Severity
from monitor.notifier import Habits
from monitor.quiet import Quiet
from monitor.store.sql import SqlStore
from monitor.storm import Bound
from monitor.web.api import explain
from tests.support import clock, control, log, stores
from tests.support.answers import (
    FAILED,
    KEY,
    RECOVERED,
    RETRYING,
    WORSE,
    a_job,
    a_key,
    hosts,
)
from tests.support.desk import RULES, Desk, telling_to
from tests.support.logs import SourceWithLogs
from tests.support.sink import RecordingSink

pytestmark = pytest.mark.looptime

Happens = Callable[[Desk, Quiet], Awaitable[None]]

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
[BAD] = hosts(_2=0)
ALL = (matchers.parse('source="prod"'),)
MANY = [a_key(number) for number in range(1, 31)]
AT_MORNING = Daily(start=clock.MORNING.time(), end=(clock.MORNING + 2 * HOUR).time())
FIVE_A_MINUTE = Habits(storm=Bound(messages=5, per=MINUTE))


class Way(Struct, frozen=True, kw_only=True):
    """How it comes that sink ``oncall`` is told nothing about *of*, and what is said."""

    reason: WhyNot
    happens: Happens
    detail: str = ""
    of: str = str(KEY)
    quiet: Sequence[Silence | Maintenance] = ()
    desk: Mapping[str, Any] = {}


def rules(**given: Any) -> Mapping[str, Any]:
    return {"rules": structs.replace(RULES, **given)}


def leading(*matching: str, **given: Any) -> Mapping[str, Any]:
    """Let a route lead to ``oncall`` that has these matchers."""
    here = Route(
        name="routes[0]",
        sinks=("oncall",),
        matchers=tuple(map(matchers.parse, matching)),
        rules=structs.replace(RULES, **given),
    )
    return {"route": Route(name="routes", sinks=(), rules=RULES, routes=(here,))}


async def it_fails(desk: Desk, _: Quiet) -> None:
    await log.saw(desk.recorder, FAILED)
    await anyio.sleep(60)


async def it_fails_and_is_looked_at_again(desk: Desk, quiet: Quiet) -> None:
    await it_fails(desk, quiet)
    desk.notifier.reconsider()
    await anyio.sleep(60)


async def it_fails_and_gets_worse(desk: Desk, quiet: Quiet) -> None:
    await it_fails(desk, quiet)
    await log.saw(desk.recorder, WORSE)
    await anyio.sleep(60)


async def one_of_two_hosts_is_well_after_all(desk: Desk, _: Quiet) -> None:
    await log.saw(desk.recorder, WORSE)
    await anyio.sleep(60)
    await log.saw(desk.recorder, FAILED)
    await anyio.sleep(60)


async def it_fails_and_runs_again(desk: Desk, quiet: Quiet) -> None:
    await it_fails(desk, quiet)
    await log.saw(desk.recorder, RETRYING)
    await anyio.sleep(3600)


async def it_comes_and_goes(desk: Desk, _: Quiet) -> None:
    for snapshot in (FAILED, RECOVERED) * 2:
        await log.saw(desk.recorder, snapshot)
        await anyio.sleep(60)


async def it_fails_and_somebody_cares(desk: Desk, quiet: Quiet) -> None:
    await it_fails(desk, quiet)
    await quiet.say(Ack(group=str(KEY), author="alice", at=clock.now()))
    await anyio.sleep(60)


async def somebody_cares_before_it_is_escalated(desk: Desk, quiet: Quiet) -> None:
    await log.saw(desk.recorder, FAILED)
    await quiet.say(Ack(group=str(KEY), author="alice", at=clock.now()))
    await anyio.sleep(3600)


async def its_source_is_lost(desk: Desk, quiet: Quiet) -> None:
    await desk.sees(reach.Kind.LOST)
    await it_fails(desk, quiet)


async def another_fails_of_the_same_team(desk: Desk, _: Quiet) -> None:
    first, second = MANY[:2]
    for key in (first, second):
        desk.labels[key] = {"team": "dba"}
    await log.saw(desk.recorder, FAILED, first)
    running = a_job(2, hosts(_1=104, _2=7))
    await log.saw(desk.recorder, running, second, severity=Severity.WARNING)
    await anyio.sleep(60)


async def it_is_watched_no_more(desk: Desk, quiet: Quiet) -> None:
    await it_fails(desk, quiet)
    await log.unwatched(desk.recorder)
    await anyio.sleep(60)


async def many_fail(desk: Desk, _: Quiet) -> None:
    for key in MANY:
        await log.saw(desk.recorder, FAILED, key)
    await anyio.sleep(30)


async def its_logs_are_asked_for(desk: Desk, _: Quiet) -> None:
    await log.saw(desk.recorder, FAILED)
    await anyio.sleep(3)


def logs(after: float) -> Mapping[str, Any]:
    source = SourceWithLogs({BAD: "tar: no space left"})
    source.tail_latency = after
    return {"logs": source}


WAYS: Mapping[str, Way] = {
    "silenced": Way(
        reason=WhyNot.SILENCED,
        detail="s1 by alice: disks",
        happens=it_fails,
        quiet=[
            Silence(
                id="s1",
                matchers=ALL,
                starts_at=clock.MORNING,
                ends_at=clock.MORNING + HOUR,
                author="alice",
                comment="disks",
            )
        ],
    ),
    "maintenance": Way(
        reason=WhyNot.MAINTENANCE,
        detail="patching",
        happens=it_fails,
        quiet=[Maintenance(name="patching", matchers=ALL, daily=AT_MORNING)],
    ),
    "inhibited by another alert": Way(
        reason=WhyNot.INHIBITED,
        detail="by alerts.inhibit[0]",
        happens=another_fails_of_the_same_team,
        of=str(MANY[1]),
        desk={
            "inhibit": [
                Rule(
                    name="alerts.inhibit[0]",
                    source=(matchers.parse("alert=job_failed"),),
                    target=(matchers.parse("severity=warning"),),
                    equal=("team",),
                )
            ]
        },
    ),
    "inhibited while the source is lost": Way(
        reason=WhyNot.INHIBITED,
        detail="its source cannot be seen",
        happens=its_source_is_lost,
    ),
    "acknowledged": Way(
        reason=WhyNot.ACKNOWLEDGED,
        detail="by alice",
        happens=it_fails_and_somebody_cares,
    ),
    "acknowledged before it was escalated": Way(
        reason=WhyNot.ACKNOWLEDGED,
        detail="by alice",
        happens=somebody_cares_before_it_is_escalated,
        desk=leading(after=30 * MINUTE),
    ),
    "well again, but it flaps": Way(
        reason=WhyNot.FLAPPING,
        detail="it was over before",
        happens=it_comes_and_goes,
        desk={"habits": Habits(flapping=Flapping(changes=3, window=HOUR))},
    ),
    "too few hosts": Way(
        reason=WhyNot.BELOW_THRESHOLD,
        detail="1 of 2 hosts failed; worth telling from 2 hosts and 0 %",
        happens=it_fails,
        desk=rules(at_least=2, never=frozenset({Name.JOB_FAILED})),
    ),
    "for: has not passed": Way(
        reason=WhyNot.PENDING,
        detail="it must hold for longer",
        happens=it_fails,
        desk=rules(holding=dict.fromkeys(Name, 10 * MINUTE)),
    ),
    "not escalated yet": Way(
        reason=WhyNot.PENDING,
        detail="it is not escalated yet",
        happens=it_fails,
        desk=leading(after=30 * MINUTE),
    ),
    "somebody may retry it": Way(
        reason=WhyNot.SETTLING,
        detail="somebody may retry it",
        happens=it_fails,
        desk=rules(settle_for=10 * MINUTE),
    ),
    "it is being retried": Way(
        reason=WhyNot.SETTLING,
        detail="it ended and runs again",
        happens=it_fails_and_runs_again,
        desk=rules(settle_for=10 * MINUTE),
    ),
    "group_wait": Way(
        reason=WhyNot.GROUPING,
        happens=it_fails,
        desk=rules(group_wait=10 * MINUTE),
    ),
    "group_interval": Way(
        reason=WhyNot.GROUPING,
        happens=it_fails_and_gets_worse,
        desk=rules(group_interval=10 * MINUTE),
    ),
    "waiting for logs": Way(
        reason=WhyNot.WAITING_FOR_LOGS,
        happens=its_logs_are_asked_for,
        desk=logs(after=60),
    ),
    "no route leads there": Way(
        reason=WhyNot.UNROUTED,
        detail="no route leads to it",
        happens=it_fails,
        desk=leading("team=dba"),
    ),
    "its match leaves it out": Way(
        reason=WhyNot.UNROUTED,
        detail="its match does not fit",
        happens=it_fails,
        desk={"wants": {"oncall": lambda _: False}},
    ),
    "severity none": Way(
        reason=WhyNot.UNROUTED,
        detail="hosts_failed, final, is told to nobody",
        happens=it_fails,
        desk=rules(never=frozenset({Name.JOB_FAILED, Name.HOSTS_FAILED})),
    ),
    "a storm": Way(
        reason=WhyNot.STORM,
        detail="too much happens at once; it is told with the others",
        happens=many_fail,
        of=str(MANY[-1]),
        desk={"habits": FIVE_A_MINUTE},
    ),
    "told already": Way(
        reason=WhyNot.ALREADY_TOLD, happens=it_fails_and_is_looked_at_again
    ),
    "getting better": Way(
        reason=WhyNot.IMPROVING, happens=one_of_two_hosts_is_well_after_all
    ),
    "nobody watches it": Way(reason=WhyNot.UNWATCHED, happens=it_is_watched_no_more),
}


async def explained(directory: Path, desk: Desk, of: str) -> dict[str, Any]:
    house = explain.House(
        sinks=("oncall", "journal"),
        sources=("prod",),
        groups_of=desk.grouping.groups_of,
        members=desk.grouping.members,
        frame=desk.frame,
    )
    patient = aiohttp.ClientTimeout(total=None)  # virtual time runs on while we wait
    async with control.serving(
        directory, explain.operations(desk.store, house)
    ) as path:
        answer = await control.ask(
            path, "GET", "/explain", params={"of": of}, timeout=patient
        )
    assert answer.status == 200, answer.body
    return dict(answer.body)


def in_force(found: dict[str, Any]) -> dict[str, Any]:
    [group] = found["groups"]
    [sink] = group["verdicts"][0]["sinks"]
    return dict(sink)


async def adopted(store: SqlStore, **sends: Kind) -> None:
    """Take note that there are these sinks from now on, and no others."""
    wanted = [
        Subscription(sink=name, send=(kind,), since=clock.now())
        for name, kind in sends.items()
    ]
    await store.adopt(wanted)


@asynccontextmanager
async def brought_about(store: SqlStore, way: Way) -> AsyncIterator[Desk]:
    """Let it happen; nothing more happens then."""
    desks: list[Desk] = []

    def changed() -> None:
        desks[0].notifier.reconsider()

    quiet = Quiet(store, way.quiet, now=clock.now, changed=changed)
    await quiet.load()
    oncall = RecordingSink()
    async with telling_to(store, oncall, quiet=quiet, **way.desk) as desk:
        desks.append(desk)
        await way.happens(desk, quiet)
    yield desk


@pytest.mark.parametrize("name", WAYS)
async def test_whoever_asks_why_it_is_silent_is_told_the_reason(
    tmp_path: Path, name: str
) -> None:
    way = WAYS[name]
    async with stores.opened(tmp_path) as store, brought_about(store, way) as desk:
        sink = in_force(await explained(tmp_path, desk, way.of))

    assert (sink["sink"], sink["told"]) == ("oncall", False)
    assert (sink["reason"], sink["detail"]) == (way.reason, way.detail)
    assert sink["said"]


@pytest.mark.parametrize("reason", WhyNot)
def test_every_reason_to_be_silent_is_brought_about(reason: WhyNot) -> None:
    assert reason in {way.reason for way in WAYS.values()}


async def test_after_a_short_wait_what_was_told_in_the_end_explains_it(
    tmp_path: Path,
) -> None:
    way = Way(reason=WhyNot.WAITING_FOR_LOGS, happens=it_fails, desk=logs(after=2))
    async with stores.opened(tmp_path) as store, brought_about(store, way) as desk:
        found = await explained(tmp_path, desk, way.of)

    [group] = found["groups"]
    told = [one["sinks"][0]["reason"] for one in group["verdicts"]]
    assert told == ["first", "waiting_for_logs"]


async def test_a_sink_that_takes_no_alerts_says_so(tmp_path: Path) -> None:
    way = WAYS["silenced"]
    async with stores.opened(tmp_path) as store:
        await adopted(store, oncall=Kind.ALERTS, journal=Kind.EVENTS)
        async with brought_about(store, way) as desk:
            found = await explained(tmp_path, desk, way.of)

    [journal] = found["sinks"]
    assert (journal["sink"], journal["reason"]) == ("journal", "not_taken")
    assert journal["said"] == "it takes no alerts"
    assert journal["detail"] == "send: [events]"


async def test_a_sink_that_came_after_a_notification_says_so(tmp_path: Path) -> None:
    way = WAYS["told already"]
    async with stores.opened(tmp_path) as store:
        await adopted(store, oncall=Kind.ALERTS)
        async with brought_about(store, way) as desk:
            await adopted(store, oncall=Kind.ALERTS, journal=Kind.ALERTS)
            found = await explained(tmp_path, desk, f"{KEY}!1")

    [journal] = found["sinks"]
    assert (journal["sink"], journal["reason"]) == ("journal", "later")


async def test_a_sink_that_was_gone_meanwhile_says_so(tmp_path: Path) -> None:
    way = WAYS["told already"]
    async with stores.opened(tmp_path) as store:
        await adopted(store, oncall=Kind.ALERTS, journal=Kind.ALERTS)
        await adopted(store, oncall=Kind.ALERTS)
        async with brought_about(store, way) as desk:
            await adopted(store, oncall=Kind.ALERTS, journal=Kind.ALERTS)
            found = await explained(tmp_path, desk, f"{KEY}!1")

    [journal] = found["sinks"]
    assert (journal["sink"], journal["reason"]) == ("journal", "no_such_sink")


async def test_where_no_sink_takes_alerts_that_is_the_answer(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        await adopted(store, journal=Kind.EVENTS)
        async with telling_to(store) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
        found = await explained(tmp_path, desk, str(KEY))

    [journal] = found["sinks"]
    assert (found["groups"], len(found["alerts"])) == ([], 2)
    assert (journal["sink"], journal["reason"]) == ("journal", "not_taken")


async def test_the_message_of_a_storm_says_why_to_whom_and_about_which_incidents(
    tmp_path: Path,
) -> None:
    async def it_is_told(desk: Desk, quiet: Quiet) -> None:
        await many_fail(desk, quiet)
        await anyio.sleep(60)

    way = structs.replace(WAYS["a storm"], happens=it_is_told)
    async with stores.opened(tmp_path) as store, brought_about(store, way) as desk:
        message = await explained(tmp_path, desk, "prod/{storm}!1")
        of_all = await explained(tmp_path, desk, "prod/{storm}")
        of_one = await explained(tmp_path, desk, way.of)

    sink = in_force(message)
    assert (sink["sink"], sink["told"], sink["reason"]) == ("oncall", True, "storm")
    assert sink["detail"] == "25 incidents"
    assert [case["alert"] for case in sink["cases"]] == [*map(str, MANY[5:25])]
    assert sink["omitted"] == 5
    assert {alert["key"] for alert in of_all["alerts"]} == {*map(str, MANY[5:25])}
    [told] = [one["sinks"][0] for one in of_one["groups"][0]["verdicts"][1:2]]
    assert told["notification"] == "prod/{storm}!1"
