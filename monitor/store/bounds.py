"""How much is behind at a sink, and giving up the oldest of it where it is too much."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from monitor.core.shards import ALL, SHARDS
from monitor.ports import Shed, Standing
from monitor.store import letters, outbox
from monitor.store.schema import (
    among,
    cursors,
    dead_letters,
    deliveries,
    events,
    gaps,
)

REASON: Final = "too much waited for the sink (max_backlog)"


def standing(
    connection: Connection, sink: str, shards: Collection[int] = ALL
) -> Standing:
    mine = (deliveries.c.sink == sink, *among(deliveries, shards))
    retried = func.count().filter(deliveries.c.tries > 0)
    waits = select(func.count(), retried, func.min(deliveries.c.since)).where(*mine)
    waiting, tried, oldest = connection.execute(waits).one()
    return Standing(
        waiting=waiting,
        retried=tried,
        oldest=oldest,
        unread=_unread(connection, sink, shards),
        dead=_dead(connection, sink, shards),
    )


def _unread(connection: Connection, sink: str, shards: Collection[int]) -> int:
    if len(shards) < SHARDS or not outbox.abreast(connection, sink):
        # Most positions are of others: those that are meant are to be counted.
        behind = outbox.behind(connection, sink, shards).subquery()
        found = connection.execute(select(func.count()).select_from(behind))
        return found.scalar() or 0
    read = outbox.cursor(connection, sink)
    last = connection.execute(select(func.max(events.c.position))).scalar()
    return 0 if read is None or last is None else max(0, last - read)


def _dead(connection: Connection, sink: str, shards: Collection[int]) -> int:
    mine = (dead_letters.c.sink == sink, *among(dead_letters, shards))
    found = connection.execute(select(func.count()).where(*mine))
    return found.scalar() or 0


def shed(
    connection: Connection, sink: str, most: int, now: float, shards: Collection[int]
) -> Shed:
    found = standing(connection, sink, shards)
    lines = _waiting(connection, sink, found.waiting - most, now, shards)
    dead = _letters(connection, sink, found.dead - most, now, shards)
    passed = _pass_over(connection, sink, found.unread - most, now, shards)
    waited = sum(map(len, lines.values()))
    return Shed(messages=waited + dead + passed, lines=lines)


def _waiting(
    connection: Connection,
    sink: str,
    surplus: int,
    now: float,
    shards: Collection[int],
) -> Mapping[str, Collection[str]]:
    if surplus <= 0:
        return {}
    oldest = (
        select(deliveries.c.number, deliveries.c.id, deliveries.c.line)
        .where(deliveries.c.sink == sink, *among(deliveries, shards))
        .order_by(deliveries.c.number)
        .limit(min(surplus, outbox.MANY))
    )
    found = connection.execute(oldest).all()
    numbers = [row.number for row in found]
    connection.execute(delete(deliveries).where(deliveries.c.number.in_(numbers)))
    letters.record(connection, [(sink, row.id) for row in found], REASON, now)
    lines: dict[str, set[str]] = {}
    for row in found:
        lines.setdefault(row.line, set()).add(row.id)
    return lines


def _letters(
    connection: Connection,
    sink: str,
    surplus: int,
    now: float,
    shards: Collection[int],
) -> int:
    if surplus <= 0:
        return 0
    oldest = (
        select(dead_letters.c.id)
        .where(dead_letters.c.sink == sink, *among(dead_letters, shards))
        .order_by(dead_letters.c.died_at, dead_letters.c.id)
        .limit(min(surplus, outbox.MANY))
    )
    ids: list[str] = list(connection.execute(oldest).scalars())
    same = (dead_letters.c.sink == sink, dead_letters.c.id.in_(ids))
    connection.execute(delete(dead_letters).where(*same))
    letters.record(connection, [(sink, id_) for id_ in ids], REASON, now)
    return len(ids)


def _pass_over(
    connection: Connection,
    sink: str,
    surplus: int,
    now: float,
    shards: Collection[int],
) -> int:
    """Read on without delivering; the events stay in the log."""
    if surplus <= 0:
        return 0
    unread = outbox.behind(connection, sink, shards)
    upto = connection.execute(unread.offset(surplus - 1).limit(1)).scalar()
    if upto is None:
        return 0
    row = {"sink": sink, "upto": upto, "at": now}
    behind = _behind(connection, sink, upto, shards)
    missed = [{**row, "shard": shard, "after": position} for shard, position in behind]
    outbox.read(connection, sink, upto, (), shards)
    connection.execute(insert(gaps), missed)
    return surplus


def _behind(
    connection: Connection, sink: str, upto: int, shards: Collection[int]
) -> list[tuple[int, int]]:
    """List how far *sink* has read of those shards where it has not come to *upto*."""
    mine = (cursors.c.sink == sink, cursors.c.position < upto, *among(cursors, shards))
    found = connection.execute(select(cursors.c.shard, cursors.c.position).where(*mine))
    return [(shard, position) for shard, position in found]


def gap(connection: Connection, sink: str, position: int) -> float | None:
    """Tell when the event at *position* was passed over."""
    around = (gaps.c.sink == sink, gaps.c.after < position, gaps.c.upto >= position)
    its = (events.c.position == position, events.c.shard == gaps.c.shard)
    return connection.execute(select(gaps.c.at).where(*around, *its)).scalar()
