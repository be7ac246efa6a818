"""The tables; ``migrations/`` creates them.

Each row that belongs to somebody carries the shard of its key, so that several
daemons can share one database later. Structured values are MessagePack of the
types in ``core`` (``rows`` says how those may change); columns exist where a
statement selects by them.
"""

from typing import Final

import xxhash
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

SHARDS: Final = 64

metadata = MetaData()

states = Table(
    "states",
    metadata,
    Column("key", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("phase", Text, nullable=False),
    Column("alerting", Integer, nullable=False),
    Column("changed_at", Float),
    Column("finished_at", Float),
    Column("body", LargeBinary, nullable=False),
    Column("subject", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Integer),
    Column("rank", SmallInteger, nullable=False),
    Column("since", Float),
    Column("failed", Integer, nullable=False),
    Column("hosts", Integer, nullable=False),
    Index("states_alerting", "alerting"),
    # All that lists sort, filter and count by, so that no body is read for it.
    Index(
        "states_listed",
        "subject",
        "phase",
        "rank",
        "since",
        "key",
        "status",
        "failed",
        "hosts",
        "changed_at",
        "name",
    ),
)
"""What is known of each instance, scope and source."""

events = Table(
    "events",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("shard", SmallInteger, primary_key=True),
    Column("key", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("message", LargeBinary, nullable=False),
    UniqueConstraint("key", "sequence"),
    Index("events_time", "time"),
)
"""The log that sinks read by cursor; positions rise, with holes."""

cursors = Table(
    "cursors",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""How far each sink has read."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("sink", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("line", Text, nullable=False),
    Column("due", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("error", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    UniqueConstraint("sink", "id"),
    Index("deliveries_line", "sink", "line", "number"),
)
"""Messages on their way: notifications, and events that failed at least once."""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("died_at", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
)
"""Messages that a sink will never take."""

dropped = Table(
    "dropped",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Index("dropped_at", "at"),
)
"""Which messages a sink was never given, and why, after they waited or were dead."""

gaps = Table(
    "gaps",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("sink", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("after", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
)
"""Which part of the log a sink did not read, since too much waited."""

notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("time", Float, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Index("notifications_time", "time", "id"),
)
"""What was told, so that it can be told again."""

addressed = Table(
    "addressed",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sink", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("via", Text, nullable=False),
    Column("at", Float, nullable=False),
    Index("addressed_at", "at"),
)
"""To whom each notification went, and in whose stead (``via``), if not in its own."""

stand_ins = Table(
    "stand_ins",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("line", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("fallback", Text, nullable=False),
)
"""Who is told of an incident beside a sink that once was not there to be told."""

told = Table(
    "told",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("group", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What each sink was last told about each group."""

verdicts = Table(
    "verdicts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("time", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("verdicts_key", "key", "number"),
    Index("verdicts_time", "time"),
)
"""Why each group was told of, or not; a row where that changed."""

groups = Table(
    "groups",
    metadata,
    Column("key", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("notifications", BigInteger, nullable=False),
)
"""How many notifications each group has had: the numbers in their ids."""

watches = Table(
    "watches",
    metadata,
    Column("key", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The watches that discovery found."""

hazards = Table(
    "hazards",
    metadata,
    Column("key", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""How long jobs of each kind took, as far as it was seen."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("sink", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What each sink asked for, and from which position of the log on."""


quiet = Table(
    "quiet",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("ends_at", Float),
    Column("body", LargeBinary, nullable=False),
)
"""Silences, maintenance and acknowledgements that people gave at run time."""


added = Table(
    "added",
    metadata,
    Column("key", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The watches that people added at run time."""

pauses = Table(
    "pauses",
    metadata,
    Column("key", Text, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""Whom people do not want to be looked at for a time."""


def shard(key: str) -> int:
    """Map a key to its shard: fixed for ever, whatever machine computes it."""
    return xxhash.xxh64_intdigest(key.encode()) % SHARDS
