"""What was learnt of durations: one table for each class of a source."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select

from monitor.core.hazard import Table
from monitor.core.shards import shard
from monitor.store import rows
from monitor.store.rows import Row
from monitor.store.schema import hazards


def learnt(connection: Connection, source: str) -> dict[str, Table]:
    columns = select(hazards.c.key, hazards.c.body).where(hazards.c.source == source)
    return {key: rows.hazards(body) for key, body in connection.execute(columns)}


def written(source: str, tables: Mapping[str, Table]) -> list[Row]:
    return [
        {
            "key": key,
            "shard": shard(key),
            "source": source,
            "body": rows.encode(table),
        }
        for key, table in tables.items()
    ]


def keep(connection: Connection, learnt: Sequence[Row]) -> None:
    keys = [row["key"] for row in learnt]
    connection.execute(delete(hazards).where(hazards.c.key.in_(keys)))
    connection.execute(insert(hazards), learnt)
