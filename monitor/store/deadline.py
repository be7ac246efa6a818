"""A deadline for every answer of the server, kept by ourselves.

The server has time-outs of its own, and the kernel notices a peer that is gone; but
what stands between may take every word and pass none on. A connection on which an
answer is owed for too long is cut, which is a lost connection like any other.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, event

OWED: Final = 15
"""Seconds for which an answer may be owed; a statement is ended by the server before."""

_TICK: Final = 1.0


@contextmanager
def kept(engine: Engine, owed: int = OWED) -> Iterator[None]:
    """Cut connections of *engine* on which an answer is owed for *owed* seconds."""
    debts = _Debts(owed)
    event.listen(engine, "before_cursor_execute", debts.asks)
    event.listen(engine, "after_cursor_execute", debts.answered)
    event.listen(engine, "commit", debts.asks)
    event.listen(engine, "rollback", debts.asks)
    for end in ("checkin", "invalidate", "close"):
        event.listen(engine, end, debts.returned)
    over = threading.Event()
    watching = threading.Thread(
        target=debts.watch, args=(over,), name="store deadlines", daemon=True
    )
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


class _Debts:
    """For how many ticks each connection has been owed an answer."""

    def __init__(self, owed: int) -> None:
        self._owed = owed
        self._ticks: dict[Any, int] = {}
        # So that a connection is not cut that was just given to somebody else.
        self._lock = threading.Lock()

    def asks(self, connection: Connection, *_: object) -> None:
        if connection.invalidated:  # it is lost, and nobody is asked
            return
        with self._lock:
            self._ticks[connection.connection.dbapi_connection] = 0

    def answered(self, connection: Connection, *_: object) -> None:
        self.returned(connection.connection.dbapi_connection)

    def returned(self, driver: Any, *_: object) -> None:
        with self._lock:
            self._ticks.pop(driver, None)

    def watch(self, over: threading.Event) -> None:
        while not over.wait(_TICK):
            with self._lock:
                for driver in self._ticks:
                    self._ticks[driver] += 1
                    if self._ticks[driver] >= self._owed:
                        _cut(driver)


def _cut(driver: Any) -> None:
    # It may be gone by now.
    gone = (OSError, psycopg.Error)
    with suppress(*gone), socket.socket(fileno=os.dup(driver.fileno())) as peer:
        peer.shutdown(socket.SHUT_RDWR)
