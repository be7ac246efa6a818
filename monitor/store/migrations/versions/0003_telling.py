"""What people said about alerts, why sinks were told or not, and how deliveries went."""

import sqlalchemy as sa  # noqa: F401
from alembic import op  # noqa: F401

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Each feature of this release adds its tables here."""
