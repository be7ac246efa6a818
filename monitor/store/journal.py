"""What a transaction appends to the log of events, and of which changes others hear.

Written at the end of it, and all together: the counter of the log is locked from
there to COMMIT, so that positions rise in the order of commits.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, insert, select, update

from monitor.store.rows import Row
from monitor.store.schema import events, log, news

_END: Final = select(log.c.position)


class Journal:
    """*position* is the end of the log, as far as it is known here."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._end = position
        self._rows: list[Row] = []
        self._topics: set[str] = set()

    def begin(self) -> None:
        """A transaction begins, maybe once more: nothing is to be written so far."""
        self._rows, self._topics = [], set()
        self._end = self.position

    def committed(self) -> None:
        self.reached(self._end)

    def reached(self, position: int) -> None:
        """Hear how far the log goes, whoever wrote it."""
        self.position = max(self.position, position)

    def append(self, rows: Sequence[Row]) -> None:
        self._rows += rows

    def mention(self, topic: str) -> None:
        """Let every daemon hear that *topic* is not as it was."""
        self._topics.add(topic)

    def write(self, connection: Connection) -> None:
        # In one order, and the log last: two transactions never wait in a ring.
        for topic in sorted(self._topics):
            one_more = {"number": news.c.number + 1}
            mine = news.c.topic == topic
            connection.execute(update(news).where(mine).values(one_more))
        if self._rows:
            self._end = _moved(connection, len(self._rows))
            begin = self._end - len(self._rows) + 1
            placed = [{**row, "position": n} for n, row in enumerate(self._rows, begin)]
            connection.execute(insert(events), placed)


def _moved(connection: Connection, count: int) -> int:
    """Move the end of the log, and lock it; say where it is."""
    connection.execute(update(log).values(position=log.c.position + count))
    return end(connection)


def end(connection: Connection) -> int:
    position: int = connection.execute(_END).scalar_one()
    return position


def heard(connection: Connection) -> dict[str, int]:
    """Say how often each topic has changed."""
    found = connection.execute(select(news.c.topic, news.c.number))
    return {topic: number for topic, number in found}  # noqa: C416 - rows are no pairs
