"""How much is behind at a sink, and giving up the oldest of it where it is too much."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from monitor.ports import Shed, Standing
from monitor.store import letters, outbox
from monitor.store.schema import dead_letters, deliveries, events, gaps, shard

REASON: Final = "too much waited for the sink (max_backlog)"


def standing(connection: Connection, sink: str) -> Standing:
    mine = deliveries.c.sink == sink
    retried = func.count().filter(deliveries.c.tries > 0)
    waits = select(func.count(), retried, func.min(deliveries.c.since)).where(mine)
    waiting, tried, oldest = connection.execute(waits).one()
    return Standing(
        waiting=waiting,
        retried=tried,
        oldest=oldest,
        unread=_unread(connection, sink),
        dead=_dead(connection, sink),
    )


def _unread(connection: Connection, sink: str) -> int:
    read = outbox.cursor(connection, sink)
    last = connection.execute(select(func.max(events.c.position))).scalar()
    return 0 if read is None or last is None else max(0, last - read)


def _dead(connection: Connection, sink: str) -> int:
    mine = select(func.count()).where(dead_letters.c.sink == sink)
    return connection.execute(mine).scalar() or 0


def shed(connection: Connection, sink: str, most: int, now: float) -> Shed:
    found = standing(connection, sink)
    lines = _waiting(connection, sink, found.waiting - most, now)
    dead = _letters(connection, sink, found.dead - most, now)
    passed = _pass_over(connection, sink, found.unread - most, now)
    return Shed(messages=len(lines) + dead + passed, lines=lines)


def _waiting(
    connection: Connection, sink: str, surplus: int, now: float
) -> Sequence[str]:
    if surplus <= 0:
        return ()
    oldest = (
        select(deliveries.c.number, deliveries.c.id, deliveries.c.line)
        .where(deliveries.c.sink == sink)
        .order_by(deliveries.c.number)
        .limit(min(surplus, outbox.MANY))
    )
    found = connection.execute(oldest).all()
    numbers = [row.number for row in found]
    connection.execute(delete(deliveries).where(deliveries.c.number.in_(numbers)))
    letters.record(connection, [(sink, row.id) for row in found], REASON, now)
    return [row.line for row in found]


def _letters(connection: Connection, sink: str, surplus: int, now: float) -> int:
    if surplus <= 0:
        return 0
    oldest = (
        select(dead_letters.c.id)
        .where(dead_letters.c.sink == sink)
        .order_by(dead_letters.c.died_at, dead_letters.c.id)
        .limit(min(surplus, outbox.MANY))
    )
    ids: list[str] = list(connection.execute(oldest).scalars())
    same = (dead_letters.c.sink == sink, dead_letters.c.id.in_(ids))
    connection.execute(delete(dead_letters).where(*same))
    letters.record(connection, [(sink, id_) for id_ in ids], REASON, now)
    return len(ids)


def _pass_over(connection: Connection, sink: str, surplus: int, now: float) -> int:
    """Read on without delivering; the events stay in the log."""
    after = outbox.cursor(connection, sink)
    if surplus <= 0 or after is None:
        return 0
    upto = after + surplus
    outbox.read(connection, sink, upto, ())
    row = {"sink": sink, "shard": shard(sink), "after": after, "upto": upto}
    connection.execute(insert(gaps), [{**row, "at": now}])
    return surplus


def gap(connection: Connection, sink: str, position: int) -> float | None:
    """Tell when the event at *position* was passed over."""
    around = (gaps.c.sink == sink, gaps.c.after < position, gaps.c.upto >= position)
    return connection.execute(select(gaps.c.at).where(*around)).scalar()
