"""What people said about alerts, why sinks were told or not, and how deliveries went."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Number, Words

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "verdicts",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("key", Words, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("verdicts_key", "verdicts", ["key", "number"])
    op.create_index("verdicts_time", "verdicts", ["time"])
    op.create_table(
        "subscriptions",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("sink", Words, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "quiet",
        sa.Column("kind", Words, primary_key=True),
        sa.Column("id", Words, primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("ends_at", sa.Float),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
