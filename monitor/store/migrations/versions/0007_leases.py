"""Which daemon may write to a database that several can reach."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Words

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    leases = op.create_table(
        "leases",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("owner", Words, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        postgresql_with={"fillfactor": 50},
    )
    # One row stands for all shards while one daemon owns them all.
    free = {"shard": 0, "owner": "", "epoch": 0, "expires_at": 0.0}
    op.bulk_insert(leases, [free])
