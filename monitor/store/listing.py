"""Instances as lists show them: filtered, sorted and counted by columns alone."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, or_, select, tuple_

from monitor.core import codes
from monitor.core.codes import Meaning
from monitor.core.gist import Subject
from monitor.ports import Listed, Sort, Tally, Wanted
from monitor.store import rows
from monitor.store.schema import states, under

Place = tuple[Any, ...]

_PLACES: Final[Mapping[Sort, tuple[ColumnElement[Any], ...]]] = {
    Sort.WORST: (-states.c.rank, -func.coalesce(states.c.since, 0.0), states.c.key),
    Sort.CHANGED: (-func.coalesce(states.c.changed_at, 0.0), states.c.key),
    Sort.FAILED: (-states.c.failed, states.c.key),
    Sort.NAME: (states.c.name, states.c.key),
    Sort.KEY: (states.c.key,),
}
_KNOWN: Final = tuple(codes.RUNS)


def listed(
    connection: Connection, wanted: Wanted, after: Place | None, most: int
) -> list[tuple[Place, Listed]]:
    """Give instances with their places, in the order of *wanted*."""
    place = _PLACES[wanted.sort]
    page = select(states.c.key).where(*_where(wanted)).order_by(*place).limit(most)
    if after is not None:
        page = page.where(tuple_(*after) < tuple_(*place))
    # Bodies are read of this page only: sorting would carry them along.
    keys = list(connection.execute(page).scalars())
    columns = [each.label(f"place_{n}") for n, each in enumerate(place)]
    found = connection.execute(
        select(states, *columns).where(states.c.key.in_(keys)).order_by(*place)
    )
    return [(tuple(row[-len(place) :]), _listed(row)) for row in found]


def tally(connection: Connection) -> list[Tally]:
    """Count the instances that are watched, by status and by how bad they are."""
    by = (states.c.status, states.c.rank)
    counts = (func.count(), func.sum(states.c.failed), func.sum(states.c.hosts))
    watched = _where(Wanted())
    found = connection.execute(select(*by, *counts).where(*watched).group_by(*by))
    return [Tally(*row) for row in found]


def _where(wanted: Wanted) -> Sequence[ColumnElement[bool]]:
    where = [states.c.subject == Subject.INSTANCE.value]
    if wanted.phase is not None:
        where.append(states.c.phase == wanted.phase.value)
    if wanted.least_rank:
        where.append(states.c.rank >= wanted.least_rank)
    if wanted.meanings:
        where.append(or_(*map(_means, wanted.meanings)))
    if wanted.below:
        where.append(under(states.c.key, wanted.below))
    return [*where, *map(_contains, wanted.text.split())]


def _contains(word: str) -> ColumnElement[bool]:
    columns = (states.c.name, states.c.key)
    return or_(*(column.icontains(word, autoescape=True) for column in columns))


def _means(meaning: Meaning) -> ColumnElement[bool]:
    numbers = [number for number, code in codes.RUNS.items() if code.meaning is meaning]
    if meaning is Meaning.UNKNOWN:
        return or_(states.c.status.is_(None), states.c.status.not_in(_KNOWN))
    return states.c.status.in_(numbers)


def _listed(row: Any) -> Listed:
    return Listed(
        member=rows.member(row.body),
        failed=row.failed,
        hosts=row.hosts,
        since=rows.moment(row.since),
        changed_at=rows.moment(row.changed_at),
    )
