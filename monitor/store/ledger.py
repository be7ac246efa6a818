"""What each sink was told about each group, against what holds."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from monitor.ports import Account, Telling
from monitor.store import memory, outbox, rows
from monitor.store.schema import deliveries, groups, shard, states, told


def alerting(connection: Connection) -> list[str]:
    holding = select(states.c.key).where(states.c.alerting > 0)
    said = select(told.c.group)
    return list(connection.execute(holding.union(said)).scalars())


def account(connection: Connection, key: str) -> Account:
    said = connection.execute(
        select(told.c.sink, told.c.body).where(told.c.group == key)
    )
    count = select(groups.c.notifications).where(groups.c.key == key)
    return Account(
        state=memory.load(connection, key),
        told={sink: rows.told(body) for sink, body in said},
        notifications=connection.execute(count).scalar() or 0,
    )


def tell(
    connection: Connection, key: str, number: int, tellings: Sequence[Telling]
) -> None:
    for telling in tellings:
        same = (told.c.sink == telling.sink, told.c.group == key)
        connection.execute(delete(told).where(*same))
        if telling.told is not None:
            row = {"sink": telling.sink, "group": key, "shard": shard(key)}
            connection.execute(
                insert(told), [row | {"body": rows.encode(telling.told)}]
            )
    new = [outbox.waiting_row(t.delivery) for t in tellings if t.delivery is not None]
    if new:
        connection.execute(insert(deliveries), new)
        connection.execute(delete(groups).where(groups.c.key == key))
        row = {"key": key, "shard": shard(key), "notifications": number}
        connection.execute(insert(groups), [row])
