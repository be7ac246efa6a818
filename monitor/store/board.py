"""What one daemon pins up for the others to see, for a minute: hints, pages of lists.

Who is slow may miss some of it: a hint is only a hint, and what a list says it says
again.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Table, delete, func, insert, select

from monitor.ports import Shown
from monitor.store import rows
from monitor.store.schema import hints, pages

FADES: Final = 60.0
"""Seconds until it is taken down."""

MOST: Final = 1000
"""Hints that are read at once, and pinned up at most; one is as good as another."""

PAGES: Final = 100
"""Pages that are read at once."""

Place = tuple[int, int]
"""The numbers of the last hint and the last page that were read."""


def end(connection: Connection) -> Place:
    return _last(connection, hints), _last(connection, pages)


def _last(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.max(table.c.number))).scalar() or 0


def hint(connection: Connection, job_instance_id: int, now: float) -> None:
    _take_down(connection, hints, now)
    many = connection.execute(select(func.count()).select_from(hints)).scalar() or 0
    if many < MOST:
        values = {"job_instance_id": job_instance_id, "at": now}
        connection.execute(insert(hints).values(values))


def hinted(connection: Connection, after: int) -> list[tuple[int, int]]:
    """Give the number and the instance of each hint that came *after* that one."""
    columns = (hints.c.number, hints.c.job_instance_id)
    newer = select(*columns).where(hints.c.number > after).order_by(hints.c.number)
    found = connection.execute(newer.limit(MOST))
    return [(number, job_instance_id) for number, job_instance_id in found]


def show(connection: Connection, page: Shown) -> None:
    moment = page.at.timestamp()
    _take_down(connection, pages, moment)
    body = rows.encode(page.rows)
    values = {"source": page.source, "at": moment, "body": body}
    connection.execute(insert(pages).values(values))


def shown(connection: Connection, after: int) -> list[tuple[int, Shown]]:
    columns = (pages.c.number, pages.c.source, pages.c.at, pages.c.body)
    newer = select(*columns).where(pages.c.number > after).order_by(pages.c.number)
    found = connection.execute(newer.limit(PAGES))
    return [
        (number, Shown(source, rows.page(body), datetime.fromtimestamp(at, UTC)))
        for number, source, at, body in found
    ]


def _take_down(connection: Connection, table: Table, now: float) -> None:
    connection.execute(delete(table).where(table.c.at < now - FADES))
