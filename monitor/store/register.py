"""The watches that discovery found."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from monitor.core import model
from monitor.core.model import InstanceKey
from monitor.core.shards import shard
from monitor.core.state import Phase
from monitor.core.watch import Watch
from monitor.store import rows
from monitor.store.rows import Row
from monitor.store.schema import states, watches


def found(connection: Connection, source: str) -> list[Watch]:
    bodies = select(watches.c.body).where(watches.c.source == source)
    return [rows.watch(body) for body in connection.execute(bodies).scalars()]


def over(connection: Connection, source: str) -> list[InstanceKey]:
    ended = (watches.c.source == source, states.c.phase != Phase.WATCHED.value)
    joined = watches.join(states, states.c.key == watches.c.key)
    found = connection.execute(select(watches.c.key).select_from(joined).where(*ended))
    keys = (model.read_key(key) for key in found.scalars())
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
