"""What is on record of one message: for whoever asks why somebody was told, or not."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import structs
from sqlalchemy import Connection, delete, func, insert, select

from monitor.core.decisions import Verdict
from monitor.core.explaining import Dead, Dropped, Facts, Recorded, Waiting
from monitor.core.message import Message
from monitor.core.subscription import Subscription
from monitor.store import bounds, outbox, passing, rows
from monitor.store.schema import (
    addressed,
    dead_letters,
    deliveries,
    dropped,
    events,
    notifications,
    subscriptions,
)
from monitor.store.schema import verdicts as decided

LOOKED_AT: Final = 10_000
"""Decisions about one group that are searched for a notification."""


def adopt(
    connection: Connection, wanted: Sequence[Subscription], position: int
) -> None:
    """Take note of what sinks ask for from now on, where that is other than before.

    A sink that reads the log will read all behind its cursor so; one that does not
    is as it is from *position*, the end of the log, on.
    """
    known = {subscription.sink: subscription for subscription in history(connection)}
    since = max((each.since for each in wanted if each.since), default=None)
    gone = [
        Subscription(sink=sink, send=(), since=since)
        for sink in known.keys() - _named(wanted)
    ]
    for subscription in (*wanted, *gone):
        before = known.get(subscription.sink)
        if before is None or not subscription.asks_as(before):
            begins = outbox.cursor(connection, subscription.sink)
            at = position if begins is None else begins
            _keep(connection, structs.replace(subscription, position=at))


def _named(wanted: Sequence[Subscription]) -> set[str]:
    return {subscription.sink for subscription in wanted}


def _keep(connection: Connection, subscription: Subscription) -> None:
    row = {"sink": subscription.sink, "body": rows.encode(subscription)}
    connection.execute(insert(subscriptions), [row])


def history(connection: Connection) -> list[Subscription]:
    bodies = select(subscriptions.c.body).order_by(subscriptions.c.number)
    return [rows.subscription(body) for body in connection.execute(bodies).scalars()]


def forget(connection: Connection) -> int:
    """Delete what sinks asked for before the oldest event that is kept."""
    oldest = connection.execute(select(func.min(events.c.position))).scalar()
    if oldest is None:
        return 0
    found = connection.execute(
        select(subscriptions.c.number, subscriptions.c.body).order_by(
            subscriptions.c.number.desc()
        )
    )
    outdated: list[int] = []
    covered: set[str] = set()
    for number, body in found:
        subscription = rows.subscription(body)
        if subscription.sink in covered:
            outdated.append(number)
        elif subscription.position < oldest:
            covered.add(subscription.sink)
    connection.execute(
        delete(subscriptions).where(subscriptions.c.number.in_(outdated))
    )
    return len(outdated)


def recorded(connection: Connection, key: str, sequence: int) -> Recorded | None:
    wanted = select(events.c.position, events.c.message).where(
        events.c.key == key, events.c.sequence == sequence
    )
    row = connection.execute(wanted).first()
    return None if row is None else Recorded(row.position, rows.message(row.message))


def events_of(
    connection: Connection,
    types: Collection[str],
    since: float,
    *,
    key: str | None,
    after: int,
    most: int,
) -> list[tuple[int, Message]]:
    """Give events of some *types* behind the position *after*, in their order."""
    wanted = select(events.c.position, events.c.message).where(
        events.c.time >= since, events.c.type.in_(types), events.c.position > after
    )
    if key is not None:
        wanted = wanted.where(events.c.key == key)
    found = connection.execute(wanted.order_by(events.c.position).limit(most))
    return [(at, rows.message(body)) for at, body in found]


def notified(connection: Connection, ids: Collection[str]) -> list[Message]:
    """Give the notifications of these ids, as far as they are kept."""
    wanted = select(notifications.c.message).where(notifications.c.id.in_(ids))
    return [rows.message(body) for body in connection.execute(wanted).scalars()]


def facts(
    connection: Connection, id_: str, sinks: Collection[str], position: int | None
) -> list[Facts]:
    """Give what is on record of message *id_* at each of *sinks*, and their subscriptions.

    *position*: that of an event in the log.
    """
    said: dict[str, list[Subscription]] = {}
    for subscription in history(connection):
        said.setdefault(subscription.sink, []).append(subscription)
    return [
        Facts(
            sink=sink,
            history=tuple(said.get(sink, ())),
            cursor=outbox.cursor(connection, sink),
            waiting=_waiting(connection, id_, sink),
            dead=_dead(connection, id_, sink),
            dropped=_dropped(connection, id_, sink),
            passed_over=_passed_over(connection, id_, sink, position),
            passed_on=_passed_on(connection, id_, sink),
        )
        for sink in dict.fromkeys((*said, *sinks))
    ]


def _waiting(connection: Connection, id_: str, sink: str) -> Waiting | None:
    mine = select(deliveries).where(deliveries.c.sink == sink, deliveries.c.id == id_)
    row = connection.execute(mine).first()
    if row is None:
        return None
    line = (deliveries.c.sink == sink, deliveries.c.line == row.line)
    ahead = select(deliveries.c.id).where(*line).order_by(deliveries.c.number).limit(1)
    first = connection.execute(ahead).scalar() or id_
    return Waiting(
        due=_moment(row.due),
        tries=row.tries,
        error=row.error,
        behind="" if first == id_ else first,
    )


def _dead(connection: Connection, id_: str, sink: str) -> Dead | None:
    mine = select(dead_letters).where(
        dead_letters.c.sink == sink, dead_letters.c.id == id_
    )
    row = connection.execute(mine).first()
    if row is None:
        return None
    return Dead(at=_moment(row.died_at), tries=row.tries, error=row.error)


def _dropped(connection: Connection, id_: str, sink: str) -> Dropped | None:
    mine = select(dropped).where(dropped.c.sink == sink, dropped.c.id == id_)
    row = connection.execute(mine).first()
    return None if row is None else Dropped(at=_moment(row.at), reason=row.reason)


def _passed_over(
    connection: Connection, id_: str, sink: str, position: int | None
) -> Dropped | None:
    at = None if position is None else bounds.gap(connection, sink, position)
    if at is None or passing.was_addressed(connection, id_, sink):
        return None
    return Dropped(at=_moment(at), reason=bounds.REASON)


def _passed_on(connection: Connection, id_: str, sink: str) -> str:
    stead = select(addressed.c.sink).where(addressed.c.id == id_)
    return connection.execute(stead.where(addressed.c.via == sink)).scalar() or ""


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def told_under(connection: Connection, group: str, notification: str) -> Verdict | None:
    """Give the decision about *group* that made *notification*."""
    newest = (
        select(decided.c.body)
        .where(decided.c.key == group)
        .order_by(decided.c.number.desc())
        .limit(LOOKED_AT)
    )
    for body in connection.execute(newest).scalars():
        verdict = rows.verdict(body)
        if any(each.notification == notification for each in verdict.decisions):
            return verdict
    return None
