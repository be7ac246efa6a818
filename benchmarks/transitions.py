"""Transitions made durable per second, with group commit: SQLite, or an empty database.

    python -m benchmarks.transitions [--instances 4000] [--store postgresql://…]

Each instance goes from waiting over running to its end, one commit each, as many
instances at once as there are; every commit is answered only once it is on disk.
The time of one bare fdatasync is printed beside it, because everything rests on it.
On PostgreSQL it is printed as well what an event takes of the disk and of the log
(WAL), to which nobody else should write meanwhile.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import anyio
import psycopg
from msgspec import Struct

from benchmarks.polls import key
from monitor import clock
from monitor.core import state
from monitor.core.model import Snapshot, Step, host_id
from monitor.core.wording import Frame
from monitor.recorder import Recorder
from monitor.store import opening

COURSE = (1, 2, 4)
HOSTS = {host_id(f"10.0.0.{n}", 0): 104 if n == 1 else 9 for n in range(1, 11)}


async def burst(store_url: str, instances: int) -> tuple[int, float]:
    events = 0

    def committed(change: state.Change) -> None:
        nonlocal events
        events += len(change.events)

    async with opening.opened(store_url) as store:
        recorder = Recorder(store, committed)
        started = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for number in range(instances):
                tasks.start_soon(live, recorder, number)
        return events, time.perf_counter() - started


async def live(recorder: Recorder, number: int) -> None:
    instance = key(number)
    name = str(instance)
    frame = Frame(source="prod", key=name, subject=instance.subject, instance=instance)
    for status in COURSE:
        hosts = HOSTS if status == COURSE[-1] else {}
        step = Step(step_instance_id=1, status=status, name="run", hosts=hosts)
        snapshot = Snapshot(status=status, name="benchmark", steps=(step,))
        now = clock.utc_now()
        await recorder.record(
            name,
            lambda known, snapshot=snapshot, now=now: state.seen(  # type: ignore[misc]
                known, snapshot, frame, now
            ),
        )


def flush_time(directory: Path) -> float:
    descriptor = os.open(directory / "flush", os.O_CREAT | os.O_WRONLY)
    started = time.perf_counter()
    for _ in range(100):
        os.pwrite(descriptor, b"x" * 4096, 0)
        os.fdatasync(descriptor)
    os.close(descriptor)
    return (time.perf_counter() - started) / 100


class Room(Struct, frozen=True):
    """Bytes of a database, and those that were ever written to its server's log."""

    disk: int
    log: int

    def each(self, before: "Room", events: int) -> str:
        disk, log = self.disk - before.disk, self.log - before.log
        return f"an event takes {disk / events:,.0f} B of disk, {log / events:,.0f} B of WAL"


def room(store_url: str) -> Room:
    with psycopg.connect(store_url) as connection:
        [(disk, log)] = connection.execute(
            "SELECT pg_database_size(current_database()),"
            " (pg_current_wal_insert_lsn() - '0/0')::bigint"
        ).fetchall()
    return Room(disk, log)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instances", type=int, default=4000)
    parser.add_argument("--store", metavar="URL", help="an empty database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        flush = flush_time(directory)
        before = room(arguments.store) if arguments.store else None
        events, seconds = anyio.run(
            burst,
            arguments.store or f"sqlite:///{directory}/monitor.db",
            arguments.instances,
            backend_options={"use_uvloop": True},
        )
    commits = arguments.instances * len(COURSE)
    print(
        f"{commits / seconds:,.0f} visits with changes and {events / seconds:,.0f} "
        f"events durable per second ({events:,} events, {seconds:.1f} s; "
        f"one fdatasync {flush * 1000:.2f} ms)"
    )
    if before is not None:
        print(room(arguments.store).each(before, events))


if __name__ == "__main__":
    main()
