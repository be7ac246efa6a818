"""Several daemons on one database are one monitor."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from signal import SIGTERM
from typing import Final

import pytest
from msgspec import Struct

from monitor.core.shards import SHARDS
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e import balance, contract, truth
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.record import DatabaseRecord
from tests.e2e.site import Site
from tests.e2e.test_kills import SCENARIOS, settled
from tests.support import databases, worlds

SEED: Final = 20261129
INSTANCES: Final = 60


@pytest.mark.timeout(240)
async def test_who_is_killed_is_replaced_and_nothing_is_lost_or_invented(
    tmp_path: Path,
) -> None:
    luck, world = Random(SEED), worlds.today(seed=SEED)
    with databases.created(databases.found()) as made, ExitStack() as stack:
        store = databases.written(made)
        async with serving(world) as url, receiving() as receiver:
            watched = [
                world.play(
                    SCENARIOS[number % len(SCENARIOS)],
                    parts=Parts(beat=luck.choice((0.5, 1.0, 2.0))),
                )
                for number in range(INSTANCES)
            ]
            sites = [_site(tmp_path / name, url, store) for name in "abc"]
            for site in sites:
                site.tell(receiver)
                site.watch(*watched)
            daemons = [stack.enter_context(running(site.config)) for site in sites]
            for daemon in daemons:
                await daemon.says("service.started")
            await daemons[0].reaches(lambda: len(receiver.taken) > INSTANCES, "events")
            daemons[0].kill()
            await daemons[1].says("shards.gained")
            record = DatabaseRecord(store)
            await settled(daemons[1], world, receiver, record)
            for daemon in daemons[1:]:
                assert await daemon.stop() == 0

        assert [*truth.untrue(world, record)] == []
        assert [*truth.mistold(receiver, record)] == []
        assert balance.faults(receiver, record) == []
        assert contract.breaches(receiver.taken) == []


async def test_who_loses_what_he_owns_while_he_ends_ends_all_the_same(
    tmp_path: Path,
) -> None:
    world = worlds.today(seed=SEED)
    with databases.created(databases.found()) as made:
        store = databases.written(made)
        async with serving(world) as url, receiving() as receiver:
            receiver.hangs = True
            site = _site(tmp_path / "a", url, store)
            site.settings["shutdown_grace"] = "1m"
            site.tell(receiver)
            site.watch(world.play("mixed_failure"))
            with running(site.config) as daemon:
                await daemon.reaches(lambda: receiver.deliveries, "something hangs")
                daemon.signal(SIGTERM)
                await daemon.says("service.stopping")
                with databases.administering(made) as connection:
                    connection.execute(
                        "UPDATE leases SET owner = 'b', epoch = epoch + 1"
                    )
                code = await daemon.ended()

                assert (code, len(daemon.said("lease.lost"))) == (0, 1)
                assert len(daemon.said("service.started")) == 1


@pytest.mark.timeout(240)
async def test_what_somebody_who_ends_leaves_others_watch_at_once_and_tell_once(
    tmp_path: Path,
) -> None:
    async with receiving() as receiver:
        receiver.seconds = 1.0
        async with two(tmp_path, receiver, shutdown_grace="2m") as (leaver, heir):
            await leaver.daemon.reaches(lambda: receiver.taken, "something is taken")
            leaver.daemon.signal(SIGTERM)
            await heir.daemon.says("shards.gained", owned=SHARDS)
            left = heir.record.on_their_way("hook")
            receiver.seconds = 0.0
            code = await leaver.daemon.ended()
            await settled(heir.daemon, heir.world, receiver, heir.record)
            assert await heir.daemon.stop() == 0
            faults = balance.faults(receiver, heir.record)

    accepted = [each.id for each in receiver.deliveries if each.accepted]
    assert (code, leaver.daemon.loud(), heir.daemon.loud()) == (0, [], [])
    assert len(left) > INSTANCES
    assert sorted(accepted) == sorted({*accepted})
    assert faults == []


@pytest.mark.timeout(240)
async def test_a_sink_that_hangs_holds_shards_back_for_the_grace_alone(
    tmp_path: Path,
) -> None:
    async with receiving() as receiver:
        receiver.hangs = True
        together = two(tmp_path, receiver, shutdown_grace="1s", patience="10s")
        async with together as (leaver, heir):
            await leaver.daemon.reaches(lambda: receiver.deliveries, "something hangs")
            code = await leaver.daemon.stop()
            receiver.hangs = False
            await heir.daemon.says("shards.gained", owned=SHARDS)
            await settled(heir.daemon, heir.world, receiver, heir.record)
            assert await heir.daemon.stop() == 0
            faults = balance.faults(receiver, heir.record)

    lost = [*leaver.daemon.said("lease.lost"), *heir.daemon.said("lease.lost")]
    assert (code, lost, faults) == (0, [], [])
    assert len(leaver.daemon.said("service.drain_cut_short")) == 1


class Member(Struct):
    """One of several daemons, what they watch, and what is on record of it."""

    daemon: Daemon
    world: World
    record: DatabaseRecord


def all_report(record: DatabaseRecord) -> bool:
    return all(report.version for report in record.reports())


@asynccontextmanager
async def two(
    directory: Path, receiver: Receiver, *, shutdown_grace: str, patience: str = "30s"
) -> AsyncIterator[list[Member]]:
    """Start two, of which the first has everything so far."""
    world = worlds.today(seed=SEED)
    with databases.created(databases.found()) as made, ExitStack() as stack:
        store = databases.written(made)
        async with serving(world) as url:
            watched = [
                world.play(SCENARIOS[number % len(SCENARIOS)], parts=Parts(beat=0.5))
                for number in range(INSTANCES)
            ]
            members: list[Member] = []
            for name in "ab":
                site = _site(directory / name, url, store)
                site.settings["shutdown_grace"] = shutdown_grace
                site.tell(receiver, timeout=patience)
                site.watch(*watched)
                daemon = stack.enter_context(running(site.config))
                await daemon.says("service.started")
                members.append(Member(daemon, world, DatabaseRecord(store)))
            await daemon.reaches(lambda: all_report(members[-1].record), "both report")
            yield members


def _site(directory: Path, url: str, store: str) -> Site:
    directory.mkdir()
    site = Site(directory, url, sinks=[], store=store)
    site.settings["alerts"]["storm"] = {"messages": 100_000}
    return site
