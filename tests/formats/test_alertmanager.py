"""A notification as Alertmanager's webhooks have it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from monitor import errors
from monitor.core.message import Message
from monitor.formats import alertmanager
from tests.core.builders import FRAME
from tests.formats.notified import LOG, failing, notified, recovered
from tests.sinks.messages import an_event


def body(message: Message) -> Any:
    return msgspec.json.decode(alertmanager.body(message, receiver="oncall"))


def test_what_holds_is_firing_and_says_who_why_and_where() -> None:
    [message] = notified(failing(2))

    said = body(message)

    assert (said["version"], said["status"], said["receiver"]) == (
        "4",
        "firing",
        "oncall",
    )
    hosts_failed, job_failed = said["alerts"]
    assert hosts_failed["labels"] == {
        "alertname": "hosts_failed",
        "instance": "prod/biz/2/20000153",
        "scope": "biz/2",
        "severity": "critical",
        "source": "prod",
        "step": "push",
        "step_instance_id": "7001",
        "team": "sre",
    }
    assert hosts_failed["annotations"] == {
        "summary": "deploy: 2 of 3 hosts failed in step 'push'",
        "description": "2 × non-zero exit code: 10.0.1.0, 10.0.1.1\n    " + LOG,
    }
    assert hosts_failed["startsAt"] == "2026-11-23T10:00:00Z"
    assert hosts_failed["endsAt"] == "0001-01-01T00:00:00Z"
    assert hosts_failed["generatorURL"].startswith("https://job.example.com/api_exec")
    assert job_failed["labels"]["alertname"] == "job_failed"


def test_the_group_is_the_instance_and_all_alerts_share_its_labels() -> None:
    [message] = notified(failing())

    said = body(message)

    group = {"instance": "prod/biz/2/20000153", "scope": "biz/2", "source": "prod"}
    assert said["groupLabels"] == group
    assert said["commonLabels"] == {**group, "severity": "critical", "team": "sre"}
    assert said["groupKey"] == (
        '{}:{instance="prod/biz/2/20000153", scope="biz/2", source="prod"}'
    )
    assert said["commonAnnotations"] == {}
    assert said["externalURL"] == "https://job.example.com/api_execute/20000153"


def test_what_is_over_is_resolved_under_the_same_fingerprint() -> None:
    first, last = map(body, notified(failing(), recovered()))

    assert last["status"] == "resolved"
    assert {alert["status"] for alert in last["alerts"]} == {"resolved"}
    assert [alert["fingerprint"] for alert in last["alerts"]] == [
        alert["fingerprint"] for alert in first["alerts"]
    ]
    assert all(a["endsAt"] > a["startsAt"] for a in last["alerts"])
    assert last["groupKey"] == first["groupKey"]


def test_labels_of_the_watch_become_valid_and_never_replace_ours() -> None:
    frame = structs.replace(
        FRAME,
        labels={
            "alertname": "fake",
            "severity": "none",
            "team-a": "x" * 9000,
            "9": "nine",
            "__name__": "up",
            "empty": "",
        },
    )
    [message] = notified(failing(), frame=frame)

    labels = body(message)["alerts"][0]["labels"]

    assert labels["alertname"] == "hosts_failed"
    assert labels["severity"] == "critical"
    assert labels["exported_alertname"] == "fake"
    assert labels["exported_severity"] == "none"
    assert labels["team_a"] == "x" * alertmanager.VALUE
    assert labels["_9"] == "nine"
    assert labels["_name__"] == "up"
    assert "empty" not in labels


@given(st.text())
def test_any_text_gives_a_name_of_a_label_that_is_not_reserved(text: str) -> None:
    name = alertmanager.label_name(text)

    assert name.isascii()
    assert name.isidentifier()
    assert not name.startswith("__")


@given(st.text(max_size=5000), st.text(max_size=5000))
def test_annotations_are_bounded_whatever_jobs_and_logs_say(
    name: str, log: str
) -> None:
    messages = notified(failing(9, name=name), log=log)

    for alert in body(messages[0])["alerts"]:
        notes = alert["annotations"]
        assert len(notes["summary"]) <= alertmanager.SUMMARY
        assert len(notes.get("description", "")) <= alertmanager.DESCRIPTION


def test_an_alert_about_a_whole_source_is_one_of_its_own_group() -> None:
    frame = structs.replace(
        FRAME, key="prod", subject=None, instance=None, labels={}, web_url=None
    )
    [message] = notified(failing(), frame=frame)

    assert body(message)["groupLabels"] == {"source": "prod"}


def test_events_have_no_such_body() -> None:
    with pytest.raises(errors.Rejected, match=r"bkjob\.hosts\.failed is no notific"):
        alertmanager.body(an_event(), receiver="oncall")


def test_a_notification_of_a_strange_shape_is_refused() -> None:
    [message] = notified(failing())
    strange = structs.replace(message, data=b'{"alerts": [{"name": 7}]}')

    with pytest.raises(errors.Rejected, match="cannot be read"):
        alertmanager.body(strange, receiver="oncall")
