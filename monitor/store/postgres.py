"""A store on PostgreSQL: connections that may be lost, and transactions that may not."""

import threading
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from math import inf
from typing import Final, TypeVar

import anyio
import structlog
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
)

from monitor import errors
from monitor.core.cluster import Report
from monitor.core.shards import SHARDS
from monitor.holdings import Holdings
from monitor.store import deadline, lease, migrating, refusals, roll
from monitor.store.group import Owned, Run, Work, gone, short
from monitor.store.journal import Journal
from monitor.store.lease import Epochs, Held, Mark
from monitor.store.membership import Membership
from monitor.store.roll import Seen

log = structlog.get_logger()

T = TypeVar("T")

Trouble = DBAPIError | PendingRollbackError
_TROUBLE: Final = (DBAPIError, PendingRollbackError)

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
    "tcp_user_timeout": "10000",
    "application_name": "job-monitor",
}
"""How long libpq waits for a peer that is silent; a URL may say otherwise."""

# For this transaction alone: behind a pooler, the next one is on another session.
# Who was stopped in the middle of one holds up the others for 5 s, less than a lease.
# A database that answers before it is durable would lose what was acknowledged.
_BOUND: Final = text("""SELECT
    set_config('statement_timeout', '10s', true),
    set_config('lock_timeout', '8s', true),
    set_config('idle_in_transaction_session_timeout', '5s', true),
    set_config('synchronous_commit',
        replace(current_setting('synchronous_commit'), 'off', 'on'), true)""")

_UNKNOWN: Final = (
    "the connection was lost while a transaction was being committed, and the server"
    " does not know any more what came of it: what is there is what counts"
)

_OUTCOME: Final = text("""SELECT pg_xact_status(CAST(:xid AS xid8)),
    CAST(extract(epoch FROM pg_postmaster_start_time()) AS text)""")


def speaks(url: URL) -> bool:
    return url.get_backend_name() == "postgresql"


@asynccontextmanager
async def joined(
    url: URL, run: Run, *, patience: float = PATIENCE
) -> AsyncIterator[Owned]:
    """Share the database at *url* until the end, with whoever else does.

    Ends with errors.LeaseLost when another daemon took over what was ours.
    """
    with connected(url) as engine:
        await _patiently(lambda: _usable(engine, url), run, patience)
        await _brought_up_to_date(engine, url, run, patience)
        holdings, me = Holdings(()), lease.name()
        position = await _patiently(lambda: _prepared(engine, url), run, patience)
        journal, outage = Journal(position), Outage()
        roll = Meeting(engine, me, outage)
        membership = Membership(roll, me, holdings, run, reached=journal.reached)
        await _until_there(membership.join, patience)
        database = Database(engine, me, holdings, outage, patience=inf)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(membership.run, name="membership")
                try:
                    yield Owned(
                        database.transact,
                        journal,
                        holdings,
                        database.end,
                        membership,
                        lambda: outage.lasts,
                    )
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            # Not sooner: a renewal that is under way would bring it back.
            with anyio.CancelScope(shield=True):
                await membership.leave()


async def _brought_up_to_date(
    engine: Engine, url: URL, run: Run, patience: float
) -> None:
    """Migrate alone, unless another daemon of this version is quicker."""

    async def outdated() -> bool:
        return await _patiently(lambda: _outdated(engine, url), run, patience)

    if await outdated():
        try:
            async with _alone(engine, url, run, patience):
                pass
        except refusals.InUse:
            if await outdated():
                raise


@asynccontextmanager
async def owned(
    url: URL, run: Run, *, patience: float = PATIENCE
) -> AsyncIterator[Owned]:
    """Own all of the database at *url* until the end; nobody else may share it."""
    with connected(url) as engine:
        await _patiently(lambda: _usable(engine, url), run, patience)
        async with _alone(engine, url, run, patience) as ours:
            yield ours


@asynccontextmanager
async def _alone(
    engine: Engine, url: URL, run: Run, patience: float
) -> AsyncIterator[Owned]:
    me = lease.name()
    holdings, outage = Holdings(()), Outage()
    holdings.take(await _claimed(engine, url, me, run, patience))
    try:
        position = await _patiently(lambda: _prepared(engine, url), run, patience)
        # An older schema had fewer of them.
        holdings.take(await _claimed(engine, url, me, run, patience))
        database = Database(engine, me, holdings, outage, patience=patience)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_renewing, Meeting(engine, me, outage), holdings, run)
            try:
                yield Owned(
                    database.transact, Journal(position), holdings, database.end
                )
            finally:
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await run(lambda: Meeting(engine, me, outage).quit(holdings.epochs))


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
        pool_size=3,
        max_overflow=0,
    )
    event.listen(engine, "handle_error", _leave_a_standby)
    try:
        with deadline.kept(engine):
            yield engine
    finally:
        engine.dispose()


