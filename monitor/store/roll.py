"""Who shares the database: what one daemon writes at each renewal, and reads of all."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from monitor import clock
from monitor.core.cluster import Node, Report, View
from monitor.store import journal, lease, rows
from monitor.store.lease import NOW, TTL, Epochs, Held
from monitor.store.schema import nodes

SHOWN: Final = 3600.0
"""Seconds for which a daemon is shown that is heard of no more."""


class Seen(Struct, frozen=True):
    """What a renewal brought: what is *kept*, every lease, all daemons, news, log's end.

    *ahead*: by how many seconds the database's clock is ahead of this machine's.
    """

    kept: Epochs
    leases: list[Held]
    view: View
    news: Mapping[str, int]
    position: int
    ahead: float

    def free(self) -> list[int]:
        return [each.shard for each in self.leases if not each.alive]


def renew(
    connection: Connection, me: str, held: Epochs, report: Report, *, draining: bool
) -> Seen:
    kept = lease.renew(connection, me, held)
    _write(connection, me, report, draining=draining)
    leases = lease.holders(connection)
    return Seen(
        kept=kept,
        leases=leases,
        view=View(me=me, nodes=_read(connection, leases)),
        news=journal.heard(connection),
        position=journal.end(connection),
        ahead=_ahead(connection),
    )


def _ahead(connection: Connection) -> float:
    asked = clock.utc_now().timestamp()
    theirs: float = connection.execute(select(NOW)).scalar_one()
    return theirs - (asked + clock.utc_now().timestamp()) / 2


def claim(connection: Connection, me: str, shards: Collection[int]) -> Epochs:
    """Take over what is free of *shards*; say what of them is ours now."""
    lease.claim(connection, me, shards)
    return {
        each.shard: each.epoch
        for each in lease.holders(connection)
        if each.owner == me and each.shard in shards
    }


def leave(connection: Connection, me: str, held: Epochs) -> None:
    lease.release(connection, me, held)
    connection.execute(delete(nodes).where(nodes.c.name == me))


def _write(connection: Connection, me: str, report: Report, *, draining: bool) -> None:
    said = {"seen_at": NOW, "draining": int(draining), "body": rows.encode(report)}
    first = insert(nodes).values({"name": me, "started_at": NOW, **said})
    again = first.on_conflict_do_update(index_elements=[nodes.c.name], set_=said)
    connection.execute(again)
    connection.execute(delete(nodes).where(nodes.c.seen_at < NOW - SHOWN))


def _read(connection: Connection, leases: Collection[Held]) -> tuple[Node, ...]:
    columns = (nodes.c.name, nodes.c.started_at, nodes.c.draining, nodes.c.body)
    found = select(*columns, (NOW - nodes.c.seen_at).label("seen"))
    return tuple(
        Node(
            name=row.name,
            started_at=datetime.fromtimestamp(row.started_at, UTC),
            seen=max(0.0, row.seen),
            draining=bool(row.draining),
            living=row.seen < TTL,
            report=rows.report(row.body),
            shards=tuple(each.shard for each in leases if _owns(each, row.name)),
        )
        for row in connection.execute(found.order_by(nodes.c.started_at, nodes.c.name))
    )


def _owns(held: Held, name: str) -> bool:
    return held.alive and held.owner == name
