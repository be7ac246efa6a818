"""What is known of each instance, scope and source, each row guarded by its version."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, exists, insert, select, update

from monitor.core import gist
from monitor.core.shards import shard
from monitor.core.state import Phase, State
from monitor.ports import Head
from monitor.store import rows
from monitor.store.rows import Row
from monitor.store.schema import among, states, under

_CHANGING = (
    "version",
    "phase",
    "alerting",
    "changed_at",
    "finished_at",
    "body",
    "name",
    "status",
    "rank",
    "since",
    "failed",
    "hosts",
)

_LOAD = select(states.c.body).where(states.c.key == bindparam("k"))
# One statement in place of two, since each costs more than what it does.
_NEW = select(*(bindparam(each.name, type_=each.type) for each in states.c)).where(
    ~exists().where(states.c.key == bindparam("k"))
)
_INSERT = (
    insert(states)
    .from_select(list(states.c), _NEW)
    .execution_options(preserve_rowcount=True)
)
_UPDATE = (
    update(states)
    .where(states.c.key == bindparam("k"), states.c.version == bindparam("v"))
    .values({name: bindparam(name) for name in _CHANGING})
)


def load(connection: Connection, key: str) -> State:
    body = connection.execute(_LOAD, {"k": key}).scalar()
    return State(key=key) if body is None else rows.state(body)


def state_row(state: State) -> Row:
    shown = gist.of(state)
    return {
        "key": state.key,
        "shard": shard(state.key),
        "version": state.version,
        "phase": state.phase.value,
        "alerting": len(state.alerts),
        "changed_at": rows.seconds(state.changed_at),
        "finished_at": rows.seconds(state.finished_at),
        "body": rows.encode(state),
        "subject": shown.subject.value,
        "name": shown.name,
        "status": shown.status,
        "rank": shown.rank,
        "since": rows.seconds(shown.since),
        "failed": shown.failed,
        "hosts": shown.hosts,
    }


def save(connection: Connection, row: Row) -> bool:
    """Write *row*; False where the version before it is not the one that is there."""
    if row["version"] > 1:
        changed = {name: row[name] for name in _CHANGING}
        where = {"k": row["key"], "v": row["version"] - 1}
        return connection.execute(_UPDATE, changed | where).rowcount == 1

    return connection.execute(_INSERT, {**row, "k": row["key"]}).rowcount == 1


def retired(connection: Connection, keys: Collection[str]) -> list[str]:
    """Name those of *keys* that ended for good."""
    over = states.c.phase == Phase.RETIRED.value
    found = select(states.c.key).where(states.c.key.in_(keys), over)
    return [*connection.execute(found).scalars()]


def heads(connection: Connection, source: str, shards: Collection[int]) -> list[Head]:
    columns = (states.c.key, states.c.phase, states.c.changed_at, states.c.finished_at)
    mine = under(states.c.key, source)
    found = connection.execute(select(*columns).where(mine, *among(states, shards)))
    with rows.intact():
        return [
            Head(key, Phase(phase), rows.moment(changed), rows.moment(finished))
            for key, phase, changed, finished in found
        ]
