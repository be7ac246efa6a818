"""Telling somebody else what a sink was not there to be told.

Once a fallback was told of an incident, it is told whatever the sink is told of it,
until that is over: who heard of a failure hears of its end.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import structs
from sqlalchemy import Connection, bindparam, delete, exists, insert, select

from monitor.core.message import Message
from monitor.core.shards import shard
from monitor.ports import Delivery, Telling
from monitor.store import outbox, rows
from monitor.store.schema import addressed, among, deliveries, notifications, stand_ins

_STAND_IN = select(stand_ins.c.fallback).where(
    stand_ins.c.sink == bindparam("s"), stand_ins.c.line == bindparam("l")
)


def address(connection: Connection, tellings: Sequence[Telling]) -> None:
    """Keep what is told, and to whom, so that it can be told again."""
    sent = [telling.delivery for telling in tellings if telling.delivery]
    messages = {each.message.id: each.message for each in sent}
    if not messages:
        return
    connection.execute(insert(notifications), [*map(_row, messages.values())])
    for delivery in sent:
        add(connection, delivery.message, delivery.sink, "", delivery.since)
    for telling in tellings:
        if telling.delivery is not None:
            _follow(connection, telling, telling.delivery)


def _row(message: Message) -> Mapping[str, object]:
    return {
        "id": message.id,
        "shard": shard(message.key),
        "time": message.time.timestamp(),
        "message": rows.encode(message),
    }


def _follow(connection: Connection, telling: Telling, delivery: Delivery) -> None:
    mine = {"s": telling.sink, "l": delivery.message.line}
    fallback = connection.execute(_STAND_IN, mine).scalar()
    if fallback is None:
        return
    _copy(connection, delivery, fallback, delivery.since)
    if telling.told is None or not telling.told.alerts:
        _forget_stand_in(connection, telling.sink, delivery.message.line)


def _forget_stand_in(connection: Connection, sink: str, line: str) -> None:
    mine = (stand_ins.c.sink == sink, stand_ins.c.line == line)
    connection.execute(delete(stand_ins).where(*mine))


def pass_on(
    connection: Connection,
    sink: str,
    fallback: str,
    shards: Collection[int],
    *,
    before: float,
    now: float,
) -> int:
    waits = [*_waiting(connection, sink, fallback, before, shards)]
    for delivery in waits:
        hand_over(connection, delivery, fallback, now)
    return len(waits)


def hand_over(
    connection: Connection, delivery: Delivery, fallback: str, now: float
) -> None:
    """Let *fallback* be told of this, and of what follows about the same."""
    _copy(connection, delivery, fallback, now)
    line = delivery.message.line
    _forget_stand_in(connection, delivery.sink, line)
    row = {"sink": delivery.sink, "line": line, "shard": shard(delivery.message.key)}
    connection.execute(insert(stand_ins), [{**row, "fallback": fallback}])


def _waiting(
    connection: Connection,
    sink: str,
    fallback: str,
    before: float,
    shards: Collection[int],
) -> Iterator[Delivery]:
    known = exists().where(
        addressed.c.id == deliveries.c.id, addressed.c.sink == fallback
    )
    found = (
        select(deliveries)
        .where(
            deliveries.c.sink == sink,
            deliveries.c.line.like("%!"),
            deliveries.c.since <= before,
            ~known,
            *among(deliveries, shards),
        )
        .order_by(deliveries.c.number)
        .limit(outbox.MANY)
    )
    return (outbox.delivery(row) for row in connection.execute(found).all())


def _copy(
    connection: Connection, delivery: Delivery, fallback: str, now: float
) -> None:
    """Put a copy on its way, unless *fallback* was told itself."""
    if was_addressed(connection, delivery.message.id, fallback):
        return
    add(connection, delivery.message, fallback, delivery.sink, now)
    copy = structs.replace(
        delivery, sink=fallback, due=now, since=now, tries=0, error="", number=None
    )
    connection.execute(insert(deliveries), [outbox.waiting_row(copy)])


def was_addressed(connection: Connection, id_: str, sink: str) -> bool:
    same = (addressed.c.id == id_, addressed.c.sink == sink)
    return connection.execute(select(addressed.c.id).where(*same)).first() is not None


def add(
    connection: Connection, message: Message, sink: str, via: str, now: float
) -> None:
    row = {"id": message.id, "sink": sink, "shard": shard(message.key)}
    connection.execute(insert(addressed), [{**row, "via": via, "at": now}])


def settle(connection: Connection, fallbacks: Mapping[str, str]) -> None:
    """Forget who stands in for whom, where that is configured no more."""
    known = select(stand_ins.c.sink, stand_ins.c.fallback).distinct()
    for sink, fallback in connection.execute(known).all():
        if fallbacks.get(sink) != fallback:
            gone = (stand_ins.c.sink == sink, stand_ins.c.fallback == fallback)
            connection.execute(delete(stand_ins).where(*gone))
