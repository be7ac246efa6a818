from typing import Any

from hypothesis import given, settings
from msgspec import structs

from monitor.core import notifications, reach, state, wording
from monitor.core.clusters import Tail, Tails
from monitor.core.model import HostId, Outcome, Snapshot, host_id
from monitor.core.state import State
from monitor.core.telling import Rules, Speak, Why
from tests.core import lives, plain, saying
from tests.core.builders import FRAME, NOW, STEPS, hosts, job, step
from tests.core.lives import Chapter, lived

laws = settings(max_examples=60, deadline=None)


def said(snapshot: Snapshot, reason: Why = Why.FIRST) -> Any:
    """What is said when *snapshot* is the first that is seen."""
    chapter = [*lived([snapshot])][-1]
    alerts = tuple(chapter.after.alerts.values())
    message = saying.build(
        FRAME,
        chapter.after.snapshot,
        saying.speak(reason, alerts),
        number=1,
        last_sequence=chapter.after.sequence,
        now=NOW,
    )
    return plain.data(message)


def test_one_message_names_everything_that_holds() -> None:
    failed = job(4, step(4, hosts(_1=9, _2=104)))
    bad = {
        "ip": "10.0.0.2",
        "bk_cloud_id": 0,
        "status": 104,
        "status_name": "non-zero exit code",
    }
    job_link = "https://job.example.com/api_execute/20000153"
    instance = {
        "source": "prod",
        "bk_scope_type": "biz",
        "bk_scope_id": "2",
        "job_instance_id": 20000153,
        "name": "deploy",
    }

    assert said(failed) == {
        "status": "firing",
        "reason": "first",
        "severity": "critical",
        "group": "prod/biz/2/20000153",
        "instance": instance,
        "labels": {"team": "sre"},
        "link": job_link,
        "summary": "prod/biz/2/20000153 (deploy): 1 of 2 hosts failed in step 'push'; "
        "job ended: failed",
        "last_sequence": 5,
        "alerts": [
            {
                "name": "hosts_failed",
                "severity": "critical",
                "since": "2026-11-23T10:00:00Z",
                "instance": instance,
                "labels": {"team": "sre"},
                "step": {"step_instance_id": 7001, "execute_count": 0, "name": "push"},
                "summary": "1 of 2 hosts failed in step 'push'",
                "failed": 1,
                "total": 2,
                "hosts": [bad],
                "omitted": 0,
                "clusters": [
                    {
                        "status": 104,
                        "status_name": "non-zero exit code",
                        "count": 1,
                        "hosts": [bad],
                    }
                ],
                "link": f"{job_link}?stepInstanceId=7001&retryCount=0",
            },
            {
                "name": "job_failed",
                "severity": "critical",
                "since": "2026-11-23T10:00:00Z",
                "instance": instance,
                "labels": {"team": "sre"},
                "step": None,
                "summary": "job ended: failed",
                "failed": 0,
                "total": 0,
                "hosts": [],
                "omitted": 0,
                "clusters": [],
                "link": job_link,
            },
        ],
        "omitted": 0,
        "ended": [],
    }


def test_the_worst_comes_first_and_failed_hosts_among_equals() -> None:
    hidden = step(6, hosts(_1=104))
    plainly = step(4, hosts(_1=104), number=STEPS[1])

    assert [
        (
            alert["name"],
            alert["severity"],
            (alert["step"] or {}).get("step_instance_id"),
        )
        for alert in said(job(4, hidden, plainly))["alerts"]
    ] == [
        ("hosts_failed", "critical", STEPS[1]),
        ("job_failed", "critical", None),
        ("hosts_failed", "warning", STEPS[0]),
    ]


def test_hosts_that_failed_alike_are_a_cluster_the_largest_first() -> None:
    rows = hosts(_1=310, _2=104, _3=104, _4=104, _5=104)
    clusters = said(job(4, step(4, rows)))["alerts"][0]["clusters"]

    assert [
        (cluster["status"], cluster["count"], [h["ip"] for h in cluster["hosts"]])
        for cluster in clusters
    ] == [
        (104, 4, ["10.0.0.2", "10.0.0.3", "10.0.0.4"]),
        (310, 1, ["10.0.0.1"]),
    ]


