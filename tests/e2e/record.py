"""What the daemon has on record: the store's file, read beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from monitor.core.message import Message
from monitor.core.state import State

_message: Final = msgspec.msgpack.Decoder(Message).decode
_state: Final = msgspec.msgpack.Decoder(State).decode


class Record:
    def __init__(self, database: Path) -> None:
        self._database = database

    def events(self) -> list[Message]:
        with self._opened() as rows:
            found = rows.execute("SELECT message FROM events ORDER BY position")
            return [_message(body) for (body,) in found]

    def states(self) -> dict[str, State]:
        with self._opened() as rows:
            found = rows.execute("SELECT key, body FROM states")
            return {key: _state(body) for key, body in found}

    def on_their_way(self, sink: str) -> list[str]:
        """List what *sink* has yet to take."""
        unread = (
            "SELECT key || '#' || sequence FROM events WHERE position >"
            " (SELECT min(position) FROM cursors WHERE sink = :sink)"
        )
        waiting = "SELECT id FROM deliveries WHERE sink = :sink"
        with self._opened() as rows:
            found = rows.execute(f"{unread} UNION {waiting}", {"sink": sink})
            return [id_ for (id_,) in found]

    def buried(self) -> list[str]:
        with self._opened() as rows:
            return [id_ for (id_,) in rows.execute("SELECT id FROM dead_letters")]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        where = f"file:{self._database}?mode=ro"
        with closing(sqlite3.connect(where, uri=True)) as rows:
            yield rows
