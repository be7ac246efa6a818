"""The first tables."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Number, Words

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "states",
        sa.Column("key", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("phase", Words, nullable=False),
        sa.Column("alerting", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("states_alerting", "states", ["alerting"])
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("shard", sa.SmallInteger, primary_key=True),
        sa.Column("key", Words, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("type", Words, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("key", "sequence"),
    )
    op.create_index("events_time", "events", ["time"])
    op.create_table(
        "cursors",
        sa.Column("sink", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("sink", Words, nullable=False),
        sa.Column("id", Words, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("line", Words, nullable=False),
        sa.Column("due", sa.Float, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("error", Words, nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("sink", "id"),
    )
    op.create_index("deliveries_line", "deliveries", ["sink", "line", "number"])
    op.create_table(
        "dead_letters",
        sa.Column("sink", Words, primary_key=True),
        sa.Column("id", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("key", Words, nullable=False),
        sa.Column("died_at", sa.Float, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", Words, nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "told",
        sa.Column("sink", Words, primary_key=True),
        sa.Column("group", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "groups",
        sa.Column("key", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("notifications", sa.BigInteger, nullable=False),
    )
