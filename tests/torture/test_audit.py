"""The audit finds what it is there for: a row of somebody who is not the owner."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import anyio
import anyio.to_thread
import psycopg

from tests.support import postgresqls
from tests.support.proxying import proxying
from tests.torture import audit
from tests.torture.members import Life

EVENT = """INSERT INTO events VALUES (%s, 7, 'prod/biz/2/1', %s, 't', 0, '')"""
OWNED = "UPDATE leases SET owner = %s, epoch = 5 WHERE shard = 7"
LIVES = [Life(0, 100, "127.1.0.1", 0.0), Life(1, 200, "127.2.0.1", 0.0)]


@contextmanager
def audited() -> Iterator[postgresqls.Server]:
    with postgresqls.served() as server:
        anyio.run(
            anyio.run_process,
            [sys.executable, "-m", "monitor", "store", "migrate", server.url()],
        )
        audit.install(server.url())
        yield server


def test_a_row_of_a_process_that_is_not_the_owner_at_the_commit_is_found() -> None:
    with audited() as server:
        with psycopg.connect(server.url()) as others:
            others.execute(OWNED, ["here/100/x"])
        # Written while it was the owner, and committed when it was no more.
        anyio.run(_write, server, 1, "127.1.0.1", None)
        anyio.run(_write, server, 2, "127.1.0.1", "here/200/y")
        anyio.run(_write, server, 3, "127.2.0.1", None)

        found = audit.writes(server.url())
        [stale] = audit.stale(found, LIVES)

    assert [write.id for write in found] == [f"prod/biz/2/1#{n}" for n in (1, 2, 3)]
    assert stale == (
        "events prod/biz/2/1#2: written by process 100 while shard 7 was"
        " here/200/y's (epoch 5)"
    )


async def _write(
    server: postgresqls.Server, number: int, address: str, taken_by: str | None
) -> None:
    async with proxying(server.port) as proxy:
        proxy.address = address

        def write() -> None:
            with closing(psycopg.connect(server.url(proxy.port))) as connection:
                connection.execute(EVENT, (number, number))
                if taken_by:
                    with psycopg.connect(server.url()) as others:
                        others.execute(OWNED, [taken_by])
                connection.commit()

        await anyio.to_thread.run_sync(write)
