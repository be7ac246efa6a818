"""Several daemons on one database are one monitor."""

from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

import pytest

from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e import balance, contract, truth
from tests.e2e.daemon import running
from tests.e2e.receiver import receiving
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


def _site(directory: Path, url: str, store: str) -> Site:
    directory.mkdir()
    site = Site(directory, url, sinks=[], store=store)
    site.settings["alerts"]["storm"] = {"messages": 100_000}
    return site