def _leave_a_standby(context: ExceptionContext) -> None:
    """Take a server that cannot be written for lost, and all connections to it.

    After a failover the same name leads to the new primary.
    """
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


@contextmanager
def begun(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction with time-outs of its own; it ends with the block."""
    with engine.begin() as connection:
        connection.execute(_BOUND)
        yield connection


async def _patiently(job: Callable[[], T], run: Run, patience: float) -> T:
    async def attempt() -> T:
        result: T = await run(job)
        return result

    return await _until_there(attempt, patience)


async def _until_there(attempt: Callable[[], Awaitable[T]], patience: float) -> T:
    """Wait for a server that is not there yet, as when both start with the machine.

    Who waits without end ran before, so that a server that cannot be written is one
    that fails over.
    """
    passes = (errors.Away, refusals.NotNow) if patience == inf else errors.Away
    pauses, outage = _lengths(patience), Outage()
    while True:
        try:
            result = await attempt()
        except passes as away:
            pause = next(pauses, None)
            if pause is None:
                raise
            outage.holds(str(away))
            await anyio.sleep(pause)
        else:
            outage.over()
            return result


async def _claimed(
    engine: Engine, url: URL, me: str, run: Run, patience: float
) -> Epochs:
    """Take every lease. Whoever holds one and lives renews it meanwhile: refuse then."""
    seen: dict[int, Held] = {}
    for _ in range(LOOKS):
        now = await _patiently(lambda: _claim(engine, url, me), run, patience)
        others = [each for each in now if each.owner != me]
        if not others:
            return {each.shard: each.epoch for each in now}
        alive = [o for o in others if o.shard in seen and o.outlives(seen[o.shard])]
        if alive:
            break
        if not seen:
            log.info("lease.held", owners=lease.owners(others))
            seen = {each.shard: each for each in others}
        await anyio.sleep(LOOK)
    mine = {each.shard: each.epoch for each in now if each.owner == me}
    await run(lambda: Meeting(engine, me, Outage()).quit(mine))
    raise refusals.in_use(url, lease.owners(others))


def _claim(engine: Engine, url: URL, me: str) -> list[Held]:
    with refusals.clear(url), begun(engine) as connection:
        lease.claim(connection, me, range(SHARDS))
        return lease.holders(connection)


def _usable(engine: Engine, url: URL) -> None:
    """Refuse a server that cannot hold a store; make the tables where there are none."""
    with refusals.clear(url), engine.connect() as connection:
        try:
            refusals.unfit(connection, url)
        except refusals.NotNow:
            connection.invalidate()  # a new one may lead to the primary
            raise
        made = inspect(connection).has_table("leases")
        connection.rollback()
        if not made:
            migrating.migrate(connection)


def _outdated(engine: Engine, url: URL) -> bool:
    """Tell whether the tables are of another version: nobody may work with them then."""
    with refusals.clear(url), engine.connect() as connection:
        return migrating.revision(connection) != migrating.newest()


def _prepared(engine: Engine, url: URL) -> int:
    with refusals.clear(url), engine.connect() as connection:
        migrating.migrate(connection)
        return migrating.last_position(connection)


async def _renewing(meeting: "Meeting", holdings: Holdings, run: Run) -> None:
    while True:
        await anyio.sleep(lease.RENEW)
        with suppress(errors.Away):
            await run(lambda: meeting.keep(holdings.epochs))


class Meeting:
    """Satisfies ``membership.Roll``: one daemon, where it meets the others."""

    def __init__(self, engine: Engine, me: str, outage: "Outage") -> None:
        self._engine = engine
        self._me = me
        self._outage = outage

    def renew(self, held: Epochs, report: Report, *, draining: bool) -> Seen:
        with self._begun() as connection:
            return roll.renew(connection, self._me, held, report, draining=draining)

    def keep(self, held: Epochs) -> None:
        """Renew without a word; raises errors.LeaseLost where something is not kept."""
        with self._begun() as connection:
            if gone := held.keys() - lease.renew(connection, self._me, held).keys():
                raise lease.lost(connection, gone)

    def claim(self, wanted: Collection[int]) -> Epochs:
        with self._begun() as connection:
            return roll.claim(connection, self._me, wanted)

    def release(self, left: Epochs) -> None:
        with self._begun() as connection:
            lease.release(connection, self._me, left)

    def leave(self, left: Epochs) -> None:
        with self._begun() as connection:
            roll.leave(connection, self._me, left)

    def quit(self, left: Epochs) -> None:
        """Release, if that is possible; else the leases run out by themselves."""
        with suppress(errors.Away):
            self.release(left)

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        try:
            with begun(self._engine) as connection:
                yield connection
        except _TROUBLE as error:
            if not passing(error) and _code(error) not in TRIES:
                raise errors.StoreError(f"the store failed: {short(error)}") from error
            if _code(error) not in _CLASHES:
                self._outage.holds(short(error))
            raise errors.Away(f"the database is away: {short(error)}") from error
        self._outage.over()


class Database:
    """Transactions of a daemon that holds leases."""

    def __init__(
        self,
        engine: Engine,
        me: str,
        holdings: Holdings,
        outage: "Outage",
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._engine = engine
        self._me = me
        self._holdings = holdings
        self._patience = patience
        self._ended = threading.Event()
        self._outage = outage

    def end(self) -> None:
        """Wait no more for a connection that was lost."""
        self._ended.set()

    def transact(self, work: Work, shards: Collection[int]) -> None:
        """Run *work* in a transaction that counts only while *shards* are ours.

        Where the connection was lost before COMMIT was sent, *work* runs again on
        another one; where it was lost after that, the server tells what came of it.
        Raises errors.StoreError where it cannot, and when the database stays away.
        """
        pauses, tried = _pauses(self._ended, self._patience), Counter[str | None]()
        # As it was when this was decided, however long it takes until it is written.
        held = self._holdings.epochs
        while True:
            mark: Mark | None = None
            try:
                with begun(self._engine) as connection:
                    work(connection)
                    mark = lease.fence(connection, self._me, held, shards)
            except _TROUBLE as error:
                tried[code := _code(error)] += 1
                if not passing(error) and tried[code] >= TRIES.get(code, 1):
                    # Whoever took over wrote what this one had decided to write.
                    self._prove(held, shards)
                    raise
                if mark and mark.xid and self._committed(mark, pauses):
                    return
                self._wait(pauses, error)
            else:
                self._outage.over()
                return

    def _prove(self, held: Epochs, shards: Collection[int]) -> None:
        with begun(self._engine) as connection:
            lease.prove(connection, self._me, held, shards)

    def _committed(self, mark: Mark, pauses: Iterator[bool]) -> bool:
        """Learn what came of a transaction whose COMMIT was not answered."""
        while True:
            try:
                with begun(self._engine) as connection:
                    asked = connection.execute(_OUTCOME, {"xid": mark.xid}).one()
            except _TROUBLE as error:
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
                    raise errors.LeaseLost(_UNKNOWN)

    def _wait(self, pauses: Iterator[bool], error: Trouble) -> None:
        if _code(error) not in _CLASHES:
            self._outage.holds(short(error))
        if not next(pauses, False):
            raise errors.StoreError(f"the database is away: {short(error)}") from error


def lost(error: Trouble) -> bool:
    """Tell whether the connection is gone, or never was."""
    if gone(error):
        return True
    of_network = isinstance(error, OperationalError | InterfaceError)
    return of_network and _code(error) is None


_READ_ONLY: Final = "25006"

_RING: Final = frozenset({"40001", "40P01"})
"""Each waits for what another one has locked, and this one gave way."""

_AGAIN: Final = _RING | {"53100", "53200", "53300", "55P03"}
"""In one another's way, no room, no lock: nothing was kept, try again."""

_SLOW: Final = "57014"
"""The server ended it, since it took too long: it may be busy, or always be so."""

_TWICE: Final = "23505"
"""The same row twice. If another daemon wrote it meanwhile, the next try sees it."""

_CLASHES: Final = _RING | {_TWICE}
"""What transactions do to one another, on a database that is there."""

TRIES: Final[Mapping[str | None, int]] = {_SLOW: 3, _TWICE: 5}
"""How often something is tried that may do better the next time, or never."""


def passing(error: Trouble) -> bool:
    """Tell whether the same transaction may do better in a while."""
    return lost(error) or _code(error) in _AGAIN


def _code(error: Trouble) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)


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


class Outage:
    """A line when the database goes away, and one when it is back."""

    def __init__(self) -> None:
        self.lasts = False

    def holds(self, reason: str) -> None:
        if not self.lasts:
            self.lasts = True
            log.error("store.away", reason=reason)

    def over(self) -> None:
        if self.lasts:
            self.lasts = False
            log.info("store.back")
