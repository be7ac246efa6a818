"""Two daemons that write the same row at the same time, on one PostgreSQL."""

from collections.abc import Callable, Iterator

import anyio
import psycopg
import pytest
from sqlalchemy import Connection, Engine, make_url, text
from structlog.testing import capture_logs

from monitor import errors
from monitor.core.hazard import Table
from monitor.core.model import InstanceKey
from monitor.core.quiet import Ack
from monitor.core.state import Phase
from monitor.core.watch import Pause, Place, Watch
from monitor.ports import Notice, Telling
from monitor.store import (
    calendar,
    letters,
    memory,
    opening,
    passing,
    postgres,
    register,
    shelf,
    wishes,
)
from tests.e2e.waiting import until
from tests.store.changes import (
    ALERT,
    DAY,
    KEY,
    NOW,
    TOLD,
    a_change,
    a_delivery,
    a_notification,
    remember,
)

Write = Callable[[Connection], object]

INSTANCE = InstanceKey("prod", "biz", "2", 20000153)
WATCH = wishes.row(Watch(key=INSTANCE, place=Place("list.yaml", 1, 1)))
PAUSE = wishes.row(Pause(key=INSTANCE, at=NOW))
ACK = Ack(group=KEY, author="alice", at=NOW)
LEARNT = {"prod/biz/2 deploy": Table((9.0,), (1.0,), 9.0)}
FOUND = [register.row(Watch(key=INSTANCE, place=Place("list.yaml", 1, 1)))]
MESSAGE = a_delivery(a_notification())
T = NOW.timestamp()

WRITES: dict[str, Write] = {
    "what a person said": lambda c: calendar.say(c, ACK),
    "an added watch": lambda c: wishes.keep_watch(c, WATCH),
    "a pause": lambda c: wishes.keep_pause(c, PAUSE),
    "what discovery found": lambda c: register.add(c, FOUND),
    "a message that is sent again": lambda c: letters.put(c, [MESSAGE]),
    "a dead letter": lambda c: letters.bury(c, MESSAGE, T, ""),
    "what is given up": lambda c: letters.record(c, [("oncall", "x!1")], "why", T),
    "a copy for the fallback": lambda c: passing.hand_over(c, MESSAGE, "boss", T),
    "what was learnt": lambda c: shelf.keep(c, "prod", LEARNT, LEARNT),
}


@pytest.fixture
def other(database: str) -> Iterator[Engine]:
    """The way of another daemon to the same database."""
    with postgres.connected(make_url(database)) as made:
        yield made


@pytest.mark.parametrize("what", WRITES)
async def test_what_two_write_at_once_is_there_once_and_is_no_error(
    database: str, other: Engine, what: str
) -> None:
    write = WRITES[what]
    async with opening.opened(database) as store:
        with other.connect() as theirs:
            write(theirs)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store._group.do, write)
                await until(lambda: waits(database), "one waits for the other")
                theirs.commit()

        assert not store.away()


async def test_what_two_learn_at_once_is_counted_of_both(
    database: str, other: Engine
) -> None:
    async with opening.opened(database) as store:
        with other.connect() as theirs:
            shelf.keep(theirs, "prod", LEARNT, LEARNT)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.keep, "prod", LEARNT, LEARNT)
                await until(lambda: waits(database), "one waits for the other")
                theirs.commit()
        [table] = (await store.learnt([*LEARNT])).values()

    assert table.completions == pytest.approx(2, abs=0.01)


async def test_what_is_learnt_of_two_sources_is_never_locked_at_once(
    database: str, other: Engine
) -> None:
    of_test = {"test/biz/2 deploy": Table((9.0,), (1.0,), 9.0)}
    async with opening.opened(database) as store:
        with other.connect() as theirs:
            shelf.keep(theirs, "test", of_test, of_test)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.keep, "prod", LEARNT, LEARNT)
                tasks.start_soon(store.keep, "test", of_test, of_test)
                await until(lambda: waits(database), "one waits for the other")
                # It would wait for us, and we for it.
                theirs.execute(text("SET LOCAL lock_timeout = '50ms'"))
                shelf.keep(theirs, "prod", LEARNT, LEARNT)
                theirs.commit()
        learnt = await store.learnt([*LEARNT, *of_test])

    assert [round(table.completions) for table in learnt.values()] == [2, 2]


def waits(database: str) -> bool:
    """Tell whether somebody waits for a row of somebody else."""
    with psycopg.connect(database, autocommit=True) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND datname = current_database()"
        )
        return found.fetchone() is not None


async def test_a_row_that_is_there_twice_whoever_else_writes_is_an_error(
    database: str,
) -> None:
    runs: list[int] = []

    def twice(connection: Connection) -> None:
        runs.append(1)
        for _ in range(2):
            connection.execute(text("INSERT INTO groups VALUES ('g', 1, 1)"))

    async with opening.opened(database) as store:
        with pytest.raises(errors.StoreError, match="duplicate key value"):
            await store._group.do(twice)

        assert len(runs) == 5
        assert not store.away()


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_who_gives_way_to_another_daemon_tries_again_and_calls_it_no_outage(
    database: str, code: str
) -> None:
    gives_way = f"DO $$ BEGIN RAISE 'you first' USING ERRCODE = '{code}'; END $$"
    runs: list[int] = []

    def job(connection: Connection) -> None:
        runs.append(1)
        connection.execute(text("INSERT INTO groups VALUES ('g', 1, 1)"))
        if len(runs) == 1:
            connection.execute(text(gives_way))

    with capture_logs() as lines:
        async with opening.opened(database) as store:
            await store._group.do(job)

    assert len(runs) == 2
    assert "store.away" not in [line["event"] for line in lines]


async def test_what_shares_a_transaction_with_a_clash_is_kept(
    database: str, other: Engine
) -> None:
    say = WRITES["what a person said"]
    async with opening.opened(database) as store:
        with other.connect() as theirs:
            say(theirs)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store._group.do, say)
                tasks.start_soon(remember, store, a_change(1))
                await until(lambda: waits(database), "one waits for the other")
                theirs.commit()

        assert (await store.load(KEY)).version == 1
        assert store.position == 1


async def test_what_was_told_of_an_instance_that_goes_on_is_not_forgotten(
    database: str, other: Engine
) -> None:
    over = a_change(1, phase=Phase.UNWATCHED, alerts={ALERT.id: ALERT})
    again = a_change(2, alerts={ALERT.id: ALERT})
    heard = Notice(group=KEY, number=1, tellings=[Telling(sink="oncall", told=TOLD)])
    async with opening.opened(database) as store:
        await remember(store, over)
        await store.tell([heard])
        with other.connect() as theirs:
            assert memory.save(theirs, memory.state_row(again.state))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.forget, NOW + DAY, ["oncall"])
                await until(lambda: waits(database), "one waits for the other")
                theirs.commit()

        assert (await store.accounts([KEY]))[KEY].told == {"oncall": TOLD}
        assert await store.load(KEY) == again.state
