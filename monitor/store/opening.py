"""Opening the store: lock, pragmas, migrations, and clear words when that fails.

Whatever is wrong with the file is found here, before anything is watched, and
ends in ``errors.Misconfigured``; what breaks later is an ``errors.StoreError``.
"""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from monitor import errors
from monitor.store import schema
from monitor.store.group import Group, Run
from monitor.store.sql import SqlStore

# FULL costs nothing once commits are shared, and NORMAL loses acknowledged
# transactions on power loss.
_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 1000",
)

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


@asynccontextmanager
async def opened(
    url: str, *, run: Run = anyio.to_thread.run_sync
) -> AsyncIterator[SqlStore]:
    """Open the store at *url* and own it until the end.

    Raises errors.Misconfigured where the file is locked by another daemon, is no
    database, comes from a newer version, or cannot be written.
    """
    path = file_of(url)
    with _locked(path), _connected(_private(path)) as (connection, position):
        group = Group(connection, run)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(group.run, name="store")
            try:
                yield SqlStore(group, position=position)
            finally:
                tasks.cancel_scope.cancel()


def file_of(url: str) -> Path:
    """Give the file behind a SQLite *url*; other engines are not built yet.

    Links are followed, so that one file has one lock.
    """
    name = _name(url)
    try:
        path = Path(name).resolve()
        strange = path.exists() and not path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise errors.Misconfigured(f"store: {name!r} is no path: {error}") from error
    if strange:
        raise errors.Misconfigured(f"store: {path} is no file; name a file")
    return path


def _name(url: str) -> str:
    # The URL may hold a password, so no message repeats it.
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise errors.Misconfigured(
            "store: that is no database URL; try sqlite:///monitor.db"
        ) from None
    name = parsed.database or ""
    if parsed.drivername != "sqlite" or parsed.host or name in ("", ":memory:"):
        raise errors.Misconfigured(
            "store: only sqlite:///path/to/file.db is built so far"
        )
    if parsed.query:
        raise errors.Misconfigured("store: takes no options after the name of the file")
    return name


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # An advisory lock that the kernel drops with the process, however it ends.
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise errors.Misconfigured(
            f"store: cannot create {lock}: {error.strerror}; "
            "give it a directory that exists and can be written"
        ) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise errors.Misconfigured(
            f"store: {path} is in use by another Job Monitor (process {owner}); "
            "stop it, or give this one another store"
        ) from error
    except OSError as error:
        raise errors.Misconfigured(
            f"store: cannot lock {path}: {error.strerror}"
        ) from error


def _private(path: Path) -> Path:
    """Let nobody else read a new file: it will hold what jobs wrote into their logs."""
    if not path.exists():
        with suppress(OSError):  # said better by whoever opens it
            path.touch(mode=0o600)
    return path


@contextmanager
def _connected(path: Path) -> Iterator[tuple[Connection, int]]:
    """Give the one connection, and the last position in the log."""
    # The pool hands out one connection again and again: the pragmas stay in force.
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
    )
    _begin_ourselves(engine)
    try:
        position = _prepare(engine, path)
        with engine.connect() as connection:
            yield connection, position
    finally:
        engine.dispose()


def _begin_ourselves(engine: Engine) -> None:
    """Make DDL transactional: sqlite3 would begin before writes only."""

    @event.listens_for(engine, "connect")
    def autocommit(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare(engine: Engine, path: Path) -> int:
    if path.exists() and not os.access(path, os.W_OK):
        # SQLite would open it all the same, and fail at the first commit.
        raise errors.Misconfigured(
            f"store: {path} cannot be written; give this daemon the right to"
        )
    try:
        with engine.connect() as connection:
            migrate(connection)
            return _last_position(connection)
    except CommandError as error:
        raise errors.Misconfigured(
            f"store: {path} was written by a newer Job Monitor; upgrade this one, "
            "or give it another store"
        ) from error
    except errors.StoreError as error:
        raise errors.Misconfigured(f"store: {path}: {error}") from error
    except DBAPIError as error:
        raise errors.Misconfigured(
            f"store: {path}: {error.orig}; {_remedy(error)}"
        ) from error


def _remedy(error: DBAPIError) -> str:
    match getattr(error.orig, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return (
                "restore it from a backup, or move it and its -wal away to start anew"
            )
        case sqlite3.SQLITE_FULL:
            return "make room on the disk"
        case sqlite3.SQLITE_IOERR:
            return "make room on the disk if it is full, or see what is wrong with it"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "close the other program that has it open"
        case sqlite3.SQLITE_ERROR:
            return "another program's database? give this one a file of its own"
        case _:
            return "check that the file and its directory can be written"


def migrate(connection: Connection, scripts: Path = _MIGRATIONS) -> None:
    """Bring the schema of *connection* up to date, in one transaction."""
    config = Config()
    # A per cent sign would be an interpolation.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, "head")


def _last_position(connection: Connection) -> int:
    with connection.begin():
        newest = connection.execute(select(func.max(schema.events.c.position))).scalar()
        read = connection.execute(select(func.max(schema.cursors.c.position))).scalar()
    return max(newest or 0, read or 0)
