"""A store on PostgreSQL: connections that may be lost, and transactions that may not."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

import anyio
import structlog
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from monitor import errors
from monitor.store import lease, migrating, refusals
from monitor.store.group import Owned, Run, Work, short
from monitor.store.lease import Held, Lease, Mark

log = structlog.get_logger()

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds for a database that went away to come back."""

LOOK: Final = 0.25
"""Seconds between two looks at a lease that somebody else holds."""

LOOKS: Final = int(1.5 * lease.TTL / LOOK)

_FIRST: Final = 0.1
_LONGEST: Final = 5.0

_NETWORK: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "job-monitor",
}
"""How long libpq waits for a peer that is silent; a URL may say otherwise."""

# For this transaction alone: behind a pooler, the next one is on another session.
# A database that answers before it is durable would lose what was acknowledged.
_BOUND: Final = text("""SELECT
    set_config('statement_timeout', '30s', true),
    set_config('lock_timeout', '10s', true),
    set_config('idle_in_transaction_session_timeout', '30s', true),
    set_config('synchronous_commit',
        replace(current_setting('synchronous_commit'), 'off', 'on'), true)""")

_UNKNOWN: Final = (
    "the connection was lost while a transaction was being committed, and the server"
    " does not know any more what came of it; start again: what is there is what counts"
)

_OUTCOME: Final = text("""SELECT pg_xact_status(CAST(:xid AS xid8)),
    CAST(extract(epoch FROM pg_postmaster_start_time()) AS text)""")


def speaks(url: URL) -> bool:
    return url.get_backend_name() == "postgresql"


@asynccontextmanager
async def owned(
    url: URL, run: Run, *, patience: float = PATIENCE
) -> AsyncIterator[Owned]:
    """Own the database at *url* until the end.

    Ends with errors.StoreError when another daemon takes it over.
    """
    with connected(url) as engine:
        await _patiently(lambda: _usable(engine, url), run, patience)
        owner = await _claimed(engine, url, run, patience)
        try:
            position = await _patiently(lambda: _prepared(engine, url), run, patience)
            database = Database(engine, owner, patience=patience)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_renewing, database, run, name="lease")
                try:
                    yield Owned(database.transact, position, database.end)
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await run(lambda: _release(engine, owner))


