from datetime import timedelta

import pytest
from hypothesis import given, settings
from msgspec import structs

from monitor.core import state
from monitor.core.message import Message
from monitor.core.model import Snapshot, host_id
from monitor.core.state import State
from monitor.core.wording import Frame
from tests.core import lives, plain
from tests.core.builders import FRAME, KEY, NOW, SECOND, hosts, job, step
from tests.core.lives import Chapter

laws = settings(max_examples=60, deadline=None)


def recorded(snapshot: Snapshot, frame: Frame = FRAME) -> tuple[Message, ...]:
    change = state.seen(State(key=frame.key), snapshot, frame, NOW)
    assert change is not None
    return change.events


def many(count: int, status: int) -> Snapshot:
    listed = {host_id(f"10.0.{n // 250}.{n % 250}", 0): status for n in range(count)}
    return job(4, step(4, listed))


@pytest.mark.parametrize(
    ("count", "sizes"), [(1000, [1000]), (1001, [1000, 1]), (2500, [1000, 1000, 500])]
)
def test_more_than_a_thousand_hosts_are_told_in_parts(
    count: int, sizes: list[int]
) -> None:
    said = [
        plain.data(event)
        for event in recorded(many(count, 104))
        if event.type == "bkjob.hosts.failed"
    ]
    numbers = [(part.get("part"), part.get("parts")) for part in said]

    assert [len(part["hosts"]) for part in said] == sizes
    assert len({host["ip"] for part in said for host in part["hosts"]}) == count
    assert [(part["failed"], part["total"]) for part in said] == [(count, count)] * len(
        sizes
    )
    assert numbers == (
        [(n + 1, len(sizes)) for n in range(len(sizes))]
        if len(sizes) > 1
        else [(None, None)]
    )


def test_an_event_says_all_that_is_known_of_it() -> None:
    seen = structs.replace(
        job(4, step(4, hosts(_1=9, _2=104))),
        started_at=NOW - timedelta(minutes=1),
        ended_at=NOW - SECOND,
    )

    assert plain.data(recorded(seen)[2]) == {
        "instance": {
            "source": "prod",
            "bk_scope_type": "biz",
            "bk_scope_id": "2",
            "job_instance_id": 20000153,
            "name": "deploy",
        },
        "labels": {"team": "sre"},
        "link": "https://job.example.com/api_execute/20000153"
        "?stepInstanceId=7001&retryCount=0",
        "step": {"step_instance_id": 7001, "execute_count": 0, "name": "push"},
        "hosts": [
            {
                "ip": "10.0.0.2",
                "bk_cloud_id": 0,
                "status": 104,
                "status_name": "non-zero exit code",
            }
        ],
        "failed": 1,
        "total": 2,
        "started_at": "2026-11-23T09:59:00Z",
        "ended_at": "2026-11-23T09:59:59Z",
    }


def test_the_end_of_a_job_that_runs_again_is_not_told() -> None:
    running = structs.replace(job(2), ended_at=NOW)

    assert "ended_at" not in plain.data(recorded(running)[0])


def test_names_of_codes_are_in_the_readers_language() -> None:
    frame = structs.replace(FRAME, locale="zh-CN")
    appeared = plain.data(recorded(job(99, step(4, hosts(_1=104))), frame)[0])
    failed = plain.data(recorded(job(4, step(4, hosts(_1=104))), frame)[2])

    assert appeared["after"] == {"status": 99, "status_name": "未知 (99)"}
    assert failed["hosts"][0]["status_name"] == "脚本返回码非零"


@laws
@given(lives.a_life())
def test_every_event_stands_in_the_frame_of_its_subject(life: list[Chapter]) -> None:
    for chapter in life:
        for event in chapter.events:
            assert (event.key, event.source, event.subject, event.time) == (
                str(KEY),
                "prod",
                "biz/2/20000153",
                chapter.now,
            )


def test_matchers_see_the_labels_and_over_them_our_own_names() -> None:
    frame = structs.replace(FRAME, labels={"team": "sre", "type": "x", "severity": "y"})
    appeared, *_, raised = recorded(job(4), frame)

    assert appeared.traits == {
        "team": "sre",
        "type": "bkjob.instance.appeared",
        "source": "prod",
        "severity": "y",
    }
    assert raised.traits == {
        "team": "sre",
        "type": "bkjob.alert.raised",
        "source": "prod",
        "severity": "critical",
    }
