"""What a cluster costs and gains: polls, transitions, and the load of the database.

    python -m benchmarks.cluster [--daemons 1 2 4] [--seconds 30] [--rest 10000]

Starts a PostgreSQL of its own and as many daemons as said, on one watch list. On a
machine where all of them share two cores, polls per second say little of what more
machines would do; so the CPU time of the daemons and of the database for each poll and
each event stands beside them, from which scaling can be calculated.

*At rest* is what the database has to do for so many watches of jobs that run on
unchanged, at the usual intervals.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
from msgspec import Struct

from benchmarks.polls import served
from benchmarks.watches import daemon, write
from tests.support import postgresqls

BUSY: Final = "{min_interval: 100ms, max_interval: 100ms}"
USUAL: Final = "{min_interval: 2s, max_interval: 60s}"
STATEMENTS: Final = "shared_preload_libraries=pg_stat_statements"
TICK: Final = os.sysconf("SC_CLK_TCK")

_LOAD: Final = """
    SELECT (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements),
        (SELECT xact_commit + xact_rollback FROM pg_stat_database
            WHERE datname = current_database()),
        pg_current_wal_insert_lsn() - '0/0',
        (SELECT coalesce(max(position), 0) FROM log)"""

_OWNERS: Final = "SELECT count(DISTINCT owner) FROM leases WHERE owner <> ''"


class Reading(Struct, frozen=True):
    """Counters; those of the CPU in seconds."""

    at: float
    polls: int
    events: int
    statements: int
    transactions: int
    wal: int
    daemons: float
    database: float

    def since(self, before: "Reading") -> "Reading":
        fields = self.__struct_fields__
        return Reading(*(getattr(self, f) - getattr(before, f) for f in fields))


class changing(served):  # noqa: N801
    """The server whose every answer is a transition."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.changing"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._pin = False
        self._port = 0


class Cluster:
    def __init__(
        self,
        jobs: served,
        server: postgresqls.Server,
        daemons: Sequence[subprocess.Popen[bytes]],
    ) -> None:
        self._jobs = jobs
        self._server = server
        self._daemons = daemons

    def ready(self) -> None:
        """Wait until every daemon has shards."""
        owners = 0
        while owners < len(self._daemons):
            time.sleep(0.5)
            with (
                suppress(psycopg.errors.UndefinedTable),
                psycopg.connect(self._server.url()) as connection,
            ):
                [(owners,)] = connection.execute(_OWNERS).fetchall()

    def read(self) -> Reading:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            [load] = connection.execute(_LOAD).fetchall()
            statements, transactions, wal, events = map(int, load)
            database = _parent(connection.info.backend_pid)
        return Reading(
            at=time.perf_counter(),
            polls=self._jobs.polled(),
            events=events,
            statements=statements,
            transactions=transactions,
            wal=wal,
            daemons=sum(_cpu(daemon.pid) for daemon in self._daemons),
            database=_cpu_of_family(database),
        )


@contextmanager
def running(
    jobs: served, daemons: int, watches: int, polling: str
) -> Iterator[Cluster]:
    with ExitStack() as stack:
        server = stack.enter_context(postgresqls.served(STATEMENTS))
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        url = stack.enter_context(jobs)
        started = []
        for _ in range(daemons):
            name = stack.enter_context(tempfile.TemporaryDirectory())
            directory = Path(name)
            write(directory, url, watches, polling=polling)
            with (directory / "monitor.yaml").open("a") as settings:
                settings.write(f"store: {server.url()}\n")
            started.append(stack.enter_context(daemon(directory)))
        yield Cluster(jobs, server, started)


def measured(cluster: Cluster, settle: float, seconds: float) -> Reading:
    cluster.ready()
    time.sleep(settle)
    before = cluster.read()
    time.sleep(seconds)
    return cluster.read().since(before)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _cpu(pid: int, fields: slice = slice(11, 13)) -> float:
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[fields]
    return sum(map(int, times)) / TICK


def _cpu_of_family(pid: int) -> float:
    """Count a process, its children that are over, and those that are not."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _cpu(pid, slice(11, 15)) + sum(_cpu(int(child)) for child in children)


def busy(
    what: str, load: Reading, daemons: int, number: Callable[[Reading], int]
) -> str:
    done = max(1, number(load))
    return (
        f"{daemons} daemons: {done / load.at:,.0f} {what} per second;"
        f" CPU per one: daemons {load.daemons / done * 1e6:,.0f} µs,"
        f" database {load.database / done * 1e6:,.0f} µs;"
        f" {load.transactions / load.at:,.0f} transactions per second"
    )


def resting(load: Reading, daemons: int, watches: int) -> str:
    return (
        f"{watches:,} watches at rest, {daemons} daemons:"
        f" {load.polls / load.at:,.0f} polls, {load.events / load.at:.1f} events,"
        f" {load.statements / load.at:,.1f} statements,"
        f" {load.transactions / load.at:,.1f} transactions,"
        f" {load.wal / load.at / 1024:,.1f} KiB of WAL per second;"
        f" the database used {load.database / load.at:.1%} of a core"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--daemons", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--settle", type=float, default=45.0)
    parser.add_argument("--watches", type=int, default=2000)
    parser.add_argument("--rest", type=int, default=10_000)
    arguments = parser.parse_args()
    period = arguments.settle, arguments.seconds
    for daemons in arguments.daemons:
        with running(served(2, pin=False), daemons, arguments.watches, BUSY) as cluster:
            load = measured(cluster, *period)
        print(busy("polls", load, daemons, lambda load: load.polls), flush=True)
        with running(changing(), daemons, arguments.watches, BUSY) as cluster:
            load = measured(cluster, *period)
        print(busy("events", load, daemons, lambda load: load.events), flush=True)
    for watches in (0, arguments.rest):
        most = max(arguments.daemons)
        with running(served(2, pin=False), most, watches, USUAL) as cluster:
            load = measured(cluster, 2 * arguments.settle, 2 * arguments.seconds)
        print(resting(load, most, watches), flush=True)


if __name__ == "__main__":
    main()
