"""When something was last learnt of a class, so that the oldest can be forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    position = sa.Column("position", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("hazards", position)
    op.create_index("hazards_newest", "hazards", ["source", "position", "key"])
