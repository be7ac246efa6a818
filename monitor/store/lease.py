"""Who owns a database that several daemons can reach.

A row says who, until when by the database's clock, and in which epoch, which only
rises. No session state and no session locks, so that a pooler may stand between.
A write counts only if the row is still ours when its transaction ends: whoever
would take it over waits for that end.
"""

import os
import platform
import uuid
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Text,
    case,
    cast,
    func,
    select,
    update,
)

from monitor import errors
from monitor.store.schema import leases

TTL: Final = 10.0
RENEW: Final = 2.0

ALL: Final = 0
"""The row that stands for all shards, while one daemon owns them all."""

_NOW: Final = cast(func.extract("epoch", func.clock_timestamp()), Double)
_MILLISECONDS: Final = cast(_NOW * 1000, BigInteger)
_ROW: Final = leases.c.shard == ALL
_LIVES: Final = leases.c.expires_at > _NOW


class Held(Struct, frozen=True):
    """Somebody's lease, and how many seconds it lasts."""

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
    """A transaction that wrote: its id, and the server that counts them."""

    xid: str
    server: str


def name() -> str:
    """Name this daemon, so that people find it and no other is ever called so."""
    return f"{platform.node()}/{os.getpid()}/{uuid.uuid4().hex}"


def told(owner: str) -> str:
    """Write the name of an owner as people read it."""
    node, _, rest = owner.partition("/")
    return f"{node} (process {rest.partition('/')[0]})" if rest else owner


def held(connection: Connection) -> Held:
    row = connection.execute(
        select(leases.c.owner, leases.c.epoch, leases.c.expires_at - _NOW).where(_ROW)
    ).first()
    return Held(*row) if row else Held("", 0, 0.0)


def claim(connection: Connection, owner: str) -> None:
    """Take the lease over, if it is free."""
    # It rises even over a failover that lost the newest epochs.
    after = leases.c.epoch + 1
    epoch = case((after > _MILLISECONDS, after), else_=_MILLISECONDS)
    taken = {"owner": owner, "epoch": epoch, "expires_at": _NOW + TTL}
    connection.execute(update(leases).where(_ROW, ~_LIVES).values(taken))


class Lease:
    """What this daemon holds from its claim on."""

    def __init__(self, owner: str, epoch: int) -> None:
        self._mine = (_ROW, leases.c.owner == owner, leases.c.epoch == epoch)

    def renew(self, connection: Connection) -> None:
        """Keep it, also where it ran out and nobody took it; StoreError if it is lost."""
        later = update(leases).where(*self._mine).values(expires_at=_NOW + TTL)
        if not connection.execute(later).rowcount:
            raise _lost(connection)

    def release(self, connection: Connection) -> None:
        free: dict[str, Any] = {"owner": "", "expires_at": 0.0}
        connection.execute(update(leases).where(*self._mine).values(free))

    def fence(self, connection: Connection) -> Mark | None:
        """Hold the lease until this transaction ends; None where it wrote nothing.

        Raises StoreError where somebody else has it.
        """
        if connection.execute(_WROTE).scalar() is None:
            return None
        row = connection.execute(_MARK.where(*self._mine)).first()
        if row is None:
            raise _lost(connection)
        return Mark(*row)


_WROTE: Final = select(cast(func.pg_current_xact_id_if_assigned(), Text))
_MARK: Final = select(
    cast(func.pg_current_xact_id(), Text),
    cast(func.extract("epoch", func.pg_postmaster_start_time()), Text),
).with_for_update(read=True, of=leases)


def _lost(connection: Connection) -> errors.StoreError:
    now = held(connection)
    by = f"{told(now.owner)} owns the database now" if now.owner else "nobody has it"
    return errors.StoreError(
        f"the lease of this daemon is lost: {by}; it may not write"
    )
