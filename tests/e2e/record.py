"""What the daemon has on record: its store, read beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from monitor.core.cluster import Report
from monitor.core.message import Message
from monitor.core.state import State

_message: Final = msgspec.msgpack.Decoder(Message).decode
_report: Final = msgspec.msgpack.Decoder(Report).decode
_state: Final = msgspec.msgpack.Decoder(State).decode


class Record:
    def __init__(self, database: Path) -> None:
        self._database = database

    def events(self) -> list[Message]:
        found = self._rows("SELECT message FROM events ORDER BY position")
        return [_message(body) for (body,) in found]

    def states(self) -> dict[str, State]:
        found = self._rows("SELECT key, body FROM states")
        return {key: _state(body) for key, body in found}

    def on_their_way(self, sink: str) -> list[str]:
        """List what *sink* has yet to take."""
        unread = (
            "SELECT key || '#' || sequence FROM events JOIN cursors"
            " ON cursors.shard = events.shard AND cursors.sink = :sink"
            " WHERE events.position > cursors.position"
        )
        waiting = "SELECT id FROM deliveries WHERE sink = :sink"
        found = self._rows(f"{unread} UNION {waiting}", sink=sink)
        return [id_ for (id_,) in found]

    def buried(self) -> list[str]:
        return [id_ for (id_,) in self._rows("SELECT id FROM dead_letters")]

    def _rows(self, statement: str, **values: str) -> list[Any]:
        where = f"file:{self._database}?mode=ro"
        with closing(sqlite3.connect(where, uri=True)) as rows:
            return rows.execute(statement, values).fetchall()


class DatabaseRecord(Record):
    """The same in a database on PostgreSQL, which daemons may share."""

    def __init__(self, url: str) -> None:
        self._url = url

    def reports(self) -> list[Report]:
        """List what daemons say of themselves; one that is starting says nothing."""
        return [_report(body) for (body,) in self._rows("SELECT body FROM nodes")]

    def _rows(self, statement: str, **values: str) -> list[Any]:
        written = statement.replace(":sink", "%(sink)s")
        with psycopg.connect(self._url) as rows:
            return rows.execute(written.encode(), values).fetchall()
