"""Watches that people added at run time, and whom they paused."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name in ("added", "pauses"):
        op.create_table(
            name,
            sa.Column("key", sa.Text, primary_key=True),
            sa.Column("shard", sa.SmallInteger, nullable=False),
            sa.Column("body", sa.LargeBinary, nullable=False),
        )
