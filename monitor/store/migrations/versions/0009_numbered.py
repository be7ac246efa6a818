"""What discovery found, numbered as it was written, so that the new is read alone."""

import sqlalchemy as sa
from alembic import op

from monitor.store.columns import Number, Words

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # SQLite numbers what is the key of a table from its beginning, and nothing else.
    op.execute("CREATE TABLE found AS SELECT * FROM watches")
    op.drop_table("watches")
    op.create_table(
        "watches",
        sa.Column("number", Number, sa.Identity(), primary_key=True),
        sa.Column("key", Words, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("source", Words, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("key"),
    )
    op.execute(
        "INSERT INTO watches (key, shard, source, body)"
        " SELECT key, shard, source, body FROM found"
    )
    op.drop_table("found")
