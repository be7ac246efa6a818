"""The whole of it in one process: a simulated JOB on a socket, virtual time.

Virtual time runs on while files are read in a worker thread. So the time of JOB is
moved by hand (``site.second``), and tests wait for what should happen.
"""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
import pytest
from sqlalchemy import URL
from structlog.testing import capture_logs
from structlog.typing import EventDict

from monitor import errors, service
from monitor.core import shards
from monitor.core.cluster import Report
from monitor.core.message import Kind, Message
from monitor.core.shards import shard
from monitor.milestones import Milestone, Ready, Reloading, Starting, Stopping, Summary
from monitor.outlet import DEADLINE
from monitor.settings.model import Settings
from monitor.simulator.faults import Fault, Name
from monitor.simulator.server import serving
from monitor.simulator.world import World
from monitor.store import lease, rows
from tests.support import clock, databases, stores, worlds
from tests.support.sink import RecordingSink

pytestmark = pytest.mark.looptime

LISTED: Final = "2/20000153"
KEY: Final = f"prod/biz/{LISTED}"

# When hosts fail while the job runs, and when every story is over.
FAILING, FINISHED = 15.0, 1000.0

FIRST_FAILURE = [
    "instance.appeared",
    "instance.finished",
    "hosts.failed",
    "alert.raised",
    "alert.raised",
]
NO_SUCH_PLUGIN = [{"name": "x", "kind": "plugin", "plugin": "none"}]


class Site:
    """What an operator has on disk; *refusal* stands for a configuration with faults."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.list = directory / "list.txt"
        self.list.write_text(f"{LISTED} team=sre\n")
        self.sources: dict[str, dict[str, Any]] = {}
        self.more: dict[str, Any] = {}
        self.refusal: errors.Misconfigured | None = None
        self.second = 0.0

    def load(self) -> Settings:
        if self.refusal:
            raise self.refusal
        given = {
            "sources": self.sources,
            "watch_lists": [str(self.directory / "list*.txt")],
            "store": f"sqlite:///{self.directory}/m.db",
            **self.more,
        }
        return Settings.model_validate(given)


@asynccontextmanager
async def a_site(directory: Path) -> AsyncIterator[tuple[Site, World]]:
    site = Site(directory)
    world = worlds.this_morning(clock=lambda: site.second)
    async with serving(world) as url:
        site.sources["prod"] = {"api": "esb-v2", "url": url, "access_token": "t"}
        yield site, world


class Stage:
    """A daemon under way, and a sink that hears everything."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.guest = RecordingSink("guest")
        self.milestones: list[Milestone] = []
        self._ended = anyio.Event()
        self._told_to_stop = anyio.Event()
        self._hang_up, self._hung_up = anyio.create_memory_object_stream[None](9)

    async def serve(self) -> None:
        with self._hang_up, self._hung_up:
            await service.serve(
                self.site.load,
                until=self._told_to_stop.wait,
                reloading=self._hung_up.receive,
                guests=[self.guest],
                hear=self.milestones.append,
                now=clock.now,
                luck=clock.middling,
                run=stores.inline,
            )
        self._ended.set()

    async def reload(self) -> None:
        await self._hang_up.send(None)

    async def stop(self) -> None:
        self._told_to_stop.set()
        await self._ended.wait()

    async def tells(self, *types: str, times: int = 1) -> None:
        """Wait until events of all *types* have arrived so many times."""
        await eventually(lambda: all(self.types.count(t) >= times for t in types))

    @property
    def events(self) -> list[Message]:
        return [m for m in self.guest.delivered if m.kind is Kind.EVENTS]

    @property
    def types(self) -> list[str]:
        return [event.type.removeprefix("bkjob.") for event in self.events]

    @property
    def notifications(self) -> list[Message]:
        return [m for m in self.guest.delivered if m.kind is Kind.ALERTS]

    @property
    def ready(self) -> Ready:
        """Give what was last said about how it fares."""
        [*_, last] = [m for m in self.milestones if isinstance(m, Ready)]
        return last

    def numbers(self, key: str = KEY) -> list[int | None]:
        return [event.sequence for event in self.events if event.key == key]


