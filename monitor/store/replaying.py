"""What is on record of a time past, to be sent again under the ids it had."""

from sqlalchemy import Connection, select, tuple_

from monitor.core.message import Message
from monitor.store import rows
from monitor.store.schema import addressed, cursors, events, notifications

Within = tuple[float, float]
"""Seconds since 1970: from the first on, before the second."""

Place = tuple[float, str]


def events_within(
    connection: Connection, sink: str, within: Within, after: int, most: int
) -> list[tuple[int, Message]]:
    """Give the events that *sink* has read, in the order of the log."""
    wanted = (
        cursors.c.sink == sink,
        cursors.c.shard == events.c.shard,
        events.c.time >= within[0],
        events.c.time < within[1],
        events.c.position > after,
        events.c.position <= cursors.c.position,
    )
    found = select(events.c.position, events.c.message).where(*wanted)
    ordered = found.order_by(events.c.position).limit(most)
    return [(at, rows.message(body)) for at, body in connection.execute(ordered)]


def notifications_within(
    connection: Connection, sink: str, within: Within, after: Place | None, most: int
) -> list[tuple[Place, Message]]:
    """Give what *sink* was told, also in the stead of another."""
    wanted = [
        addressed.c.sink == sink,
        notifications.c.id == addressed.c.id,
        notifications.c.time >= within[0],
        notifications.c.time < within[1],
    ]
    place = tuple_(notifications.c.time, notifications.c.id)
    if after is not None:
        wanted.append(place > tuple_(*after))
    found = select(notifications).where(*wanted).order_by(*place.clauses).limit(most)
    return [
        ((row.time, row.id), rows.message(row.message))
        for row in connection.execute(found)
    ]
