"""A store moves from one engine to the other and back, and every row is compared."""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import psycopg
import pytest
from alembic import command
from sqlalchemy import Column, Connection, Table, delete, insert

from monitor import errors
from monitor.core import cluster
from monitor.core.shards import ALL
from monitor.store import (
    copying,
    lease,
    migrating,
    opening,
    postgres,
    surveying,
)
from monitor.store.columns import Words
from monitor.store.copying import TABLES, Copied
from monitor.store.schema import log
from tests.store.changes import a_change, a_delivery, an_event, remember
from tests.support import databases

MANY = copying.BATCH + 7
TEXTS = ("", "a", "B", "_", "重启", "é", "😀", "a\tb\n", "it's", "%", "\\x00", "\x01")
ROOT = Path(__file__).parents[2]


def unheard(table: str, done: int, total: int) -> None:
    assert table
    assert 0 < done <= total


async def copy(source: str, target: str, *, replace: bool = False) -> list[Copied]:
    return await copying.copy(source, target, replace=replace, report=unheard)


def many(table: Table) -> int:
    return 1 if table is log else MANY


ALL_ROWS = sum(map(many, TABLES))


def rows() -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Make rows for every table, with whatever its columns can hold."""
    luck = random.Random(7)
    for table in TABLES:
        yield (
            table,
            [
                {column.name: value(column, number, luck) for column in table.columns}
                for number in range(1, many(table) + 1)
            ],
        )


def value(column: Column[Any], number: int, luck: random.Random) -> object:
    if column.nullable and number % 3 == 0:
        return None
    kind = str if isinstance(column.type, Words) else column.type.python_type
    if column.primary_key or column.name in ("key", "id", "sequence"):
        return f"{TEXTS[number % len(TEXTS)]}{number}" if kind is str else number
    if kind is str:
        return luck.choice(TEXTS)
    if kind is bytes:
        return luck.randbytes(luck.randrange(40))
    if kind is float:
        return luck.choice((0.0, 0.1, -1.5, 1e300, 1795942910.123456, 3.0))
    wide = column.type.__class__.__name__ == "BigInteger" or column.name == "status"
    return luck.choice((0, 1, -1, 2**63 - 1 if wide else 2**15 - 1))


async def filled(url: str) -> None:
    def work(connection: Connection) -> None:
        for table, made in rows():
            connection.execute(delete(table))
            connection.execute(insert(table), made)

    threads = anyio.to_thread.run_sync
    async with opening.owned(opening.parsed(url), threads) as owned:
        await threads(owned.transact, work, ALL)


def dumped(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as rows:
        found = rows.iterdump()
        return sorted(line for line in found if '"leases"' not in line)


async def test_a_store_that_moved_there_and_back_is_what_it_was(
    url: str, file: Path, database: str, tmp_path: Path
) -> None:
    await filled(url)
    back = tmp_path / "back.db"

    there = await copy(url, database)
    again = await copy(database, f"sqlite:///{back}")

    assert there == again
    assert {copied.table: copied.rows for copied in there} == {
        table.name: many(table) for table in TABLES
    }
    assert dumped(back) == dumped(file)


async def test_a_daemon_goes_on_where_it_was_on_the_other_engine(
    url: str, database: str
) -> None:
    async with opening.opened(url) as store:
        await store.enrol("journal")
        await remember(store, a_change(1))
        deliveries = [a_delivery(an_event(number)) for number in range(1, 6)]
        await store.read("oncall", 1, deliveries)

    await copy(url, database)

    async with opening.opened(database) as store:
        await remember(store, a_change(2))
        await store.read("oncall", 1, [a_delivery(an_event(6))])
        read = await store.unread("journal", 9)
        line = [await first(store) for _ in range(6)]
    assert [event.sequence for _, event in read.events] == [1, 2]
    assert line == [1, 2, 3, 4, 5, 6]


async def first(store: Any) -> int | None:
    [delivery] = await store.lines("oncall", 9)
    await store.delivered([delivery])
    sequence: int | None = delivery.message.sequence
    return sequence


async def test_a_name_of_old_that_holds_a_nul_is_copied_without_it(
    url: str, file: Path, database: str
) -> None:
    async with opening.opened(url) as store:
        await remember(store, a_change())
    with closing(sqlite3.connect(file)) as rows:
        rows.execute("UPDATE states SET name = 'a' || char(0) || 'b'")
        rows.commit()

    await copy(url, database)

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT name FROM states").fetchall() == [("a␀b",)]


async def test_what_is_there_is_replaced_only_on_demand(
    url: str, database: str
) -> None:
    await filled(database)
    async with opening.opened(url) as store:
        await remember(store, a_change())

    with pytest.raises(errors.StoreError, match="something in added"):
        await copy(url, database)
    assert filled_tables(database)["states"] == MANY
    await copy(url, database, replace=True)

    assert filled_tables(database) == {"events": 1, "states": 1}


def filled_tables(database: str) -> dict[str, int]:
    """Count the rows of those that are not empty, nor never so."""
    found = surveying.survey(database).rows
    always = ("log", "news")
    return {name: n for name, n in found.items() if n and name not in always}


async def test_of_a_copy_that_differs_nothing_is_kept(url: str, database: str) -> None:
    await filled(url)
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN NEW.time := 7.5; RETURN NEW; END$$"
        )
        connection.execute(
            "CREATE TRIGGER spoil BEFORE INSERT ON events FOR EACH ROW"
            " WHEN (NEW.position = 503) EXECUTE FUNCTION spoil()"
        )

    with pytest.raises(errors.StoreError) as caught:
        await copy(url, database)

    assert str(caught.value) == "events differs at (503, 503); nothing was copied"
    assert filled_tables(database) == {}


async def test_a_copy_that_lost_its_connection_begins_anew(
    url: str, database: str
) -> None:
    await filled(url)
    cut: list[str] = []

    def cutting(table: str, done: int, _: int) -> None:
        if table == "states" and done > copying.BATCH and not cut:
            with psycopg.connect(database, autocommit=True) as connection:
                ended = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                    " datname = current_database() AND pid != pg_backend_pid()"
                )
                cut.extend(str(row) for row in ended)

    copied = await copying.copy(url, database, replace=False, report=cutting)

    assert cut
    assert [each.rows for each in copied] == [*map(many, TABLES)]


async def test_a_copy_that_is_given_up_leaves_nothing(url: str, database: str) -> None:
    await filled(url)

    with anyio.CancelScope() as scope:

        def giving_up(table: str, done: int, total: int) -> None:
            if table == "states" and done < total:
                anyio.from_thread.run_sync(scope.cancel)

        await copying.copy(url, database, replace=False, report=giving_up)

    assert scope.cancelled_caught
    assert filled_tables(database) == {}
    assert surveying.survey(database).owners == {}


async def test_a_store_of_another_version_is_not_copied(
    url: str, file: Path, database: str
) -> None:
    await filled(url)
    with closing(sqlite3.connect(file)) as rows:
        rows.execute("UPDATE alembic_version SET version_num = '0004'")
        rows.commit()

    with pytest.raises(errors.Misconfigured, match="job-monitor store migrate"):
        await copy(url, database)


async def test_a_store_is_not_copied_to_itself(url: str) -> None:
    await filled(url)

    with pytest.raises(errors.StoreError, match="both are the same store"):
        await copy(url, url, replace=True)


async def test_a_target_of_an_older_version_is_brought_up_to_date_and_filled(
    url: str,
) -> None:
    async with opening.opened(url) as store:
        await remember(store, a_change())
    with databases.created(databases.found()) as made:
        with postgres.connected(made) as engine, engine.begin() as connection:
            config = migrating._config(migrating.SCRIPTS)
            config.attributes["connection"] = connection
            command.upgrade(config, "0007")
        await copy(url, databases.written(made), replace=True)

        assert filled_tables(databases.written(made)) == {"events": 1, "states": 1}


@pytest.mark.parametrize("owned", ["source", "target"])
async def test_what_a_daemon_owns_is_not_copied(
    url: str, database: str, owned: str
) -> None:
    await filled(url)
    async with opening.opened(url if owned == "source" else database):
        with pytest.raises(
            errors.Misconfigured, match=r"in use by (another )?Job Monitor"
        ):
            await copy(url, database)


# The verb.


def called(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "monitor", "store", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


async def test_status_names_the_owner_while_there_is_one(
    url: str, file: Path, database: str
) -> None:
    async with opening.opened(url), opening.opened(database):
        of_file = await anyio.to_thread.run_sync(called, "status", url)
        of_database = await anyio.to_thread.run_sync(called, "status", database)
        surveyed = surveying.survey(database)

    assert (of_file.returncode, of_database.returncode) == (0, 0)
    assert f"owners: process {os.getpid()}: 64 of 64 shards\n" in of_file.stdout
    assert f"(process {os.getpid()}): 64 of 64 shards\n" in of_database.stdout
    assert surveyed.owners == {cluster.told(lease.name()): 64}
    assert surveying.survey(database).owners == {}
    assert surveying.survey(f"sqlite:///{file}").owners == {}


def test_status_of_nothing_is_no_new_file(tmp_path: Path) -> None:
    said = called("status", f"sqlite:///{tmp_path}/monitor.db")

    assert (said.returncode, [*tmp_path.iterdir()]) == (78, [])


def test_migrate_says_what_it_did(url: str) -> None:
    newest = surveying.schema(url), called("migrate", url), called("migrate", url)

    assert newest[0] is None
    assert newest[1].stdout.startswith("The schema was not there, and is ")
    assert newest[2].stdout.startswith("The schema is up to date: ")
    assert called("status", url, "-o", "json").returncode == 0


async def test_migrate_of_what_is_up_to_date_disturbs_no_daemon(database: str) -> None:
    async with opening.opened(database) as store:
        said = await anyio.to_thread.run_sync(called, "migrate", database)
        await remember(store, a_change())

    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("The schema is up to date: ")


async def test_migrate_waits_for_no_daemon_to_end(database: str) -> None:
    async with opening.opened(database):
        outdate(database)
        said = await anyio.to_thread.run_sync(called, "migrate", database)

    assert said.returncode == 78
    assert "is in use by Job Monitor on " in said.stderr


def outdate(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0007'")


async def test_copy_says_how_far_it_is_and_what_it_compared(
    url: str, database: str
) -> None:
    await filled(url)

    first, second = called("copy", url, database), called("copy", url, database)

    assert first.returncode == 0, first.stderr
    assert f"states: {MANY:,} of {MANY:,}\n" in first.stderr
    assert f"{ALL_ROWS:,} rows are the same on both sides.\n" in first.stderr
    assert len(first.stdout.splitlines()) == len(TABLES) + 1
    assert second.returncode == 1
    assert "--replace" in second.stderr
