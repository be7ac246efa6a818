"""A cluster whose database is in trouble goes on by itself once that is over."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Final

import anyio
import anyio.to_thread
import psycopg
import pytest
from msgspec import Struct

from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e import balance, contract, truth
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.record import DatabaseRecord
from tests.e2e.site import Site
from tests.e2e.test_kills import SCENARIOS, settled
from tests.e2e.waiting import until
from tests.support import postgresqls, worlds
from tests.support.postgresqls import Server
from tests.support.proxying import Proxy, proxying

SEED: Final = 20261129
INSTANCES: Final = 60
LASTS: Final = 12.0
"""Seconds that each trouble lasts: longer than a lease."""

threads = anyio.to_thread.run_sync


class Stage(Struct):
    server: Server
    ways: list[Proxy]


Trouble = Callable[[Stage], Awaitable[None]]


async def stopped(stage: Stage) -> None:
    await threads(lambda: stage.server.stop("immediate"))
    await anyio.sleep(LASTS)
    await threads(stage.server.start)


async def restarted(stage: Stage) -> None:
    await threads(stage.server.restart)


async def read_only(stage: Stage) -> None:
    """Be what a daemon finds that is led to a standby."""
    _set(stage.server, "default_transaction_read_only", "on")
    _end_all(stage.server)
    await anyio.sleep(LASTS)
    _set(stage.server, "default_transaction_read_only", "off")


async def out_of_connections(stage: Stage) -> None:
    with _administering(stage.server) as connection:
        connection.execute("ALTER ROLE monitor CONNECTION LIMIT 0")
    _end_all(stage.server)
    await anyio.sleep(LASTS)
    with _administering(stage.server) as connection:
        connection.execute("ALTER ROLE monitor CONNECTION LIMIT -1")


async def slow(stage: Stage) -> None:
    """Let every statement that writes a state wait."""
    with _administering(stage.server) as connection, connection.transaction():
        connection.execute("LOCK TABLE states IN EXCLUSIVE MODE")
        await anyio.sleep(LASTS)


async def silent_for_all(stage: Stage) -> None:
    for way in stage.ways:
        way.darken()
    await anyio.sleep(LASTS)
    for way in stage.ways:
        way.heal()


async def silent_for_one(stage: Stage) -> None:
    stage.ways[0].darken()
    await anyio.sleep(2 * LASTS)
    stage.ways[0].heal()


async def severed(stage: Stage) -> None:
    for _ in range(20):
        for way in stage.ways:
            way.sever()
        await anyio.sleep(0.25)


EVERY: Final = (
    restarted,
    out_of_connections,
    slow,
    silent_for_one,
    severed,
    read_only,
    silent_for_all,
    stopped,
)


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_what_troubles_all_is_over_and_nobody_has_to_help(tmp_path: Path) -> None:
    await _undergo(tmp_path, read_only, silent_for_all)


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("trouble", EVERY, ids=lambda each: each.__name__)
async def test_each_trouble_is_over_and_nobody_has_to_help(
    tmp_path: Path, trouble: Trouble
) -> None:
    await _undergo(tmp_path, trouble)


async def _undergo(directory: Path, *troubles: Trouble) -> None:
    """Let a cluster go through *troubles*; nothing may be lost or invented by them."""
    world = worlds.today(seed=SEED)
    async with _cluster(directory, world) as (stage, daemons, receiver, record):
        await daemons[0].reaches(lambda: len(receiver.taken) > INSTANCES, "events")
        for trouble in troubles:
            await trouble(stage)
            await _shared(stage.server)
        for daemon in daemons:
            await settled(daemon, world, receiver, record)
            assert daemon.alive
        assert [*truth.untrue(world, record)] == []
        assert [*truth.mistold(receiver, record)] == []
        assert balance.faults(receiver, record) == []
        assert contract.breaches(receiver.taken) == []
        for daemon in daemons:
            assert await daemon.stop() == 0


@asynccontextmanager
async def _cluster(
    directory: Path, world: World
) -> AsyncIterator[tuple[Stage, list[Daemon], Receiver, DatabaseRecord]]:
    luck = Random(SEED)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(postgresqls.served())
        with _administering(server) as connection:
            connection.execute(
                f"CREATE ROLE monitor LOGIN PASSWORD '{postgresqls.PASSWORD}'"
            )
            connection.execute("GRANT CREATE, USAGE ON SCHEMA public TO monitor")
        ways = [
            await stack.enter_async_context(proxying(server.port)) for _ in range(2)
        ]
        url = await stack.enter_async_context(serving(world))
        receiver = await stack.enter_async_context(receiving())
        watched = [
            world.play(
                SCENARIOS[number % len(SCENARIOS)],
                parts=Parts(beat=luck.choice((1.0, 2.0, 4.0))),
            )
            for number in range(INSTANCES)
        ]
        daemons = []
        for number, way in enumerate(ways):
            home = directory / str(number)
            home.mkdir()
            store = server.url(way.port).replace("owner:", "monitor:")
            site = Site(home, url, sinks=[], store=store)
            site.settings["alerts"]["storm"] = {"messages": 100_000}
            site.tell(receiver)
            site.watch(*watched)
            daemons.append(stack.enter_context(running(site.config)))
        for daemon in daemons:
            await daemon.says("service.started")
        await _shared(server)
        yield Stage(server, ways), daemons, receiver, DatabaseRecord(server.url())


async def _shared(server: Server) -> None:
    """Wait until two daemons own everything between them."""

    def shares() -> bool:
        with _administering(server) as connection:
            rows = connection.execute(
                "SELECT count(*) FROM leases WHERE expires_at >"
                " extract(epoch FROM clock_timestamp()) GROUP BY owner"
            ).fetchall()
        return sorted(rows) == [(32,), (32,)]

    await until(shares, "two daemons own everything", within=90.0, every=0.5)


def _set(server: Server, name: str, value: str) -> None:
    with _administering(server) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        connection.execute("SELECT pg_reload_conf()")


def _end_all(server: Server) -> None:
    with _administering(server) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'monitor'"
        )


@contextmanager
def _administering(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection
