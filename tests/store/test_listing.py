"""Instances and events as people list them: filtered, sorted, a page at a time."""

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from monitor.core.alerts import Alert, Name
from monitor.core.codes import Meaning
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.state import Phase
from monitor.core.watch import Severity
from monitor.ports import Reading, Sort, Tally, Wanted
from monitor.store import opening
from monitor.store.sql import SqlStore
from tests.store.changes import ALERT, NOW, a_change, an_event, remember
from tests.store.conftest import Engine

BAD, WORSE, RUNNING, DONE, STRANGE = (f"prod/biz/2/{n}" for n in range(1, 6))
ELSEWHERE = "test/biz/2/6"
WARNING = Alert(name=Name.JOB_WAITING, severity=Severity.WARNING, since=NOW)


def a_snapshot(status: int, name: str, failed: int = 0, hosts: int = 3) -> Snapshot:
    named = [HostId(f"0:10.0.0.{number}") for number in range(hosts)]
    step = Step(
        step_instance_id=7,
        status=status,
        hosts=dict.fromkeys(named, 9),
        failures={host: Failure(104, 0) for host in named[:failed]},
    )
    return Snapshot(status=status, name=name, steps=(step,))


async def filled(store: SqlStore) -> None:
    def known(key: str, snapshot: Snapshot, minutes: int = 0, **more: Any) -> Any:
        at = NOW + timedelta(minutes=minutes)
        return a_change(key=key, snapshot=snapshot, at=at, **more)

    later = structs.replace(ALERT, since=NOW + timedelta(hours=1))
    await remember(
        store,
        known(BAD, a_snapshot(7, "deploy nginx"), 1, alerts={"a": WARNING}),
        known(WORSE, a_snapshot(4, "deploy mysql", 2), 2, alerts={"a": later}),
        known(RUNNING, a_snapshot(2, "backup"), 3),
        known(DONE, a_snapshot(3, "backup 100%", 1), 4, phase=Phase.RETIRED),
        known(STRANGE, a_snapshot(77, "rare")),
        known(ELSEWHERE, a_snapshot(2, "backup"), 5, alerts={"a": ALERT}),
        a_change(key="prod", alerts={"a": ALERT}, snapshot=None),
        a_change(key="prod/biz/2", alerts={"a": ALERT}, snapshot=None),
    )


async def keys(store: SqlStore, **wanted: Any) -> list[str]:
    return [
        each.member.key for _, each in await store.listed(Wanted(**wanted), None, 99)
    ]


async def test_the_worst_comes_first_and_what_is_newest_of_that(engine: Engine) -> None:
    async with engine() as store:
        await filled(store)
        found = await keys(store)

    assert found == [WORSE, ELSEWHERE, BAD, RUNNING, STRANGE]


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        (Sort.CHANGED, [ELSEWHERE, RUNNING, WORSE, BAD, STRANGE]),
        (Sort.FAILED, [WORSE, BAD, RUNNING, STRANGE, ELSEWHERE]),
        (Sort.NAME, [RUNNING, ELSEWHERE, WORSE, BAD, STRANGE]),
        (Sort.KEY, [BAD, WORSE, RUNNING, STRANGE, ELSEWHERE]),
    ],
)
async def test_people_choose_the_order(
    engine: Engine, sort: Sort, first: Sequence[str]
) -> None:
    async with engine() as store:
        await filled(store)
        found = await keys(store, sort=sort)

    assert found == first


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"meanings": frozenset({Meaning.FAILED})}, [WORSE]),
        ({"meanings": frozenset({Meaning.RUNNING})}, [ELSEWHERE, RUNNING]),
        ({"meanings": frozenset({Meaning.UNKNOWN})}, [STRANGE]),
        (
            {"meanings": frozenset({Meaning.FAILED, Meaning.NEEDS_PERSON})},
            [WORSE, BAD],
        ),
        ({"least_rank": 2}, [WORSE, ELSEWHERE]),
        ({"least_rank": 1}, [WORSE, ELSEWHERE, BAD]),
        ({"below": "test"}, [ELSEWHERE]),
        ({"below": "prod/biz/2"}, [WORSE, BAD, RUNNING, STRANGE]),
        ({"phase": Phase.RETIRED}, [DONE]),
        ({"phase": None, "text": "backup"}, [ELSEWHERE, RUNNING, DONE]),
        ({"phase": None, "text": "100%"}, [DONE]),
        ({"text": "DEPLOY my"}, [WORSE]),
        ({"text": "biz/2/3"}, [RUNNING]),
    ],
)
async def test_lists_can_be_narrowed(
    engine: Engine, wanted: dict[str, Any], found: list[str]
) -> None:
    async with engine() as store:
        await filled(store)
        narrowed = await keys(store, **wanted)

    assert narrowed == found


