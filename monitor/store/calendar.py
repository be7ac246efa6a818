"""What people said at run time about when to be quiet."""

from sqlalchemy import Connection, delete, insert, select, tuple_

from monitor.core.quiet import Entry, kind
from monitor.core.shards import shard
from monitor.store import rows
from monitor.store.rows import Row
from monitor.store.schema import quiet


def said(connection: Connection) -> list[Entry]:
    bodies = connection.execute(select(quiet.c.body)).scalars()
    return [rows.quiet(body) for body in bodies]


def say(connection: Connection, entry: Entry) -> None:
    unsay(connection, entry)
    connection.execute(insert(quiet), [_row(entry)])


def unsay(connection: Connection, entry: Entry) -> None:
    same = (quiet.c.kind == kind(entry), quiet.c.id == entry.id)
    connection.execute(delete(quiet).where(*same))


def forget(connection: Connection, before: float, most: int) -> int:
    over = select(quiet.c.kind, quiet.c.id).where(quiet.c.ends_at < before).limit(most)
    gone = delete(quiet).where(tuple_(quiet.c.kind, quiet.c.id).in_(over))
    return connection.execute(gone).rowcount


def _row(entry: Entry) -> Row:
    return {
        "kind": kind(entry),
        "id": entry.id,
        "shard": shard(entry.id),
        "ends_at": rows.seconds(entry.ends_at),
        "body": rows.encode(entry),
    }
