"""The tables; ``migrations/`` creates them.

Each row that belongs to somebody carries the shard of its key, so that several
daemons can share one database. Structured values are MessagePack of the
types in ``core`` (``rows`` says how those may change); columns exist where a
statement selects by them.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
    and_,
    text,
)

from monitor.core.shards import SHARDS
from monitor.store.columns import Code, Number, Words

metadata = MetaData()

OVER: Final = text("phase <> 'watched'")
"""Of ``states``; word by word as in its index, which no bound value would match."""

states = Table(
    "states",
    metadata,
    Column("key", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("phase", Words, nullable=False),
    Column("alerting", Integer, nullable=False),
    Column("changed_at", Float),
    Column("finished_at", Float),
    Column("body", LargeBinary, nullable=False),
    Column("subject", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("status", Code),
    Column("rank", SmallInteger, nullable=False),
    Column("since", Float),
    Column("failed", Integer, nullable=False),
    Column("hosts", Integer, nullable=False),
    Index("states_alerting", "alerting"),
    # Without those that are watched, which change all the time.
    Index("states_over", "changed_at", sqlite_where=OVER, postgresql_where=OVER),
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
    Column("key", Words, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", Words, nullable=False),
    Column("time", Float, nullable=False),
    Column("message", LargeBinary, nullable=False),
    UniqueConstraint("key", "sequence"),
    Index("events_time", "time"),
)
"""The log that sinks read by cursor; positions rise without holes, in the order of commits."""

cursors = Table(
    "cursors",
    metadata,
    Column("sink", Words, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""How far each sink has read."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("sink", Words, nullable=False),
    Column("id", Words, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("line", Words, nullable=False),
    Column("due", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("error", Words, nullable=False),
    Column("message", LargeBinary, nullable=False),
    UniqueConstraint("sink", "id"),
    Index("deliveries_line", "sink", "line", "number"),
)
"""Messages on their way: notifications, and events that failed at least once."""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("sink", Words, primary_key=True),
    Column("id", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("key", Words, nullable=False),
    Column("died_at", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("error", Words, nullable=False),
    Column("message", LargeBinary, nullable=False),
)
"""Messages that a sink will never take."""

dropped = Table(
    "dropped",
    metadata,
    Column("sink", Words, primary_key=True),
    Column("id", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", Words, nullable=False),
    Index("dropped_at", "at"),
)
"""Which messages a sink was never given, and why, after they waited or were dead."""

gaps = Table(
    "gaps",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("sink", Words, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("after", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
)
"""Which part of the log a sink did not read, since too much waited."""

notifications = Table(
    "notifications",
    metadata,
    Column("id", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("time", Float, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Index("notifications_time", "time", "id"),
)
"""What was told, so that it can be told again."""

addressed = Table(
    "addressed",
    metadata,
    Column("id", Words, primary_key=True),
    Column("sink", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("via", Words, nullable=False),
    Column("at", Float, nullable=False),
    Index("addressed_at", "at"),
)
"""To whom each notification went, and in whose stead (``via``), if not in its own."""

stand_ins = Table(
    "stand_ins",
    metadata,
    Column("sink", Words, primary_key=True),
    Column("line", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("fallback", Words, nullable=False),
)
"""Who is told of an incident beside a sink that once was not there to be told."""

told = Table(
    "told",
    metadata,
    Column("sink", Words, primary_key=True),
    Column("group", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What each sink was last told about each group."""

verdicts = Table(
    "verdicts",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("key", Words, nullable=False),
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
    Column("key", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("notifications", BigInteger, nullable=False),
)
"""How many notifications each group has had: the numbers in their ids."""

watches = Table(
    "watches",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("key", Words, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("source", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("key"),
)
"""The watches that discovery found.

The owner of a source writes its rows, each with a new number, so that these rise in the
order of commits. SQLite, which nobody shares, may give the last one again.
"""

hazards = Table(
    "hazards",
    metadata,
    Column("key", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("source", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index("hazards_newest", "source", "position", "key"),
)
"""How long jobs of each kind took, and where the log was when that was last seen."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("sink", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What each sink asked for, and from which position of the log on."""


quiet = Table(
    "quiet",
    metadata,
    Column("kind", Words, primary_key=True),
    Column("id", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("ends_at", Float),
    Column("body", LargeBinary, nullable=False),
)
"""Silences, maintenance and acknowledgements that people gave at run time."""


added = Table(
    "added",
    metadata,
    Column("key", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The watches that people added at run time."""

pauses = Table(
    "pauses",
    metadata,
    Column("key", Words, primary_key=True),
    Column("shard", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""Whom people do not want to be looked at for a time."""

leases = Table(
    "leases",
    metadata,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("owner", Words, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", Float, nullable=False),
    postgresql_with={"fillfactor": 50},
)
"""Which daemon owns each shard, until when by the database's clock, in which epoch."""

nodes = Table(
    "nodes",
    metadata,
    Column("name", Words, primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("draining", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The daemons that share this store, and what each of them says of itself."""

log = Table(
    "log",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 50},
)
"""One row: the last position in the log of events.

Whoever appends locks it until the end of his transaction, so that positions rise in
the order of commits, and a reader passes nobody over.
"""

news = Table(
    "news",
    metadata,
    Column("topic", Words, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""How often what all daemons keep in memory has changed, by topic."""

hints = Table(
    "hints",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("job_instance_id", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
)
"""Instances that called back; whoever owns one looks at it."""

pages = Table(
    "pages",
    metadata,
    Column("number", Number, Identity(), primary_key=True),
    Column("source", Words, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What the list of a source showed a moment ago, for all that look there."""

lists = Table(
    "lists",
    metadata,
    Column("name", Words, primary_key=True),
    Column("node", Words, primary_key=True),
    Column("at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("digest", Words, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("faults", Integer, nullable=False),
    Column("past", LargeBinary, nullable=False),
)
"""The files of the watch list as each machine has them: which content, since when.

``seen_at`` is when that machine was last there, ``past`` what it had shortly before.
"""

list_parts = Table(
    "list_parts",
    metadata,
    Column("name", Words, primary_key=True),
    Column("node", Words, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Words, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The content of those files in parts, so that a line more writes one of them anew."""


def under(column: ColumnElement[str], above: str) -> ColumnElement[bool]:
    """Find the keys below *above*, a source or a scope: by their order, not LIKE.

    SQLite's LIKE would take capitals for small letters, and use no index.
    """
    return and_(column > f"{above}/", column < f"{above}0")


def among(table: Table, shards: Collection[int]) -> list[ColumnElement[bool]]:
    """Find the rows of these shards; of all, where all are meant."""
    return [] if len(shards) == SHARDS else [table.c.shard.in_(sorted(shards))]
