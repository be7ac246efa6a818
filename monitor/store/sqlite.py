"""A store in a file: lock, pragmas, and clear words when it cannot be used."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from monitor import errors
from monitor.store import migrating

# FULL costs nothing once commits are shared, and NORMAL loses acknowledged
# transactions on power loss.
_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 1000",
)


def file_of(url: URL) -> Path:
    """Give the file behind a SQLite *url*.

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


def _name(url: URL) -> str:
    name = url.database or ""
    if url.drivername != "sqlite" or url.host or name in ("", ":memory:"):
        raise errors.Misconfigured(
            "store: is sqlite:///path/to/file.db or postgresql://user@host/database"
        )
    if url.query:
        raise errors.Misconfigured("store: takes no options after the name of the file")
    return name


@contextmanager
def owned(url: URL) -> Iterator[tuple[Connection, int]]:
    """Own the file at *url*: give the one connection, and the last position in the log."""
    path = file_of(url)
    with _locked(path), _connected(_private(path)) as opened:
        yield opened


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
            migrating.migrate(connection)
            return migrating.last_position(connection)
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
