"""How a list is read to its end: by moments, newest first, never by deep offsets.

A page ends the next one: at the creation of its oldest row and a millisecond more,
so that rows created together are not torn apart; who reads ignores what came
before. Deep pages are dear to JOB, and v4 refuses them behind 10,000 rows. Source:
bk-job EsbGetJobInstanceListV4Resource and TaskInstanceDAOImpl (create_time from ≤
and ≤ to, DESC, ties in no order), read 2026-11.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from monitor.core.listing import Page, Query

TICK: Final = timedelta(milliseconds=1)
"""JOB's moments are whole milliseconds."""

DEEPEST: Final = 10_000
"""Rows to pass over at most; more of one millisecond are left unread."""


def within(query: Query, *, until: datetime, since: datetime, most: timedelta) -> Query:
    """Ask from *until* on down to *since*, or as far as one question may reach."""
    since = max(since, until - most)
    return structs.replace(query, since=since, until=until, start=0)


def onward(
    query: Query, page: Page, *, since: datetime, most: timedelta
) -> Query | None:
    """Ask for what *page* left of all down to *since*; None: nothing is left."""
    if not (page.full and page.rows):
        if query.since <= since:
            return None
        return within(query, until=query.since + TICK, since=since, most=most)

    until = min(row.created_at for row in page.rows) + TICK
    if until < query.until:
        return within(query, until=until, since=since, most=most)
    start = query.start + len(page.rows)
    if start <= DEEPEST:
        return structs.replace(query, start=start)
    until = query.until - TICK
    if until < since:
        return None
    return within(query, until=until, since=since, most=most)