def test_whom_a_stop_of_the_job_hit_is_one_cluster_under_the_commonest_status() -> None:
    rows = hosts(_1=403, _2=500, _3=104, _4=104, _5=404, _6=500)
    stopped, failed = said(job(11, step(11, rows)))["alerts"][0]["clusters"]

    assert (stopped["status"], stopped["status_name"], stopped["count"]) == (
        500,
        "skipped while unfinished",
        4,
    )
    assert [host["status"] for host in stopped["hosts"]] == [403, 500, 404]
    assert (failed["status"], failed["count"]) == (104, 2)


def told(rows: dict[HostId, int], tails: Tails, steps: int = 1) -> Any:
    """Say what is said first of *steps* steps that failed alike, in this order."""
    failing = [step(4, rows, number=number) for number in range(1, steps + 1)]
    known = [*lived([job(4, *failing)])][-1].after
    message = saying.build(
        FRAME,
        known.snapshot,
        saying.speak(Why.FIRST, known.alerts.values()),
        number=1,
        last_sequence=known.sequence,
        now=NOW,
        tails=tails,
    )
    assert len(message.data) <= notifications.MOST
    return plain.data(message)


def test_a_cluster_tells_exit_code_tag_and_the_end_of_a_log() -> None:
    rows = hosts(_1=104, _2=104)
    one, two = rows
    outcomes = dict.fromkeys(rows, Outcome(1, "disk"))
    failing = structs.replace(step(4, rows), outcomes=outcomes)
    known = [*lived([job(4, failing)])][-1].after
    message = saying.build(
        FRAME,
        known.snapshot,
        saying.speak(Why.FIRST, known.alerts.values()),
        number=1,
        last_sequence=known.sequence,
        now=NOW,
        tails={STEPS[0]: {two: Tail(0, "no space left"), one: Tail(0)}},
    )

    [cluster] = plain.data(message)["alerts"][0]["clusters"]
    assert (cluster["exit_code"], cluster["tag"], cluster["log"], cluster["count"]) == (
        1,
        "disk",
        "no space left",
        2,
    )
    assert [host["ip"] for host in cluster["hosts"]] == ["10.0.0.2", "10.0.0.1"]


def test_a_message_that_is_too_large_loses_logs_first_and_says_how_much() -> None:
    rows = hosts(_1=101, _2=102, _3=103, _4=104)
    tails = {n: {host: Tail(0, "磁" * 1365) for host in rows} for n in range(1, 41)}
    alerts = told(rows, tails, steps=40)["alerts"]

    cut = [
        (len(cluster["log"]), cluster["log_cut"])
        for alert in alerts
        for cluster in alert["clusters"]
    ]
    assert set(cut) == {(256, 1109)}
    assert {alert["omitted"] for alert in alerts if alert["hosts"]} == {0}


def test_hosts_that_do_not_fit_are_counted() -> None:
    rows = {host_id(f"10.0.{n // 250}.{n % 250}", 0): 104 for n in range(1000)}
    alerts = told(rows, {}, steps=10)["alerts"][:-1]

    assert {(len(alert["hosts"]), alert["omitted"]) for alert in alerts} == {(250, 750)}
    assert {alert["clusters"][0]["count"] for alert in alerts} == {1000}


def test_hosts_beyond_a_thousand_are_counted_and_still_clustered() -> None:
    rows = {host_id(f"10.0.{n // 250}.{n % 250}", 0): 104 for n in range(1500)}
    alert = said(job(4, step(4, rows)))["alerts"][0]

    assert (len(alert["hosts"]), alert["omitted"], alert["failed"]) == (1000, 500, 1500)
    assert [cluster["count"] for cluster in alert["clusters"]] == [1500]


