"""The watches that discovery found."""

from collections.abc import Sequence

from sqlalchemy import Connection, Select, delete, func, insert, select

from monitor.core import model
from monitor.core.model import InstanceKey
from monitor.core.shards import shard
from monitor.core.state import Phase
from monitor.core.watch import Watch
from monitor.ports import Found
from monitor.store import rows
from monitor.store.rows import Row
from monitor.store.schema import states, watches


def found(connection: Connection, source: str, after: int) -> Found:
    newer = (
        select(watches.c.number, watches.c.body)
        .where(watches.c.source == source, watches.c.number > after)
        .order_by(watches.c.number)
    )
    read = connection.execute(newer).all()
    count = select(func.count()).where(watches.c.source == source)
    return Found(
        watches=[rows.watch(row.body) for row in read],
        upto=read[-1].number if read else after,
        in_all=connection.execute(count).scalar_one(),
    )


def keys(connection: Connection, source: str) -> list[InstanceKey]:
    return _keys(connection, select(watches.c.key).where(watches.c.source == source))


def over(connection: Connection, source: str) -> list[InstanceKey]:
    ended = (watches.c.source == source, states.c.phase != Phase.WATCHED.value)
    joined = watches.join(states, states.c.key == watches.c.key)
    return _keys(connection, select(watches.c.key).select_from(joined).where(*ended))


def _keys(connection: Connection, asked: Select[str]) -> list[InstanceKey]:
    keys = (model.read_key(key) for key in connection.execute(asked).scalars())
    return [key for key in keys if key is not None]


def row(watch: Watch) -> Row:
    key = str(watch.key)
    return {
        "key": key,
        "shard": shard(key),
        "source": watch.key.source,
        "body": rows.encode(watch),
    }


def add(connection: Connection, added: Sequence[Row]) -> None:
    if added:
        _remove(connection, [row["key"] for row in added])
        connection.execute(insert(watches), added)


def drop(connection: Connection, keys: Sequence[InstanceKey]) -> None:
    _remove(connection, [str(key) for key in keys])


def _remove(connection: Connection, keys: Sequence[str]) -> None:
    connection.execute(delete(watches).where(watches.c.key.in_(keys)))
