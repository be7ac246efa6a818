"""What the database itself saw of each write, at the end of its transaction.

A trigger that fires at COMMIT, after the daemon's own proof of its lease, writes
down from which address the row came and whom the lease of its shard names at that
moment. Each life of a daemon has an address of its own (``members``), and owners are
called ``node/pid/…``. So a row that was written by a process that is not the owner of
its shard is found, whatever that process believed.

Not found is a process that lost a shard, got it back, and ends a transaction of its
first tenure in the second: it is the owner of both.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import psycopg
from msgspec import Struct

from tests.torture.members import Life

TABLES: Final[Mapping[str, str]] = {
    "events": "NEW.sequence",
    "states": "NEW.version",
    "notifications": "NULL",
}
"""What is written down of each table beside its shard: a number."""

_SCHEMA: Final = """
    CREATE SCHEMA torture;
    CREATE TABLE torture.writes (
        at double precision NOT NULL,
        relation text NOT NULL,
        shard smallint NOT NULL,
        name text NOT NULL,
        number bigint,
        address text NOT NULL,
        owner text,
        epoch bigint
    )"""

_FUNCTION: Final = """
    CREATE FUNCTION torture.{table}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO torture.writes
        SELECT extract(epoch FROM clock_timestamp()), '{table}', NEW.shard, NEW.{name},
            {number}, host(inet_client_addr()), leases.owner, leases.epoch
        FROM (VALUES (1)) AS always LEFT JOIN public.leases ON leases.shard = NEW.shard;
        RETURN NULL;
    END $$"""

_TRIGGER: Final = """
    CREATE CONSTRAINT TRIGGER torture AFTER INSERT OR UPDATE ON public.{table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION torture.{table}()"""


class Write(Struct, frozen=True):
    """A row that was committed, *at* that time of the database's clock."""

    at: float
    relation: str
    shard: int
    name: str
    number: int | None
    address: str
    owner: str | None
    epoch: int | None

    @property
    def id(self) -> str:
        return self.name if self.number is None else f"{self.name}#{self.number}"


def install(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(_SCHEMA)
        for table, number in TABLES.items():
            name = "id" if table == "notifications" else "key"
            written = {"table": table, "name": name, "number": number}
            connection.execute(_FUNCTION.format(**written).encode())
            connection.execute(_TRIGGER.format(**written).encode())


def writes(url: str) -> list[Write]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT * FROM torture.writes ORDER BY at")
        return [Write(*row) for row in rows]


def stale(found: list[Write], lives: list[Life]) -> Iterator[str]:
    """List what was written by others than the owner of its shard."""
    pids = {life.address: life.pid for life in lives}
    for write in found:
        owner = (write.owner or "").split("/")
        pid = pids.get(write.address)
        if str(pid) not in owner[1:2]:
            whose = write.owner or "nobody"
            yield (
                f"{write.relation} {write.id}: written by process {pid} while shard"
                f" {write.shard} was {whose}'s (epoch {write.epoch})"
            )
