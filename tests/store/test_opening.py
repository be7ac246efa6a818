"""Opening the store: what is wrong with a file is said in one clear sentence."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.schema import CreateTable

from monitor import errors
from monitor.core.state import State
from monitor.store import migrating, opening, schema
from monitor.store.sql import SqlStore
from tests.store.changes import ALERT, KEY, a_change, a_delivery, an_event, remember

MIGRATIONS = migrating.SCRIPTS
SECRET = "canary-7f3a9d"


async def refusal(url: str) -> str:
    with pytest.raises(errors.Misconfigured) as caught:
        async with opening.opened(url, patience=0.3):
            pass
    return str(caught.value)


async def filled(url: str) -> None:
    async with opening.opened(url) as store:
        await store.enrol("journal")
        keys = [f"prod/biz/2/{number}" for number in range(1, 60)]
        async with anyio.create_task_group() as tasks:
            for key in keys:
                change = a_change(1, key, events=5, alerts={"x": ALERT})
                tasks.start_soon(remember, store, change)
        await store.read("journal", 0, [a_delivery(an_event(1, key)) for key in keys])


def content(file: Path) -> bytes:
    return file.read_bytes()


def put(file: Path, damaged: bytes | bytearray) -> None:
    file.write_bytes(damaged)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@contextmanager
def engine_of(file: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


# The schema.


def shape(engine: Engine) -> dict[str, Any]:
    """Describe every table: columns, keys, indexes and what must be unique."""
    found = inspect(engine)
    return {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"])
                for c in found.get_columns(table)
            ],
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "indexes": sorted(
                (str(i["name"]), i["column_names"], i["unique"])
                for i in found.get_indexes(table)
            ),
            "unique": sorted(
                u["column_names"] for u in found.get_unique_constraints(table)
            ),
        }
        for table in sorted(found.get_table_names())
        if table != "alembic_version"
    }


async def test_the_migrations_make_exactly_the_tables_of_the_schema(
    url: str, file: Path, tmp_path: Path
) -> None:
    async with opening.opened(url):
        pass

    with engine_of(file) as migrated, engine_of(tmp_path / "direct.db") as direct:
        schema.metadata.create_all(direct)
        assert shape(migrated) == shape(direct)
        assert {*shape(migrated)} == {*schema.metadata.tables}


def test_every_unique_constraint_and_index_of_the_schema_is_compared() -> None:
    assert any(
        isinstance(constraint, UniqueConstraint)
        for table in schema.metadata.tables.values()
        for constraint in table.constraints
    )
    assert any(table.indexes for table in schema.metadata.tables.values())


async def test_opening_again_writes_nothing(url: str, file: Path) -> None:
    await filled(url)
    before = content(file)

    async with opening.opened(url):
        pass

    assert content(file) == before


async def test_a_migration_that_fails_halfway_leaves_the_old_schema(
    url: str, file: Path, tmp_path: Path
) -> None:
    await filled(url)
    scripts = tmp_path / "100% migrations"
    shutil.copytree(MIGRATIONS, scripts)
    head = str(ScriptDirectory(str(MIGRATIONS)).get_current_head())
    (scripts / "versions" / "9999_breaks.py").write_text(_BREAKS.replace("HEAD", head))

    with engine_of(file) as engine, engine.connect() as connection:
        begin_ourselves(engine)
        before = shape(engine), contents(connection)
        with pytest.raises(ZeroDivisionError):
            migrating.migrate(connection, scripts)

        assert (shape(engine), contents(connection)) == before


_BREAKS = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "HEAD"


def upgrade() -> None:
    op.create_table("novel", sa.Column("n", sa.Integer))
    op.add_column("states", sa.Column("novel", sa.Integer))
    op.execute("DELETE FROM events")
    op.drop_table("told")
    1 / 0
"""