@pytest.mark.parametrize("sort", Sort)
async def test_pages_join_to_the_whole(engine: Engine, sort: Sort) -> None:
    async with engine() as store:
        await filled(store)
        wanted, after, found = Wanted(sort=sort, phase=None), None, list[str]()
        while page := await store.listed(wanted, after, 2):
            after = page[-1][0]
            found += [each.member.key for _, each in page]
        whole = await keys(store, sort=sort, phase=None)

    assert found == whole
    assert len(found) == 6


async def test_text_sorts_by_its_bytes_whatever_the_engine(engine: Engine) -> None:
    names = ["Zebra", "apple", "_", "Éclair", "é", "重启", "a b", "a-b", "😀", ""]
    async with engine() as store:
        for number, name in enumerate(names):
            await remember(
                store, a_change(key=f"p/{number}", snapshot=a_snapshot(2, name))
            )
        found = [each.member.key for _, each in await paged(store, Sort.NAME)]

    by_bytes = sorted(names, key=str.encode)
    assert found == [f"p/{names.index(name)}" for name in by_bytes]


async def paged(store: SqlStore, sort: Sort) -> list[tuple[Any, Any]]:
    after, found = None, list[tuple[Any, Any]]()
    while page := await store.listed(Wanted(sort=sort), after, 1):
        after = page[-1][0]
        found += page
    return found


async def test_a_search_takes_capitals_for_small_letters_in_ascii_alone(
    engine: Engine,
) -> None:
    async with engine() as store:
        for number, name in enumerate(("ÉCLAIR", "éclair", "_%\\ [a]")):
            await remember(
                store, a_change(key=f"p/{number}", snapshot=a_snapshot(2, name))
            )
        found = [await keys(store, text=text) for text in ("cLaIr", "éc", "_%\\")]

    assert [len(each) for each in found] == [2, 1, 1]


async def test_sources_that_differ_in_capitals_are_two(engine: Engine) -> None:
    async with engine() as store:
        await remember(store, a_change(key="prod/1"), a_change(key="Prod/1"))
        await remember(store, a_change(key="prod0/1"), a_change(key="prod.x/1"))

        assert [head.key for head in await store.heads("prod")] == ["prod/1"]
        assert await keys(store, below="Prod") == ["Prod/1"]


async def test_a_hostile_name_and_a_strange_status_are_listed(engine: Engine) -> None:
    snapshot = a_snapshot(2**63 - 1, "a\0b' OR 1=1; --\\")
    async with engine() as store:
        await remember(store, a_change(snapshot=snapshot))
        [(place, _)] = await store.listed(Wanted(sort=Sort.NAME), None, 9)
        found = await keys(
            store, text="a\0B' --", meanings=frozenset({Meaning.UNKNOWN})
        )
        after = await store.listed(Wanted(sort=Sort.NAME), place, 9)

        assert (found, after) == (["prod/biz/2/20000153"], [])
        assert (await store.load(found[0])).snapshot == snapshot
        assert (await store.tally())[0].status == 2**63 - 1


