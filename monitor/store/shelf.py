"""What was learnt of durations: one table for each class of a source.

Every daemon adds what it saw end itself, so that nothing is counted twice.
"""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update

from monitor.core import hazard
from monitor.core.hazard import Table
from monitor.core.shards import shard
from monitor.store import rows
from monitor.store.columns import new
from monitor.store.schema import hazards

_WRITE: Final = (
    update(hazards)
    .where(hazards.c.key == bindparam("of"))
    .values(body=bindparam("table"))
)


def learnt(connection: Connection, source: str) -> dict[str, Table]:
    columns = select(hazards.c.key, hazards.c.body).where(hazards.c.source == source)
    return {key: rows.hazards(body) for key, body in connection.execute(columns)}


def keep(
    connection: Connection,
    source: str,
    learnt: Mapping[str, Table],
    dropped: Collection[str],
) -> dict[str, Table]:
    """Add what was *learnt*, forget what was *dropped*; give what is known by now."""
    _make(connection, source, learnt)
    known = _locked(connection, {*learnt, *dropped})
    connection.execute(delete(hazards).where(hazards.c.key.in_(dropped)))
    found = {
        key: hazard.merged(known.get(key, Table()), table)
        for key, table in learnt.items()
    }
    if found:
        written = [{"of": k, "table": rows.encode(table)} for k, table in found.items()]
        connection.execute(_WRITE, written)
    return found


def _make(connection: Connection, source: str, keys: Collection[str]) -> None:
    blank = {"source": source, "body": rows.encode(Table())}
    made = [{**blank, "key": key, "shard": shard(key)} for key in sorted(keys)]
    if made:
        connection.execute(new(connection, hazards), made)


def _locked(connection: Connection, keys: Collection[str]) -> dict[str, Table]:
    """Read them, in the order in which everybody does, so that none waits in a ring."""
    known = select(hazards.c.key, hazards.c.body).where(hazards.c.key.in_(keys))
    ordered = known.order_by(hazards.c.key).with_for_update()
    return {key: rows.hazards(body) for key, body in connection.execute(ordered)}