def begin_ourselves(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def contents(connection: Connection) -> dict[str, Any]:
    with connection.begin():
        tables = MetaData()
        tables.reflect(connection)
        return {
            name: connection.execute(table.select()).fetchall()
            for name, table in tables.tables.items()
        }


def test_the_tables_are_ones_that_postgresql_has_types_for() -> None:
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    statements = [
        str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
        for table in schema.metadata.sorted_tables
    ]

    assert len(statements) == len(schema.metadata.tables)


# What is in force.


async def asked(store: SqlStore, pragma: str) -> Any:
    def job(connection: Connection) -> Any:
        return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    return await store._group.do(job, hurry=True)


async def test_commits_are_flushed_to_disk_and_readers_disturb_no_writer(
    url: str,
) -> None:
    async with opening.opened(url) as store:
        pragmas = ("journal_mode", "synchronous", "busy_timeout", "wal_autocheckpoint")

        assert [await asked(store, pragma) for pragma in pragmas] == [
            "wal",
            2,
            5000,
            1000,
        ]


async def test_nothing_but_the_database_and_its_lock_stays_behind(
    url: str, tmp_path: Path
) -> None:
    await filled(url)

    assert names(tmp_path) == ["monitor.db", "monitor.db.lock"]


async def test_the_store_may_be_copied_while_it_is_open(
    url: str, file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "backup.db"

    async with opening.opened(url) as store:
        await remember(store, a_change(1))
        source, target = sqlite3.connect(file), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()

    async with opening.opened(f"sqlite:///{copy}") as store:
        assert await store.load(KEY) == a_change(1).state


# One daemon for each file.


async def test_nobody_else_reads_what_is_stored(url: str, file: Path) -> None:
    async with opening.opened(url) as store:
        await remember(store, a_change())
        modes = {
            each.name: each.stat().st_mode & 0o777 for each in file.parent.iterdir()
        }

    assert modes[file.name] == 0o600
    assert set(modes.values()) == {0o600}


async def test_a_second_daemon_in_this_process_is_refused_by_name(
    url: str, file: Path
) -> None:
    async with opening.opened(url):
        assert await refusal(url) == in_use(file, os.getpid())


async def test_a_second_daemon_is_refused_also_by_another_path(
    url: str, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(file)

    async with opening.opened(url):
        assert await refusal(f"sqlite:///{link}") == in_use(file, os.getpid())


async def test_a_second_daemon_in_another_process_is_refused_until_the_first_ends(
    url: str, file: Path
) -> None:
    with another_daemon(url) as daemon:
        assert await refusal(url) == in_use(file, daemon.pid)
        daemon.kill()
        daemon.wait()

    async with opening.opened(url) as store:
        assert await store.load(KEY) == State(key=KEY)


def in_use(file: Path, pid: int) -> str:
    return (
        f"store: {file} is in use by another Job Monitor (process {pid}); "
        "stop it, or give this one another store"
    )


_DAEMON = """
import sys
import anyio
from monitor.store import opening

async def main():
    async with opening.opened(sys.argv[1]):
        print("open", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@contextmanager
def another_daemon(url: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        [sys.executable, "-c", _DAEMON, url], stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"open\n"
        try:
            yield daemon
        finally:
            daemon.kill()


async def test_a_refused_daemon_leaves_the_lock_to_its_owner(url: str) -> None:
    async with opening.opened(url):
        first = await refusal(url)

        assert await refusal(url) == first


# What is no database of ours.


async def test_a_file_from_a_newer_version_is_refused_and_left_alone(
    url: str, file: Path
) -> None:
    await filled(url)
    with engine_of(file) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'f00d'"))
    before = content(file)

    assert await refusal(url) == (
        f"store: {file} was written by a newer Job Monitor; upgrade this one, "
        "or give it another store"
    )
    assert content(file) == before


@pytest.mark.parametrize(
    "noise",
    [b"watches:\n- 2/20000153\n", bytes(8192), os.urandom(5000), b"SQLite format 3\0"],
    ids=["text", "zeros", "noise", "header only"],
)
async def test_what_is_no_database_is_refused_and_left_alone(
    url: str, file: Path, noise: bytes
) -> None:
    put(file, noise)

    message = await refusal(url)

    assert message.startswith(f"store: {file}: ")
    assert message.endswith(
        "; restore it from a backup, or move it and its -wal away to start anew"
    )
    assert content(file) == noise


@pytest.mark.parametrize("kept", [20, 99, 100, 1000, 4096, 5000, 20_000, 40_000])
async def test_a_truncated_database_is_refused(url: str, file: Path, kept: int) -> None:
    await filled(url)
    os.truncate(file, kept)

    assert "restore it from a backup" in await refusal(url)


async def test_the_database_of_another_program_is_refused(url: str, file: Path) -> None:
    with engine_of(file) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE states (key TEXT)"))

    assert await refusal(url) == (
        f"store: {file}: table states already exists; "
        "another program's database? give this one a file of its own"
    )
    with engine_of(file) as engine:
        assert [*shape(engine)] == ["states"]


async def outcome(url: str) -> str:
    """Open and read all there is; anything but a clean error is raised."""
    try:
        async with opening.opened(url) as store:
            return await read_all(store)
    except errors.Misconfigured:
        return "refused"


async def read_all(store: SqlStore) -> str:
    try:
        for head in await store.heads("prod"):
            await store.load(head.key)
        await store.unread("journal", 1000)
        await store.lines("oncall", 1000)
        await store.alerting()
        await remember(store, a_change(1, "prod/biz/2/999"))
    except errors.StoreError:
        return "failed"
    return "sound"


async def damaged(
    url: str, file: Path, damage: Callable[[bytearray, int], None]
) -> set[str]:
    """Damage each page of a database in turn; list what came of it."""
    await filled(url)
    whole, outcomes = content(file), set()
    for page in range(0, len(whole), 4096):
        broken = bytearray(whole)
        damage(broken, page)
        put(file, broken)
        outcomes.add(await outcome(url))
    return outcomes


async def test_a_page_of_noise_anywhere_is_a_clean_error(url: str, file: Path) -> None:
    noise = random.Random(1)

    def damage(content: bytearray, page: int) -> None:
        content[page : page + 4096] = noise.randbytes(4096)

    assert {"refused", "failed"} <= await damaged(url, file, damage)


async def test_a_few_wrong_bytes_anywhere_are_a_clean_error(
    url: str, file: Path
) -> None:
    noise = random.Random(2)

    def damage(content: bytearray, page: int) -> None:
        start = page + noise.randrange(4096 - 300)
        content[start : start + 300] = noise.randbytes(300)

    assert "failed" in await damaged(url, file, damage)


# Where it cannot be.


async def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert await refusal(f"sqlite:///{tmp_path}/no/such.db") == (
        f"store: cannot create {tmp_path}/no/such.db.lock: No such file or directory; "
        "give it a directory that exists and can be written"
    )


async def test_a_directory_is_no_file(tmp_path: Path) -> None:
    refused = f"store: {tmp_path} is no file; name a file"

    assert await refusal(f"sqlite:///{tmp_path}") == refused
    assert names(tmp_path) == []


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Let nobody write to *path*, not even root."""
    chattr = shutil.which("chattr")
    done = chattr and subprocess.run(
        [chattr, "+i", str(path)], check=False, stderr=subprocess.DEVNULL
    )
    if not chattr or not done or done.returncode:
        pytest.skip("chattr +i needs root and a file system that knows it")
    yield
    subprocess.run([chattr, "-i", str(path)], check=True)


async def test_a_file_that_cannot_be_written_is_refused(url: str, file: Path) -> None:
    await filled(url)

    with immutable(file):
        assert await refusal(url) == (
            f"store: {file} cannot be written; give this daemon the right to"
        )


async def test_a_directory_that_cannot_be_written_is_refused(
    url: str, file: Path, tmp_path: Path
) -> None:
    with immutable(tmp_path):
        assert await refusal(url) == (
            f"store: cannot create {file}.lock: Operation not permitted; "
            "give it a directory that exists and can be written"
        )


# URLs.


@pytest.mark.parametrize(
    "url",
    [
        "",
        "monitor.db",
        "sqlite://",
        "sqlite:///",
        "sqlite://monitor.db",
        "sqlite://host/monitor.db",
        "sqlite://host:port/monitor.db",
        "sqlite:///:memory:",
        "sqlite:///monitor.db?mode=memory",
        "sqlite:///file:monitor.db?uri=true",
        "sqlite+aiosqlite:///monitor.db",
        "sqlite:///a\0b",
        "sqlite:////",
        "sqlite:////dev/null",
        f"postgresql://u:{SECRET}@nobody.invalid/monitor",
        f"postgresql://u:x@{SECRET}@nobody.invalid/monitor",
        f"postgresql://u:{SECRET}@host",
        f"postgresql+asyncpg://u:{SECRET}@host/monitor",
        f"mysql://u:{SECRET}@host/monitor",
        f"postgres//u:{SECRET}@host/monitor",
        f"no-such-engine://u:{SECRET}@host:x/monitor",
    ],
)
async def test_a_url_that_names_no_file_is_refused_and_not_repeated(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    message = await refusal(url)

    assert message.startswith("store: ")
    assert SECRET not in message
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("a b.db", "a b.db"),
        ("a%20b.db", "a b.db"),
        ("a%2520b.db", "a%20b.db"),
        ("100%.db", "100%.db"),
        ("é重启'\"#&;=.db", "é重启'\"#&;=.db"),
        ("no-suffix", "no-suffix"),
        ("./x/../monitor.db", "monitor.db"),
    ],
)
async def test_the_name_of_the_file_is_taken_as_it_is_written_in_a_url(
    written: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    async with opening.opened(f"sqlite:///{tmp_path}/{written}") as store:
        await remember(store, a_change(1))

    assert names(tmp_path) == sorted([name, f"{name}.lock", "x"])


async def test_a_relative_path_starts_where_the_process_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opening.opened("sqlite:///monitor.db"):
        await anyio.lowlevel.checkpoint()

    assert (tmp_path / "monitor.db").is_file()
