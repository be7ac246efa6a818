"""The log of events as people read it: of whom, of what, since when."""

from sqlalchemy import ColumnElement, Connection, select

from monitor.core.message import Message
from monitor.ports import Reading
from monitor.store import rows
from monitor.store.schema import events


def read(
    connection: Connection, wanted: Reading, after: int | None, most: int
) -> list[tuple[int, Message]]:
    """Give events with their positions, behind *after* in the order of *wanted*."""
    where = _where(wanted)
    place = events.c.position
    if after is not None:
        where.append(place < after if wanted.newest_first else place > after)
    ordered = place.desc() if wanted.newest_first else place.asc()
    found = select(place, events.c.message).where(*where).order_by(ordered).limit(most)
    return [(at, rows.message(body)) for at, body in connection.execute(found)]


def _where(wanted: Reading) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.key is not None:
        where.append(events.c.key == wanted.key)
    if wanted.types:
        where.append(events.c.type.in_(wanted.types))
    if wanted.since is not None:
        where.append(events.c.time >= wanted.since.timestamp())
    if wanted.until is not None:
        where.append(events.c.time < wanted.until.timestamp())
    return where
