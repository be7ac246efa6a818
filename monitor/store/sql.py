"""The statements, one method for each thing that the loops need.

Written in the subset of SQL that SQLite and PostgreSQL share. Times in columns
are seconds since 1970, UTC.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from monitor import errors
from monitor.core.message import Message
from monitor.core.state import Change, Phase, State
from monitor.core.telling import Told
from monitor.ports import Delivery, Head, Standing, Telling
from monitor.store import schema
from monitor.store.group import Group
from monitor.store.schema import (
    cursors,
    dead_letters,
    deliveries,
    events,
    groups,
    shard,
    states,
    told,
)

SLICE: Final = 500
"""Rows that one transaction of ``forget`` deletes."""

T = TypeVar("T")


@contextmanager
def _intact() -> Iterator[None]:
    """Read what was stored; what cannot be read was damaged since."""
    try:
        yield
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError) as error:
        raise errors.StoreError("a damaged row; restore a backup") from error


def _decoder(type_: type[T]) -> Callable[[bytes], T]:
    decode = msgspec.msgpack.Decoder(type_).decode

    def read(body: bytes) -> T:
        with _intact():
            return decode(body)

    return read


_encode = msgspec.msgpack.Encoder().encode
_state = _decoder(State)
_message = _decoder(Message)
_told = _decoder(Told)

_Row = dict[str, Any]
"""A row: column → value."""

_CHANGING = ("version", "phase", "alerting", "changed_at", "finished_at", "body")

_LOAD = select(states.c.body).where(states.c.key == bindparam("k"))
_INSERT = insert(states)
_UPDATE = (
    update(states)
    .where(states.c.key == bindparam("k"), states.c.version == bindparam("v"))
    .values({name: bindparam(name) for name in _CHANGING})
)
_RECORD = insert(events)
_UNREAD = (
    select(events.c.position, events.c.message)
    .where(events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(bindparam("most"))
)
_CURSOR = select(func.min(cursors.c.position)).where(cursors.c.sink == bindparam("s"))
_ADVANCE = (
    update(cursors)
    .where(cursors.c.sink == bindparam("s"))
    .values(position=bindparam("position"))
)
_HEAD_OF_LINE = (
    select(func.min(deliveries.c.number))
    .where(deliveries.c.sink == bindparam("s"))
    .group_by(deliveries.c.line)
)
_DUE = (
    select(deliveries)
    .where(deliveries.c.number.in_(_HEAD_OF_LINE))
    .order_by(deliveries.c.due)
    .limit(bindparam("most"))
)


class SqlStore:
    """Everything that must survive a crash, in one database."""

    def __init__(self, group: Group, *, position: int) -> None:
        self._group = group
        self._position = position

    # What the poller needs.

    async def load(self, key: str) -> State:
        """Give what is known of *key*; a blank state where nothing is."""
        return await self._group.do(lambda c: _load(c, key), hurry=True)

    async def commit(self, change: Change) -> bool:
        """Make *change* durable; False if somebody else changed the state first."""
        # Encoded here: what cannot be fails this visit, not all that share a commit.
        state = _state_row(change.state)
        recorded = [_event_row(message) for message in change.events]
        return await self._group.do(lambda c: self._commit(c, state, recorded))

    def _commit(
        self, connection: Connection, state: _Row, recorded: Sequence[_Row]
    ) -> bool:
        if not _save(connection, state):
            return False
        if recorded:
            connection.execute(_RECORD, [self._placed(row) for row in recorded])
        return True

    def _placed(self, row: _Row) -> _Row:
        self._position += 1
        return {**row, "position": self._position}

    async def heads(self, source: str) -> list[Head]:
        """List what is known of the instances of *source*, in no order."""
        return await self._group.do(lambda c: _heads(c, source), hurry=True)

    # What the dispatcher needs.

    async def enrol(self, sink: str) -> None:
        """Let *sink* read what is recorded from now on, unless it reads already."""
        await self._group.do(lambda c: self._enrol(c, sink), hurry=True)

    def _enrol(self, connection: Connection, sink: str) -> None:
        if connection.execute(_CURSOR, {"s": sink}).scalar() is None:
            row = {"sink": sink, "position": self._position}
            rows = [{**row, "shard": number} for number in range(schema.SHARDS)]
            connection.execute(insert(cursors), rows)

    async def unread(self, sink: str, most: int) -> list[tuple[int, Message]]:
        """Give the oldest events that *sink* has not read, with their positions."""
        return await self._group.do(lambda c: _unread(c, sink, most), hurry=True)

    async def read(self, sink: str, position: int, failed: Sequence[Delivery]) -> None:
        """Move *sink*'s cursor to *position*; keep what *failed* for later tries."""
        await self._group.do(lambda c: _read(c, sink, position, failed))

    async def lines(self, sink: str, most: int) -> list[Delivery]:
        """Give the first waiting delivery of each line, the most urgent first."""
        return await self._group.do(lambda c: _lines(c, sink, most), hurry=True)

    async def waiting(self, sink: str) -> dict[str, int]:
        """Count the deliveries that wait in each line."""
        return await self._group.do(lambda c: _waiting(c, sink), hurry=True)

    async def delivered(self, done: Sequence[Delivery]) -> None:
        await self._group.do(lambda c: _remove(c, done))

    async def postpone(self, delivery: Delivery) -> None:
        await self._group.do(lambda c: _postpone(c, delivery))

    async def bury(self, delivery: Delivery, died_at: float) -> None:
        """Move *delivery* to the dead letters."""
        await self._group.do(lambda c: _bury(c, delivery, died_at))

    # What the notifier needs.

    async def alerting(self) -> list[str]:
        """Name the groups in which something holds or was told to hold."""
        return await self._group.do(_alerting, hurry=True)

    async def standing(self, key: str) -> Standing:
        """Give what holds for a group and what each sink was told about it."""
        return await self._group.do(lambda c: _standing(c, key), hurry=True)

    async def tell(self, key: str, number: int, tellings: Sequence[Telling]) -> None:
        """Remember what is being said, and put it on its way."""
        await self._group.do(lambda c: _tell(c, key, number, tellings))

    # Housekeeping.

    async def forget(self, before: datetime, readers: Sequence[str]) -> int:
        """Delete a slice of what is older than *before*; tell how many rows went.

        Events that one of *readers*, the sinks there are, has yet to read are kept,
        and so is what waits for one of them. Of an instance that nobody watches its
        sequence is kept for ever, so that no event id is ever used for two things.
        """
        moment = before.timestamp()
        return await self._group.do(lambda c: _forget(c, moment, readers))


