"""What was told, to whom, in whose stead; and what was given up."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Number, Words

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "dropped",
        sa.Column("sink", Words, primary_key=True),
        sa.Column("id", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("reason", Words, nullable=False),
    )
    op.create_index("dropped_at", "dropped", ["at"])
    op.create_table(
        "gaps",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("sink", Words, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("after", sa.BigInteger, nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_table(
        "notifications",
        sa.Column("id", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    op.create_index("notifications_time", "notifications", ["time", "id"])
    op.create_table(
        "addressed",
        sa.Column("id", Words, primary_key=True),
        sa.Column("sink", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("via", Words, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("addressed_at", "addressed", ["at"])
    op.create_table(
        "stand_ins",
        sa.Column("sink", Words, primary_key=True),
        sa.Column("line", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("fallback", Words, nullable=False),
    )
