"""What several daemons need that share one database."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Number, Words

revision = "0008"
down_revision = "0007"

SHARDS = 64
TOPICS = ("deliveries", "lists", "quiet", "watches", "wishes")


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", Words, primary_key=True),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("draining", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "hints",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("job_instance_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    over = sa.text("phase <> 'watched'")
    op.create_index(
        "states_over",
        "states",
        ["changed_at"],
        sqlite_where=over,
        postgresql_where=over,
    )
    _lists()
    _log()
    _news()
    _leases()
    _gaps()


def _lists() -> None:
    op.create_table(
        "pages",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("source", Words, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "lists",
        sa.Column("name", Words, primary_key=True),
        sa.Column("node", Words, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("digest", Words, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("faults", sa.Integer, nullable=False),
        sa.Column("past", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "list_parts",
        sa.Column("name", Words, primary_key=True),
        sa.Column("node", Words, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", Words, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _log() -> None:
    log = op.create_table(
        "log",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        postgresql_with={"fillfactor": 50},
    )
    # What was read may be newer than what is left of the log.
    tables = (sa.table(n, sa.column("position")) for n in ("events", "cursors"))
    ends = (sa.select(sa.func.max(table.c.position)) for table in tables)
    last = max(op.get_bind().execute(end).scalar() or 0 for end in ends)
    op.bulk_insert(log, [{"id": 0, "position": last}])


def _news() -> None:
    news = op.create_table(
        "news",
        sa.Column("topic", Words, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(news, [{"topic": topic, "number": 0} for topic in TOPICS])


def _leases() -> None:
    """From one lease for all to one for each shard."""
    leases = sa.table(
        "leases",
        sa.column("shard", sa.SmallInteger),
        sa.column("owner", Words),
        sa.column("epoch", sa.BigInteger),
        sa.column("expires_at", sa.Float),
    )
    free = {"owner": "", "epoch": 0, "expires_at": 0.0}
    # A daemon of the version before may still own the first: it keeps that one.
    op.bulk_insert(leases, [{"shard": n, **free} for n in range(1, SHARDS)])


def _gaps() -> None:
    """What was passed over was so for all shards."""
    gaps = sa.table(
        "gaps", *(sa.column(name) for name in ("sink", "shard", "after", "upto", "at"))
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(gaps)).mappings().all()
    connection.execute(sa.delete(gaps))
    for row in rows:
        op.bulk_insert(gaps, [{**row, "shard": number} for number in range(SHARDS)])