@contextmanager
def connected(url: URL) -> Iterator[Engine]:
    """Give an engine for *url*; nothing is connected yet."""
    engine = create_engine(
        refusals.sound(url),
        connect_args={
            **{name: was for name, was in _NETWORK.items() if name not in url.query},
            # A pooler gives each transaction another session.
            "prepare_threshold": None,
        },
        isolation_level="READ COMMITTED",
        use_native_hstore=False,
        pool_size=2,
        max_overflow=0,
    )
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def begun(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction with time-outs of its own; it ends with the block."""
    with engine.begin() as connection:
        connection.execute(_BOUND)
        yield connection


async def _patiently(job: Callable[[], T], run: Run, patience: float) -> T:
    """Wait for a server that is not there yet, as when both start with the machine."""
    pauses, outage = _lengths(patience), _Outage()
    while True:
        try:
            result: T = await run(job)
        except refusals.Away as away:
            pause = next(pauses, None)
            if pause is None:
                raise
            outage.holds(str(away))
            await anyio.sleep(pause)
        else:
            outage.over()
            return result


async def _claimed(engine: Engine, url: URL, run: Run, patience: float) -> Lease:
    """Take the lease. Whoever holds it and lives renews it meanwhile: refuse then."""
    name = lease.name()
    seen: Held | None = None
    for _ in range(LOOKS):
        now = await _patiently(lambda: _claim(engine, url, name), run, patience)
        if now.owner == name:
            return Lease(name, now.epoch)
        if seen is not None and now.outlives(seen):
            break
        if seen is None:
            log.info("lease.held", owner=lease.told(now.owner), seconds=now.seconds)
        seen = now
        await anyio.sleep(LOOK)
    raise refusals.in_use(url, lease.told(now.owner))


def _claim(engine: Engine, url: URL, name: str) -> Held:
    with refusals.clear(url), begun(engine) as connection:
        lease.claim(connection, name)
        return lease.held(connection)


def _usable(engine: Engine, url: URL) -> None:
    """Refuse a server that cannot hold a store; make the tables where there are none."""
    with refusals.clear(url), engine.connect() as connection:
        refusals.unfit(connection, url)
        made = inspect(connection).has_table("leases")
        connection.rollback()
        if not made:
            migrating.migrate(connection)


def _prepared(engine: Engine, url: URL) -> int:
    with refusals.clear(url), engine.connect() as connection:
        migrating.migrate(connection)
        return migrating.last_position(connection)


async def _renewing(database: "Database", run: Run) -> None:
    while True:
        await anyio.sleep(lease.RENEW)
        await run(database.renew)


def _release(engine: Engine, owner: Lease) -> None:
    try:
        with begun(engine) as connection:
            owner.release(connection)
    except DBAPIError:
        return  # it runs out by itself


class Database:
    """Transactions of the daemon that holds the lease."""

    def __init__(
        self, engine: Engine, owner: Lease, *, patience: float = PATIENCE
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._patience = patience
        self._ended = threading.Event()
        self._outage = _Outage()

    def end(self) -> None:
        """Wait no more for a connection that was lost."""
        self._ended.set()

    def transact(self, work: Work) -> None:
        """Run *work* in a transaction that counts only while the lease is ours.

        Where the connection was lost before COMMIT was sent, *work* runs again on
        another one; where it was lost after that, the server tells what came of it.
        Raises errors.StoreError where it cannot, and when the database stays away.
        """
        pauses = _pauses(self._ended, self._patience)
        while True:
            mark: Mark | None = None
            try:
                with begun(self._engine) as connection:
                    work(connection)
                    mark = self._owner.fence(connection)
            except DBAPIError as error:
                if not lost(error):
                    raise
                if mark is not None and self._committed(mark, pauses):
                    return
                self._wait(pauses, error)
            else:
                self._outage.over()
                return

    def _committed(self, mark: Mark, pauses: Iterator[bool]) -> bool:
        """Learn what came of a transaction whose COMMIT was not answered."""
        while True:
            try:
                with begun(self._engine) as connection:
                    asked = connection.execute(_OUTCOME, {"xid": mark.xid}).one()
            except DBAPIError as error:
                if not lost(error):
                    raise
                self._wait(pauses, error)
                continue
            match asked:
                case ("committed", mark.server):
                    return True
                case ("aborted", mark.server):
                    return False
                case ("in progress", mark.server) if next(pauses, False):
                    continue
                case _:
                    raise errors.StoreError(_UNKNOWN)

    def renew(self) -> None:
        """Keep the lease; a database that is away just now is asked again later."""
        try:
            with begun(self._engine) as connection:
                self._owner.renew(connection)
        except DBAPIError as error:
            self._outage.holds(short(error))
        else:
            self._outage.over()

    def _wait(self, pauses: Iterator[bool], error: DBAPIError) -> None:
        self._outage.holds(short(error))
        if not next(pauses, False):
            raise errors.StoreError(f"the database is away: {short(error)}") from error


def lost(error: DBAPIError) -> bool:
    """Tell whether the connection is gone, or never was."""
    if error.connection_invalidated:
        return True
    of_network = isinstance(error, OperationalError | InterfaceError)
    return of_network and getattr(error.orig, "sqlstate", None) is None


def _pauses(ended: threading.Event, patience: float) -> Iterator[bool]:
    """Wait ever longer, until patience is over or the daemon is to end."""
    for pause in _lengths(patience):
        if ended.wait(pause):
            return
        yield True


def _lengths(patience: float) -> Iterator[float]:
    pause, waited = _FIRST, 0.0
    while waited < patience:
        yield pause
        waited, pause = waited + pause, min(2 * pause, _LONGEST)


class _Outage:
    """A line when the database goes away, and one when it is back."""

    def __init__(self) -> None:
        self._lasts = False

    def holds(self, reason: str) -> None:
        if not self._lasts:
            self._lasts = True
            log.warning("store.away", reason=reason)

    def over(self) -> None:
        if self._lasts:
            self._lasts = False
            log.info("store.back")
