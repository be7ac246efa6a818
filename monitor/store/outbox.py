"""The log of events that sinks read by cursor, and what waits for them."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from monitor.core.message import Message
from monitor.ports import Delivery
from monitor.store import rows, schema
from monitor.store.rows import Row
from monitor.store.schema import cursors, deliveries, events, shard

MANY: Final = 1000
"""Rows that one transaction gives up or passes on."""

_RECORD = insert(events)
_UNREAD = (
    select(events.c.position, events.c.message)
    .where(events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(bindparam("most"))
)
_CURSOR = select(func.min(cursors.c.position)).where(cursors.c.sink == bindparam("s"))
_ADVANCE = (
    update(cursors)
    .where(cursors.c.sink == bindparam("s"), cursors.c.position < bindparam("upto"))
    .values(position=bindparam("upto"))
)
_HEAD_OF_LINE = (
    select(func.min(deliveries.c.number))
    .where(deliveries.c.sink == bindparam("s"))
    .group_by(deliveries.c.line)
)
_DUE = (
    select(deliveries)
    .where(deliveries.c.number.in_(_HEAD_OF_LINE))
    .order_by(deliveries.c.due, deliveries.c.number)
    .limit(bindparam("most"))
)


def event_row(message: Message) -> Row:
    return {
        "shard": shard(message.key),
        "key": message.key,
        "sequence": message.sequence,
        "type": message.type,
        "time": message.time.timestamp(),
        "message": rows.encode(message),
    }


def append(connection: Connection, recorded: Sequence[Row]) -> None:
    connection.execute(_RECORD, recorded)


def cursor(connection: Connection, sink: str) -> int | None:
    """Tell how far *sink* has read; None: it reads no events."""
    return connection.execute(_CURSOR, {"s": sink}).scalar()


def enrol(connection: Connection, sink: str, position: int) -> None:
    """Let *sink* read on from *position*, unless it reads already."""
    if cursor(connection, sink) is None:
        row = {"sink": sink, "position": position}
        shards = [{**row, "shard": number} for number in range(schema.SHARDS)]
        connection.execute(insert(cursors), shards)


def unread(connection: Connection, sink: str, most: int) -> list[tuple[int, Message]]:
    after = cursor(connection, sink)
    found = connection.execute(_UNREAD, {"after": after, "most": most})
    return [(position, rows.message(body)) for position, body in found]


def read(
    connection: Connection, sink: str, position: int, failed: Sequence[Delivery]
) -> None:
    """Advance the cursor, never back; what *failed* waits from now on."""
    connection.execute(_ADVANCE, {"s": sink, "upto": position})
    put(connection, failed)


def put(connection: Connection, new: Sequence[Delivery]) -> list[Delivery]:
    """Let *new* wait; give those that did not wait already.

    A letter that was sent again waits while the event it came from may yet be read
    anew, after a crash.
    """
    added = [each for each in new if not _waits(connection, each)]
    if added:
        connection.execute(insert(deliveries), [waiting_row(d) for d in added])
    return added


def _waits(connection: Connection, delivery: Delivery) -> bool:
    same = (
        deliveries.c.sink == delivery.sink,
        deliveries.c.id == delivery.message.id,
    )
    number = select(deliveries.c.number).where(*same)
    return connection.execute(number).first() is not None


def waiting_row(delivery: Delivery) -> Row:
    return {
        "sink": delivery.sink,
        "id": delivery.message.id,
        "shard": shard(delivery.message.key),
        "line": delivery.message.line,
        "due": delivery.due,
        "tries": delivery.tries,
        "since": delivery.since,
        "error": delivery.error,
        "message": rows.encode(delivery.message),
    }


def lines(connection: Connection, sink: str, most: int) -> list[Delivery]:
    found = connection.execute(_DUE, {"s": sink, "most": most})
    return [delivery(row) for row in found]


def delivery(row: Any) -> Delivery:
    return Delivery(
        number=row.number,
        sink=row.sink,
        message=rows.message(row.message),
        due=row.due,
        tries=row.tries,
        since=row.since,
        error=row.error,
    )


def waiting(connection: Connection, sink: str) -> dict[str, int]:
    counts = select(deliveries.c.line, func.count()).group_by(deliveries.c.line)
    found = connection.execute(counts.where(deliveries.c.sink == sink))
    return {line: count for line, count in found}  # noqa: C416


def remove(connection: Connection, done: Sequence[Delivery]) -> None:
    numbers = [delivery.number for delivery in done]
    connection.execute(delete(deliveries).where(deliveries.c.number.in_(numbers)))


def postpone(connection: Connection, delivery: Delivery) -> None:
    row = waiting_row(delivery)
    later = {name: row[name] for name in ("due", "tries", "since", "error")}
    mine = deliveries.c.number == delivery.number
    connection.execute(update(deliveries).where(mine).values(later))


def hasten(connection: Connection, sink: str, now: float) -> None:
    late = (deliveries.c.sink == sink, deliveries.c.due > now)
    connection.execute(update(deliveries).where(*late).values(due=now))
