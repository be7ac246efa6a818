"""Jobs that arrive together share one transaction.

A commit costs a flush to disk, however much it holds. The writer gathers what is
asked within 5 ms (or 200 jobs), runs it in order in one transaction on the
store's thread, and answers only once that is durable. A job that only reads does
not wait for others.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Never, TypeVar

import anyio
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from monitor import errors

T = TypeVar("T")
Job = Callable[[Connection], T]
Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function on the store's thread, or in place under virtual time."""

WINDOW: Final = 0.005
MOST: Final = 200
BACKLOG: Final = 10_000

_UNFIT: Final = (OverflowError, UnicodeError)
"""What the driver raises over a number or a text that no column holds."""


class _Ticket:
    """One job waiting for its transaction; one that is *alone* writes nothing."""

    __slots__ = ("alone", "done", "failure", "job", "result")

    def __init__(self, job: Job[Any], *, alone: bool = False) -> None:
        self.job = job
        self.alone = alone
        self.done = anyio.Event()
        self.result: Any = None
        self.failure: errors.StoreError | None = None


class Group:
    """The one writer of a connection."""

    def __init__(self, connection: Connection, run: Run) -> None:
        self._connection = connection
        self._run = run
        self._tickets: list[_Ticket] = []
        self._room = anyio.Semaphore(BACKLOG)
        self._arrived = anyio.Event()
        self._full = anyio.Event()

    async def do(self, job: Job[T], *, hurry: bool = False) -> T:
        """Run *job* in a transaction and give its result once that is durable.

        Once accepted, the job runs even if the caller is cancelled meanwhile.
        Raises errors.StoreError when the transaction failed.
        """
        done: T = await self._done(_Ticket(job), hurry=hurry)
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
                await self._run(lambda batch=tickets: self._transact(batch))  # type: ignore[misc]
            for ticket in tickets:
                ticket.done.set()

    def _transact(self, tickets: list[_Ticket]) -> None:
        try:
            with self._connection.begin():
                for ticket in tickets:
                    self._run_one(ticket)
        except (SQLAlchemyError, errors.StoreError) as error:
            for ticket in tickets:
                ticket.failure = _failure(error)

    def _run_one(self, ticket: _Ticket) -> None:
        try:
            ticket.result = ticket.job(self._connection)
        except (SQLAlchemyError, errors.StoreError, *_UNFIT) as error:
            if not ticket.alone:
                raise
            ticket.failure = _failure(error)


def _failure(error: Exception) -> errors.StoreError:
    return errors.StoreError(f"the store failed: {_short(error)}")


def _short(error: Exception) -> str:
    if isinstance(error, errors.StoreError):
        return str(error)
    # SQLAlchemy's own text would print statements and what was bound to them.
    return str(getattr(error, "orig", None) or type(error).__name__)
