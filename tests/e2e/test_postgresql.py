"""A daemon on PostgreSQL keeps the laws that it keeps on SQLite."""

from pathlib import Path
from random import Random
from typing import Any, Final

import anyio.to_thread
import psycopg
import pytest

from monitor.core.shards import SHARDS
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e import balance, contract, truth
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import receiving
from tests.e2e.record import DatabaseRecord
from tests.e2e.site import Site
from tests.e2e.test_kills import SCENARIOS, Moody, retry_some, settled
from tests.support import databases, postgresqls, worlds

SEED: Final = 20261129
INSTANCES: Final = 60


@pytest.mark.timeout(240)
async def test_neither_a_kill_nor_a_restart_of_the_server_loses_or_invents_anything(
    tmp_path: Path,
) -> None:
    luck, world = Random(SEED), worlds.today(seed=SEED)
    threads = anyio.to_thread.run_sync
    with postgresqls.served() as server:
        async with serving(world) as url, receiving() as receiver:
            receiver.answer = Moody(Random(SEED)).answer
            site = Site(tmp_path, url, sinks=[], store=server.url())
            site.settings["alerts"]["storm"] = {"messages": 100_000}
            site.tell(receiver)
            site.watch(
                *(
                    world.play(
                        SCENARIOS[number % len(SCENARIOS)],
                        parts=Parts(beat=luck.choice((0.5, 1.0, 2.0))),
                    )
                    for number in range(INSTANCES)
                )
            )
            with running(site.config) as daemon:
                await daemon.says("service.started")
                await daemon.reaches(lambda: len(receiver.taken) > INSTANCES, "events")
                await threads(server.restart)
                told = len(receiver.taken)
                await daemon.reaches(lambda: len(receiver.taken) > told, "more events")
                assert daemon.said("store.away")
            retry_some(world, luck)

            receiver.answer = lambda _: 204
            record = DatabaseRecord(server.url())
            with running(site.config) as daemon:
                await daemon.says("service.started")
                await threads(server.restart)
                await settled(daemon, world, receiver, record)
                assert await daemon.stop() == 0

        assert [*truth.untrue(world, record)] == []
        assert [*truth.mistold(receiver, record)] == []
        assert balance.faults(receiver, record) == []
        assert contract.breaches(receiver.taken) == []
        assert postgresqls.PASSWORD not in daemon.text


async def test_a_second_daemon_shares_the_database_of_the_first(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    with databases.created(databases.found()) as made:
        async with serving(world) as url:
            first = site(tmp_path / "first", url, databases.written(made))
            second = site(tmp_path / "second", url, databases.written(made))
            job = world.play("hang")
            for each in (first, second):
                each.watch(job)
            with running(first.config) as daemon, running(second.config) as other:
                for each_of_them in (daemon, other):
                    await each_of_them.says("service.started")
                assert await daemon.stop() == 0
                await other.reaches(lambda: owned(other) == SHARDS, "it owns all")
                assert await other.stop() == 0

    assert (daemon.loud(), other.loud()) == ([], [])


def owned(daemon: Daemon) -> int:
    gained = daemon.said("shards.gained")
    return int(gained[-1]["owned"]) if gained else 0


def site(directory: Path, url: str, store: str, **settings: Any) -> Site:
    directory.mkdir()
    return Site(directory, url, store=store, **settings)


async def test_the_command_line_finds_the_daemon_beside_its_configuration(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    with databases.created(databases.found()) as made:
        async with serving(world) as url:
            here = site(tmp_path / "here", url, databases.written(made))
            with running(here.config) as daemon:
                await daemon.says("service.started")
                socket = daemon.said("control.listening")[0]["path"]
                assert await daemon.stop() == 0

    assert socket == str(tmp_path / "here" / f"{made.database}.sock")


async def test_a_daemon_that_was_taken_over_begins_anew_in_the_same_process(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    with databases.created(databases.found()) as made:
        async with serving(world) as url:
            here = site(tmp_path / "here", url, databases.written(made))
            here.watch(world.play("hang"))
            with running(here.config) as daemon:
                await daemon.says("service.started")
                with psycopg.connect(databases.written(made)) as connection:
                    connection.execute(
                        "UPDATE leases SET owner = 'elsewhere/7/x', epoch = epoch + 1,"
                        " expires_at = 0"
                    )
                lost = await daemon.says("lease.lost")
                await daemon.reaches(
                    lambda: len(daemon.said("service.started")) == 2, "it begins anew"
                )
                assert owned(daemon) == SHARDS
                assert await daemon.stop() == 0

    assert [line["event"] for line in daemon.loud()] == ["lease.lost"]
    assert lost["remedy"] == "this daemon begins anew"
