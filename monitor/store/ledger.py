"""What each sink was told about each group, against what holds, and why."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select

from monitor.core.decisions import Verdict
from monitor.core.member import Member
from monitor.core.shards import shard
from monitor.core.telling import Told
from monitor.ports import Account, Notice, Telling
from monitor.store import outbox, passing, rows
from monitor.store.schema import deliveries, groups, states, told, verdicts

# Written once: to build one takes longer than SQLite takes to answer it.
_WANTED: BindParameter[Any] = bindparam("wanted", expanding=True)
_TOLD = select(told.c.group, told.c.sink, told.c.body).where(told.c.group.in_(_WANTED))
_COUNTED = select(groups.c.key, groups.c.notifications).where(groups.c.key.in_(_WANTED))
_FORGET_TOLD = delete(told).where(
    told.c.sink == bindparam("s"), told.c.group == bindparam("g")
)
_FORGET_COUNT = delete(groups).where(groups.c.key == bindparam("k"))


def alerting(connection: Connection) -> list[str]:
    holding = select(states.c.key).where(states.c.alerting > 0)
    return list(connection.execute(holding).scalars())


def informed(connection: Connection) -> list[str]:
    return list(connection.execute(select(told.c.group).distinct()).scalars())


def members(connection: Connection, keys: Collection[str]) -> list[Member]:
    bodies = connection.execute(select(states.c.body).where(states.c.key.in_(keys)))
    return [rows.member(body) for body in bodies.scalars()]


def accounts(connection: Connection, wanted: Sequence[str]) -> dict[str, Account]:
    said: dict[str, dict[str, Told]] = {group: {} for group in wanted}
    for group, sink, body in connection.execute(_TOLD, {"wanted": wanted}):
        said[group][sink] = rows.told(body)
    found = connection.execute(_COUNTED, {"wanted": wanted})
    numbers = {key: number for key, number in found}  # noqa: C416 - rows are no pairs
    return {
        group: Account(told=said[group], notifications=numbers.get(group, 0))
        for group in wanted
    }


def tell(connection: Connection, notices: Sequence[Notice]) -> None:
    for notice in notices:
        for telling in notice.tellings:
            _remember(connection, notice.group, telling)
        _send(connection, notice)
        if notice.verdict is not None:
            _explain(connection, notice.verdict)


def _remember(connection: Connection, group: str, telling: Telling) -> None:
    connection.execute(_FORGET_TOLD, {"s": telling.sink, "g": group})
    if telling.told is not None:
        row = {"sink": telling.sink, "group": group, "shard": shard(group)}
        body = rows.encode(telling.told)
        connection.execute(insert(told), [{**row, "body": body}])


def _send(connection: Connection, notice: Notice) -> None:
    new = [outbox.waiting_row(t.delivery) for t in notice.tellings if t.delivery]
    if not new:
        return
    connection.execute(insert(deliveries), new)
    passing.address(connection, notice.tellings)
    connection.execute(_FORGET_COUNT, {"k": notice.group})
    row = {"key": notice.group, "shard": shard(notice.group)}
    connection.execute(insert(groups), [{**row, "notifications": notice.number}])


def _explain(connection: Connection, verdict: Verdict) -> None:
    row = {
        "key": verdict.group,
        "shard": shard(verdict.group),
        "time": verdict.at.timestamp(),
        "body": rows.encode(verdict),
    }
    connection.execute(insert(verdicts), [row])


def said(connection: Connection, group: str, most: int) -> list[Verdict]:
    bodies = select(verdicts.c.body).where(verdicts.c.key == group)
    newest = bodies.order_by(verdicts.c.number.desc()).limit(most)
    return [rows.verdict(body) for body in connection.execute(newest).scalars()]
