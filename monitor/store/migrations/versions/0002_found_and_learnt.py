"""Watches that discovery found, and what was learnt of durations."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Words

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("watches", "hazards"):
        op.create_table(
            table,
            sa.Column("key", Words, primary_key=True),
            sa.Column("shard", sa.SmallInteger, nullable=False),
            sa.Column("source", Words, nullable=False),
            sa.Column("body", sa.LargeBinary, nullable=False),
        )
