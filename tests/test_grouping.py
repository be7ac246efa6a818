"""Which alerts are one message, to whom it goes, and what keeps one from going."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from msgspec import structs

from monitor.core import matchers
from monitor.core.decisions import Verdict
from monitor.core.inhibition import Rule
from monitor.core.message import Message
from monitor.core.obstacle import Flapping
from monitor.core.routing import Route
from monitor.core.telling import Acked
from monitor.core.watch import Severity
from monitor.grouping import Grouping
from monitor.notifier import Habits
from monitor.recorder import Recorder
from monitor.store.sql import SqlStore
from tests.support import clock, log, sink, stores
from tests.support.answers import (
    FAILED,
    KEY,
    RECOVERED,
    WORSE,
    a_job,
    a_key,
    hosts,
)
from tests.support.desk import RULES, telling_to
from tests.support.sink import RecordingSink

pytestmark = pytest.mark.looptime

HOUR = 3600.0
DBA = {"team": "dba"}
GROUP = 'prod/{team="dba"}'
KEYS = [a_key(number) for number in range(1, 6)]
BY_TEAM = Route(name="default", sinks=("oncall",), by=("team",), rules=RULES)


def matching(*texts: str) -> tuple[matchers.Matcher, ...]:
    return tuple(matchers.parse(text) for text in texts)


def about(message: Message) -> list[int]:
    """List the instances that a message says hold."""
    return [
        alert.instance.job_instance_id
        for alert in sink.told(message).alerts
        if alert.instance and alert.name == "hosts_failed"
    ]


async def reason(store: SqlStore, group: str = str(KEY)) -> str:
    """Give the reason of the last verdict about *group*, of its only sink."""
    [verdict] = await store.verdicts(group, 1)
    [decision] = verdict.decisions
    return decision.reason


async def saw_all(recorder: Recorder) -> None:
    for key in KEYS:
        await log.saw(recorder, FAILED, key)


# Groups.


async def test_instances_that_share_a_label_are_one_message(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, route=BY_TEAM) as desk:
            desk.labels.update(dict.fromkeys(KEYS, DBA))
            await saw_all(desk.recorder)
            await anyio.sleep(60)

        [message] = oncall.delivered
        said = sink.told(message)
        assert (message.key, message.id) == (GROUP, f"{GROUP}!1")
        assert sorted(about(message)) == [1, 2, 3, 4, 5]
        assert (said.labels, said.instance) == (DBA, None)
        assert said.summary == (
            f"{GROUP}: 10 alerts, 5 failed hosts: "
            "1 of 2 hosts failed in step 'push'; and 7 more"
        )


async def test_a_group_says_who_joined_and_is_over_when_all_are(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, route=BY_TEAM) as desk:
            desk.labels.update(dict.fromkeys(KEYS, DBA))
            await log.saw(desk.recorder, FAILED, KEYS[0])
            await anyio.sleep(60)
            await log.saw(desk.recorder, FAILED, KEYS[1])
            await anyio.sleep(60)
            await log.saw(desk.recorder, RECOVERED, KEYS[0])
            await anyio.sleep(60)
            half_over = list(oncall.said)
            await log.saw(desk.recorder, RECOVERED, KEYS[1])
            await anyio.sleep(60)

        assert half_over == ["first", "new_alert"]
        assert oncall.said == ["first", "new_alert", "resolved"]
        assert {
            one.instance.job_instance_id
            for one in sink.told(oncall.delivered[-1]).ended
            if one.instance
        } == {2}


async def test_what_holds_is_counted_by_name_and_severity_until_it_is_over(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        async with telling_to(store, RecordingSink()) as desk:
            await saw_all(desk.recorder)
            await anyio.sleep(60)
            during = held(desk.grouping)
            await log.saw(desk.recorder, RECOVERED, KEYS[0])
            after = held(desk.grouping)
        async with telling_to(store, RecordingSink()) as desk:
            await anyio.sleep(60)
            restarted = held(desk.grouping)

    assert during == {
        ("hosts_failed", "critical"): 5,
        ("job_failed", "critical"): 5,
    }
    assert set(after.values()) == {4}
    assert restarted == after


def held(grouping: Grouping) -> dict[tuple[str, ...], float]:
    return {one.labels: one.value for one in grouping.samples() if one.value}


async def test_groups_of_several_go_on_after_a_restart(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, route=BY_TEAM) as desk:
            desk.labels.update(dict.fromkeys(KEYS, DBA))
            await saw_all(desk.recorder)
            await anyio.sleep(60)
        async with telling_to(store, oncall, route=BY_TEAM) as desk:
            desk.labels.update(dict.fromkeys(KEYS, DBA))
            await anyio.sleep(60)
            for key in KEYS:
                await log.saw(desk.recorder, RECOVERED, key)
            await anyio.sleep(60)

        assert oncall.said == ["first", "resolved"]


async def test_runs_of_one_plan_are_one_message_and_a_job_without_a_plan_its_own(
    tmp_path: Path,
) -> None:
    planned = structs.replace(FAILED, plan_id=17)
    by_plan = structs.replace(BY_TEAM, by=("plan",))
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, route=by_plan) as desk:
            await log.saw(desk.recorder, planned, KEYS[0])
            await log.saw(desk.recorder, planned, KEYS[1])
            await log.saw(desk.recorder, FAILED, KEYS[2])
            await anyio.sleep(60)

        assert sorted((m.key, sorted(about(m))) for m in oncall.delivered) == [
            (str(KEYS[2]), [3]),
            ('prod/{plan="17"}', [1, 2]),
        ]


async def test_a_watch_whose_label_changes_moves_without_a_false_recovery(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, route=BY_TEAM) as desk:
            desk.labels[KEY] = DBA
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
            desk.labels[KEY] = {"team": "web"}
            await log.saw(desk.recorder, WORSE)
            await anyio.sleep(60)
            said_before = [(m.key, sink.told(m).status) for m in oncall.delivered]
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        assert (GROUP, "resolved") not in said_before
        assert {(m.key, sink.told(m).status) for m in oncall.delivered} >= {
            (GROUP, "firing"),
            (GROUP, "resolved"),
        }


# Routes.


TREE = Route(
    name="routes",
    sinks=(),
    rules=RULES,
    routes=(
        Route(
            name="routes[0]",
            sinks=("dba",),
            matchers=matching('team="dba"'),
            rules=RULES,
            goes_on=True,
        ),
        Route(
            name="routes[1]",
            sinks=("boss",),
            matchers=matching('severity="critical"'),
            rules=structs.replace(RULES, after=timedelta(minutes=30)),
        ),
    ),
)


async def test_an_alert_goes_where_its_labels_lead(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        dba, boss = RecordingSink("dba"), RecordingSink("boss")
        async with telling_to(store, dba, boss, route=TREE) as desk:
            desk.labels[KEYS[1]] = DBA
            await log.saw(desk.recorder, FAILED, KEYS[0])
            await log.saw(desk.recorder, FAILED, KEYS[1])
            await anyio.sleep(60)
            early = list(boss.ids)
            await anyio.sleep(HOUR)

        assert dba.ids == [f"{KEYS[1]}!1"]
        assert early == []
        assert sorted(m.key for m in boss.delivered) == [str(k) for k in KEYS[:2]]
        assert min(when for when, _ in boss.tried) == pytest.approx(1800, abs=2)


async def test_what_is_over_before_it_is_escalated_never_is(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        dba, boss = RecordingSink("dba"), RecordingSink("boss")
        async with telling_to(store, dba, boss, route=TREE) as desk:
            desk.labels[KEY] = DBA
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(600)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(HOUR)

        assert dba.said == ["first", "resolved"]
        assert boss.said == []


async def test_what_somebody_acknowledged_is_not_escalated(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        dba, boss = RecordingSink("dba"), RecordingSink("boss")
        async with telling_to(store, dba, boss, route=TREE) as desk:
            desk.labels[KEY] = DBA
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(600)
            desk.quiet.acks[str(KEY)] = Acked("alice")
            desk.notifier.reconsider()
            await anyio.sleep(24 * HOUR)
            quiet = list(boss.said)
            desk.quiet.acks.clear()
            desk.notifier.reconsider()
            await anyio.sleep(60)

        assert quiet == []
        assert boss.said == ["first"]


async def test_what_leads_nowhere_is_told_to_nobody_and_that_is_kept(
    tmp_path: Path,
) -> None:
    nowhere = structs.replace(TREE, routes=TREE.routes[:1])
    async with stores.opened(tmp_path) as store:
        dba = RecordingSink("dba")
        async with telling_to(store, dba, route=nowhere) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        assert dba.said == []
        assert await reason(store) == "unrouted"


# Inhibition.


GONE_EXPLAINS = Rule(
    name="alerts.inhibit[0]",
    source=matching('alert="job_failed"'),
    target=matching('severity="warning"'),
    equal=("team",),
)


async def test_an_alert_that_another_explains_waits_until_that_is_over(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, inhibit=[GONE_EXPLAINS]) as desk:
            desk.labels.update(dict.fromkeys(KEYS, DBA))
            await log.saw(desk.recorder, FAILED, KEYS[0])
            await log.saw(
                desk.recorder,
                a_job(2, hosts(_1=104, _2=7)),
                KEYS[1],
                severity=Severity.WARNING,
            )
            await anyio.sleep(60)
            meanwhile = [m.key for m in oncall.delivered]
            why = await reason(store, str(KEYS[1]))
            await log.saw(desk.recorder, RECOVERED, KEYS[0])
            await anyio.sleep(60)

        assert meanwhile == [str(KEYS[0])]
        assert why == "inhibited"
        assert [m.key for m in oncall.delivered if m.key != str(KEYS[0])] == [
            str(KEYS[1])
        ]


async def test_another_team_is_not_inhibited(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, inhibit=[GONE_EXPLAINS]) as desk:
            desk.labels[KEYS[0]] = DBA
            await log.saw(desk.recorder, FAILED, KEYS[0])
            await log.saw(
                desk.recorder,
                a_job(2, hosts(_1=104, _2=7)),
                KEYS[1],
                severity=Severity.WARNING,
            )
            await anyio.sleep(60)

        assert len(oncall.delivered) == 2


# Settling, flapping, and what is said of both.


async def test_a_retry_within_the_time_to_settle_is_heard_of_by_nobody(
    tmp_path: Path,
) -> None:
    patient = structs.replace(RULES, settle_for=timedelta(minutes=10))
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, rules=patient) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(300)
            why = await reason(store)
            await log.saw(desk.recorder, a_job(2, hosts(_2=7), attempt=1))
            await anyio.sleep(1200)
            while_running = list(oncall.said)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        assert why == "settling"
        assert (while_running, oncall.said) == ([], [])


async def test_what_nobody_retries_is_told_once_it_has_settled(tmp_path: Path) -> None:
    patient = structs.replace(RULES, settle_for=timedelta(minutes=10))
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, rules=patient) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(HOUR)

        assert [when for when, _ in oncall.tried] == pytest.approx([600], abs=2)


async def test_who_comes_and_goes_is_well_only_when_calm(tmp_path: Path) -> None:
    habits = Habits(flapping=Flapping(changes=6, window=timedelta(hours=1)))
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, habits=habits) as desk:
            for attempt in range(12):
                bad = attempt % 2 == 0
                rows = hosts(_1=9, _2=104 if bad else 9)
                job = a_job(4 if bad else 3, rows, attempt=attempt)
                await log.saw(desk.recorder, job)
                await anyio.sleep(60)
            told_of = list(oncall.said)
            why = await reason(store)
            await anyio.sleep(2 * HOUR)

        assert told_of == ["first", "resolved", "first", "resolved", "first"]
        assert why == "flapping"
        assert oncall.said == [*told_of, "resolved"]


# Sinks that keep a level of their own.


async def test_a_level_sink_hears_of_every_end(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        peer = RecordingSink("peer")
        async with telling_to(store, peer, levels=["peer"]) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
            await log.saw(desk.recorder, a_job(3, hosts(_1=9, _2=104), attempt=1))
            await anyio.sleep(60)
            await log.unwatched(desk.recorder)
            await anyio.sleep(60)

        assert peer.said == ["first", "partly_resolved", "unwatched"]
        ended = [[e.name for e in sink.told(m).ended] for m in peer.delivered]
        assert ended == [[], ["job_failed"], ["hosts_failed"]]


async def test_a_level_sink_hears_after_each_start_what_holds(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        peer, oncall = RecordingSink("peer"), RecordingSink()
        for _ in range(3):
            async with telling_to(store, peer, oncall, levels=["peer"]) as desk:
                await log.saw(desk.recorder, FAILED)
                await anyio.sleep(60)

        assert peer.said == ["first", "reminder", "reminder"]
        assert oncall.said == ["first"]


async def test_who_groups_by_itself_is_told_of_each_instance_to_its_end(
    tmp_path: Path,
) -> None:
    both = structs.replace(
        BY_TEAM, sinks=("oncall", "peer"), ungrouped=frozenset({"peer"})
    )
    async with stores.opened(tmp_path) as store:
        oncall, peer = RecordingSink(), RecordingSink("peer")
        async with telling_to(store, oncall, peer, route=both, levels=["peer"]) as desk:
            desk.labels.update(dict.fromkeys(KEYS, DBA))
            await saw_all(desk.recorder)
            await anyio.sleep(60)
            await log.saw(desk.recorder, RECOVERED, KEYS[0])
            await anyio.sleep(60)

        told_of = sorted(about(message)[0] for message in peer.delivered[:5])
        assert told_of == [1, 2, 3, 4, 5]
        assert peer.delivered[5].key == str(KEYS[0])
        assert peer.said == ["first"] * 5 + ["resolved"]
        assert {message.key for message in oncall.delivered} == {GROUP}
        [verdict] = await store.verdicts(str(KEYS[0]), 1)
        assert {decision.sink for decision in verdict.decisions} == {"peer"}


# Verdicts.


def gist(verdict: Verdict) -> Mapping[str, str]:
    return {decision.sink: decision.reason for decision in verdict.decisions}


async def test_each_change_of_mind_is_kept_with_its_reason(tmp_path: Path) -> None:
    patient = structs.replace(RULES, group_wait=timedelta(seconds=30))
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, rules=patient) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(HOUR)
            await log.saw(desk.recorder, WORSE, severity=Severity.WARNING)
            await anyio.sleep(60)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        kept = await store.verdicts(str(KEY), 10)
        assert [gist(one)["oncall"] for one in reversed(kept)] == [
            "grouping",
            "first",
            "more_hosts",
            "resolved",
        ]
        told = [one.decisions[0].notification for one in kept]
        assert [id_ for id_ in reversed(told) if id_] == oncall.ids
        assert kept[0].at > clock.MORNING
