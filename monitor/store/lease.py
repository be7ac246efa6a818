"""Who owns each shard of a database that several daemons can reach.

A row says who, until when by the database's clock, and in which epoch, which only
rises. No session state and no session locks, so that a pooler may stand between.
A write counts only if the rows of its shards are still ours when its transaction
ends: whoever would take one over waits for that end.
"""

import os
import platform
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Text,
    case,
    cast,
    func,
    select,
    tuple_,
    update,
)

from monitor import errors
from monitor.core.cluster import told
from monitor.store.schema import leases

TTL: Final = 10.0
RENEW: Final = 2.0

NOW: Final = cast(func.extract("epoch", func.clock_timestamp()), Double)
_MILLISECONDS: Final = cast(NOW * 1000, BigInteger)
_LIVES: Final = leases.c.expires_at > NOW

Epochs = Mapping[int, int]
"""Shard → epoch of whoever owns it."""


class Held(Struct, frozen=True):
    """Somebody's lease, and how many seconds it lasts."""

    shard: int
    owner: str
    epoch: int
    seconds: float

    @property
    def alive(self) -> bool:
        return bool(self.owner) and self.seconds > 0

    def outlives(self, before: "Held") -> bool:
        """Tell whether somebody lives who renewed it, or took it over, since *before*."""
        later = self.seconds > before.seconds or self.epoch != before.epoch
        return self.alive and later


class Mark(Struct, frozen=True):
    """A transaction: its id, if it wrote, and the server that counts them."""

    xid: str | None
    server: str


def name() -> str:
    """Name this daemon, so that people find it and no other is ever called so."""
    return f"{platform.node()}/{os.getpid()}/{uuid.uuid4().hex}"


def holders(connection: Connection) -> list[Held]:
    columns = (leases.c.shard, leases.c.owner, leases.c.epoch)
    found = select(*columns, leases.c.expires_at - NOW).order_by(leases.c.shard)
    return [Held(*row) for row in connection.execute(found)]


def owners(found: Collection[Held]) -> list[str]:
    """Name those who live, as people read it."""
    return sorted({told(each.owner) for each in found if each.alive})


def claim(connection: Connection, owner: str, shards: Collection[int]) -> None:
    """Take those of *shards* over that are free."""
    free = _locked(connection, leases.c.shard.in_(shards), ~_LIVES)
    # It rises even over a failover that lost the newest epochs.
    after = leases.c.epoch + 1
    epoch = case((after > _MILLISECONDS, after), else_=_MILLISECONDS)
    taken = {"owner": owner, "epoch": epoch, "expires_at": NOW + TTL}
    connection.execute(update(leases).where(leases.c.shard.in_(free)).values(taken))


def renew(connection: Connection, owner: str, held: Epochs) -> Epochs:
    """Keep what of *held* is *owner*'s, also what ran out and nobody took."""
    kept = _locked(connection, *_mine(owner, held))
    later = update(leases).where(leases.c.shard.in_(kept))
    connection.execute(later.values(expires_at=NOW + TTL))
    return kept


def release(connection: Connection, owner: str, held: Epochs) -> None:
    mine = _locked(connection, *_mine(owner, held))
    free: dict[str, Any] = {"owner": "", "expires_at": 0.0}
    connection.execute(update(leases).where(leases.c.shard.in_(mine)).values(free))


def _mine(owner: str, held: Epochs) -> tuple[ColumnElement[bool], ...]:
    # By epoch too: what comes late must not meet a lease that was claimed anew.
    pairs = tuple_(leases.c.shard, leases.c.epoch).in_(held.items())
    return leases.c.owner == owner, pairs


def _locked(connection: Connection, *where: ColumnElement[bool]) -> Epochs:
    """Lock rows in the order in which everybody does, so that none waits in a ring."""
    rows = select(leases.c.shard, leases.c.epoch).where(*where).order_by(leases.c.shard)
    found = connection.execute(rows.with_for_update(key_share=True))
    return {shard: epoch for shard, epoch in found}  # noqa: C416 - rows are no pairs


def fence(
    connection: Connection, owner: str, held: Epochs, shards: Collection[int]
) -> Mark:
    """Hold the leases of *shards* until this transaction ends, if it wrote anything.

    Raises errors.LeaseLost where one of them is not *owner*'s, in the epoch *held*.
    """
    mark = Mark(*connection.execute(_MARK).one())
    if mark.xid is not None and shards:
        prove(connection, owner, held, shards)
    return mark


def prove(
    connection: Connection, owner: str, held: Epochs, shards: Collection[int]
) -> None:
    """Raise errors.LeaseLost where one of *shards* is not *owner*'s any more."""
    mine = _mine(owner, {shard: held.get(shard, -1) for shard in shards})
    kept = connection.execute(_HELD.where(*mine)).scalars()
    if gone := {*shards} - {*kept}:
        raise lost(connection, gone)


_HELD: Final = (
    select(leases.c.shard)
    .order_by(leases.c.shard)
    .with_for_update(read=True, of=leases)
)
_MARK: Final = select(
    cast(func.pg_current_xact_id_if_assigned(), Text),
    cast(func.extract("epoch", func.pg_postmaster_start_time()), Text),
)


def lost(connection: Connection, shards: Collection[int]) -> errors.LeaseLost:
    """Say to whom *shards* went."""
    now = [each for each in holders(connection) if each.shard in shards]
    by = " and ".join(_takers(now)) or "nobody"
    return errors.LeaseLost(
        f"{len(shards)} shards are not this daemon's any more, {by} owns them now;"
        " it may not write there"
    )


def _takers(found: Collection[Held]) -> Iterator[str]:
    yield from sorted({told(each.owner) for each in found if each.owner})
