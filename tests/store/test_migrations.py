"""What an older version wrote is there in this one, on both engines."""

from collections.abc import Iterator, Sequence

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, text

from monitor.core.hazard import Table
from monitor.core.model import InstanceKey
from monitor.store import migrating, opening, rows
from monitor.store.rows import Row
from tests.support import databases
from tests.support.answers import a_watch


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, url: str) -> Iterator[str]:
    """The URL of a store without any table."""
    if request.param == "sqlite":
        yield url
        return
    with databases.created(databases.found()) as made:
        yield databases.written(made)


def bring(connection: Connection, revision: str) -> None:
    config = migrating._config(migrating.SCRIPTS)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def at(revision: str, url: str, table: str, found: Sequence[Row]) -> None:
    """Let there be a store of *revision* in which *table* holds what was *found*."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    put = text(f"INSERT INTO {table} VALUES (:key, :shard, :source, :body)")  # noqa: S608
    with engine.begin() as connection:
        bring(connection, revision)
        connection.execute(put, found)
    engine.dispose()


async def test_what_discovery_found_is_kept_when_it_is_numbered(empty: str) -> None:
    watches = [a_watch(InstanceKey("prod", "biz", "2", n)) for n in (1, 2)]
    old = [
        {"key": str(w.key), "shard": 1, "source": "prod", "body": rows.encode(w)}
        for w in watches
    ]
    at("0008", empty, "watches", old)

    async with opening.opened(empty) as store:
        found = await store.found("prod")
        await store.add([watches[0]])
        again = await store.found("prod", found.upto)

    assert sorted(found.watches, key=lambda watch: watch.key) == watches
    assert (list(again.watches), again.in_all) == ([watches[0]], 2)


async def test_what_was_learnt_is_kept_when_it_is_dated(empty: str) -> None:
    learnt = Table((9.0,), (1.0,), 9.0)
    old = {"key": "prod/2", "source": "prod", "shard": 1, "body": rows.encode(learnt)}
    at("0009", empty, "hazards", [old])

    async with opening.opened(empty) as store:
        assert await store.newest("prod", 9) == ["prod/2"]
        assert await store.learnt(["prod/2"]) == {"prod/2": learnt}
