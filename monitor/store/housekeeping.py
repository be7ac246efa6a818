"""Forgetting what is older than people want it kept, a slice at a time."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, func, select

from monitor.core.state import State
from monitor.store import calendar, memory, rows, shelf, tracing
from monitor.store.schema import (
    OVER,
    addressed,
    cursors,
    dead_letters,
    deliveries,
    dropped,
    events,
    gaps,
    notifications,
    states,
    told,
    verdicts,
)

SLICE: Final = 500
"""Rows of each table that one transaction deletes."""


def forget(connection: Connection, before: float, readers: Sequence[str]) -> int:
    return (
        _events(connection, before, readers)
        + _deliveries(connection, before, readers)
        + _letters(connection, before)
        + _verdicts(connection, before)
        + _sent(connection, before)
        + _given_up(connection, before)
        + _states(connection, before)
        + tracing.forget(connection)
        + calendar.forget(connection, before, SLICE)
        + shelf.forget(connection, SLICE)
    )


def _events(connection: Connection, before: float, readers: Sequence[str]) -> int:
    mine = cursors.c.sink.in_(readers)
    read = connection.execute(select(func.min(cursors.c.position)).where(mine)).scalar()
    unread = [] if read is None else [events.c.position <= read]
    old = (events.c.time < before, *unread)
    positions = select(events.c.position).where(*old).limit(SLICE)
    gone = delete(events).where(events.c.position.in_(positions))
    return connection.execute(gone).rowcount


def _deliveries(connection: Connection, before: float, readers: Sequence[str]) -> int:
    # What waits for a sink that is there ends delivered or among the dead letters.
    orphans = (deliveries.c.sink.not_in(readers), deliveries.c.since < before)
    numbers = select(deliveries.c.number).where(*orphans).limit(SLICE)
    gone = delete(deliveries).where(deliveries.c.number.in_(numbers))
    return connection.execute(gone).rowcount


def _letters(connection: Connection, before: float) -> int:
    old = select(dead_letters.c.id).where(dead_letters.c.died_at < before).limit(SLICE)
    gone = delete(dead_letters).where(
        dead_letters.c.id.in_(old), dead_letters.c.died_at < before
    )
    return connection.execute(gone).rowcount


def _verdicts(connection: Connection, before: float) -> int:
    numbers = select(verdicts.c.number).where(verdicts.c.time < before).limit(SLICE)
    gone = delete(verdicts).where(verdicts.c.number.in_(numbers))
    return connection.execute(gone).rowcount


def _sent(connection: Connection, before: float) -> int:
    ids = select(notifications.c.id).where(notifications.c.time < before).limit(SLICE)
    gone = delete(notifications).where(notifications.c.id.in_(ids))
    told = select(addressed.c.id).where(addressed.c.at < before).limit(SLICE)
    to = delete(addressed).where(addressed.c.id.in_(told), addressed.c.at < before)
    return connection.execute(gone).rowcount + connection.execute(to).rowcount


def _given_up(connection: Connection, before: float) -> int:
    ids = select(dropped.c.id).where(dropped.c.at < before).limit(SLICE)
    gone = delete(dropped).where(dropped.c.id.in_(ids), dropped.c.at < before)
    over = delete(gaps).where(gaps.c.at < before)
    return connection.execute(gone).rowcount + connection.execute(over).rowcount


def _states(connection: Connection, before: float) -> int:
    old = select(states.c.body).where(OVER, states.c.changed_at < before)
    bodies = connection.execute(old.limit(SLICE))
    found = [rows.state(body) for body in bodies.scalars()]
    return sum(_emptied(connection, state) for state in found)


def _emptied(connection: Connection, state: State) -> bool:
    """Keep a husk of *state*, unless its owner goes on with it: then all is kept."""
    if not memory.save(connection, memory.state_row(_husk(state))):
        return False
    connection.execute(delete(told).where(told.c.group == state.key))
    return True


def _husk(state: State) -> State:
    return State(
        key=state.key,
        version=state.version + 1,
        sequence=state.sequence,
        phase=state.phase,
    )
