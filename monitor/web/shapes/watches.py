"""Who is watched, because of what; and the lists that say so."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct


class WatchData(Struct, kw_only=True):
    """*origin*: ``file``, ``discovery``; *place* is where it is written down.

    Options are null where the settings hold. Durations are as in watch lists.
    """

    key: str
    labels: Mapping[str, str]
    origin: str
    place: str
    severity: str | None = None
    settle: str | None = None
    overdue_after: str | None = None
    stalled_after: str | None = None
    until: datetime | None = None


class LookedData(WatchData, kw_only=True):
    """A watch, and when its instance was and will be looked at; null: never.

    *failures*: so many looks in a row have failed since.
    """

    seen_at: datetime | None
    next_at: datetime | None
    failures: int


class WatchListData(Struct, kw_only=True):
    """A file, and how many watches and rules come from it."""

    path: str
    watches: int
    rules: int
    faults: Sequence[str]
