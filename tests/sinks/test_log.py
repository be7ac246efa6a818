"""The log sink writes one line for each message worth one."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.core.message import Message
from monitor.sinks.log.sink import LogSink
from tests.sinks.messages import INSTANCE, KEY, a_notification, an_event, hosts

SOURCE_LOST = {"name": "source_lost", "severity": "critical"}


async def lines(*messages: Message) -> list[Any]:
    with capture_logs() as captured:
        for message in messages:
            await LogSink("journal").deliver(message)
    return list(captured)


async def test_an_event_is_one_line_of_what_is_known() -> None:
    data = {
        "instance": INSTANCE,
        "labels": {"team": "sre"},
        "link": "https://job.example.com/api_execute/20000153",
        "step": {"step_instance_id": 9, "execute_count": 0, "name": "deploy"},
        "hosts": hosts(2),
        "failed": 2,
        "total": 3,
        "part": 1,
        "parts": 2,
    }

    assert await lines(an_event(data=data)) == [
        {
            "event": "bkjob.hosts.failed",
            "log_level": "info",
            "id": f"{KEY}#4",
            "key": KEY,
            "sequence": 4,
            "name": "nightly deploy",
            "step": "deploy",
            "failed": 2,
            "total": 3,
            "part": "1/2",
            "ips": ["10.0.0.0", "10.0.0.1"],
            "labels": {"team": "sre"},
            "link": "https://job.example.com/api_execute/20000153",
        }
    ]


async def test_a_change_of_status_is_told_by_name() -> None:
    data = {
        "before": {"status": 2, "status_name": "running"},
        "after": {"status": 4, "status_name": "failed"},
    }

    [line] = await lines(an_event("bkjob.instance.finished", data=data))

    assert (line["before"], line["after"]) == ("running", "failed")


async def test_hosts_are_counted_by_the_name_of_their_status() -> None:
    data = {
        "counts": [{"status": 9, "status_name": "succeeded", "count": 8}],
        "failed": 0,
        "total": 8,
    }

    [line] = await lines(an_event("bkjob.hosts.changed", data=data))

    assert (line["counts"], line["failed"]) == (["8 succeeded"], 0)


async def test_a_notification_is_one_line_with_reason_and_summary() -> None:
    step = {"step_instance_id": 9, "execute_count": 0, "name": "deploy"}
    alerts = [
        {
            "name": "hosts_failed",
            "step": step,
            "failed": 2,
            "total": 3,
            "hosts": hosts(2),
        },
        {"name": "job_failed", "hosts": hosts(1)},
    ]

    assert await lines(a_notification(alerts=alerts)) == [
        {
            "event": "bkjob.notification",
            "log_level": "error",
            "id": f"{KEY}!1",
            "key": KEY,
            "name": "nightly deploy",
            "status": "firing",
            "reason": "first",
            "severity": "critical",
            "summary": "2 of 3 hosts failed in step 'deploy'",
            "alerts": ["hosts_failed 2/3 deploy", "job_failed"],
            "ips": ["10.0.0.0", "10.0.0.1"],
        }
    ]


@pytest.mark.parametrize(
    ("message", "level"),
    [
        (a_notification(severity="critical"), "error"),
        (a_notification(severity="warning"), "warning"),
        (a_notification(severity="critical", status="resolved"), "info"),
        (an_event("bkjob.instance.finished"), "info"),
        (an_event("bkjob.source.lost", key="prod", data={}), "warning"),
        (an_event("bkjob.source.restored", key="prod", data={}), "info"),
    ],
)
async def test_the_level_says_who_must_act(message: Message, level: str) -> None:
    [line] = await lines(message)

    assert line["log_level"] == level


@pytest.mark.parametrize(
    "message",
    [
        an_event("bkjob.alert.raised", key="prod"),
        an_event("bkjob.alert.resolved", key="prod"),
        a_notification("prod", alerts=[SOURCE_LOST]),
        a_notification("prod", status="resolved", alerts=[]),
    ],
)
async def test_an_outage_is_one_line_down_and_one_line_up(message: Message) -> None:
    assert await lines(message) == []


async def test_the_sequence_of_an_instance_has_no_hole_in_the_log() -> None:
    [line] = await lines(an_event("bkjob.alert.raised"))

    assert line["sequence"] == 4


async def test_more_than_twenty_hosts_are_counted() -> None:
    [event] = await lines(an_event(data={"hosts": hosts(25)}))
    [told] = await lines(a_notification(alerts=[{"hosts": hosts(25), "omitted": 75}]))

    assert event["ips"][19:] == ["10.0.0.19", "…and 5 more"]
    assert told["ips"][19:] == ["10.0.0.19", "…and 80 more"]


async def test_a_host_without_ip_is_shown_by_what_it_has() -> None:
    found = [
        {"ip": None, "name": "pod-1", "container_id": "c"},
        {"bk_host_id": 7},
        {},
    ]

    [line] = await lines(an_event(data={"hosts": found}))

    assert line["ips"] == ["pod-1", "7", "?"]


async def test_text_from_outside_reaches_no_terminal_as_it_is() -> None:
    evil = "\x1b]0;owned\x07\u202e\n2026 all is well"
    data = {
        "instance": {"name": evil},
        "step": {"name": evil},
        "hosts": [{"ip": evil}],
        "labels": {evil: evil},
        "link": evil,
    }

    [line] = await lines(an_event(data=data))

    assert line["name"] == "\\u001b]0;owned\\u0007\\u202e\\u000a2026 all is well"
    assert all(text.isprintable() for text in texts(line))


async def test_text_from_outside_is_bounded() -> None:
    labels = {f"label-{n}": "y" * 9000 for n in range(1000)}
    data = {"instance": {"name": "x" * 9000}, "labels": labels}

    [line] = await lines(an_event(data=data))

    assert line["name"] == "x" * 511 + "…"
    assert len(line["labels"]) == 20
    assert max(map(len, texts(line))) == 512


@pytest.mark.parametrize("data", [b"nonsense", b"[]", b'{"hosts": {}}'])
async def test_data_that_cannot_be_read_leaves_what_the_envelope_says(
    data: bytes,
) -> None:
    assert await lines(an_event(data=data)) == [
        {
            "event": "bkjob.hosts.failed",
            "log_level": "info",
            "id": f"{KEY}#4",
            "key": KEY,
            "sequence": 4,
        }
    ]


def texts(value: Any) -> list[str]:
    match value:
        case dict():
            return [text for pair in value.items() for it in pair for text in texts(it)]
        case list():
            return [text for item in value for text in texts(item)]
        case str():
            return [value]
        case _:
            return []
