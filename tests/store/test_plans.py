"""What is asked again and again finds its rows by an index, however many there are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

from monitor.ports import Reading
from monitor.store import (
    housekeeping,
    ledger,
    logbook,
    migrating,
    outbox,
    postgres,
    register,
    shelf,
)

SOME: Final = frozenset(range(0, 63, 3))


def read_on(connection: Connection) -> None:
    outbox.enrol(connection, "oncall")
    outbox.unread(connection, "oncall", 9, SOME)


# What is asked, and what its plan says on SQLite and on PostgreSQL.
ASKED: Final[dict[str, tuple[Callable[[Connection], object], str, str]]] = {
    "what ended long ago": (
        lambda c: housekeeping.forget(c, 1.0, ["oncall"]),
        "SEARCH states USING INDEX states_over (changed_at<?)",
        "using states_over on states",
    ),
    "what a sink has yet to read of some shards": (
        read_on,
        "SEARCH events USING INDEX sqlite_autoindex_events_1 (position>?)",
        "using events_pkey on events",
    ),
    "what is behind a position": (
        lambda c: logbook.read(c, Reading(newest_first=False), 7, 9),
        "SEARCH events USING INDEX sqlite_autoindex_events_1 (position>?)",
        "using events_pkey on events",
    ),
    "what was found since": (
        lambda c: register.found(c, "prod", 7),
        "SEARCH watches USING INTEGER PRIMARY KEY (rowid>?)",
        "using watches_pkey on watches",
    ),
    "what was learnt of last": (
        lambda c: shelf.newest(c, "prod", 9),
        "SEARCH hazards USING COVERING INDEX hazards_newest (source=?)",
        "using hazards_newest on hazards",
    ),
    "what holds": (
        ledger.alerting,
        "SEARCH states USING INDEX states_alerting (alerting>?)",
        "using states_alerting on states",
    ),
}


@contextmanager
def explained(engine: Engine, how: str) -> Iterator[list[str]]:
    """Collect how the engine goes about each statement."""
    plans: list[str] = []

    def explain(_: Any, cursor: Any, asked: str, values: Any, *__: Any) -> None:
        if asked.startswith(("SELECT", "DELETE")):
            cursor.execute(f"{how} {asked}", values)
            plans.extend(str(row[-1]) for row in cursor.fetchall())

    event.listen(engine, "before_cursor_execute", explain)
    yield plans
    event.remove(engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("what", ASKED)
def test_sqlite_finds_it_by_an_index(file: Path, what: str) -> None:
    ask, by, _ = ASKED[what]
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        migrating.migrate(connection)
        with explained(engine, "EXPLAIN QUERY PLAN") as plans:
            ask(connection)
    engine.dispose()

    assert by in plans


@pytest.mark.parametrize("what", ASKED)
def test_postgresql_finds_it_by_an_index(database: str, what: str) -> None:
    ask, _, by = ASKED[what]
    with (
        postgres.connected(make_url(database)) as engine,
        engine.connect() as connection,
    ):
        # Where nothing is, it would not care for an index.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        with explained(engine, "EXPLAIN") as plans:
            ask(connection)

    assert any(by in line for line in plans), plans
