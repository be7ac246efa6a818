"""What was learnt of durations: one table for each class of a source.

Every daemon adds what it saw end itself, so that nothing is counted twice. None
forgets for the others: of each source those are kept that were added to last.
"""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, Select, bindparam, delete, func, select, update

from monitor.core import hazard
from monitor.core.hazard import Table
from monitor.core.shards import shard
from monitor.store import journal, rows
from monitor.store.columns import new
from monitor.store.schema import hazards

MOST: Final = 10_000
"""Classes of one source that are kept, whichever daemons use them."""

_WRITE: Final = (
    update(hazards)
    .where(hazards.c.key == bindparam("of"))
    .values(body=bindparam("table"), position=bindparam("end"))
)


def newest(connection: Connection, source: str, most: int) -> list[str]:
    """Name the classes of *source* that were added to last, the latest first."""
    return [*connection.execute(_newest(source).limit(most)).scalars()]


def learnt(connection: Connection, keys: Collection[str]) -> dict[str, Table]:
    known = select(hazards.c.key, hazards.c.body).where(hazards.c.key.in_(keys))
    return {key: rows.hazards(body) for key, body in connection.execute(known)}


def keep(
    connection: Connection,
    source: str,
    learnt: Mapping[str, Table],
    known: Mapping[str, Table],
) -> dict[str, Table]:
    """Add what was *learnt*; where nothing is there to add it to, keep what is *known*.

    Gives what is there by now.
    """
    _make(connection, source, learnt)
    there, end = _locked(connection, learnt), journal.end(connection)
    found = {
        key: hazard.merged(there[key], table) if key in there else known[key]
        for key, table in learnt.items()
    }
    written = [
        {"of": key, "table": rows.encode(table), "end": end}
        for key, table in found.items()
    ]
    connection.execute(_WRITE, written)
    return found


def forget(connection: Connection, most: int) -> int:
    """Delete *most* of those that are too many; tell how many went."""
    crowded = select(hazards.c.source).group_by(hazards.c.source)
    sources = connection.execute(crowded.having(func.count() > MOST)).scalars().all()
    return sum(_forget(connection, source, most) for source in sources)


def _forget(connection: Connection, source: str, most: int) -> int:
    oldest = _newest(source).offset(MOST).limit(most)
    gone = delete(hazards).where(hazards.c.key.in_(oldest))
    return connection.execute(gone).rowcount


def _newest(source: str) -> Select[tuple[str]]:
    keys = select(hazards.c.key).where(hazards.c.source == source)
    return keys.order_by(hazards.c.position.desc(), hazards.c.key.desc())


def _make(connection: Connection, source: str, keys: Collection[str]) -> None:
    blank = {"source": source, "body": rows.encode(Table()), "position": 0}
    made = [{**blank, "key": key, "shard": shard(key)} for key in sorted(keys)]
    connection.execute(new(connection, hazards), made)


def _locked(connection: Connection, keys: Collection[str]) -> dict[str, Table]:
    """Read those that are not blank, in the order in which everybody does: no ring."""
    known = select(hazards.c.key, hazards.c.body).where(hazards.c.key.in_(keys))
    ordered = known.order_by(hazards.c.key).with_for_update()
    found = ((key, rows.hazards(body)) for key, body in connection.execute(ordered))
    return {key: table for key, table in found if table.deaths}
