"""Who is watched, because of what; and the lists that say so."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from monitor.web.shapes.quiet import Author, Said

Short = Annotated[str, Meta(max_length=64)]


class PauseData(Struct, kw_only=True):
    """Nobody looks at it before *ends_at*; null: until somebody says so."""

    since: datetime
    ends_at: datetime | None
    author: str
    comment: str


class WatchData(Struct, kw_only=True):
    """*origin*: ``file``, ``api``, ``discovery``; *place* is where it is written down.

    Options are null where the settings hold. Durations are as in watch lists.
    *author* and *comment* are those of who added it at run time.
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
    author: str = ""
    comment: str = ""
    paused: PauseData | None = None


class WatchAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """*key* may be short; labels and options are as in watch lists."""

    key: Annotated[str, Meta(min_length=1, max_length=256)]
    labels: Annotated[Mapping[str, Said], Meta(max_length=32)] = {}
    severity: Short = ""
    settle: Short = ""
    overdue_after: Short = ""
    stalled_after: Short = ""
    until: datetime | None = None
    author: Author = ""
    comment: Said = ""


class PauseAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """Without *ends_at* it lasts until somebody ends it."""

    ends_at: datetime | None = None
    author: Author = ""
    comment: Said = ""


class LookedData(WatchData, kw_only=True):
    """A watch, and when its instance was and will be looked at; null: never.

    *failures*: so many looks in a row have failed since. *owner* is the node that looks
    at it, null where none does at the moment; where that is not the node that answers,
    the other three are not known here, and null.
    """

    seen_at: datetime | None
    next_at: datetime | None
    failures: int | None
    owner: str | None = None


class WatchListData(Struct, kw_only=True):
    """A file, and how many watches and rules come from it."""

    path: str
    watches: int
    rules: int
    faults: Sequence[str]
