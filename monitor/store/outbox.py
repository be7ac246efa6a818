"""The log of events that sinks read by cursor, and what waits for them."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from monitor.core.message import Message
from monitor.core.shards import ALL, SHARDS, shard
from monitor.ports import Delivery, Unread
from monitor.store import journal, rows
from monitor.store.columns import new
from monitor.store.rows import Row
from monitor.store.schema import among, cursors, deliveries, events

MANY: Final = 1000
"""Rows that one transaction gives up or passes on."""

IDLE: Final = 1000
"""Events of others that are passed before a cursor moves for their sake alone."""

# The shards of one sink may have come differently far: each had its own reader.
_BEHIND = (
    select(events.c.position)
    .join(
        cursors,
        and_(cursors.c.sink == bindparam("s"), cursors.c.shard == events.c.shard),
    )
    .where(
        events.c.position > bindparam("after"), events.c.position > cursors.c.position
    )
    .order_by(events.c.position)
)
_CURSOR = select(func.min(cursors.c.position)).where(cursors.c.sink == bindparam("s"))
_ADVANCE = (
    update(cursors)
    .where(cursors.c.sink == bindparam("s"), cursors.c.position < bindparam("upto"))
    .values(position=bindparam("upto"))
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


def cursor(
    connection: Connection, sink: str, shards: Collection[int] = ALL
) -> int | None:
    """Tell how far *sink* has read of *shards*; None: it reads no events."""
    mine = _CURSOR.where(*among(cursors, shards))
    return connection.execute(mine, {"s": sink}).scalar()


def abreast(connection: Connection, sink: str) -> bool:
    """Tell whether *sink* has read of all shards as far: they have one reader, or none."""
    first, last = func.min(cursors.c.position), func.max(cursors.c.position)
    mine = select(first, last).where(cursors.c.sink == sink)
    begin, end = connection.execute(mine).one()
    return bool(begin == end)


def enrol(connection: Connection, sink: str) -> None:
    """Let *sink* read what is recorded from now on, unless it reads already."""
    if cursor(connection, sink) is None:
        row = {"sink": sink, "position": journal.end(connection)}
        shards = [{**row, "shard": number} for number in range(SHARDS)]
        connection.execute(new(connection, cursors), shards)


def behind(connection: Connection, sink: str, shards: Collection[int]) -> Select[int]:
    """Select the positions of the events that *sink* has not read, the oldest first."""
    after = cursor(connection, sink, shards)
    return _BEHIND.where(*among(events, shards)).params(s=sink, after=after)


def unread(
    connection: Connection, sink: str, most: int, shards: Collection[int]
) -> Unread:
    # First: whatever is committed later has a position behind this one.
    end, after = journal.end(connection), cursor(connection, sink, shards)
    wanted = behind(connection, sink, shards).add_columns(events.c.message).limit(most)
    found = [(at, rows.message(body)) for at, body in connection.execute(wanted)]
    if len(found) == most:
        return Unread(found, found[-1][0])
    idle = not found and (after is None or end - after < IDLE)
    return Unread(found, None if idle else max(end, *(at for at, _ in found[-1:]), 0))


def read(
    connection: Connection,
    sink: str,
    position: int,
    failed: Sequence[Delivery],
    shards: Collection[int],
) -> None:
    """Advance the cursors, never back; what *failed* waits from now on."""
    mine = _ADVANCE.where(*among(cursors, shards))
    connection.execute(mine, {"s": sink, "upto": position})
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


def lines(
    connection: Connection, sink: str, most: int, shards: Collection[int]
) -> list[Delivery]:
    mine = (deliveries.c.sink == sink, *among(deliveries, shards))
    heads = select(func.min(deliveries.c.number)).where(*mine)
    due = (
        select(deliveries)
        .where(deliveries.c.number.in_(heads.group_by(deliveries.c.line)))
        .order_by(deliveries.c.due, deliveries.c.number)
        .limit(most)
    )
    return [delivery(row) for row in connection.execute(due)]


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


def waiting(
    connection: Connection, sink: str, shards: Collection[int]
) -> dict[str, set[str]]:
    mine = (deliveries.c.sink == sink, *among(deliveries, shards))
    lines: dict[str, set[str]] = {}
    for line, id_ in connection.execute(
        select(deliveries.c.line, deliveries.c.id).where(*mine)
    ):
        lines.setdefault(line, set()).add(id_)
    return lines


def remove(connection: Connection, done: Sequence[Delivery]) -> None:
    numbers = [delivery.number for delivery in done]
    connection.execute(delete(deliveries).where(deliveries.c.number.in_(numbers)))


def postpone(connection: Connection, delivery: Delivery) -> None:
    row = waiting_row(delivery)
    later = {name: row[name] for name in ("due", "tries", "since", "error")}
    mine = deliveries.c.number == delivery.number
    connection.execute(update(deliveries).where(mine).values(later))


def hasten(
    connection: Connection, sink: str, now: float, shards: Collection[int]
) -> None:
    mine = (deliveries.c.sink == sink, *among(deliveries, shards))
    late = (*mine, deliveries.c.due > now)
    connection.execute(update(deliveries).where(*late).values(due=now))
