"""Who is told what about alerts, when, and how often; real store, virtual time."""

from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from monitor import errors
from monitor.core import reach
from monitor.core.model import Snapshot
from monitor.core.telling import Obstacle, WhyNot
from monitor.core.watch import Severity
from monitor.recorder import Recorder
from monitor.store.sql import MEMBERS
from tests.support import log, sink, stores
from tests.support.answers import (
    FAILED,
    KEY,
    RECOVERED,
    RUNNING,
    SUCCEEDED,
    WORSE,
    a_job,
    a_key,
    hosts,
)
from tests.support.desk import RULES, Wants, telling_to
from tests.support.logs import SourceWithLogs, Turns
from tests.support.sink import RecordingSink

pytestmark = pytest.mark.looptime

HOUR = 3600.0
[BAD] = hosts(_2=0)
THREE_FAILED = a_job(4, hosts(_1=104, _2=104, _3=11, _4=9))


def only(severity: Severity) -> Wants:
    return lambda traits: traits["severity"] == severity


async def test_one_message_names_everything_that_came_within_the_wait(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, a_job(2, hosts(_1=104, _2=7)))
            await anyio.sleep(0.5)
            await log.saw(desk.recorder, WORSE)
            await anyio.sleep(60)

        [(when, _)] = oncall.tried
        [notification] = [sink.told(message) for message in oncall.delivered]
        assert when == pytest.approx(1, abs=0.05)
        assert [(it.name, it.failed) for it in notification.alerts] == [
            ("hosts_failed", 2),
            ("job_failed", 0),
        ]
        assert (notification.reason, notification.status) == ("first", "firing")
        assert notification.last_sequence == 8


async def test_a_good_end_is_told_to_nobody(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, RUNNING)
            await log.saw(desk.recorder, SUCCEEDED)
            await anyio.sleep(24 * HOUR)

        assert oncall.tried == []


