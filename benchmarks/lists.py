"""What a line costs that is appended to a large list which machines share.

    python -m benchmarks.lists postgresql://… [--watches 100000] [--appends 20]

Of an empty database: how much the server writes ahead (WAL) at the first reading, and
for each line that is appended, how long saying and hearing it takes here and on a second
machine. The server should have nothing else to do.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import anyio
import psycopg

from monitor.store import opening
from monitor.store.sql import SqlStore
from monitor.watchlist.files import Files
from monitor.watchlist.union import Union

NAME = "watches.txt"
FIRST = 20_000_000


def machine(name: str, directory: Path, store: SqlStore) -> Union:
    return Union(
        Files([str(directory / NAME)], directory=Path(), sources=("prod",)),
        store,
        name,
        directory=directory,
        sources=("prod",),
        living=lambda: (),
        owns=lambda _: True,
    )


def written(url: str) -> int:
    with psycopg.connect(url) as connection:
        asked = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        [position] = connection.execute(asked).fetchone() or [0]
    return int(position)


async def measure(url: str, directory: Path, watches: int, appends: int) -> None:
    here, there = directory / "here", directory / "there"
    here.mkdir()
    there.mkdir()
    path = here / NAME
    lines = (f"2/{FIRST + n} team=web\n" for n in range(watches))
    path.write_text("".join(lines))
    async with opening.opened(url) as store:
        one, other = machine("here", here, store), machine("there", there, store)
        before, began = written(url), time.perf_counter()
        await one.listing()
        took = time.perf_counter() - began
        print(
            f"{watches:,} watches: {(written(url) - before) / 1e6:.2f} MB of WAL,",
            end="",
        )
        began = time.perf_counter()
        await other.listing()
        print(f" said in {took:.2f} s, heard in {time.perf_counter() - began:.2f} s")
        await anyio.sleep(one.pause())
        kilobytes, said, heard = [], [], []
        for number in range(appends):
            with path.open("a") as file:
                file.write(f"2/{FIRST + watches + number} team=web\n")
            before, began = written(url), time.perf_counter()
            mine = await one.listing()
            said.append(time.perf_counter() - began)
            kilobytes.append((written(url) - before) / 1e3)
            began = time.perf_counter()
            theirs = await other.listing()
            heard.append(time.perf_counter() - began)
            if len(mine.watches) != len(theirs.watches):
                raise SystemExit("the second machine does not watch the same")
            await anyio.sleep(1)
    print(
        f"a line more: {statistics.median(kilobytes):.1f} kB of WAL in the middle,"
        f" {max(kilobytes):.1f} at most;"
        f" said in {statistics.median(said):.2f} s,"
        f" heard in {statistics.median(heard):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("store")
    parser.add_argument("--watches", type=int, default=100_000)
    parser.add_argument("--appends", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        anyio.run(
            measure,
            arguments.store,
            Path(name),
            arguments.watches,
            arguments.appends,
        )


if __name__ == "__main__":
    main()