@asynccontextmanager
async def playing(site: Site) -> AsyncIterator[Stage]:
    """Serve for as long as the block lasts, and stop gracefully."""
    stage = Stage(site)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.serve)
        yield stage
        await stage.stop()


async def eventually(condition: Callable[[], object]) -> None:
    with anyio.fail_after(100_000):
        while not condition():  # noqa: ASYNC110 - nobody is told of what is looked at
            await anyio.sleep(0.1)


def named(lines: list[EventDict]) -> Counter[str]:
    return Counter(line["event"] for line in lines)


def statuses(lines: list[EventDict]) -> list[str]:
    return [x["status"] for x in lines if x["event"] == "bkjob.notification"]


def upwards(count: int) -> list[int]:
    return list(range(1, count + 1))


async def test_a_failing_job_is_told_with_its_ips_from_start_to_end(
    tmp_path: Path,
) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            site.second = FAILING
            await stage.tells("hosts.failed")
            site.second = FINISHED
            await stage.tells("instance.finished")
            await eventually(lambda: len(stage.notifications) == 2)

    last = msgspec.json.decode(stage.notifications[-1].data)
    [failed] = [alert["hosts"] for alert in last["alerts"] if alert["failed"]]
    assert stage.numbers() == upwards(len(stage.events))
    assert last["labels"] == {"team": "sre"}
    assert [host["ip"] for host in failed] == ["10.0.0.5"]


@pytest.mark.parametrize("reads", [True, False])
async def test_why_hosts_failed_is_told_unless_logs_are_not_to_be_read(
    tmp_path: Path,
    reads: bool,  # noqa: FBT001
) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        site.second = FINISHED
        site.more["polling"] = {"logs": reads}
        async with playing(site) as stage:
            await eventually(lambda: stage.notifications)

    [first, *_] = stage.notifications
    [cluster] = msgspec.json.decode(first.data)["alerts"][0]["clusters"]
    assert [host["ip"] for host in cluster["hosts"]] == ["10.0.0.5"]
    assert ("log" in cluster) == reads


