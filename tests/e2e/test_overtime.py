"""Alerts about jobs that do not fail, through real processes and the real clock."""

from pathlib import Path
from typing import Any, Final

from tests.e2e import contract
from tests.e2e.theatre import Stage, playing

RUNS: Final = {"name": "push", "hosts": {"10.0.0.1": 7, "10.0.0.2": 9}}


def moment(at: int, status: int) -> dict[str, Any]:
    return {"at": at, "job": status, "steps": [{**RUNS, "status": status}]}


def told(stage: Stage) -> list[tuple[str, str]]:
    """List which alerts came and went, in order."""
    return [
        (event.type.rpartition(".")[2], event.data["alert"]["name"])
        for event in stage.receiver.events()
        if event.type.startswith("bkjob.alert.")
    ]


async def test_a_job_stands_still_then_waits_and_ends_with_a_host_left_behind(
    tmp_path: Path,
) -> None:
    story = {"timeline": [moment(0, 2), moment(1, 7), moment(2, 9)]}
    async with playing(tmp_path, story, stalled_after="1s") as stage:
        await stage.tells("instance.appeared", "alert.raised")
        stage.now = 1  # it goes on as far as a person lets it
        await stage.tells(
            "instance.changed", "step.changed", "alert.raised", "alert.resolved"
        )
        stage.now = 2  # the engine gives up in the middle
        await stage.tells(
            "instance.finished",
            "step.changed",
            "alert.raised",
            "alert.resolved",
            "alert.raised",
        )
        await stage.daemon.reaches(
            lambda: "unfinished" in stage.receiver.notifications[-1].data["summary"],
            "a message about the host that was left behind",
        )

    assert told(stage) == [
        ("raised", "job_stalled"),
        ("raised", "job_waiting"),
        ("resolved", "job_stalled"),
        ("raised", "job_failed"),
        ("resolved", "job_waiting"),
        ("raised", "hosts_unfinished"),
    ]
    last = stage.receiver.notifications[-1].data["alerts"]
    assert [alert["name"] for alert in last] == ["job_failed", "hosts_unfinished"]
    assert [host["ip"] for host in last[1]["hosts"]] == ["10.0.0.1"]
    assert contract.breaches(stage.receiver.taken) == []


async def test_a_job_that_takes_too_long_is_told_of_once_and_until_its_end(
    tmp_path: Path,
) -> None:
    done = {"name": "push", "status": 3, "hosts": {"10.0.0.1": 9, "10.0.0.2": 9}}
    story = {"timeline": [moment(0, 2), {"at": 1, "job": 3, "steps": [done]}]}
    async with playing(tmp_path, story, overdue_after="1s") as stage:
        await stage.tells("instance.appeared", "alert.raised")
        overdue = await stage.notifies(1)
        stage.now = 1
        await stage.tells(
            "instance.finished", "step.changed", "hosts.changed", "alert.resolved"
        )
        over = await stage.notifies(2)

    [alert] = overdue.data["alerts"]
    assert (alert["name"], alert["severity"]) == ("job_overdue", "warning")
    assert alert["summary"] == "job has run for more than 1 s"
    assert (over.data["reason"], over.data["alerts"]) == ("resolved", [])
    assert contract.breaches(stage.receiver.taken) == []
