"""The files of the watch list as each machine has them, so that all watch all of them.

A row says which content a machine has under a name, and its parts hold that content.
Whoever changes parts changes their row first, so that two never do at once.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Row,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from monitor.core.lists import Claim, Said, past, since
from monitor.ports import Part
from monitor.store import columns, rows
from monitor.store.schema import list_parts, lists

_SECONDS: Final = {
    "postgresql": cast(func.extract("epoch", func.clock_timestamp()), Double),
    "sqlite": (func.julianday("now") - 2440587.5) * 86400.0,
}
"""What the database's clock shows, in seconds since 1970."""


def claims(connection: Connection) -> list[Claim]:
    return [_claim(row) for row in connection.execute(select(lists))]


def publish(
    connection: Connection, name: str, node: str, said: Said, parts: Sequence[Part]
) -> None:
    """Let *node* say this of its file *name*, and no longer what it said before."""
    now = _now(connection)
    known = connection.execute(select(lists).where(lists.c.name == name))
    others = {claim.node: claim for claim in map(_claim, known)}
    mine = others.pop(node, None)
    row = {
        "at": since(said, mine, others.values(), now),
        "seen_at": now,
        "digest": said.digest,
        "rank": said.rank,
        "faults": said.faults,
        "past": rows.encode(past(said, mine, now)),
    }
    which = {"name": name, "node": node}
    connection.execute(columns.new(connection, lists).values(which | row))
    connection.execute(update(lists).where(*_of(lists.c, name, node)).values(row))
    _write(connection, name, node, parts)


def withdraw(connection: Connection, node: str, names: Collection[str]) -> None:
    """Let *node* say nothing any more of files that it does not have."""
    for table in (lists, list_parts):
        gone = (table.c.node == node, table.c.name.in_(names))
        connection.execute(delete(table).where(*gone))


def attest(connection: Connection, node: str) -> None:
    """Note that *node* is there, and so is what it says."""
    seen = update(lists).where(lists.c.node == node)
    connection.execute(seen.values(seen_at=_now(connection)))


def forget(connection: Connection, age: float) -> int:
    """Drop what those machines say that were not there for *age* seconds."""
    before = _now(connection) - age
    old = select(lists.c.node).where(lists.c.seen_at < before)
    gone = set(connection.execute(old).scalars())
    for table in (lists, list_parts):
        connection.execute(delete(table).where(table.c.node.in_(gone)))
    return len(gone)


def digests(connection: Connection, name: str, node: str) -> list[str]:
    """Give the digests of the parts of a content, in their order."""
    parts = select(list_parts.c.digest).where(*_of(list_parts.c, name, node))
    return [*connection.execute(parts.order_by(list_parts.c.number)).scalars()]


def bodies(
    connection: Connection, name: str, node: str, wanted: Collection[str]
) -> list[Part]:
    """Give those *wanted* parts that are still there."""
    which = (*_of(list_parts.c, name, node), list_parts.c.digest.in_(wanted))
    found = select(list_parts.c.digest, list_parts.c.body).where(*which)
    return [Part(row.digest, row.body) for row in connection.execute(found)]


def _write(connection: Connection, name: str, node: str, parts: Sequence[Part]) -> None:
    had = digests(connection, name, node)
    same = [
        number
        for number, (part, digest) in enumerate(zip(parts, had, strict=False))
        if part.digest == digest
    ]
    gone = (*_of(list_parts.c, name, node), list_parts.c.number.not_in(same))
    connection.execute(delete(list_parts).where(*gone))
    which = {"name": name, "node": node}
    fresh = [
        {**which, "number": number, "digest": part.digest, "body": part.body}
        for number, part in enumerate(parts)
        if number not in {*same}
    ]
    if fresh:
        connection.execute(insert(list_parts), fresh)


def _of(columns: Any, name: str, node: str) -> tuple[ColumnElement[bool], ...]:
    return columns.name == name, columns.node == node


def _now(connection: Connection) -> float:
    clock = _SECONDS[connection.dialect.name]
    return float(connection.execute(select(clock)).scalar_one())


def _claim(row: Row[Any]) -> Claim:
    said = Said(digest=row.digest, rank=row.rank, faults=row.faults)
    former = rows.former(row.past)
    return Claim(name=row.name, node=row.node, at=row.at, said=said, past=former)