async def test_of_each_instance_is_said_how_many_hosts_failed(engine: Engine) -> None:
    async with engine() as store:
        await filled(store)
        [(_, worst), *_] = await store.listed(Wanted(), None, 1)

    assert (worst.failed, worst.hosts) == (2, 3)
    assert worst.since == NOW + timedelta(hours=1)
    assert worst.changed_at == NOW + timedelta(minutes=2)


async def test_watched_instances_are_counted_by_status_and_rank(engine: Engine) -> None:
    async with engine() as store:
        await filled(store)
        found = await store.tally()

    assert sorted(found, key=lambda each: (each.status or 0, each.rank)) == [
        Tally(2, 0, 1, 0, 3),
        Tally(2, 2, 1, 0, 3),
        Tally(4, 2, 1, 2, 3),
        Tally(7, 1, 1, 0, 3),
        Tally(77, 0, 1, 0, 3),
    ]


async def test_what_changes_moves_in_the_lists(engine: Engine) -> None:
    async with engine() as store:
        await filled(store)
        better = a_snapshot(3, "renamed")
        await remember(store, a_change(2, key=WORSE, snapshot=better, alerts={}))
        found = await keys(store, meanings=frozenset({Meaning.SUCCEEDED}))

    assert found == [WORSE]


async def test_an_older_store_is_listed_as_a_new_one(url: str, file: Path) -> None:
    async with opening.opened(url) as store:
        await filled(store)
        before = [await store.listed(Wanted(), None, 9), await store.tally()]
    _downgraded(file)

    async with opening.opened(url) as store:
        after = [await store.listed(Wanted(), None, 9), await store.tally()]

    assert after == before


def _downgraded(file: Path) -> None:
    """Make the states what they were before they were listed."""
    with sqlite3.connect(file) as database:
        database.execute("DROP INDEX states_listed")
        database.execute("DROP INDEX states_over")
        database.execute("DROP INDEX hazards_newest")
        database.execute("ALTER TABLE hazards DROP COLUMN position")
        for column in ("subject", "name", "status", "rank", "since", "failed", "hosts"):
            database.execute(f"ALTER TABLE states DROP COLUMN {column}")
        later = "added hints leases list_parts lists log news nodes pages pauses"
        for table in later.split():
            database.execute(f"DROP TABLE {table}")
        database.execute("UPDATE alembic_version SET version_num = '0004'")


# The log.


async def logged(store: SqlStore, most: int = 99, **wanted: Any) -> list[int]:
    found = await store.logged(Reading(**wanted), None, most)
    return [message.sequence or 0 for _, message in found]


async def test_the_log_is_read_from_either_end(engine: Engine) -> None:
    async with engine() as store:
        await remember(store, a_change(events=3))
        newest, oldest = await logged(store), await logged(store, newest_first=False)

    assert newest == [3, 2, 1]
    assert oldest == [1, 2, 3]


async def test_pages_of_the_log_join(engine: Engine) -> None:
    async with engine() as store:
        await remember(store, a_change(events=5))
        first = await store.logged(Reading(), None, 2)
        second = await store.logged(Reading(), first[-1][0], 9)

    assert [each.sequence for _, each in (*first, *second)] == [5, 4, 3, 2, 1]


async def test_the_log_is_read_of_one_key_of_some_types_of_some_time(
    engine: Engine,
) -> None:
    later = NOW + timedelta(hours=1)
    async with engine() as store:
        await remember(
            store, a_change(events=2), a_change(key=BAD), a_change(key=BAD, version=2)
        )
        await remember(store, a_change(3, key=BAD, after=2, at=later))
        of_one = await logged(store, key=BAD)
        of_type = await logged(store, types=("bkjob.instance.gone",))
        of_types = await logged(store, types=(an_event().type, "x"), key=BAD)
        since = await logged(store, since=later)
        until = await logged(store, until=later, key=BAD)

    assert of_one == [3, 2, 1]
    assert of_type == []
    assert of_types == [3, 2, 1]
    assert since == [3]
    assert until == [2, 1]