def _load(connection: Connection, key: str) -> State:
    body = connection.execute(_LOAD, {"k": key}).scalar()
    return State(key=key) if body is None else _state(body)


def _event_row(message: Message) -> _Row:
    return {
        "shard": shard(message.key),
        "key": message.key,
        "sequence": message.sequence,
        "type": message.type,
        "time": message.time.timestamp(),
        "message": _encode(message),
    }


def _state_row(state: State) -> _Row:
    return {
        "key": state.key,
        "shard": shard(state.key),
        "version": state.version,
        "phase": state.phase.value,
        "alerting": len(state.alerts),
        "changed_at": _seconds(state.changed_at),
        "finished_at": _seconds(state.finished_at),
        "body": _encode(state),
    }


def _save(connection: Connection, row: _Row) -> bool:
    if row["version"] > 1:
        changed = {name: row[name] for name in _CHANGING}
        where = {"k": row["key"], "v": row["version"] - 1}
        return connection.execute(_UPDATE, changed | where).rowcount == 1

    if connection.execute(_LOAD, {"k": row["key"]}).first() is not None:
        return False
    connection.execute(_INSERT, row)
    return True


def _heads(connection: Connection, source: str) -> list[Head]:
    columns = (states.c.key, states.c.phase, states.c.changed_at, states.c.finished_at)
    mine = states.c.key.startswith(f"{source}/", autoescape=True)
    rows = connection.execute(select(*columns).where(mine))
    with _intact():
        return [
            Head(key, Phase(phase), _moment(changed), _moment(finished))
            for key, phase, changed, finished in rows
        ]


def _unread(connection: Connection, sink: str, most: int) -> list[tuple[int, Message]]:
    after = connection.execute(_CURSOR, {"s": sink}).scalar()
    rows = connection.execute(_UNREAD, {"after": after, "most": most})
    return [(position, _message(body)) for position, body in rows]


def _read(
    connection: Connection, sink: str, position: int, failed: Sequence[Delivery]
) -> None:
    connection.execute(_ADVANCE, {"s": sink, "position": position})
    if failed:
        connection.execute(insert(deliveries), [_waiting_row(d) for d in failed])


def _waiting_row(delivery: Delivery) -> _Row:
    return {
        "sink": delivery.sink,
        "id": delivery.message.id,
        "shard": shard(delivery.message.key),
        "line": delivery.message.line,
        "due": delivery.due,
        "tries": delivery.tries,
        "since": delivery.since,
        "error": delivery.error,
        "message": _encode(delivery.message),
    }


def _lines(connection: Connection, sink: str, most: int) -> list[Delivery]:
    rows = connection.execute(_DUE, {"s": sink, "most": most})
    return [
        Delivery(
            number=row.number,
            sink=row.sink,
            message=_message(row.message),
            due=row.due,
            tries=row.tries,
            since=row.since,
            error=row.error,
        )
        for row in rows
    ]