def test_a_host_that_runs_again_is_listed_with_the_failure_it_had() -> None:
    story = lived(
        [
            job(4, step(4, hosts(_1=9, _2=104))),
            job(2, step(2, hosts(_1=9, _2=5), attempt=1)),
        ]
    )
    known = [*story][-1].after
    decision = saying.speak(Why.REMINDER, known.alerts.values())
    message = saying.build(
        FRAME, known.snapshot, decision, number=2, last_sequence=8, now=NOW
    )

    listed = plain.data(message)["alerts"][0]["hosts"]
    assert [(host["ip"], host["status"]) for host in listed] == [("10.0.0.2", 104)]


def test_good_news_names_no_severity_and_no_alert() -> None:
    message = saying.build(
        FRAME, job(3), Speak(Why.RESOLVED, ()), number=7, last_sequence=9, now=NOW
    )
    resolved = plain.data(message)

    assert message.id == "prod/biz/2/20000153!7"
    assert "severity" not in message.traits
    assert (resolved["status"], resolved["severity"], resolved["alerts"]) == (
        "resolved",
        "",
        [],
    )
    assert resolved["summary"] == ("prod/biz/2/20000153 (deploy): recovered: succeeded")


def test_a_source_is_told_of_without_an_instance() -> None:
    frame = wording.frame_of("prod")
    lost = state.reached(
        State(key="prod"), reach.Kind.LOST, reach.Cause.UNREACHABLE, frame, NOW
    )
    alerts = tuple(lost.state.alerts.values())
    firing, resolved = (
        saying.build(frame, None, decision, number=1, last_sequence=2, now=NOW)
        for decision in (saying.speak(Why.FIRST, alerts), Speak(Why.RESOLVED))
    )

    assert plain.data(firing)["instance"] is None
    assert plain.data(firing)["summary"] == (
        "prod: JOB cannot be seen (unreachable); nothing is known of its jobs"
    )
    assert plain.data(resolved)["summary"] == "prod: recovered"


@laws
@given(lives.a_life())
def test_a_message_agrees_with_the_decision_that_it_tells(life: list[Chapter]) -> None:
    for chapter in life:
        holding = [*chapter.after.alerts.values()]
        decision = saying.decide(holding, None, chapter.now, Rules())
        if isinstance(decision, Speak):
            message = saying.build(
                FRAME,
                chapter.after.snapshot,
                decision,
                number=1,
                last_sequence=chapter.after.sequence,
                now=chapter.now,
            )
            told = plain.data(message)

            assert message.traits["severity"] == told["severity"]
            assert {a["name"] for a in told["alerts"]} == {a.name for a in holding}
            assert all(
                len(a["hosts"]) + a["omitted"] == a["failed"]
                for a in told["alerts"]
                if a["name"] != "hosts_unfinished"
            )
            assert all(
                sum(cluster["count"] for cluster in a["clusters"]) == a["failed"]
                for a in told["alerts"]
            )


def test_hosts_that_were_left_unfinished_are_listed_until_a_retry_runs() -> None:
    left = job(4, step(4, hosts(_1=7, _2=9, _3=5)))
    known = [*lives.lived([left, left])][-1].after
    retried = structs.replace(left, status=2)

    def listed(snapshot: Snapshot) -> tuple[list[str], str]:
        spoken = saying.speak(Why.FIRST, known.alerts.values())
        message = saying.build(
            FRAME, snapshot, spoken, number=1, last_sequence=1, now=NOW
        )
        [alert] = [
            a for a in plain.data(message)["alerts"] if a["name"] == "hosts_unfinished"
        ]
        return [host["ip"] for host in alert["hosts"]], alert["summary"]

    summary = "2 of 3 hosts were left unfinished in step 'push'"
    assert listed(left) == (["10.0.0.1", "10.0.0.3"], summary)
    assert listed(retried) == ([], summary)


def test_without_labels_matchers_see_type_and_source_alone() -> None:
    frame = structs.replace(FRAME, labels={})
    message = saying.build(
        frame, job(4), Speak(Why.RESOLVED, ()), number=1, last_sequence=1, now=NOW
    )

    assert message.traits == {"type": "bkjob.notification", "source": "prod"}
