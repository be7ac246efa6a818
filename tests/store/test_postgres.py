"""PostgreSQL: what is refused at the start, who may write, and what is lost (nothing)."""

import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import inf

import anyio
import psycopg
import pytest
from alembic import command
from sqlalchemy import Connection, Engine, make_url, text

from monitor import errors
from monitor.core import cluster
from monitor.core.shards import ALL
from monitor.core.state import State
from monitor.holdings import Holdings
from monitor.store import (
    lease,
    migrating,
    opening,
    postgres,
    refusals,
    roll,
    schema,
)
from tests.e2e.waiting import until
from tests.store.changes import KEY, a_change, a_delivery, remember
from tests.store.test_opening import shape
from tests.support import databases, postgresqls, severing
from tests.support.postgresqls import PASSWORD, Server
from tests.support.proxying import proxying


async def refusal(
    url: str, kind: type[errors.MonitorError] = errors.Misconfigured
) -> str:
    with pytest.raises(kind) as caught:
        async with opening.opened(url, patience=0.3):
            pass
    traced = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in traced
    return str(caught.value)


def asked(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def shown(url: str) -> str:
    head, _, _ = url.replace(f":{PASSWORD}", "").partition("?")
    return head


# What is refused.


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresqls.served() as made:
        yield made


async def test_without_a_server_the_daemon_does_not_start_and_may_try_again() -> None:
    url = f"postgresql://me:{PASSWORD}@127.0.0.1:9/jobs"

    said = await refusal(url, errors.Away)

    assert said.startswith("store: postgresql://me@127.0.0.1:9/jobs: ")
    assert "Connection refused" in said
    assert said.endswith(
        "; see that a server runs there, and that host and port are right"
    )


async def test_a_server_that_is_about_to_start_is_waited_for() -> None:
    with postgresqls.served() as server:
        server.stop()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opens, server.url())
            tasks.start_soon(anyio.to_thread.run_sync, server.start)


async def opens(url: str) -> None:
    async with opening.opened(url) as store:
        await store.answers()


async def test_a_wrong_password_is_named_and_not_shown(server: Server) -> None:
    said = await refusal(server.url().replace(PASSWORD, f"{PASSWORD}-not"))

    assert "password authentication failed" in said
    assert said.endswith("; give it the right password; in a URL, @ is %40")


async def test_a_database_that_does_not_exist_can_be_created(server: Server) -> None:
    said = await refusal(server.url().replace("/postgres?", "/jobs?"))

    assert said.endswith("; create it: createdb --encoding UTF8 NAME")


async def test_a_strange_option_is_refused(server: Server) -> None:
    said = await refusal(f"{server.url()}&novel=1")

    assert said.endswith("; see the options behind the ?")