def _waiting(connection: Connection, sink: str) -> dict[str, int]:
    counts = select(deliveries.c.line, func.count()).group_by(deliveries.c.line)
    rows = connection.execute(counts.where(deliveries.c.sink == sink))
    return {line: count for line, count in rows}  # noqa: C416


def _remove(connection: Connection, done: Sequence[Delivery]) -> None:
    numbers = [delivery.number for delivery in done]
    connection.execute(delete(deliveries).where(deliveries.c.number.in_(numbers)))


def _postpone(connection: Connection, delivery: Delivery) -> None:
    row = _waiting_row(delivery)
    later = {name: row[name] for name in ("due", "tries", "since", "error")}
    mine = deliveries.c.number == delivery.number
    connection.execute(update(deliveries).where(mine).values(later))


def _bury(connection: Connection, delivery: Delivery, died_at: float) -> None:
    row = _waiting_row(delivery) | {"key": delivery.message.key, "died_at": died_at}
    letter = {column.name: row[column.name] for column in dead_letters.columns}
    same = (dead_letters.c.sink == delivery.sink, dead_letters.c.id == row["id"])
    connection.execute(delete(dead_letters).where(*same))
    connection.execute(insert(dead_letters), [letter])
    if delivery.number is not None:
        _remove(connection, [delivery])


def _alerting(connection: Connection) -> list[str]:
    holding = select(states.c.key).where(states.c.alerting > 0)
    said = select(told.c.group)
    return list(connection.execute(holding.union(said)).scalars())


def _standing(connection: Connection, key: str) -> Standing:
    said = connection.execute(
        select(told.c.sink, told.c.body).where(told.c.group == key)
    )
    count = select(groups.c.notifications).where(groups.c.key == key)
    return Standing(
        state=_load(connection, key),
        told={sink: _told(body) for sink, body in said},
        notifications=connection.execute(count).scalar() or 0,
    )


def _tell(
    connection: Connection, key: str, number: int, tellings: Sequence[Telling]
) -> None:
    for telling in tellings:
        same = (told.c.sink == telling.sink, told.c.group == key)
        connection.execute(delete(told).where(*same))
        if telling.told is not None:
            row = {"sink": telling.sink, "group": key, "shard": shard(key)}
            connection.execute(insert(told), [row | {"body": _encode(telling.told)}])
    new = [_waiting_row(t.delivery) for t in tellings if t.delivery is not None]
    if new:
        connection.execute(insert(deliveries), new)
        connection.execute(delete(groups).where(groups.c.key == key))
        row = {"key": key, "shard": shard(key), "notifications": number}
        connection.execute(insert(groups), [row])


def _forget(connection: Connection, before: float, readers: Sequence[str]) -> int:
    return (
        _forget_events(connection, before, readers)
        + _forget_deliveries(connection, before, readers)
        + _forget_letters(connection, before)
        + _forget_states(connection, before)
    )


def _forget_events(
    connection: Connection, before: float, readers: Sequence[str]
) -> int:
    mine = cursors.c.sink.in_(readers)
    read = connection.execute(select(func.min(cursors.c.position)).where(mine)).scalar()
    unread = [] if read is None else [events.c.position <= read]
    old = (events.c.time < before, *unread)
    positions = select(events.c.position).where(*old).limit(SLICE)
    gone = delete(events).where(events.c.position.in_(positions))
    return connection.execute(gone).rowcount


def _forget_deliveries(
    connection: Connection, before: float, readers: Sequence[str]
) -> int:
    # What waits for a sink that is there ends delivered or among the dead letters.
    orphans = (deliveries.c.sink.not_in(readers), deliveries.c.since < before)
    numbers = select(deliveries.c.number).where(*orphans).limit(SLICE)
    gone = delete(deliveries).where(deliveries.c.number.in_(numbers))
    return connection.execute(gone).rowcount


def _forget_letters(connection: Connection, before: float) -> int:
    old = select(dead_letters.c.id).where(dead_letters.c.died_at < before).limit(SLICE)
    gone = delete(dead_letters).where(
        dead_letters.c.id.in_(old), dead_letters.c.died_at < before
    )
    return connection.execute(gone).rowcount


def _forget_states(connection: Connection, before: float) -> int:
    old = (states.c.phase != Phase.WATCHED.value, states.c.changed_at < before)
    bodies = connection.execute(select(states.c.body).where(*old).limit(SLICE))
    kept = [_state(body) for body in bodies.scalars()]
    for state in kept:
        _save(connection, _state_row(_husk(state)))
        connection.execute(delete(told).where(told.c.group == state.key))
    return len(kept)


def _husk(state: State) -> State:
    return State(
        key=state.key,
        version=state.version + 1,
        sequence=state.sequence,
        phase=state.phase,
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
