"""A list of job instances as JOB keeps it: newest first, filtered, page by page.

An independent reading of what JOB does, with the limits of v4 or v3.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Final

import anyio
from msgspec import structs

from monitor import errors
from monitor.core.listing import Page, Query, Row
from monitor.core.model import InstanceKey
from monitor.ports import Means
from tests.support.answers import a_key
from tests.support.clock import MORNING
from tests.support.source import ScriptedSource

DEEPEST: Final = 10_000


def a_row(
    number: int = 1,
    *,
    ago: float = 60.0,
    status: int = 2,
    scope: str = "2",
    name: str = "deploy",
    operator: str = "admin",
) -> Row:
    """Build a row that was created *ago* seconds before the morning."""
    return Row(
        key=a_key(number, scope=scope),
        status=status,
        created_at=MORNING - timedelta(seconds=ago),
        name=name,
        operator=operator,
        launch_mode=1,
        type=0,
    )


class ListingSource(ScriptedSource):
    """Satisfies ``ports.Source`` with a list; *queries* is when what was asked.

    Rows of one moment come in another order each time; *hidden* ones do not come at
    all. An answer takes *latency* seconds, and may be *stale* by them. While
    *trouble* is set, it is raised.
    """

    def __init__(self, *rows: Row, page: int = 200, luck: int = 0) -> None:
        super().__init__()
        self.means = Means(page=page)
        self.rows: dict[InstanceKey, Row] = {row.key: row for row in rows}
        self.queries: list[tuple[float, Query]] = []
        self.hidden: set[InstanceKey] = set()
        self.stale = False
        self.trouble: errors.SourceError | None = None
        self._random = Random(luck)

    @property
    def page_times(self) -> list[float]:
        return [round(when, 3) for when, _ in self.queries]

    def put(self, *rows: Row) -> None:
        self.rows |= {row.key: row for row in rows}

    def becomes(
        self, number: int, status: int, *, ended_at: datetime | None = None
    ) -> None:
        row = self.rows[a_key(number)]
        self.put(structs.replace(row, status=status, ended_at=ended_at))

    async def page(self, query: Query) -> Page:
        self.queries.append((anyio.current_time(), query))
        before = self.answer(query) if self.stale else None
        if self.latency:
            await anyio.sleep(self.latency)
        if self.trouble is not None:
            raise self.trouble.with_traceback(None)
        return before or self.answer(query)

    def answer(self, query: Query) -> Page:
        """Answer without being on record."""
        if query.until <= query.since or query.until - query.since > self.means.range:
            raise errors.Garbled("1241007: bad range")
        if query.start > DEEPEST:
            raise errors.Garbled("1241002: offset beyond 10000")
        shown = (row for key, row in self.rows.items() if key not in self.hidden)
        found = [*_selected(shown, query)]
        self._random.shuffle(found)
        found.sort(key=lambda row: row.created_at, reverse=True)
        rows = tuple(found[query.start : query.start + self.means.page])
        return Page(rows, len(rows) == self.means.page)


def _selected(rows: Iterable[Row], query: Query) -> Iterable[Row]:
    wanted = query.filter
    for row in rows:
        key = row.key
        if (key.scope_type, key.scope_id) != (query.scope_type, query.scope_id):
            continue
        if not query.since <= row.created_at <= query.until:
            continue
        if wanted.name is not None and wanted.name.lower() not in row.name.lower():
            continue
        exact = wanted.fields().items() - {("name", wanted.name)}
        if all(getattr(row, field) == value for field, value in exact):
            yield row