async def test_a_user_who_may_not_create_tables_is_refused(server: Server) -> None:
    asked(server.url(), f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")

    said = await refusal(server.url().replace("owner:", "guest:"))

    assert "permission denied for schema public" in said
    assert said.endswith(
        'let its user create tables: GRANT USAGE, CREATE ON SCHEMA public TO "USER"'
    )


async def test_a_database_that_is_read_only_is_refused(database: str) -> None:
    name = make_url(database).database
    asked(database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    said = await refusal(database)

    assert said == f"store: {shown(database)} is read-only; name the primary"


async def test_a_database_without_unicode_is_refused() -> None:
    url = databases.found()
    with databases.created(url, encoding="LATIN1") as made:
        assert await refusal(databases.written(made)) == (
            f"store: {shown(databases.written(made))} has the encoding LATIN1;"
            " create it with --encoding UTF8"
        )


async def test_a_database_from_a_newer_version_is_refused_and_left_alone(
    database: str,
) -> None:
    asked(database, "UPDATE alembic_version SET version_num = 'f00d'")

    assert await refusal(database) == (
        f"store: {shown(database)} was written by a newer Job Monitor; upgrade this"
        " one, or give it another store"
    )
    assert asked(database, "SELECT DISTINCT owner FROM leases") == [("",)]


async def test_the_database_of_another_program_is_refused(server: Server) -> None:
    asked(server.url(), "CREATE DATABASE others TEMPLATE template0")
    url = server.url().replace("/postgres?", "/others?")
    asked(url, "CREATE TABLE states (key TEXT)")

    said = await refusal(url)

    assert said.endswith(
        "another program's database? give this one a database of its own"
    )
    assert asked(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [
        (1,)
    ]


async def test_a_standby_is_refused() -> None:
    with postgresqls.served() as standby:
        standby.become_a_standby()

        assert await refusal(standby.url()) == (
            f"store: {shown(standby.url())} is a standby, which cannot be written;"
            " name the primary"
        )


async def test_who_ran_before_waits_for_a_standby_to_be_promoted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with postgresqls.served() as server:
        asked(server.url(), "CREATE DATABASE before TEMPLATE template0")
        url = server.url().replace("/postgres?", "/before?")
        await opens(url)
        server.become_a_standby()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(opens_again, url)
            await until(
                lambda: "standby" in capsys.readouterr().out, "it is waited for"
            )
            asked(url, "SELECT pg_promote()")


async def test_who_ran_before_waits_for_a_server_to_be_writable_again(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make_url(database).database
    asked(database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(opens_again, database)
        await until(lambda: "read-only" in capsys.readouterr().out, "it is waited for")
        elsewhere = databases.written(databases.found())
        asked(elsewhere, f'ALTER DATABASE "{name}" RESET ALL')


async def opens_again(url: str) -> None:
    async with opening.opened(url, patience=inf) as store:
        await store.answers()


async def test_who_ran_before_is_refused_all_the_same_what_does_not_pass(
    database: str,
) -> None:
    asked(database, "UPDATE alembic_version SET version_num = 'f00d'")

    with pytest.raises(errors.Misconfigured, match="by a newer Job Monitor"):
        await opens_again(database)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("57P01", errors.Away),
        ("57P02", errors.Away),
        ("57P03", errors.Away),
        ("53300", errors.Away),
        ("25006", refusals.NotNow),
        ("53100", refusals.NotNow),
        ("42501", errors.Misconfigured),
        ("42P07", errors.Misconfigured),
    ],
)
def test_what_a_server_says_is_refused_waited_for_or_so_if_it_worked_before(
    database: str, code: str, kind: type[errors.MonitorError]
) -> None:
    url = make_url(database)
    with postgres.connected(url) as engine, engine.connect() as connection:
        raising = f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$"
        with pytest.raises(errors.MonitorError) as caught, refusals.clear(url):
            connection.execute(text(raising))

    assert type(caught.value) is kind


async def test_a_host_that_nobody_knows_is_refused_at_the_first_start() -> None:
    with pytest.raises(refusals.NotNow) as caught:
        await opens("postgresql://me@nowhere.invalid/jobs")

    assert str(caught.value).endswith("; write the host as it is called in the DNS")


def test_a_server_that_is_busy_is_asked_again(database: str) -> None:
    url = make_url(database)
    with (
        psycopg.connect(database) as other,
        postgres.connected(url) as engine,
        engine.connect() as connection,
    ):
        other.execute("LOCK TABLE leases")
        connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(errors.Away) as caught, refusals.clear(url):
            lease.claim(connection, "me", ALL)

    assert str(caught.value).endswith(
        "canceling statement due to lock timeout;"
        " another program holds a lock; end it, and start again"
    )


BUSY_ONCE = """
CREATE SEQUENCE tries;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('tries') = 1 THEN
        RAISE EXCEPTION 'no memory' USING ERRCODE = '53200';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def test_a_server_that_is_busy_when_a_daemon_joins_is_asked_again(
    database: str,
) -> None:
    asked(database, BUSY_ONCE)

    await opens(database)

    assert asked(database, "SELECT last_value > 1 FROM tries") == [(True,)]


def test_a_database_without_what_is_needed_is_not_taken_for_one_that_is_away(
    database: str,
) -> None:
    asked(database, "DROP TABLE nodes")
    outage = postgres.Outage()
    with postgres.connected(make_url(database)) as engine:
        meeting = postgres.Meeting(engine, "me", outage)
        with pytest.raises(errors.StoreError) as caught:
            meeting.leave({})

    assert str(caught.value) == 'the store failed: relation "nodes" does not exist'
    assert not isinstance(caught.value, errors.Away)
    assert not outage.lasts


async def test_several_that_start_at_once_make_the_tables_once(server: Server) -> None:
    asked(server.url(), "CREATE DATABASE empty TEMPLATE template0")
    url = server.url().replace("/postgres?", "/empty?")
    answered: list[int] = []

    async def start(number: int) -> None:
        async with opening.opened(url) as store:
            await store.answers()
            answered.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(start, number)

    assert sorted(answered) == [0, 1, 2, 3]


async def test_several_that_start_at_once_on_an_older_schema_all_join() -> None:
    answered: list[int] = []
    with databases.created(databases.found()) as made:
        with postgres.connected(made) as engine, engine.begin() as connection:
            config = migrating._config(migrating.SCRIPTS)
            config.attributes["connection"] = connection
            command.upgrade(config, "0007")
        everybody = anyio.Event()

        async def start(number: int) -> None:
            async with opening.opened(databases.written(made)) as store:
                await store.answers()
                answered.append(number)
                if len(answered) == 4:
                    everybody.set()
                await everybody.wait()

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(start, number)

    assert sorted(answered) == [0, 1, 2, 3]


async def test_a_daemon_of_an_older_version_is_not_joined(database: str) -> None:
    async with opening.opened(database):
        asked(database, "UPDATE alembic_version SET version_num = '0007'")

        assert "is in use by Job Monitor on " in await refusal(database)


# Who may write.


_TELL = text("INSERT INTO told VALUES ('s', 'g', 1, '')")


def claimed(engine: Engine, me: str) -> Holdings:
    """Let *me* own all that is free."""
    holdings = Holdings(())
    with postgres.begun(engine) as connection:
        holdings.take(roll.claim(connection, me, ALL))
    return holdings


def expire(url: str, seconds: float = -1.0) -> None:
    asked(
        url,
        "UPDATE leases SET expires_at ="
        " extract(epoch FROM clock_timestamp()) + %s::float8",
        seconds,
    )


async def test_a_second_daemon_shares_what_the_first_one_has(database: str) -> None:
    async with opening.opened(database) as one, opening.opened(database) as other:
        await remember(one, a_change(1))

        assert (await other.load(KEY)).version == 1
        assert one.holdings.active == ALL
        assert other.holdings.active == frozenset()


async def test_who_needs_all_of_it_is_refused_by_the_name_of_who_shares_it(
    database: str,
) -> None:
    async with opening.opened(database):
        with pytest.raises(errors.Misconfigured) as caught:
            await whole(database)

    assert str(caught.value) == (
        f"store: {shown(database)} is in use by Job Monitor on "
        f"{cluster.told(lease.name())}; stop it for this, or name another store"
    )


async def whole(url: str) -> None:
    async with opening.owned(opening.parsed(url), anyio.to_thread.run_sync):
        pass


async def test_who_was_refused_keeps_nothing_of_it(database: str) -> None:
    async with opening.opened(database) as store:
        store.holdings.drop([0, 1, 2])
        asked(database, "UPDATE leases SET owner = '', expires_at = 0 WHERE shard < 3")
        with pytest.raises(errors.Misconfigured):
            await whole(database)

        await remember(store, a_change())
        free = "SELECT shard FROM leases WHERE owner = '' ORDER BY shard"
        assert asked(database, free) == [(0,), (1,), (2,)]


async def test_after_a_clean_stop_the_next_one_owns_all_at_once(database: str) -> None:
    epochs = "SELECT epoch FROM leases ORDER BY shard"
    async with opening.opened(database) as store:
        await remember(store, a_change())
        before = asked(database, epochs)
    stopped = asked(database, "SELECT DISTINCT owner, expires_at FROM leases")

    async with opening.opened(database) as store:
        assert (await store.load(KEY)).version == 1
        assert store.holdings.active == ALL
        now = asked(database, epochs)

    assert stopped == [("", 0.0)]
    assert all(a < b for a, b in zip(before, now, strict=True))


async def test_who_needs_all_of_it_waits_for_the_leases_of_the_dead(
    database: str,
) -> None:
    asked(database, "UPDATE leases SET owner = 'node/1/dead'")
    expire(database, 1.0)
    began = time.perf_counter()

    await whole(database)

    assert time.perf_counter() - began > 0.5


async def test_a_lease_is_renewed_while_its_daemon_lives(database: str) -> None:
    async with opening.opened(database):
        expire(database, 1.0)
        await until(lambda: left(database) > lease.TTL / 2, "the lease is renewed")


def left(url: str) -> float:
    [(seconds,)] = asked(
        url,
        "SELECT min(expires_at - extract(epoch FROM clock_timestamp())) FROM leases",
    )
    return float(str(seconds))


_DAEMON = """
import itertools, sys
import anyio
import structlog
from monitor import errors
from monitor.store import opening
from tests.e2e.waiting import until
from tests.store.changes import a_change

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def main():
    async with opening.opened(sys.argv[1]) as store:
        for version in itertools.count(1):
            assert await store.commit(a_change(version))
            print(version, flush=True)

try:
    anyio.run(main)
except* errors.StoreError as failed:
    while isinstance(failed, ExceptionGroup):
        [failed, *_] = failed.exceptions
    print(failed, flush=True)
"""


@contextmanager
def another_daemon(url: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", _DAEMON, url], stdout=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "1\n"
        try:
            yield daemon
        finally:
            daemon.kill()


async def test_a_daemon_that_slept_through_its_end_writes_nothing_more(
    database: str,
) -> None:
    with another_daemon(database) as daemon:
        daemon.send_signal(signal.SIGSTOP)
        expire(database)
        asked(database, "UPDATE nodes SET seen_at = 0")
        async with opening.opened(database) as store:
            taken = (await store.load(KEY)).version
            daemon.send_signal(signal.SIGCONT)
            assert daemon.stdout is not None
            *_, last = daemon.stdout
            assert (await store.load(KEY)).version == taken
            await remember(store, a_change(taken + 1))

    assert "not this daemon's any more" in last or "were taken over" in last


async def test_who_was_taken_over_hears_of_it_at_the_next_renewal(
    database: str,
) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await until_the_end(database)

    assert caught.group_contains(errors.LeaseLost, match="64 shards were taken over")


async def until_the_end(database: str) -> None:
    async with opening.opened(database):
        asked(
            database,
            "UPDATE leases SET owner = 'elsewhere/7/x', epoch = epoch + 1",
        )
        await anyio.sleep_forever()


async def test_who_was_taken_over_may_not_write_and_names_who_did_it(
    database: str,
) -> None:
    with postgres.connected(make_url(database)) as engine:
        holdings = claimed(engine, "me")
        ours = postgres.Database(engine, "me", holdings, postgres.Outage())
        asked(database, "UPDATE leases SET owner = 'elsewhere/7/x' WHERE shard < 3")

        with pytest.raises(errors.LeaseLost) as caught:
            ours.transact(lambda c: [c.execute(_TELL)].clear(), [2, 3])

    assert str(caught.value) == (
        "1 shards are not this daemon's any more, elsewhere (process 7) owns them now;"
        " it may not write there"
    )
    assert asked(database, "SELECT * FROM told") == []


async def test_an_epoch_that_moved_is_enough_to_be_fenced(database: str) -> None:
    async with opening.opened(database) as store:
        asked(database, "UPDATE leases SET epoch = epoch + 1")
        with pytest.raises(errors.LeaseLost, match="1 shards are not this daemon's"):
            await store.commit(a_change(1))
        assert await store.load(KEY) == State(key=KEY)
        asked(database, "UPDATE leases SET epoch = epoch - 1")


async def test_a_lease_that_ran_out_and_was_not_taken_is_still_ours(
    database: str,
) -> None:
    async with opening.opened(database) as store:
        expire(database)
        await remember(store, a_change(1))


async def test_who_takes_over_waits_for_a_transaction_that_holds_the_lease(
    database: str,
) -> None:
    mine = postgres.connected(make_url(database))
    with mine as engine, engine.connect() as connection:
        held = claimed(engine, "a/1/x").epochs
        connection.execute(_TELL)
        assert lease.fence(connection, "a/1/x", held, [7]).xid is not None
        with psycopg.connect(database) as other:
            other.execute("SET LOCAL lock_timeout = '100ms'")
            other.execute("UPDATE leases SET owner = 'b' WHERE shard = 8")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("UPDATE leases SET owner = 'b' WHERE shard = 7")


async def test_who_only_reads_takes_no_lock_and_no_transaction_id(
    database: str,
) -> None:
    with postgres.connected(make_url(database)) as engine, engine.connect() as reading:
        reading.execute(text("SELECT count(*) FROM states"))

        assert lease.fence(reading, "nobody", {}, ALL).xid is None


# What is lost: nothing.


async def test_what_is_in_force_is_so_for_the_transaction_alone(database: str) -> None:
    name = make_url(database).database
    asked(database, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    wanted = {
        "statement_timeout": "10s",
        "lock_timeout": "8s",
        "idle_in_transaction_session_timeout": "5s",
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
    }

    def settings(connection: Connection) -> dict[str, str]:
        rows = connection.execute(
            text("SELECT name, current_setting(name) FROM pg_settings")
        )
        found = {name: value for name, value in rows}  # noqa: C416
        return {key: found[key] for key in wanted}

    async with opening.opened(database) as store:
        assert await store._group.do(settings) == wanted
    with postgres.connected(make_url(database)) as engine:
        with postgres.begun(engine) as connection:
            assert settings(connection) == wanted
        with engine.connect() as connection:
            assert settings(connection)["statement_timeout"] == "0"


def interrupting(
    url: str, times: int = 1
) -> tuple[Callable[[Connection], int], list[int]]:
    """Give a job whose connection the server ends under it, the first *times*."""
    runs: list[int] = []

    def job(connection: Connection) -> int:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        connection.execute(
            text("INSERT INTO told VALUES ('s', :run, 1, '')"), {"run": str(len(runs))}
        )
        runs.append(1)
        if len(runs) <= times:
            asked(url, "SELECT pg_terminate_backend(%s)", pid)
        connection.execute(text("SELECT 1"))
        return len(runs)

    return job, runs


async def test_a_transaction_that_was_cut_off_runs_again_once(database: str) -> None:
    job, runs = interrupting(database, times=2)

    async with opening.opened(database) as store:
        assert await store._group.do(job) == 3

    assert len(runs) == 3
    assert asked(database, 'SELECT "group" FROM told') == [("2",)]


async def test_a_database_that_stays_away_is_a_clean_error(database: str) -> None:
    job, _ = interrupting(database, times=1_000_000)
    with postgres.connected(make_url(database)) as engine:
        outage = postgres.Outage()
        away = postgres.Database(engine, "me", Holdings(), outage, patience=0.3)

        with pytest.raises(errors.StoreError) as caught:
            away.transact(lambda connection: [job(connection)].clear(), ())

    assert str(caught.value).startswith("the database is away: terminating connection")
    assert asked(database, "SELECT * FROM told") == []


async def test_a_store_that_is_closed_waits_for_no_database(database: str) -> None:
    job, runs = interrupting(database, times=1_000_000)
    with postgres.connected(make_url(database)) as engine:
        closed = postgres.Database(engine, "me", Holdings(), postgres.Outage())
        closed.end()

        with pytest.raises(errors.StoreError, match="the database is away"):
            closed.transact(lambda connection: [job(connection)].clear(), ())

    assert len(runs) == 1


def slowly(setting: str, statement: str) -> Callable[[Connection], None]:
    def job(connection: Connection) -> None:
        connection.execute(text("INSERT INTO groups VALUES ('g', 1, 1)"))
        connection.execute(text(f"SET LOCAL {setting} = '50ms'"))
        connection.execute(text(statement))

    return job


async def test_a_time_out_fails_that_transaction_alone(database: str) -> None:
    slow = slowly("statement_timeout", "SELECT pg_sleep(30)")

    async with opening.opened(database) as store:
        with pytest.raises(errors.StoreError) as caught:
            await store._group.do(slow)
        await remember(store, a_change(1))

    assert str(caught.value) == (
        "the store failed: canceling statement due to statement timeout"
    )
    assert asked(database, "SELECT * FROM groups") == []


async def test_a_lock_of_somebody_else_is_waited_for(database: str) -> None:
    blocked = slowly("lock_timeout", "LOCK TABLE told")
    tries: list[int] = []

    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE told")

        def job(connection: Connection) -> None:
            tries.append(1)
            if len(tries) == 2:
                other.rollback()
            blocked(connection)

        async with opening.opened(database) as store:
            await store._group.do(job)

    assert len(tries) == 2
    assert len(asked(database, "SELECT * FROM groups")) == 1


async def test_a_failure_shows_no_statement_and_no_row(database: str) -> None:
    def twice(connection: Connection) -> None:
        for _ in range(2):
            statement = "INSERT INTO groups VALUES (:secret, 1, 1)"
            connection.execute(text(statement), {"secret": PASSWORD})

    async with opening.opened(database) as store:
        with pytest.raises(errors.StoreError) as caught:
            await store._group.do(twice)

    assert str(caught.value) == (
        'the store failed: duplicate key value violates unique constraint "groups_pkey"'
    )


@contextmanager
def way_to(database: str) -> Iterator[tuple[severing.Way, str]]:
    server = make_url(database)
    with severing.way(server.port or 5432) as way:
        plain = {"sslmode": "disable", "gssencmode": "disable"}
        url = server.set(host="127.0.0.1", port=way.port, query=plain)
        yield way, databases.written(url)


@pytest.mark.parametrize("cut", [severing.before, severing.after])
async def test_a_commit_that_was_not_answered_happened_once(
    database: str, cut: severing.Cut
) -> None:
    with way_to(database) as (way, url):
        async with opening.opened(url) as store:
            await store.enrol("journal")
            way.cuts = [cut]

            assert await store.commit(a_change(1, events=2))

            assert way.cuts == []
            unread = await store.unread("journal", 9)
            assert [event.sequence for _, event in unread.events] == [1, 2]
            assert await store.commit(a_change(2, after=2))


async def test_a_server_that_forgot_a_commit_is_not_guessed_about(
    server: Server,
) -> None:
    asked(server.url(), "CREATE DATABASE torn TEMPLATE template0")

    def restarting(through: Callable[[], None]) -> None:
        through()
        server.restart()

    with severing.way(server.port) as way:
        url = server.url(way.port).replace("/postgres?", "/torn?")
        async with opening.opened(url) as store:
            way.cuts = [restarting]
            with pytest.raises(errors.StoreError, match="does not know any more"):
                await store.commit(a_change(1))
        async with opening.opened(url) as store:
            assert (await store.load(KEY)).version == 1


async def test_a_server_that_restarts_is_waited_for(server: Server) -> None:
    asked(server.url(), "CREATE DATABASE restarted TEMPLATE template0")
    url = server.url().replace("/postgres?", "/restarted?")

    async with opening.opened(url) as store:
        await store.enrol("journal")
        await remember(store, a_change(1))
        server.stop("immediate")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(remember, store, a_change(2))
            tasks.start_soon(anyio.to_thread.run_sync, server.start)

        unread = await store.unread("journal", 9)
    assert [event.sequence for _, event in unread.events] == [1, 2]


def standbys(engine: Engine) -> list[bool]:
    """Tell of each connection of the pool whether it leads to a standby."""
    asked = text("SELECT pg_is_in_recovery()")
    with ExitStack() as all_at_once:
        pool = [all_at_once.enter_context(engine.connect()) for _ in range(3)]
        return [bool(each.execute(asked).scalar()) for each in pool]


def a_table(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE led ()"))


async def test_who_meets_a_standby_connects_anew_to_the_primary(server: Server) -> None:
    run, outage = anyio.to_thread.run_sync, postgres.Outage()
    with postgresqls.served() as standby:
        standby.become_a_standby()
        async with proxying(standby.port) as proxy:
            with postgres.connected(make_url(server.url(proxy.port))) as engine:
                led = postgres.Database(engine, "me", Holdings(), outage, patience=9)
                assert await run(standbys, engine) == [True, True, True]
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(run, led.transact, a_table, ())
                    await until(lambda: outage.lasts, "it cannot be written")
                    proxy.server = server.port

                assert await run(standbys, engine) == [False, False, False]


async def test_words_with_a_nul_are_kept_without_it(database: str) -> None:
    async with opening.opened(database) as store:
        failed = a_delivery(error="HTTP 500: a\0b")
        await store.read("oncall", 0, [failed])
        [waiting] = await store.lines("oncall", 9)

    assert waiting.error == "HTTP 500: a␀b"
    assert waiting.message == failed.message


# The schema.


def test_the_migrations_make_exactly_the_tables_of_the_schema() -> None:
    url = databases.found()
    with (
        databases.migrated(url) as one,
        databases.created(url) as other,
        postgres.connected(one) as migrated,
        postgres.connected(other) as direct,
        migrated.connect() as connection,
    ):
        schema.metadata.create_all(direct)
        assert shape(migrated) == shape(direct)
        assert migrating.revision(connection) == migrating.newest()
