"""A whole store into another one: all of it, compared row by row, or nothing."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any, Final

import msgspec
import xxhash
from anyio import from_thread
from anyio.to_thread import run_sync
from msgspec import Struct
from sqlalchemy import Connection, Table, delete, func, insert, select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from monitor import errors
from monitor.core.shards import ALL
from monitor.store import columns, opening
from monitor.store.group import Transact, Work, short
from monitor.store.schema import hints, leases, log, metadata, news, nodes, pages
from monitor.store.surveying import survey

BATCH: Final = 500

Report = Callable[[str, int, int], None]
"""Hears of which table how many rows are copied, of how many."""

Values = tuple[Any, ...]
Page = list[Values]

_OF_THE_MOMENT: Final = (leases, nodes, hints, pages)

TABLES: Final = tuple(
    sorted(
        (table for table in metadata.tables.values() if table not in _OF_THE_MOMENT),
        key=lambda table: table.name,
    )
)


_NEVER_EMPTY: Final = (log, news)


class Copied(Struct, frozen=True):
    """A table as it is on both sides: its rows, and a digest over them in order."""

    table: str
    rows: int
    digest: str


async def copy(
    source: str, target: str, *, replace: bool, report: Report
) -> list[Copied]:
    """Copy the store at *source* to *target*, in one transaction.

    Owns both meanwhile. Raises errors.StoreError, and keeps nothing, where there is
    something in *target* that shall not be *replaced*, or the copy differs.
    """
    _check(source, target)
    failure: errors.MonitorError | None = None
    found: list[Copied] = []
    async with (
        opening.owned(opening.parsed(source), run_sync) as one,
        opening.owned(opening.parsed(target), run_sync) as other,
    ):
        try:
            if not replace:
                await run_sync(_safely, other.transact, _check_empty)
            found = await run_sync(_filled, other.transact, one.transact, report)
        except errors.MonitorError as error:
            failure = error  # by itself, and not one of a group
    if failure is not None:
        raise failure
    return found


def _filled(target: Transact, source: Transact, report: Report) -> list[Copied]:
    found: list[Copied] = []

    # May run again, after a lost connection: all of it was rolled back then.
    def work(connection: Connection) -> None:
        found[:] = [_copied(source, connection, table, report) for table in TABLES]

    _safely(target, work)
    return found


def _safely(transact: Transact, work: Work) -> None:
    try:
        transact(work, ALL)
    except SQLAlchemyError as error:
        raise errors.StoreError(f"the store failed: {short(error)}") from error


def _check(source: str, target: str) -> None:
    found = survey(source)
    if not found.current:
        raise errors.Misconfigured(
            f"store: {found.store} is of another version; bring it up to date first:"
            " job-monitor store migrate"
        )
    if opening.parsed(source) == opening.parsed(target):
        raise errors.StoreError("both are the same store")


def _check_empty(connection: Connection) -> None:
    for table in (table for table in TABLES if table not in _NEVER_EMPTY):
        if connection.execute(select(table).limit(1)).first() is not None:
            raise errors.StoreError(
                f"there is something in {table.name} of the other store;"
                " --replace throws all of that away"
            )


def _copied(
    transact: Transact, target: Connection, table: Table, report: Report
) -> Copied:
    target.execute(delete(table))
    total, done = _count(transact, table), 0
    for rows in _read(transact, table):
        from_thread.check_cancelled()
        target.execute(insert(table), [_row(table, values) for values in rows])
        done += len(rows)
        report(table.name, done, total)
    _number_on(target, table)
    return _compared(table, _read(transact, table), _pages(target, table))


def _count(transact: Transact, table: Table) -> int:
    found = 0

    def work(connection: Connection) -> None:
        nonlocal found
        count = select(func.count()).select_from(table)
        found = connection.execute(count).scalar() or 0

    transact(work, ALL)
    return found


def _read(transact: Transact, table: Table) -> Iterator[Page]:
    """Read a page a transaction, so that no failure of the other side is taken for ours."""
    after: Values | None = None
    while True:
        page: Page = []

        def work(connection: Connection, after: Values | None = after) -> None:
            nonlocal page
            page = _page(connection, table, after)

        transact(work, ALL)
        if not page:
            return
        yield page
        after = _place(table, page[-1])


def _pages(connection: Connection, table: Table) -> Iterator[Page]:
    after: Values | None = None
    while page := _page(connection, table, after):
        yield page
        after = _place(table, page[-1])


def _page(connection: Connection, table: Table, after: Values | None) -> Page:
    key = tuple_(*table.primary_key.columns)
    ordered = select(table).order_by(*key.clauses).limit(BATCH)
    if after is not None:
        ordered = ordered.where(key > tuple_(*after, types=_types(table)))
    return [tuple(map(_same, row)) for row in connection.execute(ordered)]


def _types(table: Table) -> list[TypeEngine[Any]]:
    return [column.type for column in table.primary_key.columns]


def _same(value: Any) -> Any:
    # Stores of old may hold what is not written any more.
    return value.replace("\0", columns.NUL) if isinstance(value, str) else value


def _place(table: Table, values: Values) -> Values:
    row = _row(table, values)
    return tuple(row[column.name] for column in table.primary_key.columns)


def _row(table: Table, values: Values) -> dict[str, Any]:
    names = (column.name for column in table.columns)
    return dict(zip(names, values, strict=True))


def _number_on(connection: Connection, table: Table) -> None:
    """Let new rows get numbers above those that were copied; SQLite does by itself."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.columns:
        if column.identity is not None:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            highest = select(func.max(column)).scalar_subquery()
            connection.execute(select(func.setval(sequence, highest)))


def _compared(table: Table, ours: Iterator[Page], theirs: Iterator[Page]) -> Copied:
    rows, digest = 0, xxhash.xxh3_128()
    pages: Iterator[tuple[Page, Page]] = zip_longest(ours, theirs, fillvalue=[])
    for one, other in pages:
        for mine, copied in zip_longest(one, other):
            if mine != copied:
                place = _place(table, mine or copied)
                raise errors.StoreError(
                    f"{table.name} differs at {place}; nothing was copied"
                )
            digest.update(msgspec.msgpack.encode(mine))
            rows += 1
    return Copied(str(table.name), rows, digest.hexdigest())
