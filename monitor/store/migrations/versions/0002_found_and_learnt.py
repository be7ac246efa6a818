"""Watches that discovery found, and what was learnt of durations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("watches", "hazards"):
        op.create_table(
            table,
            sa.Column("key", sa.Text, primary_key=True),
            sa.Column("shard", sa.SmallInteger, nullable=False),
            sa.Column("source", sa.Text, nullable=False),
            sa.Column("body", sa.LargeBinary, nullable=False),
        )
