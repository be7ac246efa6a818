"""What people said at run time about who is watched: added watches, and pauses."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete, insert, select

from monitor.core.model import InstanceKey
from monitor.core.shards import shard
from monitor.core.watch import Pause, Watch
from monitor.store import rows
from monitor.store.rows import Row
from monitor.store.schema import added, pauses


def watches(connection: Connection) -> list[Watch]:
    bodies = connection.execute(select(added.c.body)).scalars()
    return [rows.watch(body) for body in bodies]


def paused(connection: Connection) -> list[Pause]:
    bodies = connection.execute(select(pauses.c.body)).scalars()
    return [rows.pause(body) for body in bodies]


def row(wish: Watch | Pause) -> Row:
    key = str(wish.key)
    return {"key": key, "shard": shard(key), "body": rows.encode(wish)}


def keep_watch(connection: Connection, kept: Row) -> None:
    _keep(connection, added, kept)


def keep_pause(connection: Connection, kept: Row) -> None:
    _keep(connection, pauses, kept)


def drop_watches(connection: Connection, keys: Sequence[InstanceKey]) -> None:
    _drop(connection, added, [str(key) for key in keys])


def drop_pauses(connection: Connection, keys: Sequence[InstanceKey]) -> None:
    _drop(connection, pauses, [str(key) for key in keys])


def _keep(connection: Connection, table: Table, kept: Row) -> None:
    _drop(connection, table, [kept["key"]])
    connection.execute(insert(table), [kept])


def _drop(connection: Connection, table: Table, keys: Sequence[str]) -> None:
    connection.execute(delete(table).where(table.c.key.in_(keys)))
