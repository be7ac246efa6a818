"""Watches that people added at run time, and whom they paused."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Words

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name in ("added", "pauses"):
        op.create_table(
            name,
            sa.Column("key", Words, primary_key=True),
            sa.Column("shard", sa.SmallInteger, nullable=False),
            sa.Column("body", sa.LargeBinary, nullable=False),
        )
