"""An answer that breaks the contract says nothing about a job."""

from pathlib import Path
from typing import Final

from monitor.simulator.faults import Fault, Name
from monitor.simulator.instance import Instance
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e import contract
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import receiving, types
from tests.e2e.record import Record
from tests.e2e.site import Site
from tests.e2e.theatre import playing
from tests.support import worlds

BAD: Final = {
    "html": Fault(name=Name.HTML, value="200"),
    "bad_gateway": Fault(name=Name.HTML, value="502"),
    "truncated": Fault(name=Name.TRUNCATE),
    "torn": Fault(name=Name.TRUNCATE, value="torn"),
    "data_list": Fault(name=Name.WRONG_SHAPE, value="data_list"),
    "data_null": Fault(name=Name.WRONG_SHAPE, value="data_null"),
    "blocks_object": Fault(name=Name.WRONG_SHAPE, value="blocks_object"),
    "list": Fault(name=Name.WRONG_SHAPE, value="list"),
    "null": Fault(name=Name.WRONG_SHAPE, value="null"),
    "text": Fault(name=Name.WRONG_SHAPE, value="text"),
    "other_instance": Fault(name=Name.OTHER_INSTANCE),
}

MiB: Final = 2**20


async def test_no_bad_answer_becomes_a_snapshot_or_an_event(tmp_path: Path) -> None:
    world = worlds.today()
    good = world.play("mixed_failure", parts=Parts(beat=0.01))
    bad = {name: world.play("mixed_failure") for name in BAD}
    for name, job in bad.items():
        world.switch([BAD[name]], on=job)
    async with serving(world) as url, receiving() as receiver:
        site = Site(tmp_path, url)
        site.tell(receiver)
        site.watch(good, *bad.values())
        with running(site.config) as daemon:
            for job in (good, *bad.values()):
                await polled(daemon, world, job, times=3)
            await daemon.reaches(lambda: receiver.notifications, "the good one is told")
            assert await daemon.stop() == 0

    told_about = {delivery.said["partitionkey"] for delivery in receiver.deliveries}
    assert told_about == {f"prod/biz/{good}"}
    assert Record(site.database).states().keys() == {f"prod/biz/{good}"}


async def test_fifty_megabytes_cost_no_memory_and_hold_up_nobody(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    good, huge = world.play("hang"), world.play("hang")
    world.switch([Fault(name=Name.OVERSIZE, value=50)], on=huge)
    async with serving(world) as url:
        site = Site(tmp_path, url)
        site.source["max_body"] = "8MiB"
        site.write()
        site.watch(good, huge)
        with running(site.config) as daemon:
            await polled(daemon, world, huge, times=3)
            await polled(daemon, world, good, times=3)
            peak = daemon.peak_memory()
            assert await daemon.stop() == 0

    [unusable] = daemon.loud()
    assert unusable["event"] == "answer.unusable"
    assert "longer than 8388608 bytes" in unusable["reason"]
    assert peak < 400 * MiB
    assert Record(site.database).states().keys() == {f"prod/biz/{good}"}


async def test_unknown_codes_are_kept_and_shown_as_they_came(tmp_path: Path) -> None:
    step = {"status": 88, "hosts": {"10.0.0.1": 999, "10.0.0.2": 9}}
    story = {
        "timeline": [
            {"at": 0, "job": 2, "steps": [{"status": 2, "hosts": {"*": 7}}]},
            {"at": 1, "job": 77, "steps": [step]},
        ],
        "hosts": 2,
    }
    async with playing(tmp_path, story) as stage:
        await stage.tells("instance.appeared")
        stage.now = 1
        await stage.tells(
            "instance.changed",
            "step.changed",
            "hosts.failed",
            "hosts.changed",
            "alert.raised",
        )
        notification = await stage.notifies(1)

    changed, step_changed, failed = stage.receiver.events()[1:4]
    assert changed.data["after"] == {"status": 77, "status_name": "unknown (77)"}
    assert step_changed.data["after"]["status"] == 88
    [host] = failed.data["hosts"]
    assert (host["ip"], host["status"]) == ("10.0.0.1", 999)
    assert b"999" in notification.body
    assert reported(stage.daemon) == {("run", 77), ("run", 88), ("host", 999)}


async def test_a_business_we_may_not_see_is_one_alert_and_resolved_when_we_may(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    world.forbidden.add(2)
    hidden = [world.play("hang") for _ in range(5)]
    seen = world.play("hang", biz=3)
    async with serving(world) as url, receiving() as receiver:
        site = Site(tmp_path, url)
        site.tell(receiver)
        site.watch(*hidden, seen)
        with running(site.config) as daemon:
            for job in (*hidden, seen):
                await polled(daemon, world, job, times=3)
            await daemon.reaches(lambda: receiver.notifications, "the refusal is told")
            world.forbidden.clear()
            await daemon.reaches(lambda: len(receiver.notifications) > 1, "the end")
            assert await daemon.stop() == 0

    firing, resolved = receiver.notifications
    [alert] = firing.data["alerts"]
    assert types(receiver.events("prod/biz/2")) == ["alert.raised", "alert.resolved"]
    assert (alert["name"], firing.data["group"]) == ("job_refused", "prod/biz/2")
    assert resolved.data["status"] == "resolved"
    assert types(receiver.events(f"prod/biz/{seen}"))[0] == "instance.appeared"
    assert contract.breaches(receiver.taken) == []


async def polled(daemon: Daemon, world: World, job: Instance, *, times: int) -> None:
    polls, key = world.record.instances, (job.biz, job.job_instance_id)
    await daemon.reaches(lambda: polls[key] >= times, f"{job} is polled {times} times")


def reported(daemon: Daemon) -> set[tuple[str, int]]:
    """List the unknown codes that were warned about; each must be, once."""
    lines = daemon.said("code.unknown", level="warning")
    found = {(line["kind"], line["code"]) for line in lines}
    assert len(found) == len(lines)
    return found
