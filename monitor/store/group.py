"""Jobs that arrive together share one transaction.

A commit costs a flush to disk, however much it holds. The writer gathers what is
asked within 5 ms (or 200 jobs), runs it in order in one transaction on the
store's thread, and answers only once that is durable. A job that only reads does
not wait for others.
"""

from collections.abc import Awaitable, Callable, Collection
from contextlib import nullcontext
from typing import Any, Final, Never, TypeVar

import anyio
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import PendingRollbackError, SQLAlchemyError

from monitor import errors
from monitor.holdings import Holdings
from monitor.store.journal import Journal
from monitor.store.membership import Membership

T = TypeVar("T")
Job = Callable[[Connection], T]
Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function on the store's thread, or in place under virtual time."""

Work = Callable[[Connection], None]
Transact = Callable[[Work, Collection[int]], None]
"""Runs work in one transaction, which counts only while these shards are ours.

Work may run again where nothing of it was kept.
"""


class Owned(Struct, frozen=True):
    """A store that is ours, or a part of it: how to write, and what.

    *closing* is called when what is still to be written should wait for nothing;
    *away* tells whether everything waits for a database just now.
    """

    transact: Transact
    journal: Journal
    holdings: Holdings
    closing: Callable[[], None] = lambda: None
    membership: Membership | None = None
    away: Callable[[], bool] = lambda: False


WINDOW: Final = 0.005
MOST: Final = 200
BACKLOG: Final = 10_000

_UNFIT: Final = (OverflowError, UnicodeError)
"""What the driver raises over a number or a text that no column holds."""


class _Ticket:
    """One job waiting for its transaction; one that is *alone* writes nothing."""

    __slots__ = ("alone", "done", "failure", "job", "result", "shards")

    def __init__(
        self, job: Job[Any], shards: Collection[int] = (), *, alone: bool = False
    ) -> None:
        self.job = job
        self.shards = shards
        self.alone = alone
        self.done = anyio.Event()
        self.result: Any = None
        self.failure: errors.StoreError | None = None


class Group:
    """The one writer of a store."""

    def __init__(self, transact: Transact, journal: Journal, run: Run) -> None:
        self._transact = transact
        self._journal = journal
        self._run = run
        self._tickets: list[_Ticket] = []
        # It need not yield where there is room: every job waits for its transaction.
        self._room = anyio.Semaphore(BACKLOG, fast_acquire=True)
        self._arrived = anyio.Event()
        self._full = anyio.Event()

    async def do(
        self, job: Job[T], shards: Collection[int] = (), *, hurry: bool = False
    ) -> T:
        """Run *job* in a transaction and give its result once that is durable.

        *shards*: whose owner alone may do it; none, where people ask for it.
        Once accepted, the job runs even if the caller is cancelled meanwhile.
        Raises errors.StoreError when the transaction failed.
        """
        done: T = await self._done(_Ticket(job, shards), hurry=hurry)
        return done

    async def look(self, job: Job[T]) -> T:
        """Run *job*, which only reads: at once, and what fails it fails nobody else.

        Raises errors.StoreError when it failed, also over a value that no column holds.
        """
        found: T = await self._done(_Ticket(job, alone=True), hurry=True)
        return found

    async def _done(self, ticket: _Ticket, *, hurry: bool) -> Any:
        async with self._room:
            self._tickets.append(ticket)
            self._arrived.set()
            if hurry or len(self._tickets) >= MOST:
                self._full.set()
            await ticket.done.wait()
        if ticket.failure is not None:
            raise ticket.failure
        return ticket.result

    async def run(self) -> Never:
        """Serve until cancelled; what was accepted by then is still run."""
        try:
            while True:
                await self._arrived.wait()
                with anyio.move_on_after(WINDOW):
                    await self._full.wait()
                await self._flush()
        finally:
            # Here and nowhere else: two transactions would share the connection.
            await self._flush()

    async def _flush(self) -> None:
        self._arrived, self._full = anyio.Event(), anyio.Event()
        while self._tickets:
            tickets, self._tickets = self._tickets[:MOST], self._tickets[MOST:]
            with anyio.CancelScope(shield=True):
                await self._run(lambda batch=tickets: self._serve(batch))  # type: ignore[misc]
            for ticket in tickets:
                ticket.done.set()

    def _serve(self, tickets: list[_Ticket]) -> None:
        def work(connection: Connection) -> None:
            self._journal.begin()
            for ticket in tickets:
                _run_one(connection, ticket)
            self._journal.write(connection)

        shards = {shard for ticket in tickets for shard in ticket.shards}
        try:
            self._transact(work, shards)
            self._journal.committed()
        except (SQLAlchemyError, errors.StoreError) as error:
            for ticket in tickets:
                ticket.failure = _failure(error)


def _run_one(connection: Connection, ticket: _Ticket) -> None:
    ticket.failure = None
    if not ticket.alone:
        ticket.result = ticket.job(connection)
        return
    # On PostgreSQL what fails ends the transaction of the others too, but in a savepoint;
    # on SQLite it does not, and a savepoint would halve the speed.
    shared = connection.dialect.name == "postgresql"
    try:
        with connection.begin_nested() if shared else nullcontext():
            ticket.result = ticket.job(connection)
    except (SQLAlchemyError, errors.StoreError, *_UNFIT) as error:
        if gone(error):
            raise
        ticket.failure = _failure(error)


def gone(error: Exception) -> bool:
    """Tell whether the connection is lost, as was found now or a statement earlier."""
    invalid = getattr(error, "connection_invalidated", False)
    return invalid or isinstance(error, PendingRollbackError)


def _failure(error: Exception) -> errors.StoreError:
    if isinstance(error, errors.LeaseLost):
        return error
    return errors.StoreError(f"the store failed: {short(error)}")


def short(error: Exception) -> str:
    """Say what happened without statements, or what was bound to them."""
    if isinstance(error, errors.StoreError):
        return str(error)
    if isinstance(error, PendingRollbackError):
        return "the connection was lost"
    cause = getattr(error, "orig", None)
    if cause is None:
        return type(error).__name__
    # PostgreSQL adds lines that quote the statement and the row.
    said = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
    return str(said).partition("\n")[0]
