"""Dead letters: what a sink never took, until somebody lets it be tried again."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, delete, insert, select, tuple_

from monitor.core.message import Kind
from monitor.core.shards import shard
from monitor.ports import Delivery, Letter
from monitor.store import outbox, passing, rows
from monitor.store.schema import dead_letters, dropped

Place = tuple[float, str, str]
"""When it died, of which sink, and its id: the order in which letters are listed."""

_PLACE = tuple_(dead_letters.c.died_at, dead_letters.c.sink, dead_letters.c.id)


def bury(
    connection: Connection, delivery: Delivery, died_at: float, fallback: str
) -> None:
    if fallback and delivery.message.kind is Kind.ALERTS:
        passing.hand_over(connection, delivery, fallback, died_at)
    row = outbox.waiting_row(delivery)
    row |= {"key": delivery.message.key, "died_at": died_at}
    letter = {column.name: row[column.name] for column in dead_letters.columns}
    same = (dead_letters.c.sink == delivery.sink, dead_letters.c.id == row["id"])
    connection.execute(delete(dead_letters).where(*same))
    connection.execute(insert(dead_letters), [letter])
    if delivery.number is not None:
        outbox.remove(connection, [delivery])


def listed(
    connection: Connection,
    most: int,
    after: Place | None = None,
    *,
    sink: str | None = None,
    ids: Collection[str] = (),
) -> list[Letter]:
    """Give the oldest first; of *ids* alone, where there are any."""
    wanted = [*_of(sink, ids)]
    if after is not None:
        wanted.append(tuple_(*after) < _PLACE)
    found = select(dead_letters).where(*wanted).order_by(*_PLACE.clauses).limit(most)
    return [
        Letter(
            sink=row.sink,
            message=rows.message(row.message),
            died_at=row.died_at,
            tries=row.tries,
            error=row.error,
        )
        for row in connection.execute(found)
    ]


def _of(sink: str | None, ids: Collection[str]) -> list[ColumnElement[bool]]:
    mine = [] if sink is None else [dead_letters.c.sink == sink]
    return [*mine, dead_letters.c.id.in_(ids)] if ids else mine


def drop(
    connection: Connection, letters: Sequence[Letter], reason: str, now: float
) -> int:
    """Throw letters away; which they were stays on record."""
    found = [(letter.sink, letter.message.id) for letter in letters]
    gone = delete(dead_letters).where(
        tuple_(dead_letters.c.sink, dead_letters.c.id).in_(found)
    )
    count = connection.execute(gone).rowcount
    record(connection, found, reason, now)
    return count


def record(
    connection: Connection, gone: Sequence[tuple[str, str]], reason: str, now: float
) -> None:
    """Remember of each sink and id that it was given up."""
    if gone:
        _unrecord(connection, gone)
        connection.execute(
            insert(dropped),
            [
                {
                    "sink": sink,
                    "id": id_,
                    "shard": shard(id_),
                    "at": now,
                    "reason": reason,
                }
                for sink, id_ in gone
            ],
        )


def put(connection: Connection, again: Sequence[Delivery]) -> list[str]:
    """Put on its way what is on it no more: it is neither dead nor given up then."""
    added = outbox.put(connection, again)
    names = [(each.sink, each.message.id) for each in added]
    if added:
        dead = tuple_(dead_letters.c.sink, dead_letters.c.id).in_(names)
        connection.execute(delete(dead_letters).where(dead))
        _unrecord(connection, names)
    for each in added:
        if not passing.was_addressed(connection, each.message.id, each.sink):
            passing.add(connection, each.message, each.sink, "", each.since)
    return [id_ for _, id_ in names]


def _unrecord(connection: Connection, names: Sequence[tuple[str, str]]) -> None:
    same = tuple_(dropped.c.sink, dropped.c.id).in_(names)
    connection.execute(delete(dropped).where(same))
