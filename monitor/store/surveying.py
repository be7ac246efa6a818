"""A look at a store that is not ours: what is in it, and who owns it."""

import fcntl
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from sqlalchemy import URL, Connection, create_engine, func, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from monitor import errors
from monitor.core import cluster
from monitor.core.shards import SHARDS
from monitor.store import lease, migrating, opening, postgres, refusals, sqlite
from monitor.store.schema import leases, metadata


class Survey(Struct, frozen=True, kw_only=True):
    """What is known of a store, and of who owns how many of its shards.

    A file is owned as long as its owner's process lives.
    """

    store: str
    engine: str
    schema: str | None
    newest: str | None
    bytes: int
    rows: dict[str, int]
    owners: dict[str, int] = {}

    @property
    def current(self) -> bool:
        return self.schema == self.newest


def survey(url: str) -> Survey:
    """Look at the store at *url*, whoever owns it; nothing of it changes."""
    place = opening.parsed(url)
    return _of_database(place) if postgres.speaks(place) else _of_file(place)


def schema(url: str) -> str | None:
    """Tell the version of the schema; None where there is none yet."""
    place = opening.parsed(url)
    if not postgres.speaks(place) and not sqlite.file_of(place).exists():
        return None
    return survey(url).schema


def _of_database(url: URL) -> Survey:
    with (
        refusals.clear(url),
        postgres.connected(url) as engine,
        postgres.begun(engine) as connection,
    ):
        version = connection.exec_driver_sql("SHOW server_version").scalar()
        size = connection.exec_driver_sql(
            "SELECT pg_database_size(current_database())"
        ).scalar()
        there = inspect(connection).has_table(leases.name)
        held = lease.holders(connection) if there else []
        return Survey(
            store=refusals.shown(url),
            engine=f"PostgreSQL {version}",
            bytes=size or 0,
            owners=Counter(cluster.told(each.owner) for each in held if each.alive),
            **_contents(connection),
        )


def _of_file(url: URL) -> Survey:
    path = sqlite.file_of(url)
    if not path.exists():
        raise errors.Misconfigured(f"store: there is no {path}")
    try:
        with _reading(path) as connection:
            found = _contents(connection)
    except DBAPIError as error:
        raise errors.Misconfigured(f"store: {path}: {error.orig}") from error
    return Survey(
        store=f"sqlite:///{path}",
        engine=f"SQLite {sqlite3.sqlite_version}",
        bytes=path.stat().st_size,
        owners=dict.fromkeys(_holder(path.with_name(f"{path.name}.lock")), SHARDS),
        **found,
    )


@contextmanager
def _reading(path: Path) -> Iterator[Connection]:
    where = f"file:{quote(str(path))}?mode=ro"
    engine = create_engine(
        "sqlite://",
        poolclass=NullPool,
        creator=lambda: sqlite3.connect(where, uri=True),
    )
    with engine.connect() as connection:
        yield connection


def _holder(lock: Path) -> list[str]:
    """Name the process that holds the lock, if one does."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return []
    except BlockingIOError:
        return [f"process {lock.read_text(errors='replace').strip()}"]
    return []


def _contents(connection: Connection) -> dict[str, Any]:
    there = {*inspect(connection).get_table_names()}
    counted = [
        table
        for table in metadata.sorted_tables
        if table.name in there and table is not leases
    ]
    return {
        "schema": migrating.revision(connection),
        "newest": migrating.newest(),
        "rows": {
            str(table.name): connection.execute(
                select(func.count()).select_from(table)
            ).scalar()
            for table in sorted(counted, key=lambda table: table.name)
        },
    }
