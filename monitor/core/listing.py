"""What a list of job instances says: rows without steps and hosts, and how to ask.

A row is as true as a status answer about the job alone; that a row is absent says
nothing at all. v2 has no such list.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from monitor.core.model import InstanceKey


class Row(Struct, frozen=True, kw_only=True):
    """*launch_mode*: 1 by hand, 2 API, 3 timer. *type*: 0 plan, 1 script, 2 file."""

    key: InstanceKey
    status: int
    created_at: datetime
    name: str = ""
    operator: str = ""
    launch_mode: int | None = None
    type: int | None = None
    plan_id: int | None = None
    template_id: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Filter(Struct, frozen=True, kw_only=True):
    """What JOB itself filters by; *name* is a part of the name, None is anything."""

    name: str | None = None
    operator: str | None = None
    launch_mode: int | None = None
    type: int | None = None
    status: int | None = None

    def fields(self) -> Mapping[str, str | int]:
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in found.items() if value is not None}


ANYTHING = Filter()


class Query(Struct, frozen=True, kw_only=True):
    """One page of a scope's instances, created from *since* to *until*, newest first.

    *start* counts the rows to pass over: deep pages are dear to JOB, so that it is
    for the many rows of one millisecond only.
    """

    scope_type: str
    scope_id: str
    since: datetime
    until: datetime
    filter: Filter = ANYTHING
    start: int = 0


class Page(Struct, frozen=True):
    """*full*: as many rows as one page holds, so that there may be more."""

    rows: tuple[Row, ...]
    full: bool