async def test_what_is_over_within_the_wait_is_told_to_nobody(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        rules = structs.replace(RULES, group_wait=timedelta(seconds=30))
        async with telling_to(store, oncall, rules=rules) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(5)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(24 * HOUR)

        assert oncall.tried == []


async def test_each_message_gives_the_reason_for_which_it_was_sent(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            for snapshot in (
                a_job(2, hosts(_1=104, _2=7)),
                Snapshot(status=4, name="deploy"),
                WORSE,
            ):
                await log.saw(desk.recorder, snapshot)
                await anyio.sleep(60)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        assert oncall.said == ["first", "new_alert", "more_hosts", "resolved"]


async def test_a_graver_severity_is_worse(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, FAILED, severity=Severity.WARNING)
            await anyio.sleep(60)
            await log.saw(desk.recorder, FAILED, severity=Severity.CRITICAL)
            await anyio.sleep(60)

        assert oncall.said == ["first", "worse"]


async def test_what_holds_is_repeated_after_the_repeat_interval(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(13 * HOUR)

        assert oncall.said == ["first", "reminder", "reminder"]
        assert [when for when, _ in oncall.tried] == pytest.approx(
            [1, 4 * HOUR, 12 * HOUR], abs=3
        )


async def test_a_reminder_counts_from_the_last_message(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(3 * HOUR)
            await log.saw(desk.recorder, WORSE)
            await anyio.sleep(3.9 * HOUR)
            before = oncall.said
            await anyio.sleep(0.2 * HOUR)

        assert before == ["first", "more_hosts"]
        assert oncall.said == ["first", "more_hosts", "reminder"]


@pytest.mark.parametrize(
    ("after", "severity", "why_not"),
    [
        (a_job(2, hosts(_1=9, _2=7), attempt=1), None, "improving"),
        (WORSE, Severity.WARNING, "already_told"),
    ],
)
async def test_what_is_better_or_known_is_told_to_nobody(
    tmp_path: Path, after: Snapshot, severity: Severity | None, why_not: str
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        with capture_logs() as lines:
            async with telling_to(store, oncall) as desk:
                await log.saw(desk.recorder, WORSE)
                await anyio.sleep(60)
                await log.saw(desk.recorder, after, severity=severity)
                await anyio.sleep(60)

        assert oncall.said == ["first"]
        reasons = [x["reason"] for x in lines if x["event"] == "telling.withheld"]
        assert reasons == [why_not]


async def test_below_the_threshold_hosts_are_told_to_nobody_until_it_is_reached(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        rules = structs.replace(RULES, at_least=2)
        async with telling_to(store, oncall, rules=rules) as desk:
            await log.saw(desk.recorder, a_job(2, hosts(_1=104, _2=7)))
            await anyio.sleep(24 * HOUR)
            below = oncall.said
            await log.saw(desk.recorder, a_job(2, hosts(_1=104, _2=104)))
            await anyio.sleep(60)

        assert below == []
        assert oncall.said == ["first"]


async def test_two_messages_of_a_group_keep_their_distance(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        rules = structs.replace(RULES, group_interval=timedelta(seconds=30))
        async with telling_to(store, oncall, rules=rules) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(2)
            await log.saw(desk.recorder, WORSE)
            await anyio.sleep(2)
            await log.saw(desk.recorder, THREE_FAILED)
            await anyio.sleep(60)

        assert [when for when, _ in oncall.tried] == pytest.approx([1, 31], abs=0.05)
        assert oncall.said == ["first", "more_hosts"]


async def test_one_incident_does_not_wait_for_another(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            for number in range(1, 21):
                await log.saw(desk.recorder, FAILED, a_key(number))
            await anyio.sleep(2)

        assert len(oncall.delivered) == 20


async def test_while_the_source_is_lost_only_that_is_told(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, FAILED)
            await desk.sees(reach.Kind.LOST)
            await anyio.sleep(1 * HOUR)
            while_lost = [message.key for message in oncall.delivered]
            await desk.sees(reach.Kind.RESTORED)
            await anyio.sleep(60)

        assert while_lost == ["prod"]
        assert sorted((m.key, sink.told(m).reason) for m in oncall.delivered[1:]) == [
            ("prod", "resolved"),
            (str(KEY), "first"),
        ]


async def test_a_reminder_that_is_due_while_the_source_is_lost_waits_in_silence(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        with capture_logs() as lines:
            async with telling_to(store, oncall) as desk:
                await log.saw(desk.recorder, FAILED)
                await anyio.sleep(60)
                await desk.sees(reach.Kind.LOST)
                await anyio.sleep(5 * HOUR)
                looks = len(lines)
                await desk.sees(reach.Kind.RESTORED)
                await anyio.sleep(60)

        about_job = [sink.told(m).reason for m in oncall.delivered if m.key != "prod"]
        assert about_job == ["first", "reminder"]
        assert looks < 10


async def test_two_sinks_are_told_of_what_each_wants(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        pager, mail = RecordingSink("pager"), RecordingSink("mail")
        wants = {"pager": only(Severity.CRITICAL), "mail": only(Severity.WARNING)}
        async with telling_to(store, pager, mail, wants=wants) as desk:
            await log.saw(desk.recorder, FAILED)
            await log.saw(desk.recorder, FAILED, a_key(2), severity=Severity.WARNING)
            await anyio.sleep(60)

        assert [message.key for message in pager.delivered] == ["prod/biz/2/1"]
        assert [message.key for message in mail.delivered] == ["prod/biz/2/2"]


async def test_a_sink_hears_of_the_end_only_if_it_heard_of_the_beginning(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        pager, mail = RecordingSink("pager"), RecordingSink("mail")
        wants = {"pager": only(Severity.CRITICAL)}
        async with telling_to(store, pager, mail, wants=wants) as desk:
            await log.saw(desk.recorder, FAILED, severity=Severity.WARNING)
            await anyio.sleep(60)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        assert pager.said == []
        assert mail.said == ["first", "resolved"]


async def test_a_sink_that_wants_only_what_is_grave_hears_of_its_end(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        pager = RecordingSink("pager")
        wants = {"pager": only(Severity.CRITICAL)}
        async with telling_to(store, pager, wants=wants) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        assert pager.said == ["first", "resolved"]


async def test_what_becomes_less_grave_than_a_sink_wants_is_not_over_for_it(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        pager = RecordingSink("pager")
        wants = {"pager": only(Severity.CRITICAL)}
        async with telling_to(store, pager, wants=wants) as desk:
            await log.saw(desk.recorder, a_job(2, hosts(_1=9, _2=104)))
            await anyio.sleep(60)
            await log.saw(desk.recorder, a_job(6, hosts(_1=9, _2=104)))
            await anyio.sleep(60)
            while_ignored = [*pager.said]
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        assert while_ignored == ["first"]
        assert pager.said == ["first", "resolved"]


async def test_sinks_that_are_told_the_same_are_told_it_under_one_id(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        one, two = RecordingSink("one"), RecordingSink("two")
        async with telling_to(store, one, two) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        assert one.ids == two.ids == [f"{KEY}!1"]


async def test_an_id_of_a_notification_is_never_used_for_two_things(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        pager, mail = RecordingSink("pager"), RecordingSink("mail")
        wants = {"pager": only(Severity.CRITICAL)}
        for _ in range(2):
            async with telling_to(store, pager, mail, wants=wants) as desk:
                await log.saw(desk.recorder, FAILED, severity=Severity.WARNING)
                await anyio.sleep(60)
                await log.saw(desk.recorder, WORSE)
                await anyio.sleep(60)
                await log.unwatched(desk.recorder)
                await anyio.sleep(60)

        told = {(m.id, m.data) for each in (pager, mail) for m in each.delivered}
        used = {id_ for id_, _ in told}
        assert len(told) == len(used) == 6
        assert used == {f"{KEY}!{number}" for number in range(1, 7)}


async def test_alerts_of_a_removed_watch_end_in_silence(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
            await log.unwatched(desk.recorder)
            await anyio.sleep(24 * HOUR)

            assert oncall.said == ["first"]
            assert (await store.accounts([str(KEY)]))[str(KEY)].told == {}


async def test_what_is_watched_again_is_told_again(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
            await log.unwatched(desk.recorder)
            await anyio.sleep(60)
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        assert oncall.said == ["first", "first"]


async def test_a_new_sink_is_told_what_holds(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        old, new = RecordingSink("old"), RecordingSink("new")
        async with telling_to(store, old) as desk:
            await log.saw(desk.recorder, FAILED)
            await log.saw(desk.recorder, SUCCEEDED, a_key(2))
            await anyio.sleep(60)
        async with telling_to(store, old, new):
            await anyio.sleep(60)

        assert old.said == ["first"]
        assert new.said == ["first"]


async def test_what_ends_while_all_that_holds_is_read_is_over(tmp_path: Path) -> None:
    keys = [a_key(number) for number in range(1, MEMBERS + 2)]
    async with stores.opened(tmp_path) as store:
        await log.saw_all(Recorder(store, lambda _: None), FAILED, keys)
        async with telling_to(store, RecordingSink()) as desk:
            await log.saw_all(desk.recorder, RECOVERED, keys)

        assert desk.grouping.groups() == set()


async def test_what_was_recorded_and_not_told_before_a_crash_is_told_once(
    tmp_path: Path,
) -> None:
    oncall = RecordingSink()
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, oncall) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(0.1)
    for _ in range(2):
        async with stores.opened(tmp_path) as store, telling_to(store, oncall):
            await anyio.sleep(60)

    assert oncall.said == ["first"]


async def test_what_was_said_and_not_delivered_before_a_crash_is_delivered_as_it_was(
    tmp_path: Path,
) -> None:
    dead = RecordingSink(refuse=sink.down)
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, dead) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(3)
    alive = RecordingSink()
    async with stores.opened(tmp_path) as store, telling_to(store, alive):
        await anyio.sleep(60)

    assert {id_ for _, id_ in dead.tried} == {f"{KEY}!1"}
    assert alive.ids == [f"{KEY}!1"]


async def test_reminders_go_on_after_a_restart(tmp_path: Path) -> None:
    oncall = RecordingSink()
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, oncall) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(HOUR)
    async with stores.opened(tmp_path) as store, telling_to(store, oncall):
        await anyio.sleep(4 * HOUR)

    assert oncall.said == ["first", "reminder"]
    assert [when for when, _ in oncall.tried] == pytest.approx([1, 4 * HOUR], abs=3)


def with_logs(after: float) -> SourceWithLogs:
    """Build a source that takes *after* seconds to give a log."""
    source = SourceWithLogs({BAD: "tar: no space left"})
    source.tail_latency = after
    return source


def no_turns() -> Turns:
    turns = Turns()
    turns.open = anyio.Event()
    return turns


def logs_told(sink_: RecordingSink) -> list[str]:
    """Give the log of the first cluster of each notification."""
    return [sink.told(m).alerts[0].clusters[0].log for m in sink_.delivered]


async def test_the_first_message_goes_as_soon_as_the_logs_have_come(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        with capture_logs() as lines:
            async with telling_to(store, oncall, logs=with_logs(after=3)) as desk:
                await log.saw(desk.recorder, FAILED)
                await anyio.sleep(60)

        assert logs_told(oncall) == ["tar: no space left"]
        assert [when for when, _ in oncall.tried] == pytest.approx([3], abs=0.1)
        reasons = [x["reason"] for x in lines if x["event"] == "telling.withheld"]
        assert reasons == ["waiting_for_logs"]


async def test_logs_that_come_within_the_group_wait_delay_nothing(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, logs=with_logs(after=0.5)) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        assert logs_told(oncall) == ["tar: no space left"]
        assert [when for when, _ in oncall.tried] == pytest.approx([1], abs=0.1)


async def test_the_first_message_waits_five_seconds_for_logs_at_most(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, logs=with_logs(after=9)) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        assert logs_told(oncall) == [""]
        assert [when for when, _ in oncall.tried] == pytest.approx([5], abs=0.1)


async def test_a_long_group_wait_is_wait_enough_for_logs(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        patient = structs.replace(RULES, group_wait=timedelta(seconds=30))
        source, turns = with_logs(after=0), no_turns()
        async with telling_to(
            store, oncall, rules=patient, logs=source, turns=turns
        ) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        assert [when for when, _ in oncall.tried] == pytest.approx([30], abs=0.1)


async def test_a_log_that_cannot_be_had_ends_the_wait(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        source = with_logs(after=2)
        source.mishaps = [errors.Garbled("no log")]
        async with telling_to(store, oncall, logs=source) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        assert logs_told(oncall) == [""]
        assert [when for when, _ in oncall.tried] == pytest.approx([2], abs=0.1)


async def test_later_logs_travel_with_the_next_message_and_cause_none(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        source, turns = with_logs(after=0), no_turns()
        async with telling_to(store, oncall, logs=source, turns=turns) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)
            turns.open.set()
            await anyio.sleep(60)
            before = oncall.said
            await log.saw(desk.recorder, WORSE)
            await anyio.sleep(60)

        assert before == ["first"]
        assert oncall.said == ["first", "more_hosts"]
        assert logs_told(oncall) == ["", "tar: no space left"]
        assert [when for when, _ in oncall.tried] == pytest.approx([5, 120], abs=0.1)


@pytest.mark.parametrize(
    "snapshot",
    [
        Snapshot(status=4, name="deploy"),
        a_job(4, hosts(_1=9, _2=2)),
        a_job(4, hosts(_1=9, _2=18)),
    ],
)
async def test_where_no_log_can_come_nobody_waits(
    tmp_path: Path, snapshot: Snapshot
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, logs=with_logs(after=9)) as desk:
            await log.saw(desk.recorder, snapshot)
            await anyio.sleep(60)

        assert [when for when, _ in oncall.tried] == pytest.approx([1], abs=0.1)


async def test_what_recovers_while_its_logs_are_awaited_is_told_to_nobody(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, logs=with_logs(after=9)) as desk:
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(2)
            await log.saw(desk.recorder, RECOVERED)
            await anyio.sleep(60)

        assert oncall.tried == []


async def test_one_that_waits_for_logs_delays_no_other(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, logs=with_logs(after=9)) as desk:
            await log.saw(desk.recorder, FAILED)
            await log.saw(desk.recorder, Snapshot(status=4), a_key(2))
            await anyio.sleep(60)

        assert [id_ for _, id_ in oncall.tried] == [f"{a_key(2)}!1", f"{KEY}!1"]


async def test_after_a_restart_nobody_waits_for_logs_once_more(
    tmp_path: Path,
) -> None:
    oncall, source = RecordingSink(), with_logs(after=9)
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, oncall, logs=source) as desk,
    ):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(3)
    await anyio.sleep(60)
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, oncall, logs=source),
    ):
        await anyio.sleep(60)

    assert oncall.said == ["first"]
    assert [when for when, _ in oncall.tried] == pytest.approx([63], abs=0.2)


async def test_a_notification_carries_the_labels_of_its_watch(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            desk.labels[KEY] = {"team": "sre"}
            await log.saw(desk.recorder, FAILED)
            await anyio.sleep(60)

        [message] = oncall.delivered
        assert message.traits["team"] == "sre"
        assert sink.told(message).labels == {"team": "sre"}


async def test_each_reason_for_silence_is_counted_once_while_it_lasts(
    tmp_path: Path,
) -> None:
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, RecordingSink()) as desk,
    ):
        desk.quiet.muted = Obstacle(WhyNot.SILENCED)
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        desk.notifier.reconsider()
        await anyio.sleep(60)
        counted = {one.labels: one.value for one in desk.notifier.samples()}

    assert counted["silenced",] == 1
    assert sum(counted.values()) == 1
