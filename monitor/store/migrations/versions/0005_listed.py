"""What lists show of each state, in columns: to sort, filter and count by."""

import sqlalchemy as sa
from alembic import op

from monitor.store import memory, rows
from monitor.store.columns import Code, Words

revision = "0005"
down_revision = "0004"

AT_ONCE = 500

COLUMNS = (
    sa.Column("subject", Words, nullable=False, server_default=""),
    sa.Column("name", Words, nullable=False, server_default=""),
    sa.Column("status", Code),
    sa.Column("rank", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("since", sa.Float),
    sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("hosts", sa.Integer, nullable=False, server_default="0"),
)
NAMES = tuple(column.name for column in COLUMNS)
LISTED = ("phase", "rank", "since", "key", "status", "failed", "hosts", "changed_at")

states = sa.table(
    "states",
    sa.column("key"),
    sa.column("body"),
    *(sa.column(column.name) for column in COLUMNS),
)


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("states", column)
    _fill(op.get_bind())
    op.create_index("states_listed", "states", ["subject", *LISTED, "name"])


def _fill(connection: sa.Connection) -> None:
    change = (
        sa.update(states)
        .where(states.c.key == sa.bindparam("of"))
        .values({name: sa.bindparam(f"new_{name}") for name in NAMES})
    )
    after = ""
    while True:
        found = connection.execute(
            sa.select(states.c.key, states.c.body)
            .where(states.c.key > after)
            .order_by(states.c.key)
            .limit(AT_ONCE)
        ).all()
        if not found:
            return
        after = found[-1].key
        connection.execute(change, [_row(row.key, row.body) for row in found])


def _row(key: str, body: bytes) -> rows.Row:
    known = memory.state_row(rows.state(body))
    return {"of": key} | {f"new_{name}": known[name] for name in NAMES}
