"""Jobs that arrive together share one transaction, and answer once it is durable."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio import wait_all_tasks_blocked
from looptime import LoopTimeProxy
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.pool import StaticPool

from monitor import errors
from monitor.store import opening
from monitor.store.group import Group, Run, Work
from monitor.store.journal import Journal
from tests.store.changes import KEY, a_change, remember
from tests.store.conftest import inline

SECRET = "canary-7f3a9d"


class Gate:
    """Runs jobs in place, once it is open; counts them."""

    def __init__(self, *, opened: bool = True) -> None:
        self.way = anyio.Event()
        self.runs = 0
        if opened:
            self.way.set()

    async def run(self, job: Callable[[], Any]) -> Any:
        await self.way.wait()
        self.runs += 1
        return job()


@contextmanager
def connected(file: Path) -> Iterator[tuple[Connection, list[Connection]]]:
    """Give a connection to a table of numbers, and the list of its BEGINs."""
    begun: list[Connection] = []
    engine = create_engine(
        f"sqlite:///{file}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
    )
    with engine.connect() as connection:
        with connection.begin():
            connection.execute(text("CREATE TABLE numbers (n INTEGER UNIQUE)"))
        event.listen(engine, "begin", begun.append)
        yield connection, begun
    engine.dispose()


@asynccontextmanager
async def serving(connection: Connection, run: Run = inline) -> AsyncIterator[Group]:
    def transact(work: Work, _: Collection[int]) -> None:
        with connection.begin():
            work(connection)

    async with anyio.create_task_group() as tasks:
        served = Group(transact, Journal(0), run)
        tasks.start_soon(served.run, name="group")
        yield served
        tasks.cancel_scope.cancel()


def adding(number: int) -> Callable[[Connection], int]:
    def job(connection: Connection) -> int:
        row = {"n": number}
        connection.execute(text("INSERT INTO numbers VALUES (:n)"), row)
        return number

    return job


def numbers(connection: Connection) -> list[int]:
    rows = connection.execute(text("SELECT n FROM numbers ORDER BY rowid"))
    return list(rows.scalars())


async def all_added(
    served: Group, wanted: range | list[int], done: list[int] | None = None
) -> None:
    async def add(number: int) -> None:
        added = await served.do(adding(number))
        if done is not None:
            done.append(added)

    async with anyio.create_task_group() as tasks:
        for number in wanted:
            tasks.start_soon(add, number)


async def test_jobs_that_arrive_together_share_a_transaction(file: Path) -> None:
    with connected(file) as (connection, begun):
        async with serving(connection, anyio.to_thread.run_sync) as served:
            await all_added(served, range(150))

            assert len(begun) == 1


async def test_a_transaction_takes_no_more_than_200_jobs(file: Path) -> None:
    with connected(file) as (connection, begun):
        async with serving(connection, anyio.to_thread.run_sync) as served:
            await all_added(served, range(1000))

            assert len(begun) == 5


async def test_jobs_run_in_the_order_in_which_they_were_asked_for(
    file: Path,
) -> None:
    wanted = [*range(500, 0, -1)]

    with connected(file) as (connection, _):
        async with serving(connection, anyio.to_thread.run_sync) as served:
            await all_added(served, wanted)

            assert await served.do(numbers) == wanted


async def test_a_job_sees_what_earlier_jobs_of_its_transaction_did(
    file: Path,
) -> None:
    seen = list[int]()

    def seeing(connection: Connection) -> None:
        seen.extend(numbers(connection))

    with connected(file) as (connection, begun):
        async with serving(connection) as served:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.do, adding(7))
                tasks.start_soon(served.do, seeing)

            assert (seen, len(begun)) == ([7], 1)


@pytest.mark.looptime
async def test_a_job_waits_five_milliseconds_for_others(
    file: Path, looptime: LoopTimeProxy
) -> None:
    with connected(file) as (connection, _):
        async with serving(connection) as served:
            await served.do(adding(1))

            assert looptime == 0.005


@pytest.mark.looptime
async def test_two_hundred_jobs_wait_for_no_others(
    file: Path, looptime: LoopTimeProxy
) -> None:
    with connected(file) as (connection, _):
        async with serving(connection) as served:
            await all_added(served, range(200))

            assert looptime == 0


@pytest.mark.looptime
async def test_a_job_in_a_hurry_waits_for_no_others(
    file: Path, looptime: LoopTimeProxy
) -> None:
    with connected(file) as (connection, _):
        async with serving(connection) as served:
            await served.do(numbers, hurry=True)

            assert looptime == 0


async def test_a_job_answers_only_once_it_is_durable(file: Path) -> None:
    gate, done = Gate(opened=False), list[int]()

    with connected(file) as (connection, _), connected_again(file) as other:
        async with (
            serving(connection, gate.run) as served,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(all_added, served, range(3), done)
            with anyio.move_on_after(0.05):
                await anyio.sleep_forever()
            assert (done, numbers(other)) == ([], [])

            gate.way.set()
            await wait_all_tasks_blocked()
            assert (done, numbers(other)) == ([0, 1, 2], [0, 1, 2])


@contextmanager
def connected_again(file: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")
    engine.dispose()


async def test_a_job_that_was_accepted_runs_though_its_caller_is_cancelled(
    file: Path,
) -> None:
    gate = Gate(opened=False)

    with connected(file) as (connection, _):
        async with serving(connection, gate.run) as served:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.do, adding(7))
                await wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            gate.way.set()

            assert await served.do(numbers) == [7]


async def test_what_was_accepted_is_run_before_the_end_one_transaction_after_another(
    file: Path,
) -> None:
    gate = Gate(opened=False)

    with connected(file) as (connection, begun):
        async with (
            anyio.create_task_group() as callers,
            serving(connection, gate.run) as served,
        ):
            callers.start_soon(all_added, served, range(300))
            await wait_all_tasks_blocked()
            callers.start_soon(opening_the, gate)

        assert len(begun) == 2
        assert numbers(connection) == [*range(300)]


async def opening_the(gate: Gate) -> None:
    gate.way.set()


async def test_closing_the_store_waits_for_the_transaction_under_way(
    url: str,
) -> None:
    threads = anyio.to_thread.run_sync

    async with (
        anyio.create_task_group() as callers,
        opening.opened(url, run=threads) as store,
    ):
        for number in range(1, 401):
            change = a_change(1, f"prod/biz/2/{number}")
            callers.start_soon(remember, store, change)
        await store.load(KEY)

    async with opening.opened(url, run=threads) as store:
        assert len(await store.heads("prod")) == 400


async def test_a_transaction_that_fails_fails_all_its_jobs(file: Path) -> None:
    failures: list[str] = []

    async def add(served: Group, number: int) -> None:
        try:
            await served.do(adding(number))
        except errors.StoreError as error:
            failures.append(str(error))

    with connected(file) as (connection, _):
        async with serving(connection) as served:
            async with anyio.create_task_group() as tasks:
                for number in (1, 2, 1, 3):
                    tasks.start_soon(add, served, number)

            assert (
                failures
                == ["the store failed: UNIQUE constraint failed: numbers.n"] * 4
            )
            assert await served.do(numbers) == []


async def test_after_a_failure_the_next_transaction_is_as_good_as_any(
    file: Path,
) -> None:
    with connected(file) as (connection, _):
        async with serving(connection) as served:
            with pytest.raises(errors.StoreError):
                await all_or_group(served, [1, 1])
            await served.do(adding(2))

            assert await served.do(numbers) == [2]


async def all_or_group(served: Group, wanted: list[int]) -> None:
    def job(connection: Connection) -> None:
        for number in wanted:
            adding(number)(connection)

    await served.do(job)


async def test_a_failure_shows_no_statement_and_no_data(file: Path) -> None:
    def job(connection: Connection) -> None:
        row = {"secret": SECRET}
        connection.execute(text("INSERT INTO absent VALUES (:secret)"), row)

    with connected(file) as (connection, _):
        async with serving(connection) as served:
            with pytest.raises(errors.StoreError) as caught:
                await served.do(job)

    assert str(caught.value) == "the store failed: no such table: absent"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_no_more_jobs_are_accepted_than_the_backlog_holds(
    file: Path,
) -> None:
    gate, ran = Gate(opened=False), list[int]()

    def job(_: Connection) -> None:
        ran.append(1)

    with connected(file) as (connection, _):
        async with serving(connection, gate.run) as served:
            async with anyio.create_task_group() as tasks:
                for _ in range(10_500):
                    tasks.start_soon(served.do, job)
                await wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            gate.way.set()
            await served.do(numbers)

        assert len(ran) == 10_000


async def test_what_no_column_holds_fails_who_asks_for_it_and_nobody_else(
    file: Path,
) -> None:
    def wrong(connection: Connection) -> list[int]:
        asked = {"n": 1 << 80}
        found = connection.execute(text("SELECT n FROM numbers WHERE n > :n"), asked)
        return list(found.scalars())

    async def look() -> None:
        with pytest.raises(errors.StoreError, match="the store failed"):
            await served.look(wrong)

    with connected(file) as (connection, begun):
        async with serving(connection) as served:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.do, adding(7))
                tasks.start_soon(look)

            assert (await served.look(numbers), len(begun)) == ([7], 2)