async def test_told_to_stop_it_delivers_what_it_has_recorded(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        site.second = FINISHED
        async with playing(site) as stage:
            stage.guest.latency = lambda _: 0.5
            await eventually(lambda: stage.guest.tried)

    async with stores.opened(tmp_path) as store:
        assert (await store.unread("guest", 100)).events == []
        assert stage.types == FIRST_FAILURE


# In virtual time the sink would be given up while a worker thread ends.
@pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature
async def test_a_sink_that_hangs_holds_up_the_end_for_the_grace_only(
    tmp_path: Path,
) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            site.more["shutdown_grace"] = "300ms"
            world.play("one_ip_fails")
            async with playing(site) as stage:
                stage.guest.latency = lambda _: 1e6
                await eventually(lambda: stage.guest.tried)

    cut_short = [x for x in lines if x["event"] == "service.drain_cut_short"]
    assert [x["grace"] for x in cut_short] == [0.3]


async def test_a_restart_repeats_nothing_and_goes_on_counting(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("retry_recovers")
        async with playing(site) as before:
            await before.tells("instance.appeared")
        site.second = FINISHED
        async with playing(site) as after:
            await after.tells("instance.finished")

    told = [*before.numbers(), *after.numbers()]
    assert told == upwards(len(told))
    assert "instance.appeared" not in after.types


async def test_after_a_restart_nobody_is_told_a_false_recovery(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        site.more["sinks"] = [
            {"name": "sre", "kind": "log", "send": ["alerts"], "match": ['team="sre"']}
        ]
        site.more["alerts"] = {"repeat_interval": "3650d"}
        world.play("one_ip_fails")
        site.second = FINISHED
        with capture_logs() as lines:
            async with playing(site) as stage:
                await eventually(lambda: stage.notifications)
                await anyio.sleep(60)
            first = statuses(lines)
            lines.clear()
            async with playing(site):
                await anyio.sleep(60)

    assert first == ["firing"]
    assert statuses(lines) == []


async def test_a_configuration_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            world.play("one_ip_fails")
            async with playing(site) as stage:
                await stage.tells("instance.appeared")
                site.refusal = errors.Misconfigured("monitor.yaml:3: no such key")
                await stage.reload()
                await eventually(lambda: named(lines)["configuration.refused"])
                site.second = FINISHED
                await stage.tells("instance.finished")

    refused = [x["faults"] for x in lines if x["event"] == "configuration.refused"]
    assert refused == [("monitor.yaml:3: no such key",)]
    assert named(lines)["service.stopping"] == 1


async def test_a_configuration_that_cannot_be_opened_changes_nothing(
    tmp_path: Path,
) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            world.play("one_ip_fails")
            async with playing(site) as stage:
                await stage.tells("instance.appeared")
                site.more["sinks"] = NO_SUCH_PLUGIN
                await stage.reload()
                await eventually(lambda: named(lines)["configuration.refused"])
                site.second = FINISHED
                await stage.tells("instance.finished")

    assert named(lines)["configuration.refused"] == 1
    assert stage.numbers() == upwards(len(stage.events))


async def test_another_configuration_is_used_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            world.play("one_ip_fails")
            async with playing(site) as stage:
                await stage.tells("instance.appeared")
                site.more["locale"] = "zh-CN"
                await stage.reload()
                await eventually(lambda: named(lines)["service.started"] == 2)
                site.second = FINISHED
                await stage.tells("instance.finished")

    [finished] = [e for e in stage.events if e.type == "bkjob.instance.finished"]
    assert stage.numbers() == upwards(len(stage.events))
    assert msgspec.json.decode(finished.data)["after"]["status_name"] == "执行失败"


async def test_a_reload_reads_the_watch_list_anew(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        first, second = world.play("one_ip_fails"), world.play("one_ip_fails")
        site.second = FINISHED
        async with playing(site) as stage:
            await stage.tells("alert.raised", times=2)
            site.list.write_text(f"{second}\n")
            await stage.reload()
            await stage.tells("alert.resolved", times=2)
            await eventually(lambda: stage.numbers(f"prod/biz/{second}"))
            await anyio.sleep(60)
            asked = world.record.instances[first.biz, first.job_instance_id]
            await anyio.sleep(600)

        assert world.record.instances[first.biz, first.job_instance_id] == asked
        resolved = [e.key for e in stage.events if e.type.endswith("alert.resolved")]
        assert resolved == [KEY] * 2


async def test_a_watch_list_that_changes_is_noticed_unasked(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("hang")
        second = world.play("hang")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            (tmp_path / "list2.txt").write_text(f"{second}\n")
            await stage.tells("instance.appeared", times=2)

    assert [event.key for event in stage.events] == [KEY, f"prod/biz/{second}"]


async def test_a_source_that_is_no_longer_configured_leaves_no_alert_behind(
    tmp_path: Path,
) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        site.second = FINISHED
        async with playing(site) as stage:
            await stage.tells("alert.raised", times=2)
            site.sources = {"other": site.sources["prod"]}
            site.list.write_text("")
            await stage.reload()
            await stage.tells("alert.resolved", times=2)

    async with stores.opened(tmp_path) as store:
        last = msgspec.json.decode(stage.events[-1].data)
        assert (await store.load(KEY)).alerts == {}
        assert stage.types == [*FIRST_FAILURE, *["alert.resolved"] * 2]
        assert last["instance"]["job_instance_id"] == 20000153


async def test_an_outage_of_job_is_told_as_that_and_as_nothing_else(
    tmp_path: Path,
) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("hang")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            world.switch([Fault(name=Name.REFUSE)])
            await stage.tells("source.lost")
            await anyio.sleep(3600)
            world.switch([])
            await stage.tells("source.restored")
            await eventually(lambda: len(stage.notifications) == 2)

    assert stage.types == [
        "instance.appeared",
        "source.lost",
        "alert.raised",
        "source.restored",
        "alert.resolved",
    ]
    assert {notification.key for notification in stage.notifications} == {"prod"}


async def test_whoever_started_it_hears_how_far_it_is(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("hang")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            await stage.reload()
            await eventually(lambda: len(stage.milestones) == 4)
            site.more["locale"] = "zh-CN"
            await stage.reload()
            await eventually(lambda: len(stage.milestones) == 6)

    assert [type(milestone) for milestone in stage.milestones] == [
        *(Starting, Ready),
        *(Reloading, Ready),
        *(Reloading, Ready),
        Stopping,
    ]


async def test_how_it_fares_is_told_when_it_is_asked_for(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        site.second = FINISHED
        async with playing(site) as stage:
            await eventually(lambda: stage.notifications)
            failed = stage.ready.summary()
            site.refusal = errors.Misconfigured("monitor.yaml:3: no such key")
            await stage.reload()
            await eventually(lambda: stage.ready.summary().refused)
            world.switch([Fault(name=Name.REFUSE)])
            await stage.tells("source.lost")
            await eventually(lambda: stage.ready.summary().alerting == 2)
            lost = stage.ready.summary()
            await stage.ready.answers()

    assert failed == Summary(watched=1, alerting=1)
    assert (lost.lost, lost.refused) == (("prod",), True)


async def test_a_request_that_hangs_is_a_hitch_until_it_times_out(
    tmp_path: Path,
) -> None:
    async with a_site(tmp_path) as (site, world):
        site.sources["prod"] |= {"max_in_flight": 1, "timeout": "20s"}
        site.more["polling"] = {"lost_after": "1h"}
        world.play("hang")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            well = stage.ready.hitches()
            world.switch([Fault(name=Name.HANG)])
            await eventually(stage.ready.hitches)
            hanging = stage.ready.hitches()["prod"]
            await eventually(lambda: not stage.ready.hitches())
            await eventually(stage.ready.hitches)
            later = stage.ready.hitches()["prod"]

    assert well == {}
    assert hanging.patience == 40
    assert later.moves > hanging.moves


async def test_a_store_that_fails_ends_it(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        stage = Stage(site)

        async def destroy() -> None:
            await stage.tells("instance.appeared")
            with closing(sqlite3.connect(tmp_path / "m.db")) as other:
                other.execute("DROP TABLE events")
            site.second = FINISHED

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(destroy)
            with pytest.raises(ExceptionGroup) as ended:
                await stage.serve()

    _, others = ended.value.split(errors.StoreError)
    assert others is None


async def test_a_sink_that_cannot_be_opened_refuses_the_start(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, _):
        site.more["sinks"] = NO_SUCH_PLUGIN

        with pytest.RaisesGroup(errors.Misconfigured, flatten_subgroups=True):
            await Stage(site).serve()


async def test_what_is_left_to_others_is_looked_at_until_nothing_of_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the control socket is there
    with databases.migrated(databases.found()) as made:
        async with a_site(tmp_path) as (site, world):
            job = next(n for n in range(1, 1000) if shard(f"prod/biz/2/{n}") == 0)
            site.more["store"] = databases.written(made)
            site.list.write_text(f"2/{job}\n")
            world.play("one_ip_fails", job_instance_id=job)
            async with playing(site) as stage:
                stage.guest.latency = lambda _: DEADLINE - 1
                await eventually(lambda: stage.guest.tried)
                await anyio.sleep(shards.SETTLED)
                another_joins(made)
                await anyio.sleep(3 * lease.RENEW)
                site.second = FAILING
                with anyio.move_on_after(DEADLINE / 2):
                    await eventually(lambda: recorded(made, "hosts.failed"))

                assert recorded(made, "hosts.failed") == 1
                assert len(stage.guest.tried) == 1
                assert left(made) == set()
                await eventually(lambda: left(made) >= {*range(shards.AT_ONCE)})
                assert stage.types == ["instance.appeared"]
                assert len(stage.guest.tried) == 1
                stage.guest.latency = lambda _: 0.0


def another_joins(database: URL) -> None:
    """Let a daemon be there that takes nothing of its share."""
    with databases.administering(database) as connection:
        connection.execute(
            "INSERT INTO nodes VALUES ('b/1/1', 0, 1e12, 0, %s)",
            [rows.encode(Report(version="1"))],
        )


def recorded(database: URL, type_: str) -> int:
    with databases.administering(database) as connection:
        mine = "SELECT 1 FROM events WHERE type = %s"
        return len(connection.execute(mine, [f"bkjob.{type_}"]).fetchall())


def left(database: URL) -> set[int]:
    """Name the shards that nobody owns."""
    with databases.administering(database) as connection:
        free = "SELECT shard FROM leases WHERE expires_at <= 0 OR owner IS NULL"
        return {number for (number,) in connection.execute(free)}
