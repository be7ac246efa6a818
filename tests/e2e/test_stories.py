"""From JOB's bytes to what people are told: whole stories, through real processes."""

from pathlib import Path
from typing import Any, Final

from aiohttp import web

from tests.e2e import balance, contract
from tests.e2e.daemon import running
from tests.e2e.receiver import Delivery, Receiver, listening, receiving, types
from tests.e2e.record import Record
from tests.e2e.site import Site
from tests.e2e.theatre import playing

EXAMPLE: Final = Path(__file__).parent / "samples" / "get_job_instance_status.v2.json"

FAILED: Final = {"10.0.0.3": 104, "10.0.0.4": 310, "10.0.0.5": 11}


async def test_the_documents_own_example_is_a_failed_job_without_a_failed_host(
    tmp_path: Path,
) -> None:
    polls = 0

    async def as_documented(_: web.BaseRequest) -> web.Response:
        nonlocal polls
        polls += 1
        return web.Response(body=EXAMPLE.read_bytes(), content_type="application/json")

    async with listening(as_documented) as url, receiving() as receiver:
        site = Site(tmp_path, url)
        site.tell(receiver)
        site.watch("1/100")
        with running(site.config) as daemon:
            await daemon.reaches(lambda: receiver.notifications, "a notification")
            enough = polls + 4
            await daemon.reaches(lambda: polls >= enough, "some more polls")
            assert await daemon.stop() == 0

    [notification] = receiver.notifications
    [alert] = notification.data["alerts"]
    assert types(receiver.events()) == [
        "instance.appeared",
        "instance.finished",
        "alert.raised",
    ]
    assert (alert["name"], alert["hosts"], alert["failed"]) == ("job_failed", [], 0)
    assert b"10.0.0.1" not in notification.body
    assert contract.breaches(receiver.taken) == []


async def test_a_retry_is_told_from_the_failed_ips_to_their_recovery(
    tmp_path: Path,
) -> None:
    async with playing(tmp_path, {"scenario": "mixed_failure"}) as stage:
        await stage.tells("instance.appeared")
        stage.now = 3  # the hosts fail while the step still runs
        await stage.tells(
            "instance.changed",
            "step.changed",
            "hosts.failed",
            "hosts.changed",
            "alert.raised",
        )
        early = await stage.notifies(1)
        stage.now = 4  # the job ends
        await stage.tells(
            "instance.finished",
            "step.changed",
            "hosts.changed",
            "alert.raised",
        )
        ended = await stage.notifies(2)
        await stage.retry("2/20000153")
        await stage.tells("instance.reopened", "step.retried")
        stage.now = 5
        await stage.tells("step.changed", "hosts.changed")
        stage.now = 6
        await stage.tells("hosts.changed")
        stage.now = 7
        await stage.tells(
            "instance.finished",
            "step.changed",
            "hosts.recovered",
            "alert.resolved",
            "alert.resolved",
        )
        recovered = await stage.notifies(3)

    [failed] = events(stage.receiver, "hosts.failed")
    [well_again] = events(stage.receiver, "hosts.recovered")
    assert ips(failed.data["hosts"]) == FAILED
    assert ips(well_again.data["hosts"]) == dict.fromkeys(FAILED, 9)
    assert told(early) == [("hosts_failed", FAILED)]
    assert told(ended) == [("hosts_failed", FAILED), ("job_failed", {})]
    assert (recovered.data["status"], told(recovered)) == ("resolved", [])
    assert balance.faults(stage.receiver, Record(stage.site.database)) == []
    assert contract.breaches(stage.receiver.taken) == []


async def test_failed_hosts_of_two_steps_are_an_event_each_at_each_poll(
    tmp_path: Path,
) -> None:
    unpack = {"name": "unpack", "status": 6, "hosts": {"10.0.0.1": 104, "10.0.0.2": 9}}
    starts = {"name": "start", "status": 2, "hosts": {"10.0.0.1": 310, "10.0.0.2": 7}}
    failed = {"name": "start", "status": 4, "hosts": {"10.0.0.1": 310, "10.0.0.2": 11}}
    story = {
        "timeline": [
            {"at": 0, "job": 2, "steps": [unpack, starts]},
            {"at": 1, "job": 4, "steps": [unpack, failed]},
        ]
    }
    async with playing(tmp_path, story) as stage:
        await stage.tells(
            "instance.appeared",
            "hosts.failed",
            "hosts.failed",
            "alert.raised",
            "alert.raised",
        )
        await stage.notifies(1)
        stage.now = 1
        await stage.tells(
            "instance.finished",
            "step.changed",
            "hosts.failed",
            "alert.changed",
            "alert.raised",
        )
        notification = await stage.notifies(2)

    assert [
        (event.data["step"]["name"], ips(event.data["hosts"]))
        for event in events(stage.receiver, "hosts.failed")
    ] == [
        ("unpack", {"10.0.0.1": 104}),
        ("start", {"10.0.0.1": 310}),
        ("start", {"10.0.0.2": 11}),
    ]
    assert told(notification) == [
        ("hosts_failed", {"10.0.0.1": 310, "10.0.0.2": 11}),
        ("job_failed", {}),
        ("hosts_failed", {"10.0.0.1": 104}),
    ]


def events(receiver: Receiver, type_: str) -> list[Delivery]:
    return [e for e in receiver.events() if e.type == f"bkjob.{type_}"]


def told(notification: Delivery) -> list[tuple[str, dict[str, int]]]:
    """List the alerts of a notification, the worst first, with their hosts."""
    alerts = notification.data["alerts"]
    return [(alert["name"], ips(alert["hosts"])) for alert in alerts]


def ips(hosts: list[dict[str, Any]]) -> dict[str, int]:
    return {host["ip"]: host["status"] for host in hosts}
